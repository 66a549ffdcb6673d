package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Clock is a process's clock, set by the store's: nodes on one store agree on the time however wrong their own
// clocks are, and a clock that is set back an hour under way changes nothing (T2). Between two settings it goes
// on by the time that has passed here.
type Clock struct {
	store *Store
	local func() time.Time

	mu   sync.Mutex
	at   time.Time // by the store, when it was last set
	seen time.Time // the same moment by our own
}

// Clock makes a clock that runs by the process's own until it is set.
func (s *Store) Clock(local func() time.Time) *Clock { return &Clock{store: s, local: local} }

// Set asks the store for the time. The answer is taken to be half way old.
func (c *Clock) Set(ctx context.Context) error {
	before := c.local()
	at, err := c.store.clock(ctx, c.store.db)
	if err != nil {
		return fmt.Errorf("set the clock by the store's: %w", err)
	}
	seen := c.local()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.seen = instant(at).Add(seen.Sub(before)/2), seen
	return nil
}

// Now is the store's time.
func (c *Clock) Now() time.Time {
	local := c.local()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen.IsZero() {
		return local
	}
	return c.at.Add(local.Sub(c.seen))
}

// Follow lets the store itself go by a clock. Only a database that has its own time can: an embedded one has
// ours.
func (s *Store) Follow(c *Clock) { s.now = c.Now }
