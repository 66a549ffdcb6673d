package engine

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// step carries out one step of the template.
func (r *run) step(p *workflow.Plan) error {
	if r.lacks(p.Uses) {
		return nil
	}
	if wanted, err := r.scope().Wants(p); err != nil || !wanted {
		return err
	}
	switch p.Kind() {
	case "check":
		return r.check(p)
	case "read":
		return r.readRef(p)
	case "find":
		return r.find(p)
	case "match":
		err := r.match(p)
		if r.flow.Template.Post != nil {
			return err // nothing goes anywhere else, and what later steps miss for want of it is not the cause
		}
		return r.apart(p.In, err)
	case "decide":
		return r.scope().Decide(p)
	case "approve":
		return r.approve(p)
	case "post":
		return r.post(p)
	}
	return r.writeStep(p)
}

// scope is what the run's expressions read, as it stands.
func (r *run) scope() workflow.Scope { return workflow.Scope{Place: r.flow.Place, Vars: r.vars} }

// check holds the record against a pack of rules. What only warns is told with the run's outcome.
func (r *run) check(p *workflow.Plan) error {
	warns, err := r.scope().Check(r.flow.Template.Rules[p.Check])
	r.warns = append(r.warns, warns...)
	return err
}

// readRef reads the record that a reference points to: where it was seen, in a role's system, or in our
// own ledger.
func (r *run) readRef(p *workflow.Plan) error {
	if p.In != "" && p.In != workflow.InLedger && r.flow.skips(p.In, p.Record) {
		return nil
	}
	ref, err := r.scope().Ref(p)
	if err != nil {
		return err
	}
	if p.Within.D == 0 {
		res, err := r.readIn(p, ref)
		if err == nil {
			r.keep(p.Read, res)
		}
		return err
	}
	return r.share(p.Read, r.question(p, string(ref.Key.Connection)+"/"+string(ref.ID)), p.Within.D, func() (*result, error) { return r.readIn(p, ref) })
}

// shared is a result that many runs of a flow go by, and what expressions see of it. Neither is changed.
type shared struct {
	result *result
	view   map[string]any
}

// share is keep of what this run, or another one of the flow as it stands, has asked within a time.
func (r *run) share(name, question string, within time.Duration, ask func() (*result, error)) error {
	v, err := r.known(question, within, func() (any, error) {
		res, err := ask()
		if err != nil {
			return nil, err
		}
		return &shared{res, res.view(r.flow)}, nil
	})
	if err != nil {
		return err
	}
	s := v.(*shared)
	r.results[name], r.vars[name] = s.result.own(), s.view
	return nil
}

// question is what a step asks, and of what: the same question of the same system, by the same revision of a flow, has
// the same answer for a while.
func (r *run) question(p *workflow.Plan, of string) string {
	return strings.Join([]string{p.Kind(), string(r.work.Tenant), string(r.work.Deployment), strconv.FormatInt(r.work.Revision, 10), p.In, p.Name, of}, "/")
}

// own is a result that the run may change, of one that it shares.
func (res *result) own() *result {
	return &result{record: res.record, links: maps.Clone(res.links), derived: res.derived}
}

func (r *run) readIn(p *workflow.Plan, ref canonical.Ref) (*result, error) {
	switch p.In {
	case workflow.InLedger:
		return r.remembered(ref)
	case "":
		end := r.flow.end(ref.Key.Connection)
		if end == nil {
			return nil, fmt.Errorf("the flow has no connection %s", ref.Key.Connection)
		}
		return r.readAt(end, p, ref.Key)
	}
	end := r.flow.Roles[p.In]
	link := r.linked(end, ref.ID)
	if link == nil {
		var err error
		if link, err = r.tenant.Link(r.ctx, ref.ID, end.Conn.ID); err != nil {
			return nil, err
		}
	}
	if link == nil {
		return nil, &mapping.Missing{Ref: ref, Connection: end.Conn.ID}
	}
	ours, err := r.remembered(ref)
	if err != nil {
		return nil, err
	}
	theirs, err := r.readAt(end, p, hub.RecordKey{Connection: end.Conn.ID, Kind: link.Kind, ID: link.ExternalID})
	if err != nil {
		return nil, err
	}
	for name, v := range theirs.record.Fields { // what they say goes before what we know
		ours.record.Fields[name] = v
	}
	ours.links[p.In] = link
	return ours, nil
}

// readAt reads a record in a system. One that many runs share is read for all of them, not kept as this
// run's own input.
func (r *run) readAt(end *End, p *workflow.Plan, key hub.RecordKey) (*result, error) {
	var x any
	var err error
	if p.Within.D > 0 {
		x, err = r.fetch(end, key)
	} else {
		x, err = r.vendorRecord(end, key, nil)
	}
	if err != nil {
		return nil, err
	}
	if p.In == "" {
		return r.read(end, p.Record, key, x)
	}
	rec, err := end.Mappings[p.Record].Read(end.context(r.work.Tenant, nil), x)
	if err != nil {
		return nil, err
	}
	return &result{record: rec, links: map[string]*store.Link{}}, r.identifyRefs(rec)
}

// find searches a role's system for the one record with a value in a field.
func (r *run) find(p *workflow.Plan) error {
	end := r.flow.Roles[p.In]
	if r.flow.skips(p.In, p.Record) {
		return nil
	}
	value, err := r.scope().Sought(p)
	if err != nil {
		return err
	}
	return r.share(p.Name, r.question(p, p.By.Name+"/"+fmt.Sprint(value)), p.Within.D, func() (*result, error) { return r.search(end, p, value) })
}

func (r *run) search(end *End, p *workflow.Plan, value any) (*result, error) {
	m := end.Mappings[p.Record]
	answer, err := r.call(end, m.Kind.Find[p.By.Name], remote.Vars{"value": value})
	if err != nil {
		return nil, err
	}
	var found []*result
	for _, x := range answer.Items() {
		id, err := m.Kind.IDOf(x, end.Conn.Settings)
		if err != nil {
			return nil, err
		}
		res, err := r.read(end, p.Record, hub.RecordKey{Connection: end.Conn.ID, Kind: m.Kind.Name, ID: id}, x)
		if err != nil {
			return nil, err
		}
		if theirs, compares := res.record.Fields[p.By.Name].(string); !compares || strings.EqualFold(theirs, fmt.Sprint(value)) {
			found = append(found, res)
		}
	}
	what := strings.ReplaceAll(p.Record, "_", " ")
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, &hub.Error{Kind: hub.NotFound, Code: "find.unknown", Field: p.Record, Value: fmt.Sprint(value), Message: fmt.Sprintf("%s has no %s with the %s %v.", end.Conn.ID, what, p.By.Name, value),
			Hint: fmt.Sprintf("Make it there, or map the value to one that is there (values, %s), then retry.", p.Record)}
	}
	return nil, &hub.Error{Kind: hub.Exists, Code: "match.ambiguous", Field: p.Record, Value: fmt.Sprint(value),
		Message: fmt.Sprintf("%s has %d records with the same %s %v.", end.Conn.ID, len(found), p.By.Name, value), Hint: "Merge them there, then retry."}
}

func (f *Flow) end(id hub.ConnectionID) *End {
	for _, e := range f.Roles {
		if e.Conn.ID == id {
			return e
		}
	}
	return nil
}

// approve asks a person where the template says so. The answer is a retry of the exception; it holds for as much work and
// money as was asked about.
func (r *run) approve(p *workflow.Plan) error {
	asked, err := r.scope().Asks(p)
	if err != nil || !asked {
		return err
	}
	given, err := r.tenant.Exceptions(r.ctx, store.Filter{Deployment: r.work.Deployment, Key: r.work.Key, State: "approved", Limit: 100})
	if err != nil {
		return err
	}
	seconds, amount := r.risk()
	for _, x := range given {
		if x.Code == codeApproval && x.Seconds == seconds && x.Amount == amount {
			return nil
		}
	}
	return &hub.Error{Kind: hub.Blocked, Code: "approval.wanted", Message: p.Asks, Hint: "Approve it, or ignore the exception to leave it as it is."}
}

const codeApproval = "approval.wanted"

// match finds a record that another system knows already, by the schema's keys, the most telling
// first. Two candidates are a person's business: never a silent guess, never a silent create.
func (r *run) match(p *workflow.Plan) error {
	res, end := r.results[p.Match], r.flow.Roles[p.In]
	if end == nil || res == nil || r.flow.skips(p.In, p.Record) {
		return nil
	}
	if l := res.links[end.Role]; l != nil && l.ExternalID != "" {
		return nil // it was read there
	}
	if p.Within.D == 0 {
		link, err := r.matched(p, res, end)
		if err != nil || link == nil {
			return r.unsure(res, end, err)
		}
		return r.link(p.Match, res, end, link)
	}
	shared, err := r.known(r.question(p, string(res.record.ID)), p.Within.D, func() (any, error) { return r.matched(p, res, end) })
	if link, _ := shared.(*store.Link); err == nil && link != nil {
		return r.link(p.Match, res, end, link)
	}
	return r.unsure(res, end, err)
}

// unsure notes of which record it is not known who it is over there, so that a person can say it.
func (r *run) unsure(res *result, end *End, err error) error {
	if e := hub.AsError(err); e != nil && e.Code == ambiguousMatch {
		r.about, r.sought = res.record.ID, end.Conn.ID
	}
	return err
}

const ambiguousMatch = "match.ambiguous"

// matched is how the record is known there, or how it came to be known just now; nil where it is not.
func (r *run) matched(p *workflow.Plan, res *result, end *End) (*store.Link, error) {
	known, err := r.tenant.Link(r.ctx, res.record.ID, end.Conn.ID)
	if err != nil || known != nil {
		return known, err
	}
	m := end.Mappings[res.record.Type]
	for _, key := range r.flow.Schemas.Schema(res.record.Type).Keys {
		op := m.Kind.Find[key[0]]
		value, ok := res.record.Fields[key[0]]
		if op == nil || !ok || !hasAll(res.record, key) {
			continue
		}
		answer, err := r.call(end, op, remote.Vars{"value": value, "marker": res.record.ID.Marker()})
		if err != nil {
			return nil, err
		}
		links, err := r.candidates(end, res.record, key, answer.Items())
		if err != nil {
			return nil, err
		}
		switch len(links) {
		case 0:
			continue
		case 1:
			r.pending.Links = append(r.pending.Links, links[0])
			return &links[0], nil
		}
		return nil, ambiguous(res.record, key, end, links)
	}
	return nil, nil
}

func hasAll(rec canonical.Record, key []string) bool {
	for _, f := range key {
		if rec.Fields[f] == nil {
			return false
		}
	}
	return true
}

// linked is how this run knows a record in a far side; nil where it does not.
func (r *run) linked(end *End, id hub.RecordID) *store.Link {
	for _, res := range r.results {
		if l := res.links[end.Role]; l != nil && res.record.ID == id && l.ExternalID != "" {
			return l
		}
	}
	return nil
}

// link makes a known link part of the result.
func (r *run) link(name string, res *result, end *End, l *store.Link) error {
	res.links[end.Role] = l
	r.keep(name, res)
	return nil
}

// candidates are the vendor's records that equal ours in every field of the key.
func (r *run) candidates(end *End, ours canonical.Record, key []string, items []any) ([]store.Link, error) {
	m := end.Mappings[ours.Type]
	seen, links := map[string]bool{}, []store.Link(nil)
	for _, x := range items {
		theirs, err := m.Read(end.context(r.work.Tenant, nil), x)
		if err != nil {
			return nil, fmt.Errorf("read a candidate in %s: %w", end.Conn.ID, err) // it may be the one: never a silent create
		}
		id, err := m.Kind.IDOf(x, end.Conn.Settings)
		if err != nil {
			return nil, err
		}
		if seen[id] || !equalIn(ours, theirs, key) {
			continue
		}
		seen[id] = true
		l := store.Link{Record: ours.ID, Connection: end.Conn.ID, Kind: m.Kind.Name, ExternalID: id, Updated: r.e.Now()}
		if l.Number, err = m.Kind.NumberOf(x, end.Conn.Settings); err != nil {
			return nil, err
		}
		if l.URL, err = m.Kind.LinkOf(x, end.Conn.Settings); err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

func equalIn(a, b canonical.Record, key []string) bool {
	for _, f := range key {
		x, ok := a.Fields[f].(string)
		y, ok2 := b.Fields[f].(string)
		if !ok || !ok2 || !strings.EqualFold(x, y) {
			return false
		}
	}
	return true
}

func ambiguous(rec canonical.Record, key []string, end *End, links []store.Link) error {
	var ids []string
	for _, l := range links {
		ids = append(ids, l.ExternalID)
	}
	return &hub.Error{Kind: hub.Exists, Code: "match.ambiguous", Field: strings.Join(key, "+"), Value: fmt.Sprint(rec.Fields[key[0]]),
		Message: fmt.Sprintf("%s has %d records with the same %s: %s.", end.Conn.ID, len(links), strings.Join(key, " and "), strings.Join(ids, ", ")),
		Hint:    "Merge them there, or say which one it is, then retry."}
}

// writeStep writes one record, or one per item, to each role that the deployment has.
func (r *run) writeStep(p *workflow.Plan) error {
	if p.Each == nil {
		res, err := r.compose(p, p.Name, "")
		if err != nil {
			return err
		}
		return r.writeAll(p, p.Name, res)
	}
	return r.scope().Each(p, func(key string) error {
		res, err := r.compose(p, "", key)
		if err != nil {
			return err
		}
		return r.writeAll(p, "", res)
	})
}

// writeAll brings a record to each role's far side. Their intents are one durable point and their
// calls leave together: none waits for another.
func (r *run) writeAll(p *workflow.Plan, name string, res *result) error {
	var list []*write
	for _, role := range p.To {
		if r.flow.skips(role, p.Record) || r.lacks([]string{role}) {
			continue
		}
		w, err := r.prepare(p, r.flow.Roles[role], res)
		if err := r.apart(role, err); err != nil {
			return err
		}
		if w != nil {
			list = append(list, w)
		}
	}
	if err := r.open(list); err != nil {
		return err
	}
	transmit(list)
	for _, w := range list {
		if err := r.apart(w.end.Role, w.conclude()); err != nil {
			return err
		}
	}
	if name != "" {
		r.keep(name, res)
	}
	return nil
}

// compose makes the canonical record that a step writes: an earlier result with fields changed, or
// a new one that belongs to the triggering record.
func (r *run) compose(p *workflow.Plan, name, item string) (*result, error) {
	res := &result{links: map[string]*store.Link{}, record: canonical.Record{Type: p.Record, Fields: map[string]any{}}}
	if earlier := r.results[name]; name != "" && earlier != nil {
		res.links, res.derived = earlier.links, earlier.derived
		res.record.ID = earlier.record.ID
		for k, v := range earlier.record.Fields {
			res.record.Fields[k] = v
		}
	} else {
		res.derived = true
		res.record.ID = r.results["record"].record.ID.Derive(r.work.Tenant, p.Name, item)
	}
	if err := r.fill(p, res); err != nil {
		return nil, err
	}
	return res, r.remember(res)
}

// fill sets the fields that the step says.
func (r *run) fill(p *workflow.Plan, res *result) (err error) {
	if err := r.scope().Fill(p, res.record.Fields); err != nil {
		return err
	}
	res.record, err = r.flow.Schemas.Schema(p.Record).Normalise(res.record)
	return err
}
