package trial

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"throughline/internal/farside"
	"throughline/internal/store"
)

// The ways in which one of several nodes goes wrong.
const (
	ActKill  = "kill"  // it is killed, and the others take over what it had in hand
	ActSleep = "sleep" // it is stopped for twice its lease, and goes on
	ActCut   = "cut"   // it loses its database for twice its lease
	ActRoll  = "roll"  // all are restarted one after the other; once
)

// Acts are all of them.
var Acts = []string{ActKill, ActSleep, ActCut, ActRoll}

// manyNodes lets one node after the other go wrong in the ways that were asked for, as often as is asked.
// After every second time all comes to rest, as after kills.
func (r *chaosRun) manyNodes(ctx context.Context) error {
	if len(r.Acts) == 0 {
		return nil
	}
	s, err := store.Open(ctx, r.ledger(), time.Now)
	if err != nil {
		return err
	}
	defer s.Close()
	r.lookout = &lookout{r, s}
	for done := 0; done < r.times(1); done += 2 {
		n := min(2, r.times(1)-done)
		if err := r.loaded(ctx, func(ctx context.Context) error { return r.actTimes(ctx, n) }); err != nil {
			return err
		}
		if err := r.calm(ctx); err != nil {
			return err
		}
	}
	if !slices.Contains(r.Acts, ActRoll) {
		return nil
	}
	return r.loaded(ctx, r.rolling)
}

func (r *chaosRun) actTimes(ctx context.Context, n int) error {
	act := map[string]func(context.Context, int) error{ActKill: r.takeover, ActSleep: r.sleeper, ActCut: r.cutOff}
	for range n {
		for _, name := range r.Acts {
			if act[name] == nil {
				continue
			}
			if err := act[name](ctx, r.rand.IntN(r.Nodes)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// takeover kills a node that has work in hand, and measures how long that lies before others have it. A
// node that has just finished all it had proves nothing, and another one is killed.
func (r *chaosRun) takeover(ctx context.Context, i int) error {
	for orphans := 0; orphans == 0; {
		if err := r.lookout.busy(ctx, i); err != nil {
			return err
		}
		r.fleet.process(i).Kill()
		begun := time.Now()
		r.fleet.setAway(i, true)
		r.result.Kills++
		list, err := r.lookout.left(ctx, i)
		if err != nil {
			return err
		}
		orphans = len(list)
		if err := r.lookout.taken(ctx, list); err != nil {
			return err
		}
		r.noteTakeover(orphans, time.Since(begun))
		if err := r.again(ctx, i); err != nil {
			return err
		}
		r.fleet.setAway(i, false)
	}
	return nil
}

func (r *chaosRun) noteTakeover(orphans int, took time.Duration) {
	if orphans == 0 {
		r.say("killed a node with nothing in hand")
		return
	}
	r.result.Takeovers++
	r.result.Orphans += orphans
	r.result.Takeover = max(r.result.Takeover, round(took.Seconds()))
	if took > r.Stage.Lease+takeoverAim {
		r.result.TakenLate++
	}
	r.say("kill %d: others had all of its %d records after %.1f s", r.result.Kills, orphans, took.Seconds())
}

// sleeper stops a node that has work in hand for twice its lease and lets it go on. Whether it sent anything
// by its lost lease, the far side's ledger shows: a create that another node has made meanwhile would be
// there twice.
func (r *chaosRun) sleeper(ctx context.Context, i int) error {
	taken, err := r.lookout.twiceTheLease(ctx, i, func(stopped bool) {
		if stopped {
			r.fleet.process(i).Signal(syscall.SIGSTOP)
		} else {
			r.fleet.process(i).Signal(syscall.SIGCONT)
		}
		r.fleet.setAway(i, stopped)
	})
	if err != nil {
		return err
	}
	r.result.Slept++
	r.say("stopped a node for twice its lease (%d); others took %d records from it", r.result.Slept, taken)
	return pause(ctx, time.Second)
}

// cutOff takes the database from a node for twice its lease: connections stay open and nothing passes,
// as where a cable is pulled. The node lives, and so do its far sides: what it must not do is send.
// Afterwards it has to work again by itself.
func (r *chaosRun) cutOff(ctx context.Context, i int) error {
	p, err := openProxy(r.schema.URL, r.Seed)
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }() // its connections are the node's, which goes on without it
	if err := r.behind(ctx, i, p.URL); err != nil {
		return err
	}
	taken, err := r.lookout.twiceTheLease(ctx, i, func(cut bool) {
		p.sever(cut)
		r.fleet.setAway(i, cut)
	})
	if err != nil {
		return err
	}
	r.result.CutOff++
	r.say("cut a node off from the database for twice its lease (%d); others took %d records from it", r.result.CutOff, taken)
	if err := r.works(ctx, i); err != nil {
		return err
	}
	return r.behind(ctx, i, "")
}

// behind restarts a node so that it reaches the database by another way; empty: by its own.
func (r *chaosRun) behind(ctx context.Context, i int, url string) error {
	r.fleet.setAway(i, true)
	if err := pause(ctx, 500*time.Millisecond); err != nil { // what was on its way there arrives
		return err
	}
	if _, err := r.fleet.process(i).Stop(stopLimit); err != nil {
		return err
	}
	r.through = url
	defer func() { r.through = "" }()
	if err := r.again(ctx, i); err != nil {
		return err
	}
	r.fleet.setAway(i, false)
	return nil
}

// works waits until a node takes a deal: it has its database and its lease again.
func (r *chaosRun) works(ctx context.Context, i int) error {
	ctx, end := context.WithTimeout(ctx, r.Stage.Lease+takeoverLimit)
	defer end()
	begun := time.Now()
	_, tenant, id := r.traffic.draw()
	if err := r.far.version(ctx, farside.Version{Account: tenant, ID: id}); err != nil {
		return err
	}
	here := func() string { return r.fleet.process(i).Ready.URL + "/hooks/" + tenant + "/crm" }
	if err := r.traffic.offerTo(ctx, here, tenant, id, 0); err != nil {
		return fmt.Errorf("a node that has its database again: %w", err)
	}
	r.say("it took a webhook again after %.1f s", time.Since(begun).Seconds())
	return nil
}

// rolling restarts node after node as an operator would: out of the rotation, SIGTERM, start, back.
// No webhook may be refused meanwhile.
func (r *chaosRun) rolling(ctx context.Context) error {
	before := r.traffic.source.refusals()
	for i := range r.Nodes {
		r.fleet.setAway(i, true)
		if err := pause(ctx, 500*time.Millisecond); err != nil { // what was on its way there arrives
			return err
		}
		if _, err := r.fleet.process(i).Stop(stopLimit); err != nil {
			return err
		}
		if err := r.again(ctx, i); err != nil {
			return err
		}
		r.fleet.setAway(i, false)
	}
	r.result.RefusedRoll = r.traffic.source.refusals() - before
	r.say("restarted one after the other")
	return nil
}
