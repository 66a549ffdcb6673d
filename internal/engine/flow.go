package engine

import (
	"fmt"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
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
	Every    time.Duration // between polls; 0: by webhook only
	From     time.Time     // nothing before this is touched
}

// Since is the instant from which a poll reads: its cursor, or the flow's beginning.
func (f *Flow) Since(cursor string) (time.Time, error) {
	if cursor == "" {
		return f.From, nil
	}
	return time.Parse(time.RFC3339Nano, cursor)
}

// End is one role's far side in a flow.
type End struct {
	Role     string
	Conn     *remote.Connection
	Mappings map[string]*mapping.Mapping // by canonical type
	Values   mapping.Values
}

// Check refuses a flow that asks more of a far side than its connector can carry.
func (f *Flow) Check() error {
	trigger := f.Template.File.Trigger
	if err := f.carries(trigger.From, trigger.Record, "read"); err != nil {
		return err
	}
	for _, p := range f.Template.Steps {
		for _, role := range p.To {
			if f.Roles[role] == nil {
				continue // an optional role that this deployment goes without
			}
			if err := f.carries(role, p.Record, "written"); err != nil {
				return err
			}
		}
	}
	return nil
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
			Hint:    "Choose another template, or leave this record out by a parameter of the flow."}
	}
	return nil
}

func (e *End) context(tenant hub.TenantID, resolve mapping.Resolve) mapping.Context {
	return mapping.Context{Tenant: tenant, Connection: e.Conn.ID, Settings: e.Conn.Settings, Kinds: func(t string) *connector.Kind { return e.Conn.Connector.KindAs(t) },
		Values: e.Values, Resolve: resolve}
}
