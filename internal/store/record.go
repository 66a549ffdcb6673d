package store

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"throughline/internal/hub"
	"throughline/internal/sqlite"
)

// record applies all steps and arrivals of a commit, each kind of row at once. Busy names for each
// step the intents that could not be opened because another write on the same record is under way,
// because the record has come to be meanwhile, or because a newer form of it was written: they must not be sent.
func (s *Store) record(ctx context.Context, t tx, batch []*entry, g *giving) error {
	under := epochs(batch)
	if err := s.fence(ctx, t, under...); err != nil {
		return err
	}
	steps := make([]*Step, 0, len(batch))
	for _, e := range batch {
		if e.step != nil {
			steps = append(steps, e.step)
		}
	}
	if err := s.takeTurns(ctx, t, steps); err != nil {
		return err
	}
	sums, err := openTallies(ctx, t, s.db.dialect(), steps)
	if err != nil {
		return err
	}
	closePostings := func(ctx context.Context, _ tx, steps []*Step) error { return sums.closePostings(ctx, steps) }
	putPostings := func(ctx context.Context, _ tx, steps []*Step) error { return sums.putPostings(ctx, steps) }
	for _, part := range []func(context.Context, tx, []*Step) error{putInputs, putRecords, putLinks, closeWrites, closePostings, putPostings, putCursors} {
		if err := part(ctx, t, steps); err != nil {
			return err
		}
	}
	if err := openWrites(ctx, t, batch, sums); err != nil {
		return err
	}
	if err := sums.save(ctx); err != nil {
		return err
	}
	if err := s.accept(ctx, t, batch, g, under); err != nil {
		return err
	}
	if err := s.finish(ctx, t, steps); err != nil {
		return err
	}
	if err := s.setAside(ctx, t, steps); err != nil {
		return err
	}
	if err := s.release(ctx, t, steps); err != nil {
		return err
	}
	for _, e := range batch {
		if e.claim == nil {
			continue
		}
		if err := s.hand(ctx, t, e.claim); err != nil {
			return err
		}
	}
	return s.putAudit(ctx, t, steps)
}

// epochs are those under which a commit writes.
func epochs(batch []*entry) (list []int64) {
	for _, e := range batch {
		epoch := int64(0)
		switch {
		case e.step != nil:
			epoch = e.step.Epoch
		case e.claim != nil:
			epoch = e.claim.epoch
		}
		if epoch != 0 && !slices.Contains(list, epoch) {
			list = append(list, epoch)
		}
	}
	return list
}

// rowsOf collects the rows of one kind over all steps.
func rowsOf[T any](steps []*Step, of func(*Step) []T, row func(tenant hub.TenantID, v T) []any) [][]any {
	var args [][]any
	for _, st := range steps {
		for _, v := range of(st) {
			args = append(args, row(st.Tenant, v))
		}
	}
	return args
}

func putInputs(ctx context.Context, t tx, steps []*Step) error {
	const q = `INSERT INTO input (tenant, run, record_key, payload) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, run, record_key) DO NOTHING`
	return t.put(ctx, q, rowsOf(steps, func(st *Step) []Input { return st.Inputs }, func(tenant hub.TenantID, in Input) []any {
		return []any{tenant, in.Run, in.Key, in.Payload}
	}), nil)
}

func putRecords(ctx context.Context, t tx, steps []*Step) error {
	const q = `
		INSERT INTO record (tenant, id, type, label, fields, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, id) DO UPDATE SET label = excluded.label, fields = excluded.fields, updated_at = excluded.updated_at`
	return t.put(ctx, q, rowsOf(steps, func(st *Step) []Record { return st.Records }, func(tenant hub.TenantID, r Record) []any {
		return []any{tenant, r.ID, r.Type, r.Label, string(r.Fields), micros(r.Updated)}
	}), nil)
}

const insertLink = `
	INSERT INTO xref (tenant, record, connection, kind, external_id, number, link, hash, writes, version, updated_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT `

const upsertLink = insertLink + `(tenant, record, connection) DO UPDATE SET kind = excluded.kind, external_id = excluded.external_id,
		number = excluded.number, link = excluded.link, hash = excluded.hash, writes = excluded.writes,
		version = CASE WHEN excluded.version = 0 THEN xref.version ELSE excluded.version END, updated_at = excluded.updated_at`

func linkArgs(tenant hub.TenantID, l Link) []any {
	return []any{tenant, l.Record, l.Connection, l.Kind, l.ExternalID, l.Number, l.URL, l.Hash, l.Writes, l.Version, micros(l.Updated)}
}

// putLinks keeps what was found. A link that somebody else made first stays: the loser reads the
// winner's (package xref).
func putLinks(ctx context.Context, t tx, steps []*Step) error {
	return t.put(ctx, insertLink+`DO NOTHING`, rowsOf(steps, func(st *Step) []Link { return st.Links }, linkArgs), nil)
}

func closeWrites(ctx context.Context, t tx, steps []*Step) error {
	const q = `UPDATE write SET state = ?, external_id = ?, message = ?, ended_at = ?
		WHERE tenant = ? AND record = ? AND connection = ? AND op_key = ? AND state <> 'done'`
	closed := func(st *Step) []WriteDone { return st.Close }
	err := t.put(ctx, q, rowsOf(steps, closed, func(tenant hub.TenantID, w WriteDone) []any {
		return []any{w.State, w.Link.ExternalID, w.Message, micros(w.Ended), tenant, w.Record, w.Connection, w.OpKey}
	}), nil)
	if err != nil {
		return err
	}
	done := func(gone bool) func(st *Step) []Link {
		return func(st *Step) (list []Link) {
			for _, w := range st.Close {
				if w.State == "done" && w.Gone == gone {
					list = append(list, w.Link)
				}
			}
			return list
		}
	}
	err = t.put(ctx, `DELETE FROM xref WHERE tenant = ? AND record = ? AND connection = ?`, rowsOf(steps, done(true), func(tenant hub.TenantID, l Link) []any {
		return []any{tenant, l.Record, l.Connection}
	}), nil)
	if err != nil {
		return err
	}
	return t.put(ctx, upsertLink, rowsOf(steps, done(false), linkArgs), func(err error) error {
		if !taken(err) {
			return err
		}
		return &hub.Error{Kind: hub.Conflict, Code: "link.taken", Message: "The far side gave a new record an id that stands for another one already.",
			Hint: "Look there whether it has made one record of two, or counts anew; tell support which.", Err: err}
	})
}

// taken reports whether a row could not be kept because a unique index has its key already.
func taken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" || sqlite.Taken(err)
}

// openWrites records intents. A refused write is taken up again under its key, by whoever comes next; any
// other that is there already means that the record is busy, or that what became of it must be found out
// first. So does a newer form of it that another flow has written. A line that would push a sum past its limit is busy too.
func openWrites(ctx context.Context, t tx, batch []*entry, sums *tallies) error {
	const q = `
		INSERT INTO write (tenant, op_key, run, deployment, record_key, step, record, connection, operation, class, version, hash, body, state, started_at)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, 'open', CAST(? AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM write WHERE tenant = ? AND record = ? AND connection = ? AND state IN ('open', 'uncertain'))
			AND NOT EXISTS (SELECT 1 FROM xref WHERE (? = 'create' OR version > ?) AND tenant = ? AND record = ? AND connection = ?)
		ON CONFLICT (tenant, record, connection, op_key) DO UPDATE SET state = 'open', run = excluded.run, deployment = excluded.deployment,
			record_key = excluded.record_key, step = excluded.step, version = excluded.version, hash = excluded.hash, body = excluded.body, started_at = excluded.started_at, message = ''
			WHERE write.state = 'refused'`
	var args [][]any
	var of []*entry
	var opened []*Write
	for _, e := range batch {
		if e.step == nil {
			continue
		}
		e.busy = nil
		for i := range e.step.Open {
			w := &e.step.Open[i]
			if w.Posting != nil && w.Posting.Reverses == "" && !sums.admit(e.step.Tenant, w.Posting) {
				e.busy = append(e.busy, w.OpKey)
				continue
			}
			what := "update"
			if w.Creates {
				what = "create"
			}
			args = append(args, []any{e.step.Tenant, w.OpKey, w.Run, w.Deployment, w.Key, w.Step, w.Record, w.Connection, w.Operation, w.Class, w.Version, w.Hash, string(w.Body), micros(w.Started),
				e.step.Tenant, w.Record, w.Connection, what, newest(w.Version), e.step.Tenant, w.Record, w.Connection})
			of, opened = append(of, e), append(opened, w)
		}
	}
	n, err := t.each(ctx, q, args)
	if err != nil {
		return err
	}
	var lines [][]any
	for i, w := range opened {
		st, p := of[i].step, w.Posting
		switch {
		case n[i] == 0:
			of[i].busy = append(of[i].busy, w.OpKey)
			if p != nil && p.Reverses == "" {
				sums.add(st.Tenant, p.Counts, -1)
			}
		case p != nil:
			lines = append(lines, postingArgs(st.Tenant, *p))
		}
	}
	return t.put(ctx, upsertPosting, lines, nil)
}

// newest is the version that may stand there at most.
func newest(v int64) int64 {
	if v == 0 {
		return math.MaxInt64
	}
	return v
}

func putCursors(ctx context.Context, t tx, steps []*Step) error {
	const q = `
		INSERT INTO cursor (tenant, deployment, record_key, value, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, deployment, record_key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
	moved := func(st *Step) []Cursor {
		if st.Cursor == nil {
			return nil
		}
		return []Cursor{*st.Cursor}
	}
	return t.put(ctx, q, rowsOf(steps, moved, func(tenant hub.TenantID, c Cursor) []any {
		return []any{tenant, c.Deployment, c.Key, c.Value, micros(c.Updated)}
	}), nil)
}

// finish records the outcomes of runs. A row that got a newer event meanwhile is ready again at once.
// The run is named: the same row may be in the same node's hand for its next run already, where the
// commit that said so was made and not heard of.
func (s *Store) finish(ctx context.Context, t tx, steps []*Step) error {
	var ends []*Finish
	var args [][]any
	for _, st := range steps {
		if st.Finish == nil {
			continue
		}
		f, state, parked := st.Finish, hub.Idle, 0
		if f.Run.Outcome == hub.Parked {
			state, parked = hub.Stopped, 1
		}
		w := f.Work
		ends = append(ends, f)
		args = append(args, []any{state, w.Version, w.Version, micros(f.Run.Ended), parked, w.Tenant, w.Deployment, w.Key, w.Epoch, w.Run})
	}
	n, err := t.each(ctx, endWork, args)
	if err != nil {
		return err
	}
	if slices.Contains(n, 0) {
		return ErrFenced
	}
	if err := insertRuns(ctx, t, ends); err != nil {
		return err
	}
	return settle(ctx, t, ends)
}

const endWork = `
	UPDATE work SET
		state = CASE WHEN next_event <> '' THEN 'ready' ELSE ? END,
		event = CASE WHEN next_event <> '' THEN next_event ELSE event END,
		version = CASE WHEN version < ? THEN ? ELSE version END,
		due_at = ?, next_event = '', run = '', revision = 0, epoch = 0, attempts = 0, crashes = 0, reason = '', waits_on = '', parked = ?
	WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'running' AND epoch = ? AND run = ?`

// settle opens the runs' exceptions, and closes those that an earlier run of a record left open:
// their cause is either gone or stands in the new one.
func settle(ctx context.Context, t tx, ends []*Finish) error {
	var resolved, opened [][]any
	for _, f := range ends {
		w := f.Work
		if w.Parked {
			resolved = append(resolved, []any{"resolved itself: a later run ended " + string(f.Run.Outcome), micros(f.Run.Ended), w.Tenant, w.Deployment, w.Key})
		}
		if e := f.Exception; e != nil {
			opened = append(opened, []any{w.Tenant, e.ID, w.Deployment, w.Key, f.Run.ID, e.Class, e.Code, e.Message, e.Hint, e.Field, e.Value, e.About, e.Connection, causeOf(w.Deployment, e), e.Label, e.Seconds, e.Amount, micros(e.Opened)})
		}
	}
	const resolve = `
		UPDATE exception SET state = 'resolved', resolution = ?, closed_at = ?
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'open'`
	if err := t.put(ctx, resolve, resolved, nil); err != nil {
		return err
	}
	const open = `
		INSERT INTO exception (tenant, id, deployment, record_key, run, class, code, message, hint, field, value, about, connection, cause, label, seconds, amount, state, opened_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)`
	return t.put(ctx, open, opened, nil)
}
