package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// Unseal opens what was sealed for a connection.
type Unseal func(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, sealed []byte) ([]byte, error)

// Loader opens deployments from the store and the catalogue, and keeps them open: a revision never
// changes, and a connection is shared by all flows that use it, so that its limits are too.
type Loader struct {
	store   *store.Store
	catalog *catalog.Catalog
	unseal  Unseal
	now     func() time.Time

	mu     sync.Mutex
	seen   map[hub.TenantID]seen
	newest map[string]int64
	flows  map[revisionOf]*Flow
	conns  map[string]*openConn
}

type openConn struct {
	stamp  int64
	conn   *remote.Connection
	looked time.Time // when it was last compared with the store
}

// seen is how a tenant's flows and connections stood in the store, and when that was last looked at.
type seen struct {
	stamp  string
	looked time.Time
}

// fresh is how long what is open is used before the store is asked whether it was changed, by
// another node: in this process Forget says so at once.
const fresh = time.Second

// NewLoader makes a loader.
func NewLoader(s *store.Store, c *catalog.Catalog, unseal Unseal, now func() time.Time) *Loader {
	return &Loader{store: s, catalog: c, unseal: unseal, now: now, seen: map[hub.TenantID]seen{}, newest: map[string]int64{}, flows: map[revisionOf]*Flow{}, conns: map[string]*openConn{}}
}

// Forget makes the loader look again which revision is newest and how connections stand; called
// when something was applied. A connection that was not changed stays open, with what is known of its
// limits and of how its far side does.
func (l *Loader) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.seen)
	clear(l.newest)
	clear(l.flows)
	for _, open := range l.conns {
		open.looked = time.Time{}
	}
}

// Stamp is another one after each change of a tenant's flows and connections. What was open of them before a change
// that another node has made is opened anew.
func (l *Loader) Stamp(ctx context.Context, tenant hub.TenantID) (string, error) {
	l.mu.Lock()
	now := l.now()
	known, ok := l.seen[tenant]
	if ok && now.Sub(known.looked) < fresh {
		l.mu.Unlock()
		return known.stamp, nil
	}
	if ok {
		l.seen[tenant] = seen{known.stamp, now} // others go on meanwhile
	}
	l.mu.Unlock()
	stamp, err := l.store.Tenant(tenant).Stamp(ctx)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok && stamp != known.stamp {
		mine := string(tenant) + "/"
		maps.DeleteFunc(l.newest, func(flow string, _ int64) bool { return strings.HasPrefix(flow, mine) })
		maps.DeleteFunc(l.flows, func(r revisionOf, _ *Flow) bool { return strings.HasPrefix(r.flow, mine) })
	}
	l.seen[tenant] = seen{stamp, now}
	return stamp, nil
}

// revisionOf is a revision of a flow: "customer/flow", and its number.
type revisionOf struct {
	flow string
	n    int64
}

// Flow opens a revision of a deployment; 0 is the newest.
func (l *Loader) Flow(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID, revision int64) (*Flow, error) {
	if _, err := l.Stamp(ctx, tenant); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	name := string(tenant) + "/" + string(id)
	if revision == 0 {
		revision = l.newest[name]
	}
	if f := l.flows[revisionOf{name, revision}]; f != nil && revision != 0 {
		return f, nil
	}
	d, err := l.deployment(ctx, tenant, id, revision)
	if err != nil {
		return nil, err
	}
	if revision == 0 {
		l.newest[name] = d.Revision
	}
	f, err := l.open(ctx, d)
	if err != nil {
		return nil, err
	}
	l.flows[revisionOf{name, d.Revision}] = f
	return f, nil
}

func (l *Loader) deployment(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID, revision int64) (*store.Deployment, error) {
	t := l.store.Tenant(tenant)
	if revision != 0 {
		d, err := t.Deployment(ctx, id, revision)
		if err == nil && d == nil {
			err = fmt.Errorf("there is no revision %d of %s", revision, id)
		}
		return d, err
	}
	list, err := t.Deployments(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.ID == id {
			return &d, nil
		}
	}
	return nil, &hub.Error{Kind: hub.NotFound, Code: "flow.unknown", Message: fmt.Sprintf("There is no flow %q.", id)}
}

// open compiles a deployment against its connections.
func (l *Loader) open(ctx context.Context, d *store.Deployment) (*Flow, error) {
	spec, err := workflow.ReadSpec(d.Spec)
	if err != nil {
		return nil, fmt.Errorf("read flow %s@%d: %w", d.ID, d.Revision, err)
	}
	conns := map[hub.ConnectionID]store.Connection{}
	list, err := l.store.Tenant(d.Tenant).Connections(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		conns[c.ID] = c
	}
	return l.compile(ctx, d.Tenant, d.ID, d.Revision, *spec, conns, l.connection)
}

// Compile makes a flow of a spec and checks it: types, roles, what the connectors can carry. It is
// what `apply` runs before anything is stored (N4).
func (l *Loader) Compile(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID, revision int64, spec workflow.Spec, conns map[hub.ConnectionID]store.Connection) (*Flow, error) {
	l.mu.Lock() // it looks at connections, which the runs open meanwhile
	defer l.mu.Unlock()
	return l.compile(ctx, tenant, id, revision, spec, conns, l.proposed)
}

// opener opens a connection.
type opener func(ctx context.Context, c store.Connection, system *catalog.System) (*remote.Connection, error)

func (l *Loader) compile(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID, revision int64, spec workflow.Spec, conns map[hub.ConnectionID]store.Connection, open opener) (*Flow, error) {
	t, err := l.catalog.Template(spec.Template, spec.Version, spec.Extend)
	if err != nil {
		return nil, err
	}
	f := &Flow{Tenant: tenant, ID: id, Revision: revision, Template: t, Schemas: l.catalog.Schemas, Roles: map[string]*End{}, Answers: map[string]any{}, Without: spec.Without, nowhere: nowhere(t)}
	for role, name := range spec.Roles {
		c, ok := conns[hub.ConnectionID(name)]
		if !ok {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "flow.connection_unknown", Field: "roles." + role, Message: fmt.Sprintf("There is no connection %q.", name), Hint: "Add it under connections:."}
		}
		if f.Roles[role], err = l.end(ctx, role, c, spec, open); err != nil {
			return nil, err
		}
	}
	for role, need := range t.File.Roles {
		if need == "required" && f.Roles[role] == nil {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "flow.role_missing", Field: "roles." + role, Message: fmt.Sprintf("The flow needs a connection in the role %s.", role), Hint: "Name one under roles:."}
		}
	}
	if f.Answers, err = answers(t, spec); err != nil {
		return nil, err
	}
	if err := f.schedule(spec); err != nil {
		return nil, err
	}
	packages, err := l.packages(spec)
	if err != nil {
		return nil, err
	}
	f.Place = &workflow.Place{Values: spec.Values, Rates: spec.Rates, Packages: func(code string) (map[string]any, bool) { p, ok := packages[code]; return p, ok }}
	return f, f.Check()
}

// answers are what the flow says to the template's parameters. One that the template does not have is refused: a misspelt
// limit would limit nothing.
func answers(t *workflow.Template, spec workflow.Spec) (map[string]any, error) {
	known := t.File.Parameters
	for _, name := range slices.Sorted(maps.Keys(spec.Parameters)) {
		if _, ok := known.Get(name); !ok {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "flow.parameter_unknown", Field: "parameters." + name, Message: fmt.Sprintf("The template has no parameter %q.", name),
				Hint: "It has " + strings.Join(known.Keys(), ", ") + "."}
		}
	}
	out := map[string]any{}
	for _, p := range known {
		var err error
		if out[p.Key], err = p.Value.Answer(spec.Parameters[p.Key]); err != nil {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "flow.parameter", Field: "parameters." + p.Key, Message: err.Error() + ".", Hint: strings.TrimSuffix(p.Value.Title+": "+p.Value.About, ": ")}
		}
	}
	return out, nil
}

// schedule reads when the flow polls and from which day on.
func (f *Flow) schedule(spec workflow.Spec) (err error) {
	zone := cmp.Or(spec.Zone, "UTC")
	if f.Zone, err = time.LoadLocation(zone); err != nil {
		return &hub.Error{Kind: hub.Invalid, Code: "flow.zone", Message: fmt.Sprintf("There is no time zone %q.", zone), Hint: "Write it like Europe/Amsterdam."}
	}
	for _, look := range []struct {
		text string
		into *Schedule
		name string
	}{{spec.Poll, &f.Poll, "poll"}, {spec.Sweep, &f.Sweep, "sweep"}} {
		if look.text == "" {
			continue
		}
		if *look.into, err = ParseSchedule(look.text, zone); err != nil {
			named := *hub.AsError(err)
			named.Field = look.name
			return &named
		}
	}
	if spec.From != "" {
		if f.From, err = time.ParseInLocation("2006-01-02", spec.From, f.Zone); err != nil {
			return &hub.Error{Kind: hub.Invalid, Code: "flow.from", Field: "from", Message: fmt.Sprintf("%q is no day.", spec.From), Hint: "Write it like 2026-12-01."}
		}
	}
	return nil
}

// packages checks the tenant's service packages against their schema.
func (l *Loader) packages(spec workflow.Spec) (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	for code, fields := range spec.Packages {
		typed, err := l.Package(code, fields)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", code, err)
		}
		out[code] = typed
	}
	return out, nil
}

// Package is a service package as somebody has written it, checked. Its tasks and its milestones are known by their codes.
func (l *Loader) Package(code string, fields map[string]any) (map[string]any, error) {
	schema := l.catalog.Schemas.Schema("service_package")
	typed, err := schema.Parse(fields)
	if err != nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "package.invalid", Message: err.Error() + "."}
	}
	typed["code"] = code
	rec, err := schema.Normalise(canonical.Record{Type: schema.Record, Fields: typed})
	if err != nil {
		return nil, err
	}
	for _, list := range []string{"tasks", "milestones"} {
		seen := map[any]bool{}
		items, _ := rec.Fields[list].([]any)
		for _, item := range items {
			own := item.(map[string]any)["code"] // an object with a code, by the schema
			if seen[own] {
				return nil, &hub.Error{Kind: hub.Invalid, Code: "package.invalid", Message: fmt.Sprintf("Two of its %s have the code %q.", list, own), Hint: "Give each its own: it is known by it."}
			}
			seen[own] = true
		}
	}
	return rec.Fields, nil
}

func (l *Loader) end(ctx context.Context, role string, c store.Connection, spec workflow.Spec, open opener) (*End, error) {
	system, err := l.catalog.System(c.Connector)
	if err != nil {
		return nil, err
	}
	conn, err := open(ctx, c, system)
	if err != nil {
		return nil, err
	}
	return &End{Role: role, Conn: conn, Mappings: system.Mappings, Values: mapping.Values(spec.Values)}, nil
}

func (l *Loader) opened(tenant hub.TenantID, id hub.ConnectionID) *remote.Connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	if open := l.conns[string(tenant)+"/"+string(id)]; open != nil && l.now().Sub(open.looked) < fresh {
		return open.conn
	}
	return nil
}

// connection opens a connection once; a changed one is opened anew.
func (l *Loader) connection(ctx context.Context, c store.Connection, system *catalog.System) (*remote.Connection, error) {
	name := string(c.Tenant) + "/" + string(c.ID)
	if open := l.conns[name]; open != nil && open.stamp == c.Updated.UnixMicro() {
		open.looked = l.now()
		return open.conn, nil
	}
	conn, err := l.unsealed(ctx, c, system)
	if err == nil {
		l.conns[name] = &openConn{c.Updated.UnixMicro(), conn, l.now()}
	}
	return conn, err
}

// proposed opens a connection as somebody would like to have it. Nobody else uses it: it may never be applied.
func (l *Loader) proposed(ctx context.Context, c store.Connection, system *catalog.System) (*remote.Connection, error) {
	if open := l.conns[string(c.Tenant)+"/"+string(c.ID)]; open != nil && open.stamp == c.Updated.UnixMicro() {
		return open.conn, nil
	}
	return l.unsealed(ctx, c, system)
}

func (l *Loader) unsealed(ctx context.Context, c store.Connection, system *catalog.System) (*remote.Connection, error) {
	clear, err := l.unseal(ctx, c.Tenant, c.ID, c.Secret)
	if err != nil {
		return nil, err
	}
	secret, err := remote.JSON(clear)
	if err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", c.ID, err)
	}
	settings, err := remote.JSON([]byte(c.Settings))
	if err != nil {
		return nil, fmt.Errorf("the settings of %s: %w", c.ID, err)
	}
	return &remote.Connection{Tenant: c.Tenant, ID: c.ID, Connector: system.Connector, Settings: settings, Secret: secret}, nil
}

// Connection opens a tenant's connection, for webhooks and single calls.
func (l *Loader) Connection(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID) (*remote.Connection, error) {
	if conn := l.opened(tenant, id); conn != nil {
		return conn, nil
	}
	c, err := l.store.Tenant(tenant).Connection(ctx, id)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, &hub.Error{Kind: hub.NotFound, Code: "connection.unknown", Message: "There is no such connection."}
	}
	system, err := l.catalog.System(c.Connector)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connection(ctx, *c, system)
}
