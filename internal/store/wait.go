package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"throughline/internal/hub"
)

// Two transactions that are under way at the same moment do not see each other's rows. Where one lets a row wait, the
// other one says what it waits for, and neither finds the other, the row would wait for ever; where both open
// a write of one record, it would be sent twice. So they take turns, tenant by tenant.
const (
	onRecords = "records" // rows wait until a record is known, or a write has ended; a record has one open write
	onFlows   = "flows"   // rows wait until their flow goes on
)

// turn waits for a tenant's turn, and has it until the commit. Beside others go those that only say what has come, or
// what has ended.
func (d dialect) turn(ctx context.Context, t tx, on string, tenant hub.TenantID, alone bool) error {
	q := d.beside
	if alone {
		q = d.alone
	}
	if q == "" {
		return nil
	}
	return t.put(ctx, q, [][]any{{on, tenant}}, nil)
}

// takeTurns takes those of a commit, in one order for all nodes.
func (s *Store) takeTurns(ctx context.Context, t tx, steps []*Step) error {
	alone := map[hub.TenantID]bool{}
	for _, st := range steps {
		switch {
		case len(st.Open) > 0 || st.Defer != nil && st.Defer.Work.WaitsOn != "":
			alone[st.Tenant] = true
		case len(st.Close) > 0 || len(st.Links) > 0:
			alone[st.Tenant] = alone[st.Tenant] // there, alone or not
		}
	}
	for _, tenant := range slices.Sorted(maps.Keys(alone)) {
		if err := s.db.dialect().turn(ctx, t, onRecords, tenant, alone[tenant]); err != nil {
			return err
		}
	}
	return nil
}

// setAside keeps claimed rows for later. An event that arrived meanwhile runs after it, as always.
// What a row waits for may have come between its look and this moment: then it is ready at once.
func (s *Store) setAside(ctx context.Context, t tx, steps []*Step) error {
	const q = `
		UPDATE work SET state = ?, due_at = ?, reason = ?, waits_on = ?, revision = ?, attempts = ?, cause = ?, seconds = ?, amount = ?, crashes = 0, epoch = 0
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'running' AND epoch = ?`
	var args, waits [][]any
	for _, st := range steps {
		if st.Defer == nil {
			continue
		}
		w := st.Defer.Work
		args = append(args, []any{w.State, micros(w.Due), w.Reason, w.WaitsOn, w.Revision, w.Attempts, w.Cause, w.Seconds, w.Amount, w.Tenant, w.Deployment, w.Key, w.Epoch})
		if connection, record, ok := strings.Cut(w.WaitsOn, "/"); ok {
			record, write := strings.CutSuffix(record, writeSuffix)
			what := "record"
			if write {
				what = "write"
			}
			waits = append(waits, []any{w.Tenant, w.Deployment, w.Key, w.WaitsOn, what, w.Tenant, record, connection, w.Tenant, record, connection, what})
		}
	}
	n, err := t.each(ctx, q, args)
	if err == nil && slices.Contains(n, 0) {
		return ErrFenced
	}
	if err != nil {
		return err
	}
	const came = `
		UPDATE work SET state = 'ready', reason = '', waits_on = ''
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND waits_on = ? AND state IN ('waiting', 'later')
			AND (? = 'write' OR EXISTS (SELECT 1 FROM xref WHERE tenant = ? AND record = ? AND connection = ?))
			AND NOT EXISTS (SELECT 1 FROM write WHERE tenant = ? AND record = ? AND connection = ?
				AND (state = 'open' OR state = 'uncertain' AND ? = 'write'))`
	return t.put(ctx, came, waits, nil)
}

// WaitsOn is what a row waits for until a record is known in a connection, and no write on it is
// under way there.
func WaitsOn(c hub.ConnectionID, id hub.RecordID) string { return string(c) + "/" + string(id) }

// WaitsOnWrite is what a row waits for until no write on a record is under way in a connection, whether
// or not the record came to be.
func WaitsOnWrite(c hub.ConnectionID, id hub.RecordID) string { return WaitsOn(c, id) + writeSuffix }

const writeSuffix = "/write"

// TakeOver gives an open write to a row that waits for it, where the row that opened it has come to rest without
// settling it: its record is not wanted any more, a person has to look at it first, or its flow is paused. Who settles it then is
// decided here, once; false: it is still the other one's. It is a run's door (Unwalled): it looks at the node's lease.
func (t *Tenant) TakeOver(ctx context.Context, open Write, by hub.Work, entry AuditEntry) (taken bool, err error) {
	if rests, err := t.rests(ctx, t.db, open, ""); err != nil || !rests {
		return false, err
	}
	err = t.changeMany(ctx, func(x tx) error {
		taken = false
		if err := t.fence(ctx, x, by.Epoch); err != nil {
			return err
		}
		rests, err := t.rests(ctx, x, open, t.db.dialect().forShare)
		if err != nil || !rests {
			return err
		}
		const q = `
			UPDATE write SET run = ?, deployment = ?, record_key = ?
			WHERE tenant = ? AND record = ? AND connection = ? AND op_key = ? AND state = 'open' AND run = ?`
		n, err := x.exec(ctx, q, by.Run, by.Deployment, by.Key, t.id, open.Record, open.Connection, open.OpKey, open.Run)
		if err != nil || n == 0 {
			return err
		}
		taken = true
		return t.appendAudit(ctx, x, t.id, []AuditEntry{entry})
	})
	return taken, err
}

// rests reports whether the row that opened a write has nothing more to do by itself; one of a paused flow has not.
func (t *Tenant) rests(ctx context.Context, x tx, open Write, lock string) (bool, error) {
	r, err := x.query(ctx, `SELECT state, waits_on FROM work WHERE tenant = ? AND deployment = ? AND record_key = ?`+lock, t.id, open.Deployment, open.Key)
	w, err := one(all(r, err, func(r rows, w *hub.Work) error { return r.Scan(&w.State, &w.WaitsOn) }))
	return err == nil && (w == nil || w.State == hub.Idle || w.State == hub.Stopped || w.WaitsOn == onFlow(open.Deployment)), err
}

// release makes ready what waits for records whose writes have ended, however they ended, or that were
// found in a far side: who waited looks again.
func (s *Store) release(ctx context.Context, t tx, steps []*Step) error {
	ended := map[hub.TenantID][]string{}
	var now time.Time
	for _, st := range steps {
		for _, w := range st.Close {
			ended[st.Tenant], now = append(ended[st.Tenant], WaitsOn(w.Connection, w.Record)), w.Ended
		}
		for _, l := range st.Links {
			ended[st.Tenant], now = append(ended[st.Tenant], WaitsOn(l.Connection, l.Record)), l.Updated
		}
	}
	const q = `UPDATE work SET state = 'ready', due_at = ?, reason = '', waits_on = '' WHERE tenant = ? AND waits_on IN (?, ?) AND waits_on <> '' AND state IN ('waiting', 'later')`
	for tenant, things := range ended {
		r, err := t.query(ctx, `SELECT 1 FROM work WHERE tenant = ? AND waits_on <> '' LIMIT 1`, tenant)
		waiting, err := all(r, err, func(r rows, v *int64) error { return r.Scan(v) })
		if err != nil || len(waiting) == 0 {
			if err != nil {
				return fmt.Errorf("look who waits: %w", err)
			}
			continue
		}
		args := make([][]any, len(things))
		for i, thing := range things {
			args[i] = []any{micros(now), tenant, thing, thing + writeSuffix}
		}
		if err := t.put(ctx, q, args, func(err error) error { return fmt.Errorf("release what waits: %w", err) }); err != nil {
			return err
		}
	}
	return nil
}
