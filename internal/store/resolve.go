package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"throughline/internal/hub"
)

// Resolution is what is done with members of a cause.
type Resolution struct {
	State string    // what the exceptions become: resolved, ignored, approved, or a person's choice
	Note  string    // how, for people
	Retry bool      // their records run again
	First bool      // before other work: a person looks on
	Until time.Time // with Retry: not before then
	Edits []Edit    // what is changed of the records
}

// Resolve does the same with each of a page of members, in one change with its audit entries (G5). It
// says with how many: who was dealt with before, or has gone on meanwhile, is left alone.
func (t *Tenant) Resolve(ctx context.Context, list []Member, how Resolution, entry func(Member) AuditEntry) (done int, err error) {
	err = t.changeMany(ctx, func(x tx) error {
		parked, err := t.closeParked(ctx, x, list, how)
		if err != nil {
			return err
		}
		waited, err := t.endWaits(ctx, x, list, how)
		if err != nil {
			return err
		}
		var audit []AuditEntry
		changed := map[string]bool{}
		for _, m := range append(parked, waited...) {
			audit = append(audit, entry(m))
			changed[string(m.Deployment)+"/"+m.Key] = true
		}
		done = len(audit)
		if err := t.putEdits(ctx, x, how.Edits, changed); err != nil {
			return err
		}
		return t.appendAudit(ctx, x, t.id, audit)
	})
	return done, err
}

// changeMany changes rows that the engine may change at the same moment in another order. The loser of
// such a race begins again.
func (t *Tenant) changeMany(ctx context.Context, f func(tx) error) (err error) {
	for range 5 {
		var pg *pgconn.PgError
		if err = t.db.change(ctx, f); !errors.As(err, &pg) || pg.Code != "40P01" {
			return err
		}
	}
	return err
}

// hit are the members whose statement changed a row.
func hit(list []Member, n []int64) (out []Member) {
	for i, m := range list {
		if n[i] == 1 {
			out = append(out, m)
		}
	}
	return out
}

func parted(list []Member) (parked, waiting []Member) {
	for _, m := range list {
		if m.ID != "" {
			parked = append(parked, m)
		} else {
			waiting = append(waiting, m)
		}
	}
	return parked, waiting
}

// closeParked closes the exceptions that are still open, and puts their rows back to work.
func (t *Tenant) closeParked(ctx context.Context, x tx, list []Member, how Resolution) ([]Member, error) {
	list, _ = parted(list)
	const q = `UPDATE exception SET state = ?, resolution = ?, closed_at = ? WHERE tenant = ? AND id = ? AND state = 'open'`
	n, err := x.each(ctx, q, argsOf(list, func(m Member) []any { return []any{how.State, how.Note, micros(t.now()), t.id, m.ID} }))
	if err != nil {
		return nil, err
	}
	closed := hit(list, n)
	if !how.Retry {
		return closed, nil
	}
	const again = `
		UPDATE work SET state = ?, reason = ?, lane = CASE WHEN ? = 'first' THEN 0 ELSE lane END, due_at = ?, run = '', revision = 0, attempts = 0, crashes = 0
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'parked'`
	state, due, reason, lane := hub.Ready, t.now(), "", ""
	if !how.Until.IsZero() {
		state, due, reason = hub.Later, how.Until, how.Note
	}
	if how.First {
		lane = "first"
	}
	_, err = x.each(ctx, again, argsOf(closed, func(m Member) []any { return []any{state, reason, lane, micros(due), t.id, m.Deployment, m.Key} }))
	return closed, err
}

func argsOf(list []Member, of func(Member) []any) [][]any {
	args := make([][]any, len(list))
	for i, m := range list {
		args[i] = of(m)
	}
	return args
}

// endWaits lets rows that wait look again, or parks them with an exception that is closed already: an
// ignored one can be opened again like any other.
func (t *Tenant) endWaits(ctx context.Context, x tx, list []Member, how Resolution) ([]Member, error) {
	_, list = parted(list)
	if len(list) == 0 {
		return nil, nil
	}
	if how.State == "ignored" {
		return t.ignoreWaits(ctx, x, list, how)
	}
	const q = `UPDATE work SET state = 'ready', due_at = ?, reason = '', waits_on = '' WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'waiting' AND run = ?`
	n, err := x.each(ctx, q, argsOf(list, func(m Member) []any { return []any{micros(t.now()), t.id, m.Deployment, m.Key, m.Run} }))
	if err != nil {
		return nil, err
	}
	return hit(list, n), nil
}

func (t *Tenant) ignoreWaits(ctx context.Context, x tx, list []Member, how Resolution) ([]Member, error) {
	const end = `
		INSERT INTO run (tenant, id, deployment, record_key, event, revision, outcome, code, message, accepted_at, ended_at)
		SELECT tenant, run, deployment, record_key, event, revision, 'parked', ?, ?, due_at, CAST(? AS BIGINT)
		FROM work WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'waiting' AND run = ?
		ON CONFLICT (tenant, id) DO NOTHING`
	now := micros(t.now())
	n, err := x.each(ctx, end, argsOf(list, func(m Member) []any { return []any{m.Code, m.Message, now, t.id, m.Deployment, m.Key, m.Run} }))
	if err != nil {
		return nil, err
	}
	list = hit(list, n)
	const exception = `
		INSERT INTO exception (tenant, id, deployment, record_key, run, class, code, message, hint, field, value, cause, label, seconds, amount, state, resolution, opened_at, closed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?, '', ?, ?, 'ignored', ?, ?, ?)`
	if _, err := x.each(ctx, exception, argsOf(list, func(m Member) []any {
		id := "exc_" + strings.TrimPrefix(string(m.Run), "run_")
		return []any{t.id, id, m.Deployment, m.Key, m.Run, m.Class, m.Code, m.Message, m.Hint, m.Value, m.Cause, m.Seconds, m.Amount, how.Note, micros(m.Opened), now}
	})); err != nil {
		return nil, err
	}
	const park = `
		UPDATE work SET state = ?, due_at = ?, reason = ?, waits_on = '', run = '', revision = 0, attempts = 0, parked = 1
		WHERE tenant = ? AND deployment = ? AND record_key = ?`
	state, due, reason := hub.Stopped, now, ""
	if how.Retry {
		state, due, reason = hub.Later, micros(how.Until), how.Note
	}
	_, err = x.each(ctx, park, argsOf(list, func(m Member) []any { return []any{state, due, reason, t.id, m.Deployment, m.Key} }))
	return list, err
}

// Reopen opens exceptions again that a person has dealt with, and parks their rows. Who is on its way, or
// has another exception open, is left alone.
func (t *Tenant) Reopen(ctx context.Context, list []Member, entry func(Member) AuditEntry) (done int, err error) {
	err = t.changeMany(ctx, func(x tx) error {
		const q = `
			UPDATE exception SET state = 'open', resolution = '', closed_at = 0 WHERE tenant = ? AND id = ? AND state <> 'open'
			AND EXISTS (SELECT 1 FROM work WHERE tenant = ? AND deployment = ? AND record_key = ? AND state IN ('idle', 'parked', 'later') AND run = '')
			AND NOT EXISTS (SELECT 1 FROM exception o WHERE o.tenant = ? AND o.deployment = ? AND o.record_key = ? AND o.state = 'open')`
		n, err := x.each(ctx, q, argsOf(list, func(m Member) []any { return []any{t.id, m.ID, t.id, m.Deployment, m.Key, t.id, m.Deployment, m.Key} }))
		if err != nil {
			return err
		}
		opened := hit(list, n)
		const park = `UPDATE work SET state = 'parked', parked = 1, reason = '' WHERE tenant = ? AND deployment = ? AND record_key = ? AND state IN ('idle', 'parked', 'later') AND run = ''`
		if _, err := x.each(ctx, park, argsOf(opened, func(m Member) []any { return []any{t.id, m.Deployment, m.Key} })); err != nil {
			return err
		}
		var audit []AuditEntry
		for _, m := range opened {
			audit = append(audit, entry(m))
		}
		done = len(audit)
		return t.appendAudit(ctx, x, t.id, audit)
	})
	return done, err
}

// Edit is what a person has changed of a record that starts a flow.
type Edit struct {
	Deployment hub.DeploymentID
	Key        string
	Fields     []byte // as canonical.Encode gives them
	Who        string
	Reason     string
	Made       time.Time
	Ended      time.Time
}

// putEdits keeps the edits of the rows that were changed.
func (t *Tenant) putEdits(ctx context.Context, x tx, list []Edit, changed map[string]bool) error {
	const q = `
		INSERT INTO edit (tenant, deployment, record_key, made_at, fields, who, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, deployment, record_key, made_at) DO UPDATE SET fields = excluded.fields, who = excluded.who, reason = excluded.reason`
	var args [][]any
	for _, e := range list {
		if changed[string(e.Deployment)+"/"+e.Key] {
			args = append(args, []any{t.id, e.Deployment, e.Key, micros(e.Made), string(e.Fields), e.Who, e.Reason})
		}
	}
	_, err := x.each(ctx, q, args)
	return err
}

const editColumns = `deployment, record_key, fields, who, reason, made_at, ended_at`

func scanEdit(r rows, e *Edit) error {
	var made, ended int64
	var fields string
	err := r.Scan(&e.Deployment, &e.Key, &fields, &e.Who, &e.Reason, &made, &ended)
	e.Fields, e.Made, e.Ended = []byte(fields), instant(made), instant(ended)
	return err
}

// Edits lists what people have changed of a record in a flow, the earliest first, with what has ended.
func (t *Tenant) Edits(ctx context.Context, d hub.DeploymentID, key string) ([]Edit, error) {
	r, err := t.db.query(ctx, `SELECT `+editColumns+` FROM edit WHERE tenant = ? AND deployment = ? AND record_key = ? ORDER BY made_at`, t.id, d, key)
	return all(r, err, scanEdit)
}

// EditsAfter lists the edits, of those that have not ended, of the next records of a flow: up to so many records, each with
// all of its own.
func (t *Tenant) EditsAfter(ctx context.Context, d hub.DeploymentID, after string, limit int) ([]Edit, error) {
	const q = `
		SELECT ` + editColumns + ` FROM edit WHERE tenant = ? AND deployment = ? AND ended_at = 0 AND record_key IN (
			SELECT DISTINCT record_key FROM edit WHERE tenant = ? AND deployment = ? AND record_key > ? AND ended_at = 0 ORDER BY record_key LIMIT ?)
		ORDER BY record_key, made_at`
	r, err := t.db.query(ctx, q, t.id, d, t.id, d, after, limit)
	return all(r, err, scanEdit)
}

// StandingEdits lists all edits of a flow that have not ended, by the key of their record, the earliest first.
func (t *Tenant) StandingEdits(ctx context.Context, d hub.DeploymentID) (map[string][]Edit, error) {
	r, err := t.db.query(ctx, `SELECT `+editColumns+` FROM edit WHERE tenant = ? AND deployment = ? AND ended_at = 0 ORDER BY record_key, made_at`, t.id, d)
	list, err := all(r, err, scanEdit)
	out := map[string][]Edit{}
	for _, e := range list {
		out[e.Key] = append(out[e.Key], e)
	}
	return out, err
}

// EndEdits lets a flow read a record as it comes again, and puts it back to work. It answers false where
// there was no edit to end.
func (t *Tenant) EndEdits(ctx context.Context, d hub.DeploymentID, key string, entry AuditEntry) (done bool, err error) {
	err = t.db.change(ctx, func(x tx) error {
		n, err := x.exec(ctx, `UPDATE edit SET ended_at = ? WHERE tenant = ? AND deployment = ? AND record_key = ? AND ended_at = 0`, micros(t.now()), t.id, d, key)
		if err != nil || n == 0 {
			return err
		}
		done = true
		const again = `
			UPDATE work SET state = 'ready', lane = 0, due_at = ?, reason = '', waits_on = '' WHERE tenant = ? AND deployment = ? AND record_key = ? AND event <> ''
			AND (state IN ('idle', 'parked') OR state = 'waiting' AND waits_on NOT LIKE 'flow:%')` // which may be for what the edit has set
		if _, err := x.exec(ctx, again, micros(t.now()), t.id, d, key); err != nil {
			return err
		}
		return t.appendAudit(ctx, x, t.id, []AuditEntry{entry})
	})
	return done, err
}

// PutLink keeps how a record is known in a connection because a person says so. A record that is known
// there alone and that we have never written gives its id away: the two are one.
func (t *Tenant) PutLink(ctx context.Context, l Link, entry AuditEntry) error {
	return t.db.change(ctx, func(x tx) error {
		const aside = `
			DELETE FROM xref WHERE tenant = ? AND connection = ? AND kind = ? AND external_id = ? AND record <> ? AND writes = 0
			AND NOT EXISTS (SELECT 1 FROM xref o WHERE o.tenant = xref.tenant AND o.record = xref.record AND o.connection <> xref.connection)`
		if _, err := x.exec(ctx, aside, t.id, l.Connection, l.Kind, l.ExternalID, l.Record); err != nil {
			return err
		}
		n, err := x.exec(ctx, insertLink+`DO NOTHING`, linkArgs(t.id, l)...)
		if err != nil {
			return err
		}
		if n == 1 {
			return t.appendAudit(ctx, x, t.id, []AuditEntry{entry})
		}
		r, err := x.query(ctx, `SELECT `+linkColumns+` FROM xref WHERE tenant = ? AND record = ? AND connection = ?`, t.id, l.Record, l.Connection)
		known, err := one(all(r, err, scanLink))
		switch {
		case err != nil:
			return err
		case known == nil:
			return &hub.Error{Kind: hub.Exists, Code: "link.of_another", Message: string(l.Connection) + " knows another of the records under " + l.ExternalID + ".",
				Hint: "See which: throughline records CUSTOMER " + l.ExternalID + ". Set that one instead, or merge the two at their source."}
		case known.ExternalID != l.ExternalID:
			return &hub.Error{Kind: hub.Exists, Code: "link.exists", Message: "The record is known in " + string(l.Connection) + " as " + known.ExternalID + " already.",
				Hint: "Retry what waits for it."}
		}
		return nil // said a second time
	})
}

// ReleaseWaits lets up to n rows go on that wait for a thing in other flows than one, and says how many.
func (t *Tenant) ReleaseWaits(ctx context.Context, on string, except hub.DeploymentID, n int) (released int64, err error) {
	const q = `
		UPDATE work SET state = 'ready', due_at = ?, reason = '', waits_on = '' WHERE tenant = ? AND state = 'waiting' AND waits_on = ? AND waits_on <> ''
		AND (deployment, record_key) IN (SELECT deployment, record_key FROM work WHERE tenant = ? AND state = 'waiting' AND waits_on = ? AND waits_on <> '' AND deployment <> ? ORDER BY deployment, record_key LIMIT ?)`
	err = t.db.change(ctx, func(x tx) error {
		if err := t.db.dialect().turn(ctx, x, onRecords, t.id, false); err != nil {
			return err
		}
		released, err = x.exec(ctx, q, micros(t.now()), t.id, on, t.id, on, except, n)
		return err
	})
	return released, err
}
