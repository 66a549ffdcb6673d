package trial

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// manyNodes kills one of several nodes for good, stops another for twice its lease and lets it go
// on, and restarts all one after the other.
func (r *chaosRun) manyNodes(ctx context.Context) error {
	for _, act := range []func(context.Context) error{r.takeover, r.sleeper, r.rolling} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// takeover measures how long work of a dead node lies before another has taken it.
func (r *chaosRun) takeover(ctx context.Context) error {
	r.fleet.setAway(0, true)
	r.fleet.process(0).Kill()
	r.result.Kills++
	r.say("killed a node")
	begun := time.Now()
	orphans, err := r.waitForOrphans(ctx)
	if err != nil {
		return err
	}
	if orphans {
		r.result.Takeover = round(time.Since(begun).Seconds())
	}
	if err := r.again(ctx, 0); err != nil {
		return err
	}
	r.fleet.setAway(0, false)
	return nil
}

// sleeper stops a node for twice its lease and lets it go on. Whether it sent anything by its lost
// lease, the far side's ledger shows: a create that another node has made meanwhile would be there
// twice.
func (r *chaosRun) sleeper(ctx context.Context) error {
	r.fleet.setAway(1, true)
	r.fleet.process(1).Signal(syscall.SIGSTOP)
	r.say("stopped a node for twice its lease")
	err := pause(ctx, 2*r.Stage.Lease)
	r.fleet.process(1).Signal(syscall.SIGCONT)
	if err != nil {
		return err
	}
	r.fleet.setAway(1, false)
	return pause(ctx, time.Second)
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
