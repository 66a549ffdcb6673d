package books

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// Books reads far sides and ledger, and gives statements.
type Books struct {
	store  *store.Store
	loader *engine.Loader
	remote *remote.Client
	now    func() time.Time
}

// New makes a Books. It reads patiently: a statement may need more calls than a vendor's limit allows at once.
func New(s *store.Store, l *engine.Loader, r *remote.Client, now func() time.Time) *Books {
	return &Books{s, l, r.Patient(remote.Sleep), now}
}

// Balance reads a customer's period in both far sides and in the ledger. Details name every entry.
func (b *Books) Balance(ctx context.Context, tenant hub.TenantID, p Period, details bool) (*Statement, error) {
	flows, err := b.flows(ctx, tenant)
	if err != nil {
		return nil, err
	}
	s := &Statement{Customer: tenant, Period: p, Read: b.now(), Labels: map[hub.RecordID]string{}}
	for _, f := range flows {
		s.Flows = append(s.Flows, f.ID)
	}
	strangers, booked := map[string]bool{}, map[bookedKey]hub.DeploymentID{}
	for _, f := range flows {
		trigger, post := f.Template.File.Trigger, f.Template.Post
		r := &reading{Books: b, ctx: ctx, tenant: b.store.Tenant(tenant), flow: f, flows: s.Flows, period: p, began: s.Read, source: f.Roles[trigger.From], target: f.Roles[post.To[0]],
			statement: s, details: details, strangers: strangers, twice: booked, cases: map[hub.RecordID]*Case{}, lines: map[thereKey]*Line{}, markers: map[string]*Case{}, late: map[hub.RecordID][]Row{},
			ids: map[hub.RecordKey]hub.RecordID{}, words: map[string]string{}}
		if err := r.read(); err != nil {
			return nil, fmt.Errorf("flow %s: %w", f.ID, err)
		}
	}
	if err := b.label(ctx, s, flows); err != nil {
		return nil, err
	}
	s.sort()
	return s, nil
}

// flows are those of the customer that bring records into an ERP's books; a paused one too.
func (b *Books) flows(ctx context.Context, tenant hub.TenantID) (list []*engine.Flow, err error) {
	deployments, err := b.store.Tenant(tenant).Deployments(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range deployments {
		if d.State == "removed" {
			continue
		}
		f, err := b.loader.Flow(ctx, tenant, d.ID, d.Revision)
		if err != nil {
			return nil, err
		}
		if f.Template.Post != nil {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return nil, &hub.Error{Kind: hub.NotFound, Code: "books.no_flow", Message: "No flow of this customer brings time or expenses into an ERP.", Hint: "Deploy one, such as time-to-billing@1."}
	}
	return list, nil
}

// label names the projects and people of a statement, the ERP's numbers first.
func (b *Books) label(ctx context.Context, s *Statement, flows []*engine.Flow) error {
	t := b.store.Tenant(s.Customer)
	numbers := map[hub.RecordID]string{}
	name := func(id hub.RecordID) error {
		if _, known := s.Labels[id]; known || id == "" {
			return nil
		}
		rec, err := t.Record(ctx, id)
		if err != nil {
			return err
		}
		s.Labels[id] = string(id)
		if rec != nil {
			s.Labels[id] = cmp.Or(rec.Label, string(id))
		}
		for _, f := range flows {
			link, err := t.Link(ctx, id, f.Roles[f.Template.Post.To[0]].Conn.ID)
			if err != nil {
				return err
			}
			if link != nil {
				numbers[id] = cmp.Or(link.Number, link.ExternalID)
			}
		}
		if s.Labels[id] == string(id) && numbers[id] != "" {
			s.Labels[id] = numbers[id]
		}
		return nil
	}
	for _, p := range s.Projects {
		if err := name(p.ID); err != nil {
			return err
		}
		p.Name, p.Number = s.Labels[p.ID], numbers[p.ID]
	}
	for _, f := range s.Findings {
		if err := name(f.Project); err != nil {
			return err
		}
	}
	for _, d := range s.Details {
		if err := cmp.Or(name(d.Project), name(d.Employee)); err != nil {
			return err
		}
	}
	return nil
}

// reading is one flow's part of a statement in the making.
type reading struct {
	*Books
	ctx            context.Context
	tenant         *store.Tenant
	flow           *engine.Flow
	flows          []hub.DeploymentID // all that are read for the statement
	period         Period
	began          time.Time
	source, target *engine.End
	statement      *Statement
	details        bool
	strangers      map[string]bool // records of the ERP that are not ours, told once

	twice map[bookedKey]hub.DeploymentID // which flow has an entry standing in an ERP

	lists           []*list // those that were read
	tracked, booked *list   // the time tracker's, and the ERP's; nil: it has none
	looks           int     // how often a list was read

	edits   map[string][]store.Edit // what people have changed of entries, by their key
	cases   map[hub.RecordID]*Case
	lines   map[thereKey]*Line
	markers map[string]*Case       // by their lines' markers
	late    map[hub.RecordID][]Row // records of lines that were posted since the ledger was read
	aliens  []alien                // what belongs to nothing in the period, at first sight
	ids     map[hub.RecordKey]hub.RecordID
	words   map[string]string // texts that many entries share are kept once
}

// bookedKey is an entry in the books of an ERP.
type bookedKey struct {
	entry hub.RecordID
	erp   hub.ConnectionID
}

// thereKey is how the ERP knows a line.
type thereKey struct{ recordType, id string }

func (r *reading) read() error {
	for _, part := range []func() error{r.ledger, r.tracker, r.erp, r.first, r.second, r.tellNameless} {
		if err := part(); err != nil {
			return err
		}
	}
	for _, l := range r.lists {
		if l.moved && !slices.Contains(r.statement.NotAtRest, l.name) {
			r.statement.NotAtRest = append(r.statement.NotAtRest, l.name)
		}
	}
	return nil
}

// first tells of all cases but those that are not explained.
func (r *reading) first() error {
	for _, c := range r.open() {
		v, err := r.verdict(c)
		if err == nil && len(v.Findings) == 0 {
			err = r.tell(c, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open are the cases that are not told of yet.
func (r *reading) open() (list []*Case) {
	for _, id := range slices.Sorted(maps.Keys(r.cases)) {
		if c := r.cases[id]; !c.told {
			list = append(list, c)
		}
	}
	return list
}

// verdict judges a case; one that does not simply balance is looked up in the ledger once more, as it is by now.
func (r *reading) verdict(c *Case) (Verdict, error) {
	v := Judge(c, r.period)
	if !v.Open && len(r.late[c.ID]) == 0 {
		return v, nil
	}
	err := r.again(c)
	return Judge(c, r.period), err
}

// tell puts a case into the statement.
func (r *reading) tell(c *Case, v Verdict) error {
	c.told = true
	r.oncePosted(c, &v)
	r.statement.add(v.Parts)
	if len(v.Findings) == 0 && !r.details {
		return nil
	}
	key, err := r.keyOf(c)
	if err != nil {
		return err
	}
	for _, f := range v.Findings {
		f.Flow, f.Entry = r.flow.ID, key
		r.statement.Findings = append(r.statement.Findings, f)
	}
	if r.details && len(v.Parts) > 0 {
		r.statement.Details = append(r.statement.Details, r.detail(c, key, v))
	}
	return nil
}

// oncePosted tells of an entry that another flow has brought into the same books.
func (r *reading) oncePosted(c *Case, v *Verdict) {
	line, _ := c.stands()
	if line == nil {
		return
	}
	key := bookedKey{c.ID, r.target.Conn.ID}
	other, there := r.twice[key]
	if !there {
		r.twice[key] = r.flow.ID
		return
	}
	f := Finding{There: line.There, What: Duplicate, Says: fmt.Sprintf("The flow %s has posted it as well: its hours and its money stand there twice.", other),
		Project: line.Sent.Project, Date: line.Sent.Date, Seconds: line.Sent.Seconds, Amount: line.Sent.Amount}
	v.Findings = append(v.Findings, f)
	for _, p := range v.Parts {
		if p.Column == Approved { // it is approved but once
			p = less(p)
			p.Entries = -p.Entries
			unexplained := p
			unexplained.Column, unexplained.Why, unexplained.Entries = Unexplained, Duplicate, 0
			v.Parts = append(v.Parts, p, unexplained)
		}
	}
}

func (r *reading) detail(c *Case, key string, v Verdict) Detail {
	d := Detail{Flow: r.flow.ID, Entry: key, Parts: v.Parts}
	line, _ := c.stands()
	if line != nil {
		d.There, d.Date, d.Project, d.Employee = line.There, line.Sent.Date, line.Sent.Project, line.Sent.Employee
	} else if len(c.Lines) > 0 {
		l := c.Lines[0]
		d.Date, d.Project, d.Employee = l.Sent.Date, l.Sent.Project, l.Sent.Employee
	}
	if e := c.Entry; e != nil {
		d.Date, d.Project, d.Employee = e.Date, e.Project, e.Employee
	}
	return d
}

// keyOf is the entry's key in the time tracker; our own id where it is not known there.
func (r *reading) keyOf(c *Case) (string, error) {
	if c.Entry != nil {
		return r.vendorKey(c.Entry.Vendor), nil
	}
	link, err := r.tenant.Link(r.ctx, c.ID, r.source.Conn.ID)
	if err != nil || link == nil {
		return string(c.ID), err
	}
	return r.vendorKey(link.ExternalID), nil
}

func (r *reading) vendorKey(id string) string {
	return hub.RecordKey{Connection: r.source.Conn.ID, Kind: r.sourceKind().Name, ID: id}.String()
}

func (r *reading) sourceKind() *connector.Kind {
	return r.source.Conn.Connector.KindAs(r.flow.Template.File.Trigger.Record)
}

// caseOf is the case of an entry, new where there is none yet.
func (r *reading) caseOf(id hub.RecordID) *Case {
	c := r.cases[id]
	if c == nil {
		c = &Case{ID: id}
		r.cases[id] = c
	}
	return c
}

// canonical reads a far side's record, and says who those are that it refers to.
func (r *reading) canonical(end *engine.End, m *mapping.Mapping, x any) (canonical.Record, error) {
	at := mapping.Context{Tenant: r.flow.Tenant, Connection: end.Conn.ID, Settings: end.Conn.Settings, Kinds: end.Conn.Connector.KindAs, Values: end.Values}
	rec, err := m.Read(at, x)
	if err != nil {
		return rec, err
	}
	for name, v := range rec.Fields {
		if ref, ok := v.(canonical.Ref); ok {
			if ref.ID, err = r.identified(ref.Key); err != nil {
				return rec, err
			}
			rec.Fields[name] = ref
		}
	}
	return rec, nil
}

// identified says which of our records a far side's is; many entries refer to the same.
func (r *reading) identified(key hub.RecordKey) (hub.RecordID, error) {
	if id, known := r.ids[key]; known {
		return id, nil
	}
	id := hub.RecordIDFor(r.flow.Tenant, string(key.Connection), key.Kind, key.ID)
	link, err := r.tenant.LinkOf(r.ctx, key.Connection, key.Kind, key.ID)
	if err != nil {
		return "", err
	}
	if link != nil {
		id = link.Record
	}
	r.ids[key] = id
	return id, nil
}

// facts takes what is compared out of a canonical record.
func (r *reading) facts(fields map[string]any) Facts {
	ref := func(name string) hub.RecordID {
		v, _ := fields[name].(canonical.Ref)
		return hub.RecordID(r.word(string(v.ID)))
	}
	f := Facts{Employee: ref("employee"), Project: ref("project"), Task: ref("task")}
	f.Date, _ = fields["date"].(exact.Date)
	f.Amount, _ = fields["amount"].(exact.Money)
	f.Amount.Currency = r.word(f.Amount.Currency)
	if s, ok := fields["seconds"].(exact.Seconds); ok {
		f.Seconds, f.Timed = int64(s), true
	}
	if b, ok := fields["billable"].(bool); ok {
		f.Billable = no
		if b {
			f.Billable = yes
		}
	}
	return f
}

// word is a text that was kept before, where there is the same one.
func (r *reading) word(s string) string {
	if known, ok := r.words[s]; ok {
		return known
	}
	s = strings.Clone(s) // else it would hold the page that it came with
	r.words[s] = s
	return s
}

// single reads one record of a far side; nil where it is not there.
func (r *reading) single(end *engine.End, kind *connector.Kind, id, marker string) (any, error) {
	if kind.Get == nil {
		return r.marked(end, kind, id, marker)
	}
	answer, err := r.remote.Call(r.ctx, end.Conn, kind.Get, remote.Vars{"id": id})
	if hub.KindOf(err) == hub.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x, ok := answer.Result.(map[string]any)
	if !ok {
		return nil, nil
	}
	return x, r.complete(end, kind, id, x)
}

// marked finds a record by its marker, where the vendor reads none alone.
func (r *reading) marked(end *engine.End, kind *connector.Kind, id, marker string) (any, error) {
	find := kind.Find["marker"]
	if find == nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "connector.no_get", Message: fmt.Sprintf("The connector cannot read a single %s.", kind.Name), Hint: "Add get: to the record."}
	}
	answer, err := r.remote.Call(r.ctx, end.Conn, find, remote.Vars{"marker": marker, "value": marker})
	if err != nil {
		return nil, err
	}
	for _, x := range answer.Items() {
		if found, err := idOf(end, kind, x); err == nil && found == id { // one that does not say whose it is, is not found
			return x, nil
		}
	}
	return nil, nil
}

// complete makes the further reads that belong to a record.
func (r *reading) complete(end *engine.End, kind *connector.Kind, id string, x any) error {
	for _, with := range kind.With {
		more, err := r.remote.Call(r.ctx, end.Conn, with.Op, remote.Vars{"id": id, "x": x})
		if err != nil {
			return err
		}
		if m, ok := x.(map[string]any); ok {
			m[with.Name] = more.Result
		}
	}
	return nil
}
