// Package ingest lets events in: webhooks, and what polls find. It checks where they come from,
// drops repeats, stores them with the work that follows, and only then says so (R1). What the work
// is, is decided by the deployments whose trigger asks for the record.
package ingest

import (
	"context"
	"fmt"
	"slices"
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
	triggers map[hub.TenantID]triggered
}

// triggered are a tenant's flows, and how they stood then.
type triggered struct {
	stamp string
	flows []*engine.Flow
}

// New makes an Ingest; wake is called when there is new work.
func New(s *store.Store, j *store.Journal, l *engine.Loader, r *remote.Client, now func() time.Time, newID func(string) string, wake func()) *Ingest {
	return &Ingest{store: s, journal: j, loader: l, remote: r, now: now, newID: newID, wake: wake, triggers: map[hub.TenantID]triggered{}}
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
	if err != nil { // whatever it is, it is not the sender's to correct: what he sends must come again
		return 0, &hub.Error{Kind: hub.Unavailable, Code: "hook.flows", Message: "A flow of the customer cannot be opened, so nobody knows who wants the delivery.", Hint: "Correct the flow, or start with the definitions that it needs.", Err: err}
	}
	var list []store.Arrival
	for _, a := range arrived {
		if len(a.Looks) > 0 {
			if err := in.look(ctx, tenant, id, a.Looks, flows); err != nil {
				return 0, err
			}
			continue
		}
		one, err := in.arrival(tenant, id, a, flows, "webhook", hub.Interactive)
		if err != nil {
			return 0, err
		}
		list = append(list, one)
	}
	crashpoint.At("accept.store")
	if len(list) > 0 {
		if _, err := in.journal.Accept(ctx, list...); err != nil {
			return 0, fmt.Errorf("store the delivery: %w", err)
		}
	}
	crashpoint.At("accept.stored")
	in.wake()
	return len(arrived), nil
}

// look lets the flows that poll one of the kinds do so now: the vendor has told that something changed,
// but not what. Should it be lost, the next poll finds it.
func (in *Ingest) look(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kinds []*connector.Kind, flows []*engine.Flow) error {
	for _, f := range flows {
		end, kind, err := trigger(f)
		if err != nil || end.Conn.ID != id || !slices.ContainsFunc(kinds, func(k *connector.Kind) bool { return k.Name == kind.Name }) {
			continue // it is no flow of these
		}
		if err := in.store.Tenant(tenant).DueNow(ctx, f.ID, PollKey); err != nil {
			return fmt.Errorf("let a flow look: %w", err)
		}
	}
	return nil
}

// arrival is the event with the deployments that want it.
func (in *Ingest) arrival(tenant hub.TenantID, id hub.ConnectionID, a connector.Arrived, flows []*engine.Flow, source string, lane hub.Lane) (store.Arrival, error) {
	if a.Err != nil {
		return in.unreadable(tenant, id, a, flows, lane)
	}
	e := hub.Event{Tenant: tenant, Key: hub.RecordKey{Connection: id, Kind: a.Kind.Name, ID: a.ID}, Version: a.Version, Source: source, Received: in.now()}
	if a.Dedupe == "" {
		e.ID = hub.EventID(in.newID("evt")) // the vendor marks no repeats: the hash of what is written will
	} else {
		e.ID = hub.EventIDFor(tenant, id, a.Kind.Name, a.ID, a.Dedupe)
	}
	if a.Payload != nil {
		var err error
		if e.Payload, err = exact.AppendJSON(nil, a.Payload); err != nil {
			return store.Arrival{}, err
		}
	}
	return in.wanted(e, a.Kind, flows, lane), nil
}

// wanted is an event with the flows that begin with such a record.
func (in *Ingest) wanted(e hub.Event, kind *connector.Kind, flows []*engine.Flow, lane hub.Lane) store.Arrival {
	out := store.Arrival{Event: e, Lane: lane, RunID: func() hub.RunID { return hub.RunID(in.newID("run")) }}
	for _, f := range flows {
		t := f.Template.File.Trigger
		if end := f.Roles[t.From]; end != nil && end.Conn.ID == e.Key.Connection && kind.As == t.Record {
			out.Deployments = append(out.Deployments, f.ID)
		}
	}
	return out
}

// unreadable is an event that tells no record. It is kept, for its flows to tell a person; the same one is
// kept once.
func (in *Ingest) unreadable(tenant hub.TenantID, id hub.ConnectionID, a connector.Arrived, flows []*engine.Flow, lane hub.Lane) (store.Arrival, error) {
	hash, err := contentOf(a.Payload)
	if err != nil {
		return store.Arrival{}, err
	}
	e := hub.Event{ID: hub.EventIDFor(tenant, id, a.Kind.Name, hub.Unreadable, hash), Tenant: tenant, Source: hub.Unreadable, Received: in.now(),
		Key: keyOfUnread(id, a.Kind.Name, hash)}
	if e.Payload, err = exact.AppendJSON(nil, map[string]any{"says": a.Err.Error(), "event": a.Payload}); err != nil {
		return store.Arrival{}, err
	}
	return in.wanted(e, a.Kind, flows, lane), nil
}

// UnreadKey is the key under which a row that tells no record is kept.
func UnreadKey(id hub.ConnectionID, kind string, x any) (hub.RecordKey, error) {
	hash, err := contentOf(x)
	return keyOfUnread(id, kind, hash), err
}

func keyOfUnread(id hub.ConnectionID, kind, hash string) hub.RecordKey {
	return hub.RecordKey{Connection: id, Kind: kind, ID: hub.Unreadable + "-" + hash}
}

// flows are the tenant's active flows, newest revisions.
func (in *Ingest) flows(ctx context.Context, tenant hub.TenantID) ([]*engine.Flow, error) {
	stamp, err := in.loader.Stamp(ctx, tenant)
	if err != nil {
		return nil, err
	}
	in.mu.Lock()
	known, ok := in.triggers[tenant]
	in.mu.Unlock()
	if ok && known.stamp == stamp {
		return known.flows, nil
	}
	deployments, err := in.store.Tenant(tenant).Deployments(ctx)
	if err != nil {
		return nil, err
	}
	list := []*engine.Flow{}
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
	in.triggers[tenant] = triggered{stamp, list}
	in.mu.Unlock()
	return list, nil
}
