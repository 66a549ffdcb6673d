package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// slots is into how many parts a limit's span is cut. What was used in a part is forgotten with the
// part: no span of that length, wherever it begins, ever holds more calls than the limit allows.
const slots = 20

// Use is how much of a limit was used lately, and until when the far side wants to be left alone.
// It is a value: shared between nodes it is read, changed and kept under a lock (package store).
type Use struct {
	Part  time.Duration  `json:"part,omitempty"` // the length of a part: 1/slots of the limit's span
	Head  int64          `json:"head"`           // the newest part: instant / part
	Calls [slots + 1]int `json:"calls"`
	Held  time.Time      `json:"held"`
	Gate  Gate           `json:"gate,omitzero"` // of the breaker, which keeps nothing else here
}

// Take counts up to want calls of a limit at an instant and says how many there are, or how long to
// wait for one.
func (u *Use) Take(rate specfile.Rate, want int, now time.Time) (got int, wait time.Duration) {
	if now.Before(u.Held) {
		return 0, u.Held.Sub(now)
	}
	if rate.N == 0 {
		return want, 0
	}
	part := max(rate.Per/slots, 1)
	head := now.UnixNano() / int64(part)
	u.forget(part, head)
	used := 0
	for _, n := range u.Calls {
		used += n
	}
	if got = min(want, int(rate.N)-used); got > 0 {
		u.Calls[slots] += got
		return got, 0
	}
	for i, n := range u.Calls { // the oldest part that holds any frees them when it leaves
		if n > 0 {
			free := time.Unix(0, (head-slots+int64(i)+slots+1)*int64(part))
			return 0, free.Sub(now)
		}
	}
	return 0, part
}

// left is how long the newest part lasts yet.
func (u *Use) left(now time.Time) time.Duration {
	if u.Part == 0 {
		return 0
	}
	return time.Unix(0, (u.Head+1)*int64(u.Part)).Sub(now)
}

// forget drops what has left the span. Where the limit has another span than before, or the clock was set back by
// more than one, nobody knows what has: all of it counts as used now.
func (u *Use) forget(part time.Duration, head int64) {
	gone := head - u.Head
	if u.Part != part || gone < -slots {
		used := 0
		for _, n := range u.Calls {
			used += n
		}
		u.Part, u.Head, u.Calls = part, head, [slots + 1]int{slots: used}
		return
	}
	switch {
	case gone <= 0: // another node's clock is ahead by a part: its newest is ours
		return
	case gone > slots:
		u.Calls = [slots + 1]int{}
	default:
		copy(u.Calls[:], u.Calls[gone:])
		clear(u.Calls[slots+1-gone:])
	}
	u.Head = head
}

// Budgets keeps the use of limits where all nodes share it.
type Budgets interface {
	// Change reads a limit's use, lets f change it and keeps it, while nobody else does; now is the
	// time that all nodes agree on.
	Change(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, limit string, f func(u *Use, now time.Time)) error
}

// limits are those of one connection in this process.
type limits struct {
	mu   sync.Mutex
	list []*limit
}

// limit is one limit: its use where this process is alone, else what it has drawn of the shared one.
type limit struct {
	connector.Limit
	name  string
	use   Use
	drawn int       // calls drawn from the shared budget and not made yet
	until time.Time // when what was drawn is void: a call counts in the part in which it was drawn
	held  time.Time
	queue time.Time // the last turn given to one who waits
}

func (conn *Connection) open() *limits {
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if conn.limits == nil {
		conn.limits = &limits{}
		for i, l := range conn.Connector.File.Limits {
			own, _ := conn.Settings[l.Setting].(string)
			l.Rate, _ = l.In(own) // what is no rate is refused when it is applied
			conn.limits.list = append(conn.limits.list, &limit{Limit: l, name: fmt.Sprintf("%d %s", i, l.Class)})
		}
		conn.limits.list = append(conn.limits.list, &limit{name: "far side"}) // what the far side says while it has no limit of its own
	}
	return conn.limits
}

func (k *limit) counts(class string) bool { return k.Class == "" || k.Class == class }

// keeps reports whether the use of a limit is kept in the store.
func (c *Client) keeps(k *limit) bool {
	return c.shared() || c.budgets != nil && k.Rate.Per >= time.Hour
}

// take counts a call of a class, or says how long to wait. A call that is refused by a later limit
// stays counted in an earlier one: too few calls, never too many.
func (c *Client) take(ctx context.Context, conn *Connection, class string) (wait time.Duration, err error) {
	open := conn.open()
	open.mu.Lock()
	defer open.mu.Unlock()
	for _, k := range open.list {
		if !k.counts(class) {
			continue
		}
		if wait, err = c.takeOne(ctx, conn, k); err != nil || wait > 0 {
			return wait, err
		}
	}
	return 0, nil
}

func (c *Client) takeOne(ctx context.Context, conn *Connection, k *limit) (wait time.Duration, err error) {
	now := c.now()
	switch {
	case now.Before(k.held):
		return k.turn(k.held.Sub(now), now), nil
	case k.Rate.N == 0:
		return 0, nil
	case !c.keeps(k):
		_, wait = k.use.Take(k.Rate, 1, now)
		return k.turn(wait, now), nil
	case k.drawn > 0 && now.Before(k.until):
		k.drawn--
		return 0, nil
	}
	err = c.budgets.Change(ctx, conn.Tenant, conn.ID, k.name, func(u *Use, at time.Time) {
		k.drawn, wait = u.Take(k.Rate, max(1, int(k.Rate.N)/slots), at)
		k.until = now.Add(u.left(at))
	})
	if err != nil || wait > 0 {
		return k.turn(wait, now), err
	}
	k.drawn--
	return 0, nil
}

// turn spreads those who wait over time as the limit lets them through, so that they do not all come
// back at the same moment for the one call that has become free.
func (k *limit) turn(wait time.Duration, now time.Time) time.Duration {
	if wait <= 0 {
		return 0
	}
	at := now.Add(wait)
	if k.queue.Sub(at) > k.Rate.Per { // more wait than a span lets through: the next ones share the turns of the first
		k.queue = time.Time{}
	}
	if k.Rate.N > 0 && !k.queue.Before(at) {
		at = k.queue.Add(k.Rate.Per / time.Duration(k.Rate.N))
	}
	k.queue = at
	return at.Sub(now)
}

// hold stops the class, on all nodes, until the far side wants to hear from us again.
func (c *Client) hold(ctx context.Context, conn *Connection, class string, wait time.Duration) error {
	open := conn.open()
	open.mu.Lock()
	defer open.mu.Unlock()
	until := c.now().Add(wait)
	for _, k := range open.list {
		if !k.counts(class) {
			continue
		}
		if until.After(k.held) {
			k.held = until
		}
		if k.Rate.N == 0 || !c.keeps(k) {
			continue
		}
		err := c.budgets.Change(ctx, conn.Tenant, conn.ID, k.name, func(u *Use, at time.Time) {
			if held := at.Add(wait); held.After(u.Held) {
				u.Held = held
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
