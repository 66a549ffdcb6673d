package engine

import (
	"context"

	"throughline/internal/crashpoint"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// The engine lends its free hands to the journal (store.Hands) while nothing waits in the queue. As soon as
// one is asked for that is not free, or not for this tenant, rows wait again, and hands are given by claims
// only, in their order.

func (e *Engine) lend(may bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lends = may
}

// Term implements store.Hands.
func (e *Engine) Term() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.lends || !e.Now().Before(e.expires) {
		return 0
	}
	return e.epoch
}

// Take implements store.Hands. The row counts as in hand before its commit is made, so that nobody gives it
// back meanwhile.
func (e *Engine) Take(w hub.Work) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lends = e.lends && e.shares.Room(w.Tenant) > 0 && !e.shares.Slow(w.Tenant) && e.reach(); !e.lends {
		return false
	}
	e.carries.Add(1)
	e.hand[handle(w)]++
	e.shares.hold(w, 1)
	return true
}

// RunID implements store.Hands.
func (e *Engine) RunID() hub.RunID { return hub.RunID(e.NewID("run")) }

// Begin implements store.Hands.
func (e *Engine) Begin(list []store.Claim) {
	crashpoint.At("claim.taken")
	e.beginAll(context.Background(), list)
}

// Drop implements store.Hands.
func (e *Engine) Drop(list []store.Claim, unheard bool) {
	for _, w := range list {
		e.letGo(w.Work)
		e.carries.Done()
	}
	if unheard {
		e.doubt()
	}
}
