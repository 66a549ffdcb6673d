package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// ahead is how far behind today entries may lie that are looked for: people log leave in advance.
const ahead = 92

// sweep compares what is there between two business dates with what the ledger has of them, and tells
// the flow of each record that is gone: many vendors report no deletes. Where its rows are whole records, it
// also finds what a poll has missed: pages that move while they are read hide rows from it. For that reason,
// what cannot be asked for alone is gone only when two readings have not shown it, and have not shown a row
// without an id either: that may be the very record.
func (in *Ingest) sweep(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	done := store.Step{Defer: next(w, f.Sweep, in.now())}
	end, kind, err := trigger(f)
	if err != nil {
		return store.Step{}, err
	}
	from, to, err := swept(f, f.Today(in.now()))
	if err != nil || kind.Sweep == nil {
		return done, err
	}
	known, err := in.store.Tenant(w.Tenant).KnownBetween(ctx, f.ID, end.Conn.ID, kind.Name, from, to)
	if err != nil || len(known) == 0 && !kind.Sweep.Spec.Whole {
		return done, err
	}
	there, err := in.there(ctx, f, end, kind, from, to)
	if err != nil {
		return store.Step{}, err
	}
	missing := there.lacks(known)
	if len(missing) > 0 && kind.Get == nil { // nobody can be asked for one alone
		again, err := in.there(ctx, f, end, kind, from, to)
		if err != nil {
			return store.Step{}, err
		}
		if missing = again.lacks(missing); there.unread+again.unread > 0 {
			missing = nil
		}
	}
	var gone []store.Arrival
	for _, k := range missing {
		if still, err := in.still(ctx, end, kind, k.ExternalID); err != nil {
			return store.Step{}, err
		} else if !still {
			gone = append(gone, in.gone(f, end, kind, k.ExternalID, string(k.Line)))
		}
	}
	_, err = in.put(ctx, gone)
	return done, err
}

// sight is what a reading has shown.
type sight struct {
	ids    map[string]bool
	unread int // rows that do not tell whose they are
}

func (s sight) lacks(known []store.Known) []store.Known {
	return slices.DeleteFunc(known, func(k store.Known) bool { return s.ids[k.ExternalID] })
}

// there reads which records there are between two days. Whole rows that nobody has heard of, or that were gone, are
// taken in; of a row without an id a person is told.
func (in *Ingest) there(ctx context.Context, f *engine.Flow, end *engine.End, kind *connector.Kind, from, to exact.Date) (sight, error) {
	out := sight{ids: map[string]bool{}}
	_, err := in.remote.Rows(ctx, end.Conn, kind.Sweep, f.From, remote.Vars{"from": from, "to": to}, func(page []remote.Row) error {
		var missed []remote.Row
		var whole []sighted
		for _, x := range page {
			id, err := idOf(end, kind, x.Record)
			if err != nil {
				out.unread++
				missed = append(missed, x)
				continue
			}
			out.ids[id] = true
			if kind.Sweep.Spec.Whole {
				whole = append(whole, sighted{hub.RecordKey{Connection: end.Conn.ID, Kind: kind.Name, ID: id}, x})
			}
		}
		unseen, err := in.unseen(ctx, f, whole)
		if err != nil {
			return err
		}
		missed = append(missed, unseen...)
		_, err = in.keep(ctx, f, end, kind, "sweep", hub.Normal, missed, len(page))
		return err
	})
	return out, err
}

// sighted is a whole row, and whose it is.
type sighted struct {
	key hub.RecordKey
	row remote.Row
}

// unseen are the rows of records that nobody has heard of yet, or that were gone.
func (in *Ingest) unseen(ctx context.Context, f *engine.Flow, page []sighted) (rows []remote.Row, err error) {
	t, keys := in.store.Tenant(f.Tenant), make([]string, len(page))
	for i, x := range page {
		keys[i] = x.key.String()
	}
	last, err := t.LastEvents(ctx, f.ID, keys)
	if err != nil {
		return nil, err
	}
	for i, x := range page {
		link, err := t.LinkOf(ctx, x.key.Connection, x.key.Kind, x.key.ID)
		if err != nil {
			return nil, err
		}
		if e := last[keys[i]]; link == nil || e.Gone && in.now().Sub(e.Received) > settled {
			rows = append(rows, x.row)
		}
	}
	return rows, nil
}

// swept are the business dates that are looked through.
func swept(f *engine.Flow, today exact.Date) (from, to exact.Date, err error) {
	from, ok, err := f.FirstOpen(today)
	if !ok {
		from = today.AddDays(-62)
	}
	if begin := exact.DateOf(f.From, f.Zone); !f.From.IsZero() && from.Compare(begin) < 0 {
		from = begin
	}
	return from, today.AddDays(ahead), err
}

// still asks the vendor for one record that the sweep has not shown: it may have been moved to a day
// outside of the span meanwhile.
func (in *Ingest) still(ctx context.Context, end *engine.End, kind *connector.Kind, id string) (bool, error) {
	if kind.Get == nil {
		return false, nil
	}
	answer, err := in.remote.Call(ctx, end.Conn, kind.Get, remote.Vars{"id": id})
	if hub.KindOf(err) == hub.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether %s is gone: %w", id, err)
	}
	return answer.Result != nil, nil
}

// deleted tells the flow of records that the vendor says were deleted, as far as they are known or wait to be. Of a row that does
// not tell which one is gone a person is told; it takes nothing from the others.
func (in *Ingest) deleted(ctx context.Context, f *engine.Flow, end *engine.End, kind *connector.Kind, page []remote.Row) error {
	var list []store.Arrival
	unread := 0
	for _, x := range page {
		id, err := goneOf(end, kind, x)
		if err != nil {
			if unread++; unread == len(page) && unread > 1 {
				return err // it is not the rows
			}
			a, err := in.arrival(f.Tenant, end.Conn.ID, connector.Arrived{Kind: kind, Payload: x.Record, Err: err}, []*engine.Flow{f}, "poll", hub.Normal)
			if err != nil {
				return err
			}
			list = append(list, a)
			continue
		}
		if known, err := in.heardOf(ctx, f, hub.RecordKey{Connection: end.Conn.ID, Kind: kind.Name, ID: id}); err != nil {
			return err
		} else if known {
			list = append(list, in.gone(f, end, kind, id, "deleted/"+x.Changed.UTC().Format(time.RFC3339Nano)))
		}
	}
	_, err := in.put(ctx, list)
	return err
}

// heardOf reports whether a record is known, or an event about it has come to the flow: its run may still be to begin.
func (in *Ingest) heardOf(ctx context.Context, f *engine.Flow, key hub.RecordKey) (bool, error) {
	t := in.store.Tenant(f.Tenant)
	if link, err := t.LinkOf(ctx, key.Connection, key.Kind, key.ID); err != nil || link != nil {
		return true, err
	}
	rows, err := t.Work(ctx, store.Filter{Deployment: f.ID, Key: key.String(), Limit: 1})
	return len(rows) > 0, err
}

// goneOf is the id of the record that a row says is gone. It has to name one.
func goneOf(end *engine.End, kind *connector.Kind, x remote.Row) (string, error) {
	id, err := kind.GoneOf(x.Record, end.Conn.Settings)
	if err = cmp.Or(x.Err, err); err == nil && id == "" {
		err = errors.New("it does not say which record was deleted")
	}
	return id, err
}

// gone is the event that a record is there no longer. It is one event, however often it is seen to be
// gone; what was posted since, or that it was deleted again, makes it another.
func (in *Ingest) gone(f *engine.Flow, end *engine.End, kind *connector.Kind, id, since string) store.Arrival {
	e := hub.Event{ID: hub.EventIDFor(f.Tenant, end.Conn.ID, kind.Name, id, "gone/"+string(f.ID)+"/"+since), Tenant: f.Tenant, Key: hub.RecordKey{Connection: end.Conn.ID, Kind: kind.Name, ID: id},
		Source: "poll", Gone: true, Received: in.now()}
	return store.Arrival{Event: e, Deployments: []hub.DeploymentID{f.ID}, Lane: hub.Normal, RunID: func() hub.RunID { return hub.RunID(in.newID("run")) }}
}
