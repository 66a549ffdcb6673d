package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// lookout looks from outside at what each node has in hand.
type lookout struct {
	*chaosRun
	store *store.Store
}

const (
	takeoverAim   = 5 * time.Second  // how long after the lease's end others shall have taken a dead node's work (C3)
	takeoverLimit = 30 * time.Second // how long after it the trial goes on waiting
	busyLimit     = 30 * time.Second // how long a node under load may have nothing in hand
)

// row names a row of work.
type row struct{ tenant, flow, key string }

// held is what a node had in hand, with how often its process had died by then.
type held map[row]hub.Work

// inHand is what stands under the leases of node i's process.
func (w *lookout) inHand(ctx context.Context, i int) (held, error) {
	nodes, err := w.store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	epochs := map[int64]bool{}
	for _, n := range nodes {
		epochs[n.Epoch] = strings.HasSuffix(n.Name, fmt.Sprintf("/%d", w.fleet.process(i).Ready.PIDs[0]))
	}
	list := held{}
	err = w.each(ctx, string(hub.Running), func(x hub.Work) {
		if epochs[x.Epoch] {
			list[row{string(x.Tenant), string(x.Deployment), x.Key}] = x
		}
	})
	return list, err
}

// each row of work in a state.
func (w *lookout) each(ctx context.Context, state string, do func(hub.Work)) error {
	for _, t := range w.Tenants {
		list, err := w.store.Tenant(hub.TenantID(t)).Work(ctx, store.Filter{State: state, Limit: 1 << 20})
		if err != nil {
			return err
		}
		for _, x := range list {
			do(x)
		}
	}
	return nil
}

// busy waits until node i has something in hand.
func (w *lookout) busy(ctx context.Context, i int) error {
	ctx, end := context.WithTimeout(ctx, busyLimit)
	defer end()
	for {
		list, err := w.inHand(ctx, i)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			return nil
		}
		if pause(ctx, 5*time.Millisecond) != nil {
			return fmt.Errorf("a node under load had nothing in hand for %s", busyLimit)
		}
	}
}

// left is what a node that has been stopped in any way has in hand for good. What it had sent to the
// database before is let through first.
func (w *lookout) left(ctx context.Context, i int) (held, error) {
	if err := pause(ctx, 100*time.Millisecond); err != nil {
		return nil, err
	}
	return w.inHand(ctx, i)
}

// taken waits until others have taken all of a list.
func (w *lookout) taken(ctx context.Context, list held) error {
	begun, limit := time.Now(), w.Stage.Lease+takeoverLimit
	for {
		n, err := w.untaken(ctx, list)
		if err != nil || n == 0 {
			return err
		}
		if time.Since(begun) > limit {
			return fmt.Errorf("%d of %d records of a dead node were not taken over within %s", n, len(list), limit)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// untaken counts the rows of a list that nobody else has taken yet: they stand under the dead lease, or
// were given back and wait to be claimed.
func (w *lookout) untaken(ctx context.Context, list held) (int, error) {
	if len(list) == 0 {
		return 0, nil
	}
	untaken := map[row]bool{} // a row may be seen twice, as it goes from hand to hand
	for _, state := range []hub.WorkState{hub.Running, hub.Ready} {
		err := w.each(ctx, string(state), func(x hub.Work) {
			name := row{string(x.Tenant), string(x.Deployment), x.Key}
			was, ours := list[name]
			waits := x.State == hub.Ready && x.Crashes > was.Crashes
			if ours && (waits || x.State == hub.Running && x.Epoch == was.Epoch) {
				untaken[name] = true
			}
		})
		if err != nil {
			return 0, err
		}
	}
	return len(untaken), nil
}

// twiceTheLease stops a node that has work in hand, in whichever way, for so long, and says how many records
// were taken from it meanwhile. One that had just finished all it had proves nothing, and is stopped again.
func (w *lookout) twiceTheLease(ctx context.Context, i int, stop func(bool)) (taken int, err error) {
	for {
		if err := w.busy(ctx, i); err != nil {
			return 0, err
		}
		stop(true)
		begun := time.Now()
		list, err := w.left(ctx, i)
		if err == nil && len(list) > 0 {
			err = pause(ctx, 2*w.Stage.Lease-time.Since(begun))
		}
		n, counted := w.untaken(ctx, list)
		stop(false)
		if err := errors.Join(err, counted); err != nil || len(list) > 0 {
			w.result.TakenFrom += len(list) - n
			return len(list) - n, err
		}
	}
}
