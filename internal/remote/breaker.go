package remote

import (
	"context"
	"sync"
	"time"

	"throughline/internal/hub"
)

// The breaker stops calling a far side that fails: at least half of at least ten calls within a minute,
// or ten on end, so that a far side that worked well until now is left alone as soon as it is gone. Then
// one call in half a minute finds out whether it is back. Who waits for that is Throttled, which costs
// no attempt (R8).
const (
	breakerWindow = time.Minute
	breakerLeast  = 10 // calls in the window before the share counts
	breakerPause  = 30 * time.Second
	breakerTell   = 250 * time.Millisecond // how often a node tells the others of failures
	breakerAsk    = time.Second            // how long those wait who come while a probe is under way
)

// Gate is whether a far side is called, the same for all nodes. It is a value, kept like Use.
type Gate struct {
	Shut  bool      `json:"shut"`
	Probe bool      `json:"probe"` // one is under way
	Next  time.Time `json:"next"`  // when another one may go
	Row   int       `json:"row"`   // failures on end that nodes have told of
}

// Ask says whether a call may go, and whether it is the probe, or how long to wait.
func (g *Gate) Ask(now time.Time) (probe bool, wait time.Duration) {
	switch {
	case !g.Shut:
		return false, 0
	case !now.Before(g.Next):
		g.Probe, g.Next = true, now.Add(breakerPause)
		return true, 0
	case g.Probe:
		return false, min(breakerAsk, g.Next.Sub(now))
	}
	return false, g.Next.Sub(now)
}

// Trip shuts the gate.
func (g *Gate) Trip(now time.Time) {
	if !g.Shut {
		*g = Gate{Shut: true, Next: now.Add(breakerPause)}
	}
}

// Failed adds what a node has seen since it last told: failures on end, and whether any call before them went well.
func (g *Gate) Failed(row int, anyGood bool, now time.Time) {
	if anyGood {
		g.Row = 0
	}
	if g.Row += row; g.Row >= breakerLeast {
		g.Trip(now)
	}
}

// Told is what the probe has found. The time of the next one counts from when it was sent.
func (g *Gate) Told(good bool) {
	if good {
		*g = Gate{}
		return
	}
	g.Probe = false
}

// Unsent gives back a probe that a limit did not let through.
func (g *Gate) Unsent(until time.Time) { g.Probe, g.Next = false, until }

// breaker is one connection's in this process: what it has seen, and the gate as it last stood.
type breaker struct {
	mu     sync.Mutex
	seen   window
	gate   Gate
	looked time.Time // when the gate that all nodes share was last read
}

// window counts the calls of the last minute, in parts of a twelfth.
type window struct {
	head          int64
	calls, failed [12]int
	row           int // failures on end
	last          time.Time
	untold        int  // failures on end of which the other nodes do not know
	good          bool // a call went well since they were told
}

// count notes a call and says whether the far side is to be left alone.
func (w *window) count(bad bool, now time.Time) bool {
	if now.Sub(w.last) > breakerWindow {
		w.row = 0
	}
	w.last = now
	const part = breakerWindow / time.Duration(len(w.calls))
	n := int64(len(w.calls))
	head := now.UnixNano() / int64(part)
	for at := max(w.head+1, head-n+1); at <= head; at++ {
		w.calls[at%n], w.failed[at%n] = 0, 0
	}
	w.head = max(w.head, head)
	w.calls[w.head%n]++
	if !bad {
		w.row, w.untold, w.good = 0, 0, true
		return false
	}
	w.untold++
	w.failed[w.head%n]++
	w.row++
	calls, failed := 0, 0
	for i := range w.calls {
		calls, failed = calls+w.calls[i], failed+w.failed[i]
	}
	return w.row >= breakerLeast || calls >= breakerLeast && 2*failed >= calls
}

// allow lets a call through, or says when to come back.
func (c *Client) allow(ctx context.Context, conn *Connection) (probe bool, err error) {
	b := &conn.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gate.Shut {
		return false, nil
	}
	now, wait := c.now(), time.Duration(0)
	if wait = b.gate.Next.Sub(now); b.gate.Probe {
		wait = min(wait, breakerAsk)
	}
	if due := wait <= 0; due || b.gate.Probe && now.Sub(b.looked) >= breakerAsk {
		if err := c.change(ctx, conn, func(g *Gate, at time.Time) { probe, wait = g.Ask(at) }); err != nil {
			return false, refused(0, err)
		}
	}
	if wait <= 0 {
		return probe, nil
	}
	return false, &hub.Error{Kind: hub.Throttled, Code: "breaker.open", Message: "The far side has been failing; calls to it pause.", After: wait}
}

// saw counts how a call ended. While the gate is shut only the probe's end says anything: the others
// were sent before. Nodes tell each other of failures, now and then.
func (c *Client) saw(ctx context.Context, conn *Connection, probe bool, err error) error {
	kind := hub.KindOf(err)
	bad := kind == hub.Unavailable || kind == hub.Uncertain
	b := &conn.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	now := c.now()
	switch {
	case probe:
		if !bad {
			b.seen = window{}
		}
		return c.change(ctx, conn, func(g *Gate, _ time.Time) { g.Told(!bad) })
	case b.gate.Shut:
		return nil
	case b.seen.count(bad, now):
		return c.change(ctx, conn, func(g *Gate, at time.Time) { g.Trip(at) })
	case bad && c.shared() && now.Sub(b.looked) >= breakerTell:
		err := c.change(ctx, conn, func(g *Gate, at time.Time) { g.Failed(b.seen.untold, b.seen.good, at) })
		if err == nil {
			b.seen.untold, b.seen.good = 0, false
		}
		return err
	}
	return nil
}

// unsent gives back the probe of a call that did not go.
func (c *Client) unsent(ctx context.Context, conn *Connection, probe bool, wait time.Duration) error {
	if !probe {
		return nil
	}
	conn.breaker.mu.Lock()
	defer conn.breaker.mu.Unlock()
	return c.change(ctx, conn, func(g *Gate, at time.Time) { g.Unsent(at.Add(wait)) })
}

// change changes the gate: ours, or the one that all nodes share, of which we keep how it stands by our
// own clock.
func (c *Client) change(ctx context.Context, conn *Connection, f func(g *Gate, now time.Time)) error {
	b := &conn.breaker
	now := c.now()
	if !c.shared() {
		f(&b.gate, now)
		return nil
	}
	var kept Gate
	err := c.budgets.Change(ctx, conn.Tenant, conn.ID, "breaker", func(u *Use, at time.Time) {
		f(&u.Gate, at)
		if kept = u.Gate; kept.Shut {
			kept.Next = now.Add(kept.Next.Sub(at))
		}
	})
	if err != nil {
		return err
	}
	b.gate, b.looked = kept, now
	return nil
}
