package store

import (
	"context"
	"strings"
	"time"

	"throughline/internal/hub"
)

// Tenant is the only door to a tenant's rows.
type Tenant struct {
	id hub.TenantID
	db scope
	*Store
}

// Unwalled opens the door that a run goes through: it is of one tenant, and asks a few times for each record. The
// second wall (wall.go) would cost it a fifth of a look-up each time; nobody else has a reason to go without.
func (s *Store) Unwalled(id hub.TenantID) *Tenant { return &Tenant{id, s.db, s} }

// Tenant opens the door; whether there is such a tenant shows when something is read.
func (s *Store) Tenant(id hub.TenantID) *Tenant { return &Tenant{id, s.db.of(id), s} }

// one is the only row, or nil.
func one[T any](list []T, err error) (*T, error) {
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Event reads one event, or nil.
func (t *Tenant) Event(ctx context.Context, id hub.EventID) (*hub.Event, error) {
	r, err := t.db.query(ctx, `SELECT id, record_key, version, payload, source, gone, received_at FROM event WHERE tenant = ? AND id = ?`, t.id, id)
	return one(all(r, err, func(r rows, e *hub.Event) error {
		var key string
		var at, gone int64
		err := r.Scan(&e.ID, &key, &e.Version, &e.Payload, &e.Source, &gone, &at)
		e.Gone = gone != 0
		e.Key, _ = hub.ParseRecordKey(key)
		e.Tenant, e.Received = t.id, instant(at)
		return err
	}))
}

// Inputs reads what a run has read so far.
func (t *Tenant) Inputs(ctx context.Context, run hub.RunID) ([]Input, error) {
	return soon(ctx, t.db, func(r rows, in *Input) error { return r.Scan(&in.Run, &in.Key, &in.Payload) }, `SELECT run, record_key, payload FROM input WHERE tenant = ? AND run = ?`, t.id, run)
}

const linkColumns = `record, connection, kind, external_id, number, link, hash, writes, version, updated_at`

func scanLink(r rows, l *Link) error {
	var at int64
	err := r.Scan(&l.Record, &l.Connection, &l.Kind, &l.ExternalID, &l.Number, &l.URL, &l.Hash, &l.Writes, &l.Version, &at)
	l.Updated = instant(at)
	return err
}

// Link reads how a record is known in a connection, or nil.
func (t *Tenant) Link(ctx context.Context, record hub.RecordID, in hub.ConnectionID) (*Link, error) {
	return one(soon(ctx, t.db, scanLink, `SELECT `+linkColumns+` FROM xref WHERE tenant = ? AND record = ? AND connection = ?`, t.id, record, in))
}

// LinkOf reads which record an external id stands for, or nil.
func (t *Tenant) LinkOf(ctx context.Context, in hub.ConnectionID, kind, externalID string) (*Link, error) {
	return one(soon(ctx, t.db, scanLink, `SELECT `+linkColumns+` FROM xref WHERE tenant = ? AND connection = ? AND kind = ? AND external_id = ?`, t.id, in, kind, externalID))
}

// Links lists where a record is known.
func (t *Tenant) Links(ctx context.Context, record hub.RecordID) ([]Link, error) {
	return soon(ctx, t.db, scanLink, `SELECT `+linkColumns+` FROM xref WHERE tenant = ? AND record = ? ORDER BY connection`, t.id, record)
}

// OpenWrite reads the write on a record in a connection whose outcome is not known, or nil.
func (t *Tenant) OpenWrite(ctx context.Context, record hub.RecordID, in hub.ConnectionID) (*Write, error) {
	return one(soon(ctx, t.db, scanWrite, `SELECT `+writeColumns+` FROM write WHERE tenant = ? AND record = ? AND connection = ? AND state IN ('open', 'uncertain')`, t.id, record, in))
}

const writeColumns = `op_key, run, deployment, record_key, step, record, connection, operation, class, version, hash, body, state, external_id, message, started_at, ended_at`

func scanWrite(r rows, w *Write) error {
	var from, to int64
	var body string
	err := r.Scan(&w.OpKey, &w.Run, &w.Deployment, &w.Key, &w.Step, &w.Record, &w.Connection, &w.Operation, &w.Class, &w.Version, &w.Hash, &body, &w.State, &w.ExternalID, &w.Message, &from, &to)
	w.Body, w.Started, w.Ended = []byte(body), instant(from), instant(to)
	return err
}

// Writes lists the writes on a record, oldest first: its history in the far sides.
func (t *Tenant) Writes(ctx context.Context, record hub.RecordID) ([]Write, error) {
	r, err := t.db.query(ctx, `SELECT `+writeColumns+` FROM write WHERE tenant = ? AND record = ? ORDER BY started_at`, t.id, record)
	return all(r, err, scanWrite)
}

// CursorValue reads how far a poll has come; "" at the start.
func (t *Tenant) CursorValue(ctx context.Context, d hub.DeploymentID, key string) (string, error) {
	r, err := t.db.query(ctx, `SELECT value FROM cursor WHERE tenant = ? AND deployment = ? AND record_key = ?`, t.id, d, key)
	v, err := one(all(r, err, func(r rows, v *string) error { return r.Scan(v) }))
	if err != nil || v == nil {
		return "", err
	}
	return *v, nil
}

// Record reads a canonical record, or nil.
func (t *Tenant) Record(ctx context.Context, id hub.RecordID) (*Record, error) {
	return one(soon(ctx, t.db, scanRecord, `SELECT id, type, label, fields, updated_at FROM record WHERE tenant = ? AND id = ?`, t.id, id))
}

func scanRecord(r rows, rec *Record) error {
	var at int64
	var fields string
	err := r.Scan(&rec.ID, &rec.Type, &rec.Label, &fields, &at)
	rec.Fields, rec.Updated = []byte(fields), instant(at)
	return err
}

// Records searches canonical records by type, label, or the id or number a far side knows them by.
func (t *Tenant) Records(ctx context.Context, recordType, text string, limit int) ([]Record, error) {
	where, args := "tenant = ?", []any{t.id}
	if recordType != "" {
		where, args = where+" AND type = ?", append(args, recordType)
	}
	if text != "" {
		where += ` AND (LOWER(label` + t.db.dialect().letters + `) LIKE LOWER(?) ESCAPE '!' OR id = ? OR id IN (SELECT record FROM xref WHERE tenant = ? AND (external_id = ? OR number = ?)))`
		args = append(args, "%"+plainly.Replace(text)+"%", text, t.id, text, text)
	}
	r, err := t.db.query(ctx, `SELECT id, type, label, fields, updated_at FROM record WHERE `+where+` ORDER BY updated_at DESC LIMIT ?`, append(args, limit)...)
	return all(r, err, scanRecord)
}

// plainly takes their meaning from the signs that stand for others in a search.
var plainly = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Named are up to n records of a type that have this name, id or number in any system: all of it, not a part.
func (t *Tenant) Named(ctx context.Context, recordType, text string, n int) ([]Record, error) {
	q := `
		SELECT id, type, label, fields, updated_at FROM record WHERE tenant = ? AND type = ?
		AND (LOWER(label` + t.db.dialect().letters + `) = LOWER(?) OR id = ? OR id IN (SELECT record FROM xref WHERE tenant = ? AND (external_id = ? OR number = ?)))
		ORDER BY id LIMIT ?`
	r, err := t.db.query(ctx, q, t.id, recordType, text, text, t.id, text, text, n)
	return all(r, err, scanRecord)
}

// Filter narrows a list of runs, work or exceptions; empty fields do not.
type Filter struct {
	Deployment hub.DeploymentID
	Key        string
	Outcome    hub.Outcome
	State      string
	Limit      int
}

func (f Filter) where(tenant hub.TenantID, stateColumn string) (string, []any) {
	where, args := "tenant = ?", []any{tenant}
	add := func(column, v string) {
		if v != "" {
			where, args = where+" AND "+column+" = ?", append(args, v)
		}
	}
	add("deployment", string(f.Deployment))
	add("record_key", f.Key)
	add("outcome", string(f.Outcome))
	add(stateColumn, f.State)
	if f.Limit <= 0 {
		f.Limit = 50
	}
	return where, append(args, f.Limit)
}

const runColumns = `tenant, id, deployment, record_key, event, revision, outcome, code, message, label, calls, accepted_at, ended_at`

func scanRun(r rows, v *Run) error {
	var from, to int64
	err := r.Scan(&v.Tenant, &v.ID, &v.Deployment, &v.Key, &v.Event, &v.Revision, &v.Outcome, &v.Code, &v.Message, &v.Label, &v.Calls, &from, &to)
	v.Accepted, v.Ended = instant(from), instant(to)
	return err
}

// Runs lists ended runs, the latest to begin first: their ids are in order of time.
func (t *Tenant) Runs(ctx context.Context, f Filter) ([]Run, error) {
	where, args := f.where(t.id, "outcome")
	r, err := t.db.query(ctx, `SELECT `+runColumns+` FROM run WHERE `+where+` ORDER BY id DESC LIMIT ?`, args...)
	return all(r, err, scanRun)
}

// Run reads one ended run, or nil.
func (t *Tenant) Run(ctx context.Context, id hub.RunID) (*Run, error) {
	r, err := t.db.query(ctx, `SELECT `+runColumns+` FROM run WHERE tenant = ? AND id = ?`, t.id, id)
	return one(all(r, err, scanRun))
}

// Work lists rows of work.
func (t *Tenant) Work(ctx context.Context, f Filter) ([]hub.Work, error) {
	where, args := f.where(t.id, "state")
	r, err := t.db.query(ctx, `SELECT `+workColumns+` FROM work WHERE `+where+` ORDER BY deployment, record_key LIMIT ?`, args...)
	return all(r, err, scanWork)
}

const exceptionColumns = `id, deployment, record_key, run, class, code, message, hint, field, value, about, connection, cause, label, seconds, amount, state, resolution, opened_at, closed_at`

func scanException(r rows, e *Exception) error {
	var from, to int64
	err := r.Scan(&e.ID, &e.Deployment, &e.Key, &e.Run, &e.Class, &e.Code, &e.Message, &e.Hint, &e.Field, &e.Value, &e.About, &e.Connection, &e.Cause, &e.Label, &e.Seconds, &e.Amount, &e.State, &e.Resolution, &from, &to)
	e.Opened, e.Closed = instant(from), instant(to)
	return err
}

// Exceptions lists exceptions, newest first.
func (t *Tenant) Exceptions(ctx context.Context, f Filter) ([]Exception, error) {
	where, args := f.where(t.id, "state")
	r, err := t.db.query(ctx, `SELECT `+exceptionColumns+` FROM exception WHERE `+where+` ORDER BY opened_at DESC LIMIT ?`, args...)
	return all(r, err, scanException)
}

// Exception reads one, or nil.
func (t *Tenant) Exception(ctx context.Context, id hub.ExceptionID) (*Exception, error) {
	r, err := t.db.query(ctx, `SELECT `+exceptionColumns+` FROM exception WHERE tenant = ? AND id = ?`, t.id, id)
	return one(all(r, err, scanException))
}

// LastAsked is the last exception about a line of the books that cannot be taken back by itself, with what a person has
// chosen as its state; nil where nobody was asked.
func (t *Tenant) LastAsked(ctx context.Context, d hub.DeploymentID, key string, about hub.RecordID) (*Exception, error) {
	const q = `SELECT ` + exceptionColumns + ` FROM exception WHERE tenant = ? AND deployment = ? AND record_key = ? AND about = ? ORDER BY opened_at DESC, id DESC LIMIT 1`
	r, err := t.db.query(ctx, q, t.id, d, key, about)
	return one(all(r, err, scanException))
}

// CloseException ends an exception by a person's word. With retry its record runs again, on fresh
// data; without, it stays as it is until something new arrives. It answers false where the exception
// was no longer open: a double click is harmless.
func (t *Tenant) CloseException(ctx context.Context, id hub.ExceptionID, state, resolution string, retry bool, entry AuditEntry) (done bool, err error) {
	e, err := t.Exception(ctx, id)
	if err != nil || e == nil {
		return false, err
	}
	n, err := t.Resolve(ctx, []Member{*e}, Resolution{State: state, Note: resolution, Retry: retry, First: true}, func(Member) AuditEntry { return entry })
	return n == 1, err
}

// Count is how many rows of work stand in a state.
func (t *Tenant) Count(ctx context.Context) (map[hub.WorkState]int, error) {
	type count struct {
		state hub.WorkState
		n     int
	}
	r, err := t.db.query(ctx, `SELECT state, COUNT(*) FROM work WHERE tenant = ? GROUP BY state`, t.id)
	list, err := all(r, err, func(r rows, c *count) error { return r.Scan(&c.state, &c.n) })
	counts := map[hub.WorkState]int{}
	for _, c := range list {
		counts[c.state] = c.n
	}
	return counts, err
}

// Oldest is when the work that has waited longest became due.
func (t *Tenant) Oldest(ctx context.Context) (time.Time, error) {
	r, err := t.db.query(ctx, `SELECT due_at FROM work WHERE tenant = ? AND state = 'ready' ORDER BY due_at LIMIT 1`, t.id)
	v, err := one(all(r, err, func(r rows, v *int64) error { return r.Scan(v) }))
	if err != nil || v == nil {
		return time.Time{}, err
	}
	return instant(*v), nil
}
