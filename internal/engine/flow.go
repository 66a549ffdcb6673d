package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
	"throughline/internal/workflow"
)

// Flow is a deployment, opened: everything that its runs need, compiled and checked.
type Flow struct {
	Tenant   hub.TenantID
	ID       hub.DeploymentID
	Revision int64
	Template *workflow.Template
	Schemas  *canonical.Set
	Roles    map[string]*End
	Answers  map[string]any // parameters
	Place    *workflow.Place
	Without  []string // "role/record": what this flow leaves out
	Poll     Schedule // of looking for changes; not set: by webhook only
	Sweep    Schedule // of looking for what is gone
	Zone     *time.Location
	From     time.Time // nothing before this is touched

	nowhere map[string]any // how a record is known where it is not
}

// FirstOpen is the first business day on which something may still change, seen from a day; ok is false
// where the template does not say.
func (f *Flow) FirstOpen(today exact.Date) (day exact.Date, ok bool, err error) {
	if f.Template.Open == nil {
		return exact.Date{}, false, nil
	}
	vars := map[string]any{"today": today}
	maps.Copy(vars, f.Answers)
	v, err := f.Template.Open.EvalAt(f.Place, vars)
	day, ok = v.(exact.Date)
	return day, ok, err
}

// Sweeps reports whether the flow looks for what is gone where its records come from: what it has posted
// of them is to be taken back.
func (f *Flow) Sweeps() bool {
	t := f.Template.File.Trigger
	end := f.Roles[t.From]
	if f.Template.Post == nil || end == nil || !f.Poll.Set() {
		return false
	}
	kind := end.Conn.Connector.KindAs(t.Record)
	return kind != nil && kind.Sweep != nil
}

// Today is the business date at an instant where the customer is.
func (f *Flow) Today(now time.Time) exact.Date { return exact.DateOf(now, f.Zone) }

// End is one role's far side in a flow.
type End struct {
	Role     string
	Conn     *remote.Connection
	Mappings map[string]*mapping.Mapping // by canonical type
	Values   mapping.Values
}

// Check refuses a flow that asks more of a far side than its connector can carry.
func (f *Flow) Check() error {
	if err := f.known(); err != nil {
		return err
	}
	trigger := f.Template.File.Trigger
	if err := f.carries(trigger.From, trigger.Record, "read"); err != nil {
		return err
	}
	for i := range f.Template.Steps {
		if err := f.checkStep(&f.Template.Steps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *Flow) checkStep(p *workflow.Plan) error {
	for _, role := range p.To {
		if f.skips(role, p.Record) {
			continue
		}
		if err := f.carries(role, p.Record, "written"); err != nil {
			return err
		}
	}
	switch {
	case p.In == "" || p.In == workflow.InLedger || f.skips(p.In, p.Record):
		return nil
	case p.Kind() == "read", p.Kind() == "match":
		return f.carries(p.In, p.Record, "read")
	case p.Kind() == "find":
		end := f.Roles[p.In]
		if m := end.Mappings[p.Record]; m == nil || m.Kind.Find[p.By.Name] == nil {
			return &hub.Error{Kind: hub.Invalid, Code: "flow.not_carried",
				Message: fmt.Sprintf("%s cannot search a %s by %s: its connector %s has no such search.", end.Conn.ID, p.Record, p.By.Name, end.Conn.Connector.File.Connector),
				Hint:    fmt.Sprintf("Connect another system, or go without it: without: [%s/%s] in the flow.", p.In, p.Record)}
		}
	}
	return nil
}

// known refuses roles and omissions that the template has no use for: a misspelt one would be obeyed
// by nobody.
func (f *Flow) known() error {
	roles, writes := f.Template.File.Roles, map[string]bool{}
	for _, p := range f.Template.Steps {
		for _, role := range p.To {
			writes[role+"/"+p.Record] = true
		}
		if p.In != "" && p.In != workflow.InLedger { // read, found or matched there
			writes[p.In+"/"+p.Record] = true
		}
	}
	for _, role := range slices.Sorted(maps.Keys(f.Roles)) {
		if _, ok := roles[role]; !ok {
			return &hub.Error{Kind: hub.Invalid, Code: "flow.role_unknown", Field: "roles." + role, Message: fmt.Sprintf("The template has no role %q.", role),
				Hint: "It has " + strings.Join(slices.Sorted(maps.Keys(roles)), ", ") + "."}
		}
	}
	if err := f.knownLists(); err != nil {
		return err
	}
	for _, left := range f.Without {
		if !writes[left] {
			return &hub.Error{Kind: hub.Invalid, Code: "flow.without_unknown", Field: "without", Message: fmt.Sprintf("The template has no use for %q, so the flow cannot go without it.", left),
				Hint: "It writes or reads " + strings.Join(slices.Sorted(maps.Keys(writes)), ", ") + "."}
		}
	}
	return nil
}

// knownLists refuses values in a list that nothing reads.
func (f *Flow) knownLists() error {
	lists := maps.Clone(f.Template.Lists)
	for _, end := range f.Roles {
		for _, m := range end.Mappings {
			for _, name := range m.Lists() {
				lists[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Place.Values)) {
		if !lists[name] && !lists[""] {
			return &hub.Error{Kind: hub.Invalid, Code: "flow.values_unknown", Field: "values." + name, Message: fmt.Sprintf("Nothing in the flow reads the values %q.", name),
				Hint: "It reads " + strings.Join(slices.Sorted(maps.Keys(lists)), ", ") + "."}
		}
	}
	return nil
}

// skips reports whether the deployment goes without a record in a role: without the role itself, or
// without this record, because the system there cannot carry it.
func (f *Flow) skips(role, record string) bool {
	return f.Roles[role] == nil || slices.Contains(f.Without, role+"/"+record)
}

func (f *Flow) carries(role, record, how string) error {
	end := f.Roles[role]
	if end == nil {
		return &hub.Error{Kind: hub.Invalid, Code: "flow.role_missing", Message: fmt.Sprintf("The flow needs a connection in the role %s.", role), Hint: "Name one under roles:."}
	}
	m := end.Mappings[record]
	if m == nil || how == "written" && m.Kind.Create == nil && m.Kind.Update == nil {
		return &hub.Error{Kind: hub.Invalid, Code: "flow.not_carried",
			Message: fmt.Sprintf("%s cannot carry a %s: its connector %s has none that can be %s.", end.Conn.ID, record, end.Conn.Connector.File.Connector, how),
			Hint:    fmt.Sprintf("Connect another system, or go without it: without: [%s/%s] in the flow.", role, record)}
	}
	return nil
}

func (e *End) context(tenant hub.TenantID, resolve mapping.Resolve) mapping.Context {
	return mapping.Context{Tenant: tenant, Connection: e.Conn.ID, Settings: e.Conn.Settings, Kinds: func(t string) *connector.Kind { return e.Conn.Connector.KindAs(t) },
		Values: e.Values, Resolve: resolve}
}
