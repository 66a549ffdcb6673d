// Package ingest lets events in: webhooks, and what polls find. It checks where they come from,
// drops repeats, stores them with the work that follows, and only then says so (R1). What the work
// is, is decided by the deployments whose trigger asks for the record.
package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

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
