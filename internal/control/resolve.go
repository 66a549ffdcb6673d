package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/access"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// Further ways to resolve, beside retry, ignore, approve and the choices of the engine.
const (
	Map    = "map"    // say what a value means, and run again
	Link   = "link"   // say which record over there is meant
	Set    = "set"    // change fields of the records as they are read, and run again
	Reopen = "reopen" // open again what was dealt with
)

// Ways are all of them.
var Ways = append([]string{Retry, Ignore, Approve, Map, Link, Set, Reopen}, engine.Choices...)

// Resolving says what is done, and with whom.
type Resolving struct {
	Causes     []hub.CauseID
	Exceptions []hub.ExceptionID
	How        string
	Reason     string
	Until      string            // for ignore: the day on which it is looked at again
	To         string            // for map: what the value means; for link: the id over there
	Fields     map[string]string // for set
	Preview    bool              // only say what would happen
	After      string            // go on where the last answer ended
}

// Resolved says what happens, or has happened.
type Resolved struct {
	Does    []string // one sentence per thing
	Count   int64    // of those whom it concerns
	Seconds int64
	Amounts []exact.Money
	Done    int    // of them, by this request
	After   string // where to go on; empty: it is done
}

// pageOf is how many are dealt with in one commit, and turn for how long one request goes on.
const (
	pageOf = 500
	turn   = 2 * time.Second
)

type resolver struct {
	Resolving
	c      *Control
	by     access.Principal
	tenant hub.TenantID
	t      *store.Tenant
	now    time.Time
	until  time.Time
	what   store.Resolution // what is done with each
	first  []func(ctx context.Context) error
	fields map[hub.DeploymentID][]byte // for set
	out    *Resolved
}

// Resolve does the same with all exceptions of a cause, or with those that are named: with a preview it
// says what would happen and changes nothing. What takes long is done in pages; the answer says where to
// go on. Doing it twice does it once.
func (c *Control) Resolve(ctx context.Context, by access.Principal, tenant hub.TenantID, q Resolving) (*Resolved, error) {
	if err := c.may(ctx, by, access.ResolveExceptions, tenant); err != nil {
		return nil, err
	}
	r := &resolver{Resolving: q, c: c, by: by, tenant: tenant, t: c.store.Tenant(tenant), now: c.now(), out: &Resolved{}, fields: map[hub.DeploymentID][]byte{}}
	at, err := parseMark(q.After, r.now)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.what = r.resolution()
	list, err := r.targets(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if t.Count == 0 {
			continue // dealt with before
		}
		if err := r.plan(ctx, t); err != nil {
			return nil, err
		}
	}
	if q.Preview {
		return r.out, nil
	}
	if q.After == "" {
		for _, f := range r.first {
			if err := f(ctx); err != nil {
				return nil, err
			}
		}
	}
	if err := r.pages(ctx, list, at); err != nil {
		return nil, err
	}
	c.changed()
	return r.out, nil
}

// check refuses what is no action, or lacks what the action needs.
func (r *resolver) check() (err error) {
	if !slices.Contains(Ways, r.How) {
		return &hub.Error{Kind: hub.Invalid, Code: "exception.action", Message: fmt.Sprintf("%q is no way to resolve an exception.", r.How), Hint: "Use " + strings.Join(Ways, ", ") + "."}
	}
	switch {
	case r.How == Ignore && r.Reason == "":
		return errNoReason
	case (r.How == Map || r.How == Link) && strings.TrimSpace(r.To) == "":
		return &hub.Error{Kind: hub.Invalid, Code: "exception.to_missing", Field: "to", Message: "Nothing says to what.", Hint: "For map: what the value means. For link: the record's id over there."}
	case r.How == Set && len(r.Fields) == 0:
		return &hub.Error{Kind: hub.Invalid, Code: "exception.fields_missing", Field: "fields", Message: "Nothing says which fields are set.", Hint: "Name a field and what it shall be."}
	}
	if r.Until == "" {
		return nil
	}
	if r.until, err = time.Parse(time.DateOnly, r.Until); err != nil || !r.until.After(r.now) || r.How != Ignore {
		return &hub.Error{Kind: hub.Invalid, Code: "exception.until", Field: "until", Message: fmt.Sprintf("%q is no day until which to ignore.", r.Until), Hint: "Write a day that is to come, like 2026-12-31, and ignore."}
	}
	return nil
}

var errNoReason = &hub.Error{Kind: hub.Invalid, Code: "exception.reason_missing", Field: "reason", Message: "To ignore an exception needs a reason.", Hint: "Say why it may stay as it is."}

// states are what exceptions become.
var states = map[string]string{Retry: "resolved", Ignore: "ignored", Approve: "approved", Map: "resolved", Link: "resolved", Set: "resolved"}

// resolution is what is done with each of them.
func (r *resolver) resolution() store.Resolution {
	state := states[r.How]
	if state == "" {
		state = r.How // a choice is its own state: the engine reads it
	}
	note := r.How
	if more := strings.TrimSpace(r.To + " " + r.Reason); more != "" {
		note += ": " + more
	}
	if !r.until.IsZero() {
		note += " (until " + r.Until + ")"
	}
	return store.Resolution{State: state, Note: note, Retry: r.How != Ignore || !r.until.IsZero(), Until: r.until}
}

// plan says what becomes of a cause, after checking that it can.
func (r *resolver) plan(ctx context.Context, t target) error {
	r.out.Count += t.Count
	r.out.Seconds += t.Seconds
	for _, m := range t.Amounts {
		r.out.Amounts = addMoney(r.out.Amounts, m)
	}
	switch r.How {
	case Map:
		return r.planMap(ctx, t)
	case Link:
		return r.planLink(ctx, t)
	case Set:
		return r.planSet(ctx, t)
	}
	if codes := onlyFor[r.How]; codes != nil && !slices.Contains(codes, t.Code) {
		return r.notFor(t, "It is for "+strings.Join(codes, " and ")+".")
	}
	if r.How == Reopen && t.WaitsOn != "" {
		return r.notFor(t, "What waits is open.")
	}
	until := "."
	if !r.until.IsZero() {
		until = " until " + r.Until + "."
	} else if r.How == Ignore {
		if err := r.ignorable(ctx, t); err != nil {
			return err
		}
	}
	words := becomes[r.How]
	r.say(t, words[0]+until, words[1]+until)
	return nil
}

// ignorable refuses to ignore that a flow looks for nothing any more: nobody would hear of it again.
func (r *resolver) ignorable(ctx context.Context, t target) error {
	members := t.members
	for _, key := range ticks {
		if t.members != nil {
			break // they were named
		}
		list, err := r.t.Exceptions(ctx, store.Filter{Deployment: t.Deployment, Key: key, State: "open", Limit: 1})
		if err != nil {
			return err
		}
		members = append(members, slices.DeleteFunc(list, func(m store.Member) bool { return m.Cause != t.ID })...)
	}
	if slices.ContainsFunc(members, func(m store.Member) bool { return slices.Contains(ticks, m.Key) }) {
		return errTicks
	}
	return nil
}

// ticks are the keys of rows by which a flow looks for something.
var ticks = []string{ingest.PollKey, ingest.SweepKey}

var errTicks = &hub.Error{Kind: hub.Invalid, Code: "exception.ticks", Message: "A poll or sweep of the flow is among these; ignored, the flow would look for nothing any more.", Hint: "Retry it; or ignore it until a day, or pause the flow."}

// onlyFor are the actions that answer a question, with the codes that ask it.
var onlyFor = map[string][]string{Approve: {"approval.wanted", "write.lost_time"}, engine.Credit: {"posting.fixed"}, engine.NextInvoice: {"posting.fixed"}, engine.Leave: {"posting.fixed"}}

// becomes is what happens to one record, and to many.
var becomes = map[string][2]string{
	Retry:              {"runs again", "run again"},
	Ignore:             {"stays as it is", "stay as they are"},
	Approve:            {"is approved and goes on", "are approved and go on"},
	Reopen:             {"is opened again", "are opened again"},
	engine.Credit:      {"is taken back here, because you credit it over there", "are taken back here, because you credit them over there"},
	engine.NextInvoice: {"goes on the next invoice with the opposite sign", "go on the next invoice with the opposite sign"},
	engine.Leave:       {"stays over there as it was invoiced", "stay over there as they were invoiced"},
}

// say tells what becomes of a cause.
func (r *resolver) say(t target, one, many string) {
	if t.Count == 1 {
		r.out.Does = append(r.out.Does, "One record "+one)
		return
	}
	r.out.Does = append(r.out.Does, fmt.Sprintf("%d records %s", t.Count, many))
}

func (r *resolver) notFor(t target, hint string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "exception.not_for", Field: "how", Message: fmt.Sprintf("%s does nothing for %s.", r.How, t.Code), Hint: hint}
}

// pages does it, page after page, until all are dealt with or the turn is over.
func (r *resolver) pages(ctx context.Context, list []target, at mark) error {
	for end := r.c.now().Add(turn); at.Target < len(list); {
		next, err := r.page(ctx, list[at.Target], at)
		if err != nil {
			return err
		}
		at.After = next
		if next == "" {
			at.Target++
		}
		if at.Target < len(list) && !r.c.now().Before(end) {
			r.out.After = at.String()
			return nil
		}
	}
	return nil
}

// page deals with one page of a target, and says where the next one begins.
func (r *resolver) page(ctx context.Context, t target, at mark) (next string, err error) {
	members := t.members
	if members == nil {
		p := store.Page{After: at.After, Limit: pageOf, Before: at.Begun}
		if r.How == Reopen {
			p.State = "ignored"
		}
		if members, next, err = r.t.Members(ctx, t.Cause, p); err != nil {
			return "", err
		}
	}
	entry := func(m store.Member) store.AuditEntry {
		object := string(m.ID)
		if object == "" {
			object = string(m.Deployment) + " " + m.Key
		}
		return r.by.Entry(r.now, "exception."+r.How, object, r.what.Note)
	}
	var n int
	if r.How == Reopen {
		n, err = r.t.Reopen(ctx, members, entry)
	} else {
		what := r.what
		what.Edits, what.First = r.edits(members), t.members != nil
		n, err = r.t.Resolve(ctx, members, what, entry)
	}
	r.out.Done += n
	return next, err
}
