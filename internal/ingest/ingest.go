// Package ingest lets events in: webhooks, and what polls find. It checks where they come from,
// drops repeats, stores them with the work that follows, and only then says so (R1). What the work
// is, is decided by the deployments whose trigger asks for the record.
package ingest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/crashpoint"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// Ingest is the way in.
type Ingest struct {
	store   *store.Store
	journal *store.Journal
	loader  *engine.Loader
	remote  *remote.Client
	now     func() time.Time
	newID   func(prefix string) string
	wake    func()

	mu       sync.Mutex
	triggers map[hub.TenantID][]*engine.Flow
}

// New makes an Ingest; wake is called when there is new work.
func New(s *store.Store, j *store.Journal, l *engine.Loader, r *remote.Client, now func() time.Time, newID func(string) string, wake func()) *Ingest {
	return &Ingest{store: s, journal: j, loader: l, remote: r, now: now, newID: newID, wake: wake, triggers: map[hub.TenantID][]*engine.Flow{}}
}

// Forget makes Ingest look again which flows a tenant has.
func (in *Ingest) Forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	clear(in.triggers)
}

// Accept takes a delivery on a connection: verified, stored, and only then answered without error.
func (in *Ingest) Accept(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, d connector.Delivery) (events int, err error) {
	conn, err := in.loader.Connection(ctx, tenant, id)
	if err != nil {
		return 0, err
	}
	vars := map[string]any{"settings": conn.Settings, "secret": conn.Secret}
	if err := conn.Connector.Verify(d, vars, in.now()); err != nil {
		return 0, err
	}
	arrived, err := conn.Connector.Events(d, conn.Settings)
	if err != nil || len(arrived) == 0 {
		return 0, err
	}
	flows, err := in.flows(ctx, tenant)
	if err != nil {
		return 0, err
	}
	list := make([]store.Arrival, len(arrived))
	for i, a := range arrived {
		if list[i], err = in.arrival(tenant, id, a, flows, "webhook", hub.Interactive); err != nil {
			return 0, err
		}
	}
	crashpoint.At("accept.store")
	if _, err := in.journal.Accept(ctx, list...); err != nil {
		return 0, fmt.Errorf("store the delivery: %w", err)
	}
	crashpoint.At("accept.stored")
	in.wake()
	return len(list), nil
}

// arrival is the event with the deployments that want it.
func (in *Ingest) arrival(tenant hub.TenantID, id hub.ConnectionID, a connector.Arrived, flows []*engine.Flow, source string, lane hub.Lane) (store.Arrival, error) {
	e := hub.Event{Tenant: tenant, Key: hub.RecordKey{Connection: id, Kind: a.Kind.Name, ID: a.ID}, Version: a.Version, Source: source, Received: in.now()}
	if a.Dedupe == "" {
		e.ID = hub.EventID(in.newID("evt")) // the vendor marks no repeats: the hash of what is written will
	} else {
		e.ID = hub.EventIDFor(tenant, string(id), a.Kind.Name, a.ID, a.Dedupe)
	}
	if a.Payload != nil {
		var err error
		if e.Payload, err = exact.AppendJSON(nil, a.Payload); err != nil {
			return store.Arrival{}, err
		}
	}
	out := store.Arrival{Event: e, Lane: lane, RunID: func() hub.RunID { return hub.RunID(in.newID("run")) }}
	for _, f := range flows {
		t := f.Template.File.Trigger
		if end := f.Roles[t.From]; end != nil && end.Conn.ID == id && a.Kind.As == t.Record {
			out.Deployments = append(out.Deployments, f.ID)
		}
	}
	return out, nil
}

// flows are the tenant's active flows, newest revisions.
func (in *Ingest) flows(ctx context.Context, tenant hub.TenantID) ([]*engine.Flow, error) {
	in.mu.Lock()
	list, ok := in.triggers[tenant]
	in.mu.Unlock()
	if ok {
		return list, nil
	}
	deployments, err := in.store.Tenant(tenant).Deployments(ctx)
	if err != nil {
		return nil, err
	}
	list = []*engine.Flow{}
	for _, d := range deployments {
		if d.State == "removed" {
			continue
		}
		f, err := in.loader.Flow(ctx, tenant, d.ID, d.Revision)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	in.mu.Lock()
	in.triggers[tenant] = list
	in.mu.Unlock()
	return list, nil
}

// PollKey is the key of the row of work that polls for a flow.
const PollKey = "poll"

// Tick polls for a flow: reads what changed since the cursor, page by page, and stores the events,
// the cursor and the next tick in one transaction (R5).
func (in *Ingest) Tick(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	t := f.Template.File.Trigger
	end := f.Roles[t.From]
	kind := end.Conn.Connector.KindAs(t.Record)
	if kind == nil || kind.List == nil {
		return store.Step{}, &hub.Error{Kind: hub.Invalid, Code: "connector.no_list", Message: fmt.Sprintf("The connector cannot list a %s.", t.Record), Hint: "Let the flow run by webhook."}
	}
	value, err := in.store.Tenant(w.Tenant).CursorValue(ctx, f.ID, w.Key)
	if err != nil {
		return store.Step{}, err
	}
	since, err := f.Since(value)
	if err != nil {
		return store.Step{}, err
	}
	begun := in.now()
	newest, err := in.changed(ctx, end, kind, since, func(page []any) error { return in.keep(ctx, f, end, kind, w.Tenant, page) })
	if err != nil {
		return store.Step{}, err
	}
	if newest.After(begun) && begun.After(since) {
		newest = begun // what changed since then may stand behind a page that was read before it did
	}
	now := in.now()
	w.State, w.Due, w.Attempts, w.Reason, w.Revision = hub.Later, now.Add(f.Every), 0, "", 0
	return store.Step{Cursor: &store.Cursor{Deployment: f.ID, Key: w.Key, Value: newest.UTC().Format(time.RFC3339Nano), Updated: now}, Defer: &store.Defer{Work: w}}, nil
}

// keep stores a page as events before the next one is read, so that a long list takes no more memory
// than a short one. A page that is read again is known by its events' ids.
func (in *Ingest) keep(ctx context.Context, f *engine.Flow, end *engine.End, kind *connector.Kind, tenant hub.TenantID, page []any) error {
	list := make([]store.Arrival, len(page))
	for i, x := range page {
		a, err := in.found(f, end, kind, x)
		if err != nil {
			return err
		}
		if list[i], err = in.arrival(tenant, end.Conn.ID, a, []*engine.Flow{f}, "poll", hub.Normal); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	if _, err := in.journal.Accept(ctx, list...); err != nil {
		return fmt.Errorf("store what was read: %w", err)
	}
	in.wake()
	return nil
}

// maxPages bounds one reading; the cursor lets the next one go on.
const maxPages = 10_000

// changed reads what changed since the cursor, less the overlap, page by page, and says when the
// newest change was. A list that is asked for each record of another kind is asked for all of them.
func (in *Ingest) changed(ctx context.Context, end *engine.End, kind *connector.Kind, since time.Time, page func([]any) error) (newest time.Time, err error) {
	l := kind.List
	if l.Per == nil {
		return in.pages(ctx, end, l, since, nil, page)
	}
	var parents []any
	if _, err := in.pages(ctx, end, l.Per.List, time.Time{}, nil, func(rows []any) error { parents = append(parents, rows...); return nil }); err != nil {
		return since, err
	}
	newest = since
	for _, parent := range parents {
		at, err := in.pages(ctx, end, l, since, parent, page)
		if err != nil {
			return newest, err
		}
		if at.After(newest) {
			newest = at
		}
	}
	return newest, nil
}

// pages reads one list to its end, or to where it is known already.
func (in *Ingest) pages(ctx context.Context, end *engine.End, l *connector.ListOp, since time.Time, parent any, page func([]any) error) (newest time.Time, err error) {
	from, pager := since.Add(-l.Spec.Overlap.D), l.Pager()
	newest = since
	for range maxPages {
		answer, err := in.remote.Call(ctx, end.Conn, l.Op, remote.Vars{"since": from, "page": pager.Vars(), "parent": parent})
		if err != nil {
			return newest, err
		}
		rows := answer.Items()
		for _, x := range rows {
			at, err := l.ChangedAt(x)
			if err != nil {
				return newest, err
			}
			if at.After(newest) {
				newest = at
			}
		}
		fresh, known, err := l.Fresh(rows, from)
		if err != nil {
			return newest, err
		}
		records, err := l.Records(answer, fresh)
		if err != nil {
			return newest, err
		}
		if err := page(records); err != nil {
			return newest, err
		}
		more, err := pager.Next(answer, len(rows))
		if err != nil || known || !more {
			return newest, err
		}
	}
	return newest, nil
}

// found is an event that a flow's poll makes of a record: repeats are told by its content. Another flow
// that polls the same list finds its own.
func (in *Ingest) found(f *engine.Flow, end *engine.End, kind *connector.Kind, x any) (connector.Arrived, error) {
	id, err := kind.IDOf(x, end.Conn.Settings)
	if err != nil {
		return connector.Arrived{}, err
	}
	version, err := kind.VersionOf(x)
	if err != nil {
		return connector.Arrived{}, err
	}
	body, err := exact.AppendJSON(nil, x)
	if err != nil {
		return connector.Arrived{}, err
	}
	a := connector.Arrived{Kind: kind, ID: id, Version: version, Dedupe: "poll/" + string(f.ID) + "/" + canonical.Hash(body)}
	if len(kind.With) == 0 && !strings.Contains(kind.Spec.As, "@") {
		a.Payload = x // nothing is missing from it: no second read
	}
	return a, nil
}
