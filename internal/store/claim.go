package store

import (
	"context"
	"time"

	"throughline/internal/hub"
)

// Turn remembers whose turn it is, so that tenants are served one after the other. It belongs to
// one node; the zero value starts at the front.
type Turn struct{ tenant map[hub.Lane]string }

const tenantsPerClaim = 16

// Claim hands out up to n rows of ready work under the node's lease. Tenants take turns, and within
// a tenant what is due longest comes first; an earlier lane goes before a later one. The cost is a
// few index look-ups per tenant served, however many rows or tenants wait.
func (s *Store) Claim(ctx context.Context, epoch int64, n int, turn *Turn, runID func() hub.RunID) (list []hub.Work, err error) {
	err = s.db.change(ctx, func(t tx) error {
		if err := s.fence(ctx, t, epoch); err != nil {
			return err
		}
		if err := s.wake(ctx, t); err != nil {
			return err
		}
		for lane := hub.Interactive; lane <= hub.Bulk && len(list) < n; lane++ {
			got, err := s.claimLane(ctx, t, lane, n-len(list), turn)
			if err != nil {
				return err
			}
			list = append(list, got...)
		}
		return s.take(ctx, t, epoch, list, runID)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// wake makes ready what has come due.
func (s *Store) wake(ctx context.Context, t tx) error {
	q := `UPDATE work SET state = 'ready', reason = '' WHERE (tenant, deployment, record_key) IN (
			SELECT tenant, deployment, record_key FROM work WHERE state = 'later' AND due_at <= ? ORDER BY due_at LIMIT 1000` + s.db.dialect().skipLocked + `)
			AND state = 'later'`
	_, err := t.exec(ctx, q, micros(s.now()))
	return err
}

func (s *Store) claimLane(ctx context.Context, t tx, lane hub.Lane, n int, turn *Turn) ([]hub.Work, error) {
	if turn.tenant == nil {
		turn.tenant = map[hub.Lane]string{}
	}
	tenants, err := s.nextTenants(ctx, t, lane, turn.tenant[lane])
	if err != nil || len(tenants) == 0 {
		return nil, err
	}
	var list []hub.Work
	for i, tenant := range tenants {
		share := (n - len(list) + len(tenants) - i - 1) / (len(tenants) - i) // what is left, over those who are left
		if share == 0 {
			break
		}
		const q = `SELECT ` + workColumns + ` FROM work WHERE state = 'ready' AND lane = ? AND tenant = ? ORDER BY deployment, due_at LIMIT ?`
		r, err := t.query(ctx, q+s.db.dialect().skipLocked, int(lane), tenant, share)
		got, err := all(r, err, scanWork)
		if err != nil {
			return nil, err
		}
		list = append(list, got...)
		turn.tenant[lane] = tenant
	}
	return list, nil
}

// nextTenants walks the index from tenant to tenant, beginning after the one served last and going
// round once.
func (s *Store) nextTenants(ctx context.Context, t tx, lane hub.Lane, after string) ([]string, error) {
	const q = `
		WITH RECURSIVE next (tenant) AS (
			SELECT (SELECT MIN(tenant) FROM work WHERE state = 'ready' AND lane = ? AND tenant > ?)
			UNION ALL
			SELECT (SELECT MIN(w.tenant) FROM work w WHERE w.state = 'ready' AND w.lane = ? AND w.tenant > next.tenant)
			FROM next WHERE next.tenant IS NOT NULL
		)
		SELECT tenant FROM next WHERE tenant IS NOT NULL LIMIT ?`
	read := func(after string, limit int) ([]string, error) {
		r, err := t.query(ctx, q, int(lane), after, int(lane), limit)
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

func (s *Store) take(ctx context.Context, t tx, epoch int64, list []hub.Work, runID func() hub.RunID) error {
	const q = `UPDATE work SET state = 'running', epoch = ?, run = ? WHERE tenant = ? AND deployment = ? AND record_key = ?`
	args := make([][]any, len(list))
	for i := range list {
		w := &list[i]
		w.State, w.Epoch = hub.Running, epoch
		if w.Run == "" {
			w.Run = runID()
		}
		args[i] = []any{epoch, w.Run, w.Tenant, w.Deployment, w.Key}
	}
	_, err := t.each(ctx, q, args)
	return err
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
