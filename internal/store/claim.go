package store

import (
	"context"
	"time"

	"throughline/internal/hub"
)

// Claim is a row of work handed out, with the event that it is about; nil for a tick of the clock.
type Claim struct {
	hub.Work
	Event *hub.Event
	Again bool // its run was begun before: it may have read and written something
	Asked bool // it was asked how the event's record is known (LookUp)
	Known *Link
}

// Turn remembers whose turn it is, so that tenants are served one after the other. It belongs to
// one node; the zero value starts at the front.
type Turn struct {
	Shares Shares // nil: whoever waits is handed all that there is
	Left   bool   // the last claim may have left rows that are ready
	tenant map[hub.Lane]string
	woken  time.Time

	crowded map[laneOf]hub.DeploymentID
}

const (
	tenantsPerClaim = 16
	wakeEvery       = 20 * time.Millisecond // the grain of due times
)

// claim asks for up to n rows of ready work under the node's lease.
type claim struct {
	epoch int64
	n     int // 0: one suspect
	turn  *Turn
	runID func() hub.RunID
	got   []Claim

	shaken int // how many of them may have been in hand at a crash
}

// hand gives out rows. Tenants take turns, and within a tenant what is due longest comes first; an
// earlier lane goes before a later one. The cost is a few index look-ups per tenant served, however
// many rows or tenants wait; on PostgreSQL they share a round trip.
func (s *Store) hand(ctx context.Context, t tx, c *claim) error {
	c.got = nil
	if c.n == 0 {
		r, err := t.query(ctx, s.chosen(suspects))
		if c.got, err = all(r, err, scanClaim); err != nil {
			return err
		}
		return s.take(ctx, t, c)
	}
	c.turn.Left, c.shaken = false, c.n
	if c.turn.Shares != nil {
		c.shaken = c.turn.Shares.Shaken()
	}
	if err := s.wake(ctx, t, c.turn); err != nil {
		return err
	}
	for lane := hub.Interactive; lane <= hub.Bulk && len(c.got) < c.n; lane++ {
		got, err := s.claimLane(ctx, t, lane, c.n-len(c.got), c)
		if err != nil {
			return err
		}
		c.got = append(c.got, got...)
	}
	if err := s.withoutPaused(ctx, t, c); err != nil {
		return err
	}
	return s.take(ctx, t, c)
}

// wake makes ready what has come due.
func (s *Store) wake(ctx context.Context, t tx, turn *Turn) error {
	now := s.now()
	if d := now.Sub(turn.woken); d >= 0 && d < wakeEvery {
		return nil
	}
	q := `UPDATE work SET state = 'ready', reason = '', waits_on = '' WHERE (tenant, deployment, record_key) IN (
			SELECT tenant, deployment, record_key FROM work WHERE state = 'later' AND due_at <= ? ORDER BY due_at LIMIT 1000` + s.db.dialect().skipLocked + `)
			AND state = 'later'`
	n, err := t.exec(ctx, q, micros(now))
	if err == nil && n < 1000 {
		turn.woken = now
	}
	return err
}

// claimLane gives out up to n rows of a lane: an equal share to each tenant whose turn it is, and what some leave of
// theirs to those who have more.
func (s *Store) claimLane(ctx context.Context, t tx, lane hub.Lane, n int, c *claim) ([]Claim, error) {
	list, err := s.served(ctx, t, lane, n, c)
	if err != nil {
		return nil, err
	}
	for asks := spread(list, n); len(asks) > 0; asks = spread(list, n) {
		if err := s.claims(ctx, t, lane, c.crashes(), asks); err != nil {
			return nil, err
		}
	}
	var got []Claim
	for _, v := range list {
		c.turn.remember(lane, v)
		got = append(got, c.calm(v.rows())...)
	}
	return got, nil
}

// Which rows are handed out is decided before their events are looked up: a planner that does not know yet
// how many rows there are would join all that wait, and was seen to take minutes.
const (
	claimed = `
	SELECT w.tenant, w.deployment, w.record_key, w.state, w.lane, w.due_at, w.reason, w.waits_on, w.event, w.version, w.next_event, w.run, w.revision, w.epoch,
		w.attempts, w.crashes, w.parked, e.payload, COALESCE(e.version, 0), COALESCE(e.source, ''), COALESCE(e.gone, 0), COALESCE(e.received_at, 0)
	FROM (SELECT * FROM work WHERE state = 'ready' AND `
	withEvents = `) w LEFT JOIN event e ON e.tenant = w.tenant AND e.id = w.event ORDER BY w.deployment, w.due_at`
)

// SQLite compiles a statement anew for another limit, or for a lane that is 0 or 1, where a bare "?" says so:
// that cost a third of a claim. A cast it takes as it comes.
//
// Who was in hand when the process died twice may be the one that kills it, or a bystander. The third
// time it runs alone, so that only the culprit is ever parked.
const (
	ordinary = `lane = CAST(? AS BIGINT) AND tenant = ? AND crashes <= ? ORDER BY deployment, due_at LIMIT CAST(? AS BIGINT)`
	ofFlow   = `lane = CAST(? AS BIGINT) AND tenant = ? AND deployment = ? AND crashes <= ? ORDER BY due_at LIMIT CAST(? AS BIGINT)`
	suspects = `crashes >= 2 ORDER BY due_at LIMIT 1`
)

// claims reads the rows that are asked for, each with its event, and holds them until the commit.
func (s *Store) claims(ctx context.Context, t tx, lane hub.Lane, crashes int, asks []*ask) error {
	list := make([]question, len(asks))
	for i, a := range asks {
		if list[i] = (question{s.chosen(ordinary), []any{int(lane), a.tenant, crashes, a.n}}); a.flow != "" {
			list[i] = question{s.chosen(ofFlow), []any{int(lane), a.tenant, a.flow, crashes, a.n}}
		}
	}
	return answers(ctx, t, list, func(i int, r rows) (err error) {
		asks[i].got, err = all(r, nil, scanClaim)
		return err
	})
}

func (s *Store) chosen(choice string) string {
	return claimed + choice + s.db.dialect().skipLocked + withEvents
}

func scanClaim(r rows, c *Claim) error {
	w, e := &c.Work, &hub.Event{}
	var due, parked, gone, received int64
	err := r.Scan(&w.Tenant, &w.Deployment, &w.Key, &w.State, &w.Lane, &due, &w.Reason, &w.WaitsOn, &w.Event, &w.Version, &w.Next, &w.Run, &w.Revision, &w.Epoch,
		&w.Attempts, &w.Crashes, &parked, &e.Payload, &e.Version, &e.Source, &gone, &received)
	w.Due, w.Parked = instant(due), parked != 0
	if received != 0 {
		e.ID, e.Tenant, e.Received, e.Gone = w.Event, w.Tenant, instant(received), gone != 0
		e.Key, _ = hub.ParseRecordKey(w.Key)
		c.Event = e
	}
	return err
}

// readyTenants walks the index from tenant to tenant. A planner that takes the queue for empty would look through all
// of it for a MIN.
const readyTenants = `
	WITH RECURSIVE next (tenant) AS (
		SELECT (SELECT tenant FROM work WHERE state = 'ready' AND lane = CAST(? AS BIGINT) AND tenant > ? ORDER BY tenant LIMIT 1)
		UNION ALL
		SELECT (SELECT w.tenant FROM work w WHERE w.state = 'ready' AND w.lane = CAST(? AS BIGINT) AND w.tenant > next.tenant ORDER BY w.tenant LIMIT 1)
		FROM next WHERE next.tenant IS NOT NULL
	)
	SELECT tenant FROM next WHERE tenant IS NOT NULL LIMIT CAST(? AS BIGINT)`

// nextTenants begins after the one served last, and goes round once.
func (s *Store) nextTenants(ctx context.Context, t tx, lane hub.Lane, after string) ([]string, error) {
	read := func(after string, limit int) ([]string, error) {
		r, err := t.query(ctx, readyTenants, int(lane), after, int(lane), limit)
		return all(r, err, func(r rows, v *string) error { return r.Scan(v) })
	}
	list, err := read(after, tenantsPerClaim)
	if err != nil || after == "" || len(list) == tenantsPerClaim {
		return list, err
	}
	front, err := read("", tenantsPerClaim-len(list))
	for _, tenant := range front {
		if tenant <= after {
			list = append(list, tenant)
		}
	}
	return list, err
}

func (s *Store) take(ctx context.Context, t tx, c *claim) error {
	const q = `UPDATE work SET state = 'running', epoch = ?, run = ? WHERE tenant = ? AND deployment = ? AND record_key = ?`
	args := make([][]any, len(c.got))
	for i := range c.got {
		w := &c.got[i].Work
		w.State, w.Epoch = hub.Running, c.epoch
		if c.got[i].Again = w.Run != ""; !c.got[i].Again {
			w.Run = c.runID()
		}
		args[i] = []any{c.epoch, w.Run, w.Tenant, w.Deployment, w.Key}
	}
	return t.put(ctx, q, args, nil)
}

// NextDue is when the earliest row that waits for a time comes due; zero if none does.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	r, err := s.db.query(ctx, `SELECT due_at FROM work WHERE state = 'later' ORDER BY due_at LIMIT 1`)
	list, err := all(r, err, func(r rows, v *int64) error { return r.Scan(v) })
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return instant(list[0]), nil
}
