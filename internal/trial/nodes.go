package trial

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// manyNodes kills a node, stops another for twice its lease and lets it go on, and takes the database
// from a third, as often as is asked; then it restarts all one after the other.
func (r *chaosRun) manyNodes(ctx context.Context) error {
	for range r.times(1) {
		for _, act := range []func(context.Context, int) error{r.takeover, r.sleeper, r.cutOff} {
			if err := act(ctx, r.rand.IntN(r.Nodes)); err != nil {
				return err
			}
		}
	}
	return r.rolling(ctx)
}

// takeover measures how long work of a dead node lies before another has taken it.
func (r *chaosRun) takeover(ctx context.Context, i int) error {
	r.fleet.setAway(i, true)
	r.fleet.process(i).Kill()
	r.result.Kills++
	r.say("killed a node")
	begun := time.Now()
	orphans, err := r.waitForOrphans(ctx)
	if err != nil {
		return err
	}
	if orphans {
		took := round(time.Since(begun).Seconds())
		r.result.Takeover = max(r.result.Takeover, took)
		r.say("others had its work after %.1f s", took)
	}
	if err := r.again(ctx, i); err != nil {
		return err
	}
	r.fleet.setAway(i, false)
	return nil
}

// sleeper stops a node for twice its lease and lets it go on. Whether it sent anything by its lost
// lease, the far side's ledger shows: a create that another node has made meanwhile would be there
// twice.
func (r *chaosRun) sleeper(ctx context.Context, i int) error {
	r.fleet.setAway(i, true)
	r.fleet.process(i).Signal(syscall.SIGSTOP)
	r.say("stopped a node for twice its lease")
	err := pause(ctx, 2*r.Stage.Lease)
	r.fleet.process(i).Signal(syscall.SIGCONT)
	if err != nil {
		return err
	}
	r.result.Slept++
	r.fleet.setAway(i, false)
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
	if err := pause(ctx, time.Second); err != nil { // it has work in hand
		return err
	}
	r.fleet.setAway(i, true)
	p.sever(true)
	r.say("cut a node off from the database for twice its lease")
	err = pause(ctx, 2*r.Stage.Lease)
	p.sever(false)
	if err != nil {
		return err
	}
	r.result.CutOff++
	if err := r.works(ctx, i); err != nil {
		return err
	}
	if err := r.behind(ctx, i, ""); err != nil {
		return err
	}
	r.fleet.setAway(i, false)
	return nil
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

// takeoverLimit is how long after the lease's end others may take, on a busy machine.
const takeoverLimit = 15 * time.Second

// held is a row of work in a node's hand.
type held struct {
	tenant, key string
	epoch       int64
}

// waitForOrphans waits until nothing that is in hand now is in the same hand any more: what lived
// has finished, what died was taken over. There may have been nothing at all.
func (r *chaosRun) waitForOrphans(ctx context.Context) (found bool, err error) {
	s, err := store.Open(ctx, r.ledger(), time.Now)
	if err != nil {
		return false, err
	}
	defer s.Close()
	begun := time.Now()
	before, err := r.inHand(ctx, s)
	if err != nil {
		return false, err
	}
	for {
		now, err := r.inHand(ctx, s)
		if err != nil {
			return false, err
		}
		left := 0
		for h := range before {
			if now[h] {
				left++
			}
		}
		if left == 0 {
			return len(before) > 0, nil
		}
		if time.Since(begun) > r.Stage.Lease+takeoverLimit {
			return false, fmt.Errorf("%d records of a dead node were not taken over within its lease and %s", left, takeoverLimit)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return false, err
		}
	}
}

func (r *chaosRun) inHand(ctx context.Context, s *store.Store) (map[held]bool, error) {
	all := map[held]bool{}
	for _, t := range r.Tenants {
		list, err := s.Tenant(hub.TenantID(t)).Work(ctx, store.Filter{State: string(hub.Running), Limit: 10_000})
		if err != nil {
			return nil, err
		}
		for _, w := range list {
			all[held{t, w.Key, w.Epoch}] = true
		}
	}
	return all, nil
}
