package store

import (
	"context"
	"fmt"
	"time"

	"throughline/internal/hub"
)

// Step is one durable point of a run: everything that must be known together or not at all. Each
// part may be empty. It is recorded only while the node's lease holds.
type Step struct {
	Epoch   int64
	Tenant  hub.TenantID
	Inputs  []Input
	Records []Record
	Links   []Link      // cross-references that were found rather than written
	Close   []WriteDone // outcomes of writes
	Open    []Write     // intents, recorded after Close
	Audit   []AuditEntry
	Finish  *Finish // the run's end
	Defer   *Defer  // or its pause
	Cursor  *Cursor
	Arrive  []Arrival // what a poll found
}

// Input is a vendor's record as a run read it: what the run goes by until its end, and what history
// is replayed from.
type Input struct {
	Run     hub.RunID
	Key     string
	Payload []byte
}

// Record is a canonical record as last seen.
type Record struct {
	ID      hub.RecordID
	Type    string
	Label   string
	Fields  []byte
	Updated time.Time
}

// Link says that a record is known in a connection under an external id (package xref).
type Link struct {
	Record     hub.RecordID
	Connection hub.ConnectionID
	Kind       string
	ExternalID string
	Number     string // what people call it there
	URL        string
	Hash       string // of what was last written; empty: never written by us
	Writes     int64  // how many writes were completed
	Updated    time.Time
}

// Write is an intent: a write that is about to be sent.
type Write struct {
	OpKey      string
	Run        hub.RunID
	Deployment hub.DeploymentID
	Key        string
	Step       string
	Record     hub.RecordID
	Connection hub.ConnectionID
	Operation  string
	Class      hub.WriteClass
	Hash       string
	Body       []byte
	State      string // open, done, refused, uncertain (a person looks)
	ExternalID string
	Message    string
	Started    time.Time
	Ended      time.Time
}

// WriteDone is the outcome of a write: done with a link, or refused or uncertain with a message.
type WriteDone struct {
	OpKey   string
	State   string
	Link    Link
	Message string
	Ended   time.Time
}

// Finish ends a run.
type Finish struct {
	Work      hub.Work
	Run       Run
	Exception *Exception // for Parked
	Releases  []string   // what others may have waited for (Work.WaitsOn)
}

// Defer sets a run aside until a time or an event, keeping its run and revision.
type Defer struct {
	Work hub.Work // with State Later or Waiting, Due, Reason, WaitsOn, Attempts as they shall be
}

// Cursor is how far a poll has read.
type Cursor struct {
	Deployment hub.DeploymentID
	Key        string
	Value      string
	Updated    time.Time
}

// Exception is a parked run that waits for a person.
type Exception struct {
	ID         hub.ExceptionID
	Deployment hub.DeploymentID
	Key        string
	Run        hub.RunID
	Class      string
	Code       string
	Message    string
	Hint       string
	Field      string
	Label      string
	State      string // open, resolved, ignored
	Resolution string
	Opened     time.Time
	Closed     time.Time
}

// apply records a step. Busy names the intents that could not be opened because another write on
// the same record is under way: they must not be sent.
func (s *Store) apply(ctx context.Context, t tx, st Step) (busy []string, fresh []bool, err error) {
	if err := s.fence(ctx, t, st.Epoch); err != nil {
		return nil, nil, err
	}
	for _, part := range []func(context.Context, tx, Step) error{putInputs, putRecords, putLinks, closeWrites, putAudit, putCursor} {
		if err := part(ctx, t, st); err != nil {
			return nil, nil, err
		}
	}
	if busy, err = openWrites(ctx, t, st); err != nil {
		return nil, nil, err
	}
	if fresh, err = s.accept(ctx, t, st.Arrive); err != nil {
		return nil, nil, err
	}
	switch {
	case st.Finish != nil:
		err = s.finish(ctx, t, *st.Finish)
	case st.Defer != nil:
		err = s.setAside(ctx, t, st.Defer.Work)
	}
	return busy, fresh, err
}

func putInputs(ctx context.Context, t tx, st Step) error {
	const q = `INSERT INTO input (tenant, run, record_key, payload) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, run, record_key) DO NOTHING`
	args := make([][]any, len(st.Inputs))
	for i, in := range st.Inputs {
		args[i] = []any{st.Tenant, in.Run, in.Key, in.Payload}
	}
	_, err := t.each(ctx, q, args)
	return err
}

func putRecords(ctx context.Context, t tx, st Step) error {
	const q = `
		INSERT INTO record (tenant, id, type, label, fields, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, id) DO UPDATE SET label = excluded.label, fields = excluded.fields, updated_at = excluded.updated_at`
	args := make([][]any, len(st.Records))
	for i, r := range st.Records {
		args[i] = []any{st.Tenant, r.ID, r.Type, r.Label, string(r.Fields), micros(r.Updated)}
	}
	_, err := t.each(ctx, q, args)
	return err
}

const upsertLink = `
	INSERT INTO xref (tenant, record, connection, kind, external_id, number, link, hash, writes, updated_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (tenant, record, connection) DO UPDATE SET kind = excluded.kind, external_id = excluded.external_id,
		number = excluded.number, link = excluded.link, hash = excluded.hash, writes = excluded.writes, updated_at = excluded.updated_at`

func linkArgs(tenant hub.TenantID, l Link) []any {
	return []any{tenant, l.Record, l.Connection, l.Kind, l.ExternalID, l.Number, l.URL, l.Hash, l.Writes, micros(l.Updated)}
}

// putLinks keeps what was found. A link that somebody else made first stays: the loser reads the
// winner's (package xref).
func putLinks(ctx context.Context, t tx, st Step) error {
	const q = `
		INSERT INTO xref (tenant, record, connection, kind, external_id, number, link, hash, writes, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`
	args := make([][]any, len(st.Links))
	for i, l := range st.Links {
		args[i] = linkArgs(st.Tenant, l)
	}
	_, err := t.each(ctx, q, args)
	return err
}

func closeWrites(ctx context.Context, t tx, st Step) error {
	const q = `UPDATE write SET state = ?, external_id = ?, message = ?, ended_at = ? WHERE tenant = ? AND op_key = ? AND state <> 'done'`
	var done, links [][]any
	for _, w := range st.Close {
		done = append(done, []any{w.State, w.Link.ExternalID, w.Message, micros(w.Ended), st.Tenant, w.OpKey})
		if w.State == "done" {
			links = append(links, linkArgs(st.Tenant, w.Link))
		}
	}
	if _, err := t.each(ctx, q, done); err != nil {
		return err
	}
	_, err := t.each(ctx, upsertLink, links)
	return err
}

// openWrites records intents. A refused write is taken up again under its key; any other that is
// there already means that the record is busy, or that what became of it must be found out first.
func openWrites(ctx context.Context, t tx, st Step) (busy []string, err error) {
	const q = `
		INSERT INTO write (tenant, op_key, run, deployment, record_key, step, record, connection, operation, class, hash, body, state, started_at)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?
		WHERE NOT EXISTS (SELECT 1 FROM write WHERE tenant = ? AND connection = ? AND record = ? AND state IN ('open', 'uncertain'))
		ON CONFLICT (tenant, op_key) DO UPDATE SET state = 'open', run = excluded.run, started_at = excluded.started_at, message = ''
			WHERE write.state = 'refused'`
	args := make([][]any, len(st.Open))
	for i, w := range st.Open {
		args[i] = []any{st.Tenant, w.OpKey, w.Run, w.Deployment, w.Key, w.Step, w.Record, w.Connection, w.Operation, w.Class, w.Hash, string(w.Body), micros(w.Started),
			st.Tenant, w.Connection, w.Record}
	}
	n, err := t.each(ctx, q, args)
	for i := range n {
		if n[i] == 0 {
			busy = append(busy, st.Open[i].OpKey)
		}
	}
	return busy, err
}

func putCursor(ctx context.Context, t tx, st Step) error {
	if st.Cursor == nil {
		return nil
	}
	const q = `
		INSERT INTO cursor (tenant, deployment, record_key, value, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, deployment, record_key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
	c := st.Cursor
	_, err := t.exec(ctx, q, st.Tenant, c.Deployment, c.Key, c.Value, micros(c.Updated))
	return err
}

// finish records a run's outcome and lets what waited for it go on. A row that got a newer event
// meanwhile is ready again at once.
func (s *Store) finish(ctx context.Context, t tx, f Finish) error {
	w := f.Work
	idle := hub.Idle
	if f.Run.Outcome == hub.Parked {
		idle = hub.Stopped
	}
	const q = `
		UPDATE work SET
			state = CASE WHEN next_event <> '' THEN 'ready' ELSE ? END,
			event = CASE WHEN next_event <> '' THEN next_event ELSE event END,
			due_at = ?, next_event = '', run = '', revision = 0, epoch = 0, attempts = 0, crashes = 0, reason = '', waits_on = ''
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'running' AND epoch = ?`
	n, err := t.exec(ctx, q, idle, micros(f.Run.Ended), w.Tenant, w.Deployment, w.Key, w.Epoch)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrFenced
	}
	if err := insertRun(ctx, t, f.Run); err != nil {
		return err
	}
	if err := settle(ctx, t, f); err != nil {
		return err
	}
	return release(ctx, t, w.Tenant, f.Releases, f.Run.Ended)
}

// settle opens the run's exception, and closes those that an earlier run of the record left open:
// their cause is either gone or stands in the new one.
func settle(ctx context.Context, t tx, f Finish) error {
	w := f.Work
	const resolve = `
		UPDATE exception SET state = 'resolved', resolution = ?, closed_at = ?
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'open'`
	if _, err := t.exec(ctx, resolve, "resolved itself: a later run ended "+string(f.Run.Outcome), micros(f.Run.Ended), w.Tenant, w.Deployment, w.Key); err != nil {
		return err
	}
	if f.Exception == nil {
		return nil
	}
	const open = `
		INSERT INTO exception (tenant, id, deployment, record_key, run, class, code, message, hint, field, label, state, opened_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)`
	e := f.Exception
	_, err := t.exec(ctx, open, w.Tenant, e.ID, w.Deployment, w.Key, f.Run.ID, e.Class, e.Code, e.Message, e.Hint, e.Field, e.Label, micros(e.Opened))
	return err
}

// setAside keeps a claimed row for later. An event that arrived meanwhile runs after it, as always.
func (s *Store) setAside(ctx context.Context, t tx, w hub.Work) error {
	const q = `
		UPDATE work SET state = ?, due_at = ?, reason = ?, waits_on = ?, revision = ?, attempts = ?, crashes = 0, epoch = 0
		WHERE tenant = ? AND deployment = ? AND record_key = ? AND state = 'running' AND epoch = ?`
	n, err := t.exec(ctx, q, w.State, micros(w.Due), w.Reason, w.WaitsOn, w.Revision, w.Attempts, w.Tenant, w.Deployment, w.Key, w.Epoch)
	if err == nil && n == 0 {
		return ErrFenced
	}
	return err
}

// release makes ready what waits for one of the given things.
func release(ctx context.Context, t tx, tenant hub.TenantID, things []string, now time.Time) error {
	const q = `UPDATE work SET state = 'ready', due_at = ?, reason = '', waits_on = '' WHERE tenant = ? AND waits_on = ? AND state = 'waiting'`
	args := make([][]any, len(things))
	for i, thing := range things {
		args[i] = []any{micros(now), tenant, thing}
	}
	if _, err := t.each(ctx, q, args); err != nil {
		return fmt.Errorf("release what waits: %w", err)
	}
	return nil
}
