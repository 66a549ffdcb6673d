package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"throughline/internal/farside"
	"throughline/internal/oracle"
)

// traffic is the sources' side of a trial: won deals of several tenants, under the same ids in
// each, a part of them changed later; every offer and every acknowledgement is kept.
type traffic struct {
	tenants []string
	fleet   *fleet
	far     *far
	source  *source
	ledger  *oracle.Ledger
	next    atomic.Int64
	pace    time.Duration
}

// hands is how many webhooks are under way at once; pace is the rest each hand takes in between, so
// that a trial is under load without drowning. Where one of few nodes is away, the others must keep up.
const (
	hands     = 8
	pace      = 25 * time.Millisecond
	nodesPace = 4 * pace
)

// begin sends until end is called, which waits for what is under way: everything offered is
// acknowledged then.
func (t *traffic) begin(ctx context.Context) (end func() error) {
	stop := make(chan struct{})
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range hands {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := t.one(ctx); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
				if pause(ctx, t.pace) != nil {
					return
				}
			}
		})
	}
	return func() error {
		close(stop)
		wait.Wait()
		return failed
	}
}

// send offers n deals and returns when all are acknowledged.
func (t *traffic) send(ctx context.Context, n int) error {
	return each(n, hands, func(int) error { return t.one(ctx) })
}

// draw is the next deal: its number, and whose it is under which id there.
func (t *traffic) draw() (n int, tenant, id string) {
	n = int(t.next.Add(1) - 1)
	return n, t.tenants[n%len(t.tenants)], fmt.Sprint(n / len(t.tenants))
}

// one is a deal that is won; every third one is changed and sent again. The CRM lists it from before
// its webhook leaves, as CRMs do.
func (t *traffic) one(ctx context.Context) error {
	n, tenant, id := t.draw()
	if err := t.far.version(ctx, farside.Version{Account: tenant, ID: id}); err != nil {
		return err
	}
	if err := t.offer(ctx, tenant, id, 0); err != nil || n%3 != 0 {
		return err
	}
	if err := t.far.version(ctx, farside.Version{Account: tenant, ID: id, Version: 1}); err != nil {
		return err
	}
	return t.offer(ctx, tenant, id, 1)
}

func (t *traffic) offer(ctx context.Context, tenant, id string, version int64) error {
	return t.offerTo(ctx, func() string { return t.fleet.webhook(tenant) }, tenant, id, version)
}

func (t *traffic) offerTo(ctx context.Context, where func() string, tenant, id string, version int64) error {
	o := oracle.Offer{At: time.Now(), Tenant: tenant, Key: id, Version: version, Expect: farside.Expect(tenant, id, version)}
	if err := t.ledger.Append(o); err != nil {
		return err
	}
	if err := t.source.deliver(ctx, where, id); err != nil {
		return err
	}
	o.At, o.Acked, o.Expect = time.Now(), true, nil
	return t.ledger.Append(o)
}
