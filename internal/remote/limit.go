package remote

import (
	"sync"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
)

// buckets are a connection's limits: one token bucket per class.
type buckets struct {
	mu   sync.Mutex
	list []*bucket
}

type bucket struct {
	limit connector.Limit
	full  float64 // tokens; no money, so a float may count them
	at    time.Time
	held  time.Time // the far side said: not before
}

func (conn *Connection) buckets(now time.Time) *buckets {
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if conn.limits == nil {
		conn.limits = &buckets{}
		for _, l := range conn.Connector.File.Limits {
			conn.limits.list = append(conn.limits.list, &bucket{limit: l, full: float64(l.Rate.N), at: now})
		}
		conn.limits.list = append(conn.limits.list, &bucket{at: now}) // what the far side says while it has no limit of its own
	}
	return conn.limits
}

// take counts a call of a class, or says how long to wait: then nothing was counted.
func (b *buckets) take(class string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var wait time.Duration
	for _, k := range b.list {
		if k.counts(class) {
			wait = max(wait, k.wait(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, k := range b.list {
		if k.counts(class) && k.limit.Rate.N > 0 {
			k.full--
		}
	}
	return 0
}

func (k *bucket) counts(class string) bool { return k.limit.Class == "" || k.limit.Class == class }

func (k *bucket) wait(now time.Time) time.Duration {
	if now.Before(k.held) {
		return k.held.Sub(now)
	}
	if k.limit.Rate.N == 0 {
		return 0
	}
	perToken := k.limit.Rate.Per / time.Duration(k.limit.Rate.N)
	k.full = min(float64(k.limit.Rate.N), k.full+float64(now.Sub(k.at))/float64(perToken))
	k.at = now
	if k.full >= 1 {
		return 0
	}
	return time.Duration((1 - k.full) * float64(perToken))
}

// hold stops the class until the far side wants to hear from us again.
func (b *buckets) hold(class string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.list {
		if k.counts(class) && until.After(k.held) {
			k.held = until
		}
	}
}

const (
	breakerWindow = time.Minute
	breakerLeast  = 10 // calls in the window before the share counts
	breakerPause  = 30 * time.Second
)

// breaker stops calling a far side that fails at least half of its calls, and sends one probe per
// pause. It answers Throttled, for waiting for it costs no attempt (R8).
type breaker struct {
	mu            sync.Mutex
	since         time.Time
	calls, failed int
	openUntil     time.Time
}

func (b *breaker) allow(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openUntil.IsZero() || !now.Before(b.openUntil) {
		if !b.openUntil.IsZero() {
			b.openUntil = now.Add(breakerPause) // this call is the probe
		}
		return nil
	}
	return &hub.Error{Kind: hub.Throttled, Code: "breaker.open", Message: "The far side has been failing; calls to it pause.", After: b.openUntil.Sub(now)}
}

func (b *breaker) saw(err error, now time.Time) {
	kind := hub.KindOf(err)
	bad := kind == hub.Unavailable || kind == hub.Uncertain
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.openUntil.IsZero() {
		if bad {
			b.openUntil = now.Add(breakerPause)
			return
		}
		b.openUntil, b.calls, b.failed, b.since = time.Time{}, 0, 0, now
	}
	if now.Sub(b.since) > breakerWindow {
		b.since, b.calls, b.failed = now, 0, 0
	}
	b.calls++
	if bad {
		b.failed++
	}
	if b.calls >= breakerLeast && 2*b.failed >= b.calls {
		b.openUntil = now.Add(breakerPause)
	}
}
