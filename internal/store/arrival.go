package store

import (
	"context"
	"time"

	"throughline/internal/hub"
)

// Arrival is an event with the deployments that want it. Without any it is kept all the same: it
// was accepted, and its outcome is that no flow wanted it.
type Arrival struct {
	Event       hub.Event
	Deployments []hub.DeploymentID
	Lane        hub.Lane
	RunID       func() hub.RunID // for the outcome of an event that a newer one overtakes
}

// accept stores the arrivals of a commit and puts them to work; it says of each which were new. An
// event that joins one still waiting takes its place if it is newer (R4); the older one is superseded.
func (s *Store) accept(ctx context.Context, t tx, batch []*entry, g *giving, under []int64) error {
	var args [][]any
	tenants := map[hub.TenantID]bool{}
	for _, e := range batch {
		for _, a := range e.arrivals() {
			v := a.Event
			tenants[v.Tenant] = true
			g.expect(v)
			args = append(args, []any{v.Tenant, v.ID, v.Key.Connection, v.Key.String(), v.Version, v.Payload, v.Source, flag(v.Gone), micros(v.Received)})
		}
	}
	const q = `
		INSERT INTO event (tenant, id, connection, record_key, version, payload, source, gone, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, id) DO NOTHING`
	n, err := t.each(ctx, q, args)
	if err != nil || len(args) == 0 {
		return err
	}
	if err := s.open(ctx, t, g, under, tenants); err != nil {
		return err
	}
	var list []*queued
	for _, e := range batch {
		e.fresh = nil
		for _, a := range e.arrivals() {
			fresh := n[0] == 1
			e.fresh, n = append(e.fresh, fresh), n[1:]
			g.came(a.Event)
			for _, d := range a.Deployments {
				if fresh {
					list = append(list, queue(a, d, g))
				}
			}
		}
	}
	return s.enqueue(ctx, t, list, g)
}

// queued is the row of work that an arrival makes in a deployment, if there is none of that record yet.
type queued struct {
	arrival Arrival
	work    hub.Work
	given   bool // into a free hand
}

func queue(a Arrival, d hub.DeploymentID, g *giving) *queued {
	w := hub.Work{Tenant: a.Event.Tenant, Deployment: d, Key: a.Event.Key.String(), State: hub.Ready, Lane: a.Lane, Due: a.Event.Received, Event: a.Event.ID, Version: a.Event.Version}
	given := g.give(&w, a.Event)
	return &queued{a, w, given}
}

// enqueue makes the one row of work of each record in a deployment, or lets the event in on the one that is there.
func (s *Store) enqueue(ctx context.Context, t tx, list []*queued, g *giving) error {
	const insert = `
		INSERT INTO work (tenant, deployment, record_key, state, lane, due_at, event, version, run, epoch)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, deployment, record_key) DO NOTHING`
	args := make([][]any, len(list))
	for i, q := range list {
		w := q.work
		args[i] = []any{w.Tenant, w.Deployment, w.Key, w.State, int(w.Lane), micros(w.Due), w.Event, w.Version, w.Run, w.Epoch}
	}
	n, err := t.each(ctx, insert, args)
	if err != nil {
		return err
	}
	for i, q := range list {
		if n[i] == 0 {
			if err := s.rejoin(ctx, t, q, g); err != nil {
				return err
			}
		}
	}
	return nil
}

// rejoin lets an event in on a row that is there.
func (s *Store) rejoin(ctx context.Context, t tx, q *queued, g *giving) error {
	w, a := q.work, q.arrival
	r, err := t.query(ctx, `SELECT `+workColumns+` FROM work WHERE tenant = ? AND deployment = ? AND record_key = ?`+s.db.dialect().forUpdate,
		w.Tenant, w.Deployment, w.Key)
	found, err := all(r, err, scanWork)
	if err != nil || len(found) == 0 {
		return err
	}
	joined, overtaken := join(found[0], a)
	for _, event := range overtaken {
		if event == "" {
			continue
		}
		if err := s.supersede(ctx, t, a, w.Deployment, event); err != nil {
			return err
		}
	}
	if q.given {
		g.change(w, &joined)
	}
	return s.saveWork(ctx, t, joined)
}

// join lets an event in on a row of work that exists, and says which events lost their place; "" is none.
func join(w hub.Work, a Arrival) (hub.Work, []hub.EventID) {
	e := a.Event
	if e.Version != 0 && e.Version < w.Version {
		return w, []hub.EventID{e.ID} // an older version never overwrites a newer one
	}
	w.Version = max(w.Version, e.Version)
	if w.State == hub.Running {
		overtaken := w.Next
		w.Next = e.ID
		return w, []hub.EventID{overtaken}
	}
	overtaken := []hub.EventID{w.Event, w.Next} // the next one came while the other was under way, before that was set aside
	if w.State == hub.Idle || w.State == hub.Stopped {
		overtaken[0] = "" // that one has its outcome already
	}
	w.Event, w.Next, w.Run = e.ID, "", ""
	w.State, w.Lane, w.Due, w.Reason, w.WaitsOn = hub.Ready, min(w.Lane, a.Lane), e.Received, "", ""
	w.Attempts, w.Crashes, w.Revision = 0, 0, 0
	return w, overtaken
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

func (s *Store) supersede(ctx context.Context, t tx, a Arrival, d hub.DeploymentID, event hub.EventID) error {
	return insertRun(ctx, t, Run{Tenant: a.Event.Tenant, ID: a.RunID(), Deployment: d, Key: a.Event.Key.String(), Event: event,
		Outcome: hub.Superseded, Message: "A newer event on the same record took its place.", Accepted: a.Event.Received, Ended: a.Event.Received})
}

const workColumns = `tenant, deployment, record_key, state, lane, due_at, reason, waits_on, event, version, next_event, run, revision, epoch, attempts, crashes, parked, cause, seconds, amount`

func scanWork(r rows, w *hub.Work) error {
	var due, parked int64
	err := r.Scan(&w.Tenant, &w.Deployment, &w.Key, &w.State, &w.Lane, &due, &w.Reason, &w.WaitsOn, &w.Event, &w.Version, &w.Next, &w.Run, &w.Revision, &w.Epoch, &w.Attempts, &w.Crashes, &parked, &w.Cause, &w.Seconds, &w.Amount)
	w.Due, w.Parked = instant(due), parked != 0
	return err
}

func (s *Store) saveWork(ctx context.Context, t tx, w hub.Work) error {
	const q = `
		UPDATE work SET state = ?, lane = ?, due_at = ?, reason = ?, waits_on = ?, event = ?, version = ?, next_event = ?,
			run = ?, revision = ?, epoch = ?, attempts = ?, crashes = ?
		WHERE tenant = ? AND deployment = ? AND record_key = ?`
	_, err := t.exec(ctx, q, w.State, int(w.Lane), micros(w.Due), w.Reason, w.WaitsOn, w.Event, w.Version, w.Next,
		w.Run, w.Revision, w.Epoch, w.Attempts, w.Crashes, w.Tenant, w.Deployment, w.Key)
	return err
}

// Run is one execution with its outcome.
type Run struct {
	Tenant     hub.TenantID
	ID         hub.RunID
	Deployment hub.DeploymentID
	Key        string
	Event      hub.EventID
	Revision   int64
	Outcome    hub.Outcome
	Code       string
	Message    string
	Label      string // what a person calls the record: "Website relaunch"
	Calls      int
	Accepted   time.Time
	Ended      time.Time
}

func insertRun(ctx context.Context, t tx, r Run) error {
	return insertRuns(ctx, t, []*Finish{{Run: r}})
}

func insertRuns(ctx context.Context, t tx, ends []*Finish) error {
	const q = `
		INSERT INTO run (tenant, id, deployment, record_key, event, revision, outcome, code, message, label, calls, accepted_at, ended_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, id) DO NOTHING`
	args := make([][]any, len(ends))
	for i, f := range ends {
		r := f.Run
		args[i] = []any{r.Tenant, r.ID, r.Deployment, r.Key, r.Event, r.Revision, r.Outcome, r.Code, r.Message, r.Label, r.Calls, micros(r.Accepted), micros(r.Ended)}
	}
	return t.put(ctx, q, args, nil)
}
