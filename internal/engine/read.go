package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// triggering is the record that the event is about; one that is gone, as it was last seen.
func (r *run) triggering(end *End) (*result, error) {
	record := r.flow.Template.File.Trigger.Record
	if !r.event.Gone {
		carried, kind := r.event.Payload, end.Conn.Connector.Kind(r.event.Key.Kind)
		if len(carried) > 0 && kind != nil && kind.Get != nil {
			older, err := r.mayBeOlder()
			if err != nil {
				return nil, err
			}
			if older {
				carried = nil
			}
		}
		x, err := r.vendorRecord(end, r.event.Key, carried)
		if err != nil {
			return nil, err
		}
		if kind != nil {
			v, err := kind.VersionOf(x)
			if err != nil {
				return nil, err
			}
			r.version, r.work.Version = v, max(r.work.Version, v)
		}
		return r.read(end, record, r.event.Key, x)
	}
	link, err := r.tenant.LinkOf(r.ctx, end.Conn.ID, r.event.Key.Kind, r.event.Key.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case link != nil:
		return r.remembered(canonical.Ref{Type: record, ID: link.Record})
	case r.lost(time.Time{}):
		return r.remembered(canonical.Ref{Type: record, ID: r.identify(r.event.Key)}) // it may have been posted
	}
	return nil, errFiltered // it came and went without us
}

// mayBeOlder reports whether what the event has carried may be older than what was read of the record, or told of it,
// since: a page of a list that was asked for before a webhook came may be kept after it.
func (r *run) mayBeOlder() (bool, error) {
	e := r.event
	switch {
	case r.lost(e.Received):
		return true, nil
	case e.Version != 0:
		return e.Version < r.work.Version, nil // an event without a version had it read anew meanwhile
	case !slices.Contains(listed, e.Source), r.asked && r.found == nil:
		return false, nil
	}
	last, err := r.tenant.Runs(r.ctx, store.Filter{Deployment: r.work.Deployment, Key: r.work.Key, Limit: 1})
	return len(last) > 0 && last[0].Accepted.After(e.Received.Add(-pageFor)), err
}

// listed are the sources of events that lists have carried; pageFor is how long one of their pages may be on its way.
var listed = []string{"poll", "sweep", "backfill"}

const pageFor = 2 * time.Minute

// remembered is a record as our own ledger has it.
func (r *run) remembered(ref canonical.Ref) (*result, error) {
	known, err := r.tenant.Record(r.ctx, ref.ID)
	if err != nil {
		return nil, err
	}
	res := &result{record: canonical.Record{ID: ref.ID, Type: ref.Type, Fields: map[string]any{}}, links: map[string]*store.Link{}}
	if known != nil && known.Type == ref.Type {
		if res.record.Fields, err = r.flow.Schemas.Schema(ref.Type).Decode(known.Fields); err != nil {
			return nil, err
		}
	}
	links, err := r.tenant.Links(r.ctx, ref.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		for role, end := range r.flow.Roles {
			if end.Conn.ID == l.Connection {
				res.links[role] = &l
			}
		}
	}
	return res, nil
}

// vendorRecord is a record as the vendor has it: carried by the event, read before, or read now.
func (r *run) vendorRecord(end *End, key hub.RecordKey, carried []byte) (any, error) {
	if x, ok := r.inputs[key.String()]; ok {
		return x, nil
	}
	var x any
	var err error
	if len(carried) > 0 {
		x, err = exact.DecodeJSON(carried)
	} else {
		x, err = r.fetch(end, key)
	}
	if err != nil {
		return nil, err
	}
	r.inputs[key.String()] = x
	if len(carried) > 0 {
		return x, nil // the event keeps it
	}
	payload, err := exact.AppendJSON(nil, x)
	if err != nil {
		return nil, err
	}
	r.pending.Inputs = append(r.pending.Inputs, store.Input{Run: r.work.Run, Key: key.String(), Payload: payload})
	return x, nil
}

func (r *run) fetch(end *End, key hub.RecordKey) (any, error) {
	kind := end.Conn.Connector.Kind(key.Kind)
	if kind != nil && kind.Get == nil && kind.List != nil {
		return r.listed(end, kind, key)
	}
	if kind == nil || kind.Get == nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "connector.no_get", Message: fmt.Sprintf("The connector cannot read a single %s.", key.Kind), Hint: "Add get: to the record."}
	}
	answer, err := r.call(end, kind.Get, remote.Vars{"id": key.ID})
	if err != nil {
		return nil, err
	}
	x, _ := answer.Result.(map[string]any)
	if x == nil {
		return nil, goneThere(end, key)
	}
	for _, with := range kind.With {
		more, err := r.call(end, with.Op, remote.Vars{"id": key.ID, "x": x})
		if err != nil {
			return nil, err
		}
		x[with.Name] = more.Result
	}
	return x, nil
}

func goneThere(end *End, key hub.RecordKey) error {
	return &hub.Error{Kind: hub.NotFound, Code: "record.gone", Value: key.ID, Message: fmt.Sprintf("%s has no %s %s any more.", end.Conn.ID, key.Kind, key.ID), Hint: "If it was deleted on purpose, ignore this."}
}

// listed finds a record in the list of all of its kind, where the vendor reads none alone. The list is
// read once for many records.
func (r *run) listed(end *End, kind *connector.Kind, key hub.RecordKey) (any, error) {
	name := fmt.Sprintf("list/%s/%s/%s", r.work.Tenant, end.Conn.ID, kind.Name)
	all, err := r.known(name, listFor, func() (any, error) {
		byID := map[string]any{}
		_, err := r.e.Remote.List(r.ctx, end.Conn, kind.List, time.Time{}, nil, func(page []any) error {
			for _, x := range page {
				id, err := kind.IDOf(x, end.Conn.Settings)
				if err != nil {
					return err
				}
				byID[id] = x
			}
			r.calls.Add(1)
			return r.e.leased(r.work.Epoch)
		})
		return byID, err
	})
	if err != nil {
		return nil, err
	}
	if x := all.(map[string]any)[key.ID]; x != nil {
		return x, nil
	}
	return nil, goneThere(end, key)
}

// listFor is how long a whole list may serve.
const listFor = time.Minute

// known is what a far side has answered within a time, to this run or to another one. What a person
// has just asked to be tried again, or what was set aside before, goes by what stands there now.
func (r *run) known(name string, within time.Duration, ask func() (any, error)) (any, error) {
	since := r.started.Add(-within)
	if again := r.resumed || r.work.Parked; again && r.work.Due.After(since) {
		since = r.work.Due
	}
	defer r.calling(r.e.Now())
	return r.e.known.get(name, since, r.e.Now(), ask)
}

// calling counts the time since begun as one in which the run waited for a far side, itself or with others.
func (r *run) calling(begun time.Time) { r.called.Add(int64(r.e.Now().Sub(begun))) }

// call makes one call, never without a lease: it is looked at before all that comes before the call, and once
// more when it is sent.
func (r *run) call(end *End, op *connector.Op, vars remote.Vars) (*connector.Answer, error) {
	leased := func() error { return r.e.leased(r.work.Epoch) }
	if err := leased(); err != nil {
		return nil, err
	}
	r.calls.Add(1)
	defer r.calling(r.e.Now())
	answer, err := r.e.Remote.Call(remote.OnlyIf(r.ctx, leased), end.Conn, op, vars)
	if hub.KindOf(err) != hub.Throttled {
		r.reached.Store(true)
	}
	return answer, err
}

// reads makes the calls that come before a write; what they give is found.NAME.
func (r *run) reads(end *End, with []connector.NamedOp, vars remote.Vars) error {
	if len(with) == 0 {
		return nil
	}
	found := map[string]any{}
	for _, w := range with {
		answer, err := r.call(end, w.Op, vars)
		if err != nil {
			return err
		}
		found[w.Name] = answer.Result
	}
	vars["found"] = found
	return nil
}

// read makes the canonical record of a vendor's record and says who it and those it refers to are.
func (r *run) read(end *End, recordType string, key hub.RecordKey, x any) (*result, error) {
	m := end.Mappings[recordType]
	if m == nil {
		return nil, r.flow.carries(end.Role, recordType, "read")
	}
	rec, err := m.Read(end.context(r.work.Tenant, nil), x)
	if err != nil {
		return nil, err
	}
	link, err := r.linkOf(end, key)
	if err != nil {
		return nil, err
	}
	if link == nil {
		link = &store.Link{Record: r.identify(key), Connection: end.Conn.ID, Kind: key.Kind, ExternalID: key.ID, Updated: r.e.Now()}
		if link.Number, err = m.Kind.NumberOf(x, end.Conn.Settings); err != nil {
			return nil, err
		}
		if link.URL, err = m.Kind.LinkOf(x, end.Conn.Settings); err != nil {
			return nil, err
		}
		r.pending.Links = append(r.pending.Links, *link)
	}
	rec.ID = link.Record
	if err := r.identifyRefs(rec); err != nil {
		return nil, err
	}
	out := &result{record: rec, links: map[string]*store.Link{end.Role: link}}
	return out, r.remember(out)
}

// linkOf is how a vendor's record is known. What was asked at the claim holds until the run has called a far side:
// a call can take long.
func (r *run) linkOf(end *End, key hub.RecordKey) (*store.Link, error) {
	if r.asked && key == r.event.Key && key.Connection == end.Conn.ID && r.calls.Load() == 0 {
		return r.found, nil
	}
	return r.tenant.LinkOf(r.ctx, end.Conn.ID, key.Kind, key.ID)
}

// identifyRefs says who the records are that a record refers to.
func (r *run) identifyRefs(rec canonical.Record) (err error) {
	for name, v := range rec.Fields {
		if ref, ok := v.(canonical.Ref); ok {
			if ref.ID, err = r.identified(ref.Key); err != nil {
				return err
			}
			rec.Fields[name] = ref
		}
	}
	return nil
}

func (r *run) identify(key hub.RecordKey) hub.RecordID {
	return hub.RecordIDFor(r.work.Tenant, string(key.Connection), key.Kind, key.ID)
}

func (r *run) identified(key hub.RecordKey) (hub.RecordID, error) {
	id, err := r.known("who/"+string(r.work.Tenant)+"/"+key.String(), listFor, func() (any, error) {
		link, err := r.tenant.LinkOf(r.ctx, key.Connection, key.Kind, key.ID)
		if err == nil && link == nil {
			err = errUnlinked // not kept: it may be linked to another record any moment
		}
		if err != nil {
			return nil, err
		}
		return link.Record, nil
	})
	if errors.Is(err, errUnlinked) {
		return r.identify(key), nil
	}
	if err != nil {
		return "", err
	}
	return id.(hub.RecordID), nil
}

// remember keeps a record as it is now for the run's end: until then nobody asks for it.
func (r *run) remember(res *result) error {
	fields, err := canonical.Encode(res.record.Fields)
	if err != nil {
		return err
	}
	label := r.flow.Schemas.Schema(res.record.Type).LabelOf(res.record)
	now := store.Record{ID: res.record.ID, Type: res.record.Type, Label: label, Fields: fields, Updated: r.e.Now()}
	for i := range r.seen {
		if r.seen[i].ID == now.ID {
			r.seen[i] = now
			return nil
		}
	}
	r.seen = append(r.seen, now)
	return nil
}

// keep makes a result a variable of the steps after it.
func (r *run) keep(name string, res *result) {
	r.results[name] = res
	r.vars[name] = res.view(r.flow)
}

// in is how the record is known in a system; with no id where it is not.
func (res *result) in(end *End) store.Link {
	if l := res.links[end.Role]; l != nil {
		return *l
	}
	return store.Link{}
}

// view is a result as expressions see it: its fields, and how it is known in each role's system.
func (res *result) view(f *Flow) map[string]any {
	at := f.nowhere
	if len(res.links) > 0 {
		at = maps.Clone(f.nowhere)
		for role, l := range res.links {
			at[role] = map[string]any{"id": l.ExternalID, "number": l.Number, "link": l.URL}
		}
	}
	v := make(map[string]any, len(res.record.Fields)+2)
	v["id"], v["at"] = string(res.record.ID), at
	for k, f := range res.record.Fields {
		v[k] = f
	}
	return v
}

// nowhere is how a record is known in each role's system where none knows it.
func nowhere(t *workflow.Template) map[string]any {
	at, unknown := make(map[string]any, len(t.File.Roles)), map[string]any{}
	for role := range t.File.Roles {
		at[role] = unknown
	}
	return at
}
