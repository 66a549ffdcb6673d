package store

import (
	"sync"
	"time"
)

// crowd serves together what comes from many goroutines at the same moment. While one round is under way the next
// one gathers behind it, and after one that served many the next begins no sooner than a pace: what costs is the
// round, not who it serves. Who comes alone, or with few, never waits for it.
type crowd[T any] struct {
	limit int           // of a round
	pace  time.Duration // between the beginnings of rounds
	serve func([]T)

	mu      sync.Mutex
	waiting []T
	busy    bool
	full    chan struct{} // told when as many wait as one round serves
	begun   time.Time     // the last round
	served  int           // by it
}

const many = 2 // served by a round that says that there is load

func newCrowd[T any](limit int, pace time.Duration, serve func([]T)) *crowd[T] {
	return &crowd[T]{limit: limit, pace: pace, serve: serve, full: make(chan struct{}, 1)}
}

// add lets v be served; it does not wait for it.
func (c *crowd[T]) add(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, v)
	if len(c.waiting) == c.limit {
		select {
		case c.full <- struct{}{}:
		default:
		}
	}
	if !c.busy {
		c.busy = true
		go c.rounds()
	}
}

// rounds serves until nothing waits.
func (c *crowd[T]) rounds() {
	for c.round() {
	}
}

func (c *crowd[T]) round() bool {
	c.mu.Lock()
	if len(c.waiting) == 0 {
		c.busy = false
		c.mu.Unlock()
		return false
	}
	c.mu.Unlock()
	c.gather()
	c.mu.Lock()
	list := c.waiting[:min(len(c.waiting), c.limit)]
	c.waiting = c.waiting[len(list):]
	c.mu.Unlock()
	c.begun, c.served = time.Now(), len(list)
	c.serve(list)
	return true
}

// gather waits until the next round may begin.
func (c *crowd[T]) gather() {
	rest := c.pace - time.Since(c.begun)
	if rest <= 0 || c.served <= many {
		return
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.full:
	}
}
