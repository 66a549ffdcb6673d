package books

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

// before is how long before a period's beginning an entry of it may have been approved, and not changed
// since, for the first look. What our ledger knows and that look does not find is looked for further back.
const before = 31

// tracker reads the time tracker's entries of the period.
func (r *reading) tracker() error {
	kind := r.sourceKind()
	if kind == nil {
		return r.cannot("read", r.flow.Template.File.Trigger.Record)
	}
	switch {
	case kind.Sweep != nil && kind.Sweep.Spec.Whole:
		r.tracked = r.listOf(r.source, kind, kind.Sweep, time.Time{}, r.days(), r.entry)
	case kind.List != nil:
		r.tracked = r.listOf(r.source, kind, kind.List, midnight(r.period.From.AddDays(-before)), nil, r.entry)
	default:
		return r.cannot("list", kind.As)
	}
	var err error
	if r.edits, err = r.tenant.StandingEdits(r.ctx, r.flow.ID); err != nil {
		return err
	}
	if err := r.rest(r.tracked); err != nil {
		return err
	}
	return r.unmet(kind)
}

func midnight(d exact.Date) time.Time {
	return time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, time.UTC)
}

func (r *reading) days() remote.Vars { return remote.Vars{"from": r.period.From, "to": r.period.To} }

func (r *reading) cannot(how, what string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "connector.no_list", Message: fmt.Sprintf("The connector cannot %s a %s, so its books cannot be read.", how, what), Hint: "Add list: or sweep: to the record."}
}

// unmet looks for entries that something stands of and the first look has not found: one by one, or in
// the whole list where the vendor reads none alone. Where the first look should have shown one, others may be
// hidden, too.
func (r *reading) unmet(kind *connector.Kind) error {
	hidden := false
	for c := range maps.Values(r.cases) {
		line, _ := c.stands()
		if line == nil || c.Entry != nil || c.Broken != "" {
			continue
		}
		if kind.Get == nil {
			return r.rest(r.listOf(r.source, kind, kind.List, time.Time{}, nil, r.entry))
		}
		if err := r.entryAlone(kind, c); err != nil {
			return err
		}
		if e := c.Entry; e != nil && r.period.Has(e.Date) && e.Version > r.tracked.since.UnixMicro() {
			r.tracked.saw(e.Vendor, 0, time.Time{})
			hidden = true
		}
	}
	if hidden {
		return r.rest(r.tracked)
	}
	return nil
}

// entryAlone reads an entry by its id, where the time tracker has it.
func (r *reading) entryAlone(kind *connector.Kind, c *Case) error {
	link, err := r.tenant.Link(r.ctx, c.ID, r.source.Conn.ID)
	vendor := ""
	switch {
	case err != nil:
		return err
	case link != nil:
		vendor = link.ExternalID
	case c.Entry != nil:
		vendor = c.Entry.Vendor
	default:
		return nil
	}
	c.Entry, c.Broken = nil, ""
	x, err := r.single(r.source, kind, vendor, "")
	if err != nil || x == nil {
		return err
	}
	return r.keep(kind, x, vendor)
}

// entry takes a row of a list in.
func (r *reading) entry(x any) (string, error) {
	kind := r.sourceKind()
	vendor, err := idOf(r.source, kind, x)
	if err == nil && len(kind.With) > 0 {
		err = r.complete(r.source, kind, vendor, x)
	}
	if err != nil {
		return "", err
	}
	return vendor, r.keep(kind, x, vendor)
}

// keep keeps a record of the period, and one that something stands of, whenever it lies. Where a reading
// shows a record more than once, its newest form counts, and of two readings the later one.
func (r *reading) keep(kind *connector.Kind, x any, vendor string) error {
	id, err := r.entryID(hub.RecordKey{Connection: r.source.Conn.ID, Kind: kind.Name, ID: vendor})
	if err != nil {
		return err
	}
	version, err := kind.VersionOf(x)
	if err != nil {
		r.caseOf(id).Broken = err.Error()
		return nil
	}
	c := r.cases[id]
	if c != nil && c.Entry != nil && (c.Entry.Version > version || c.Entry.Version == version && c.Entry.look == r.looks) {
		return nil
	}
	e, err := r.readEntry(kind, id, vendor, x)
	if hub.AsError(err) != nil { // the record is at fault, not the reading
		r.caseOf(id).Broken = err.Error()
		return nil
	}
	if err != nil || c == nil && !r.period.Has(e.Date) {
		return err
	}
	e.Vendor, e.Version, e.look = strings.Clone(vendor), version, r.looks // else it would hold its whole page
	c = r.caseOf(id)
	for _, l := range c.Lines {
		if l.Content == e.Content {
			e.Content = l.Content // one text of two that are equal
		}
	}
	c.Entry, c.Broken = e, ""
	return nil
}

// entryID is our id of an entry. Nearly all were first seen in the time tracker, so that their ids
// follow from theirs and the ledger need not be asked.
func (r *reading) entryID(key hub.RecordKey) (hub.RecordID, error) {
	id := hub.RecordIDFor(r.flow.Tenant, string(key.Connection), key.Kind, key.ID)
	if c := r.cases[id]; c != nil {
		return c.ID, nil
	}
	link, err := r.tenant.LinkOf(r.ctx, key.Connection, key.Kind, key.ID)
	if err != nil || link == nil {
		return id, err
	}
	return link.Record, nil
}

// readEntry is an entry as the flow reads it: with what people have changed of it.
func (r *reading) readEntry(kind *connector.Kind, id hub.RecordID, vendor string, x any) (*Entry, error) {
	rec, err := r.canonical(r.source, r.source.Mappings[kind.As], x)
	if err != nil {
		return nil, err
	}
	rec.ID = id
	if list := r.edits[r.vendorKey(vendor)]; len(list) > 0 {
		if rec, _, err = engine.Edited(r.flow.Schemas.Schema(rec.Type), rec, list); err != nil {
			return nil, err
		}
	}
	e := &Entry{Facts: r.facts(rec.Fields)}
	if e.Content, err = r.flow.Template.Post.Content(rec.Fields); err != nil {
		return nil, err
	}
	inside := r.period.Has(e.Date)
	if e.Wanted = inside || r.cases[id] != nil; e.Wanted && r.flow.Template.When != nil {
		e.Wanted, err = r.flow.Template.When.TrueAt(r.flow.Place, r.vars(rec.ID, rec.Fields))
	}
	e.Approved = e.Wanted && inside
	return e, err
}

// vars are what the trigger's condition reads, as in a run.
func (r *reading) vars(id hub.RecordID, fields map[string]any) map[string]any {
	vars, at := r.flow.Template.Blank(), map[string]any{}
	for role := range r.flow.Template.File.Roles {
		at[role] = map[string]any{}
	}
	view := map[string]any{"id": string(id), "at": at}
	maps.Copy(view, fields)
	maps.Copy(vars, r.flow.Answers)
	vars["today"], vars["record"], vars[r.flow.Template.File.Trigger.Record] = exact.DateOf(r.began, time.UTC), view, view
	return vars
}
