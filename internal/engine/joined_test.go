package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// failing is a context under which the store fails twice, as soon as the node has its second lease.
type failing struct {
	context.Context
	h    *house
	left atomic.Int32
}

func (f *failing) Err() error {
	if f.left.Load() > 0 {
		if nodes, err := f.h.store.Nodes(context.Background()); err == nil && len(nodes) > 1 {
			f.left.Add(-1)
			return context.DeadlineExceeded
		}
	}
	return f.Context.Err()
}

// TestANodeThatJoinsAnewDoesNotWorkBeforeItKnowsWhetherItIsHeld: its ledger was brought back while it worked, and the
// store fails right after it has joined.
func TestANodeThatJoinsAnewDoesNotWorkBeforeItKnowsWhetherItIsHeld(t *testing.T) {
	h := newHouse(t)
	ctx, stop := context.WithCancel(context.Background())
	f := &failing{Context: ctx, h: h}
	ran := make(chan error, 1)
	go func() { ran <- h.engine.Run(f) }()
	turns := func() {
		for range 10 {
			h.engine.Wake()
			time.Sleep(5 * time.Millisecond)
		}
	}
	h.clock.Add(100*time.Hour/3 - time.Second) // a second before it renews its lease
	turns()
	if err := h.store.Hold(ctx, "It went back."); err != nil {
		t.Fatal(err)
	}
	nodes, err := h.store.Nodes(ctx)
	if err != nil || len(nodes) != 1 {
		t.Fatal(nodes, err)
	}
	if err := h.store.Leave(ctx, nodes[0].Epoch); err != nil {
		t.Fatal(err)
	}
	f.left.Store(2)
	h.clock.Add(3 * time.Second / 2)
	for end := time.Now().Add(10 * time.Second); f.left.Load() > 0 && time.Now().Before(end); {
		turns()
	}
	h.win()
	turns()
	h.far.mu.Lock()
	calls := h.far.calls
	h.far.mu.Unlock()
	if f.left.Load() > 0 || calls != 0 {
		t.Errorf("%d calls while held, %d failures to come", calls, f.left.Load())
	}
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
}
