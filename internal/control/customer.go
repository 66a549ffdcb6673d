package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"throughline/internal/access"
	"throughline/internal/catalog"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/specfile"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// CustomerFile is what `apply` takes: a customer, described.
type CustomerFile struct {
	Pos         specfile.Pos
	Customer    string                       `spec:"customer,required" pattern:"^[a-z][a-z0-9-]*$"`
	Name        string                       `spec:"name,required"`
	Zone        string                       `spec:"zone" default:"UTC" doc:"IANA time zone: Europe/Amsterdam"`
	Currency    string                       `spec:"currency" default:"EUR" pattern:"^[A-Z]{3}$"`
	Connections specfile.Map[ConnectionSpec] `spec:"connections,required"`
	Packages    specfile.Map[specfile.Value] `spec:"packages" doc:"service packages: code, then name, tasks, milestones"`
	Rates       *workflow.Rates              `spec:"rates" doc:"what was agreed for an hour of work"`
	Flows       specfile.Map[FlowSpec]       `spec:"flows,required"`
}

// ConnectionSpec is one connection.
type ConnectionSpec struct {
	Pos       specfile.Pos
	Connector string            `spec:"connector,required" doc:"name or name@major"`
	Settings  map[string]string `spec:"settings"`
	Secret    string            `spec:"secret" doc:"env:NAME or file:PATH, a JSON object"`
}

// FlowSpec is one deployment.
type FlowSpec struct {
	Pos        specfile.Pos
	Template   string                                  `spec:"template,required" doc:"name@version"`
	Roles      map[string]string                       `spec:"roles,required"`
	Parameters specfile.Map[specfile.Value]            `spec:"parameters"`
	From       string                                  `spec:"from" doc:"nothing before this day is touched" pattern:"^\\d{4}-\\d{2}-\\d{2}$"`
	Poll       string                                  `spec:"poll" doc:"when it looks for changes: 5m, hourly, nightly, daily at 18:30, on approval; without it by webhook only"`
	Sweep      string                                  `spec:"sweep" doc:"when it looks for what was deleted, where the vendor does not tell; hourly unless said"`
	Values     map[string]map[string]string            `spec:"values"`
	Extend     map[string]specfile.Map[specfile.Value] `spec:"extend"`
	Without    []string                                `spec:"without" doc:"role/record: what this flow leaves out, because the system there cannot carry it"`
	State      string                                  `spec:"state" enum:"active|paused" default:"active"`
}

// Secrets resolves references to secrets and seals what they hold.
type Secrets interface {
	Resolve(ref string) ([]byte, error)
	Seal(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, clear []byte) ([]byte, error)
	Open(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, sealed []byte) ([]byte, error)
}

// Change is one line of a difference: what applying a file would do.
type Change struct {
	What string `json:"what"` // "connection crm"
	Does string `json:"does"` // add, change, unchanged; stays: the file does not name the flow, which goes on all the same
}

// Plan reads a customer file and says what it would change, after checking everything that can be
// checked without the far sides: types, roles, what connectors can carry.
func (c *Control) Plan(ctx context.Context, by access.Principal, name string, data []byte, options ...Option) ([]Change, *store.Setup, error) {
	f := &CustomerFile{}
	if err := specfile.Decode(name, data, f).Err(); err != nil {
		return nil, nil, err
	}
	tenant := hub.TenantID(f.Customer)
	if err := by.May(access.ApplyCustomers, tenant); err != nil {
		return nil, nil, err
	}
	p := &planner{c: c, by: by, file: f, tenant: tenant, now: c.now(), conns: map[hub.ConnectionID]store.Connection{}, failed: map[hub.ConnectionID]bool{},
		setup: &store.Setup{Customer: store.Customer{ID: tenant, Name: f.Name, Zone: f.Zone, Currency: f.Currency, Created: c.now()}}}
	for _, option := range options {
		option(p)
	}
	if _, err := time.LoadLocation(f.Zone); err != nil || f.Zone == "Local" {
		p.problems.Add(f.Pos, "zone", fmt.Sprintf("there is no time zone %q", f.Zone), "Write it like Europe/Amsterdam.")
		f.Zone = "UTC" // it is told; its flows shall tell what else is wrong
	}
	for _, step := range []func(context.Context) error{p.customer, p.connections, p.flows} {
		if err := step(ctx); err != nil {
			return nil, nil, err
		}
	}
	if err := p.problems.Err(); err != nil {
		return nil, nil, err
	}
	return p.changes, p.setup, nil
}

// Apply makes what Plan found. Applying a file twice changes nothing the second time.
func (c *Control) Apply(ctx context.Context, by access.Principal, name string, data []byte, options ...Option) ([]Change, error) {
	changes, setup, err := c.Plan(ctx, by, name, data, options...)
	if err != nil || !slices.ContainsFunc(changes, Change.applies) {
		return changes, err
	}
	for _, ch := range changes {
		if ch.applies() {
			setup.Audit = append(setup.Audit, by.Entry(c.now(), "customer.apply", ch.What, ch.Does))
		}
	}
	if err := c.store.Apply(ctx, *setup); err != nil {
		return nil, err
	}
	c.changed()
	return changes, nil
}

func (ch Change) applies() bool { return ch.Does != "unchanged" && ch.Does != "stays" }

type planner struct {
	c       *Control
	by      access.Principal
	file    *CustomerFile
	tenant  hub.TenantID
	now     time.Time
	conns   map[hub.ConnectionID]store.Connection // as they will be
	setup   *store.Setup
	changes []Change

	problems specfile.Problems
	failed   map[hub.ConnectionID]bool // connections with problems
	moved    bool
}

// Option is what a person says beside the file.
type Option func(*planner)

// Moved says that connections with another address lead to the same accounts as before.
func Moved(p *planner) { p.moved = true }

// problem notes what a person corrects in the file, so that all of it is told at once; any other
// error ends the plan.
func (p *planner) problem(pos specfile.Pos, path string, err error) error {
	var list specfile.Problems
	if errors.As(err, &list) { // of a file that this one refers to or extends
		p.problems = append(p.problems, list...)
		return nil
	}
	e := hub.AsError(err)
	if e == nil || e.Kind != hub.Invalid && e.Kind != hub.NotFound {
		return fmt.Errorf("%s: %s: %w", pos, path, err)
	}
	if e.Field != "" {
		path += "." + e.Field
	}
	p.problems.Add(pos, path, strings.TrimSuffix(e.Message, "."), e.Hint)
	return nil
}

func (p *planner) note(what, does string) { p.changes = append(p.changes, Change{what, does}) }

// customer compares the customer's own words with those that are known.
func (p *planner) customer(ctx context.Context) error {
	known, err := p.c.store.Tenant(p.tenant).Customer(ctx)
	if err != nil {
		return err
	}
	next := p.setup.Customer
	switch what := "customer " + string(p.tenant); {
	case known == nil:
		p.note(what, "add")
	case known.Name == next.Name && known.Zone == next.Zone && known.Currency == next.Currency:
		p.note(what, "unchanged")
	default:
		p.note(what, "change")
	}
	return nil
}

// named refuses what cannot be told apart in keys: a record of crm and one of crm/eu.
func (p *planner) named(pos specfile.Pos, list, name string) bool {
	if hub.IsName(name) {
		return true
	}
	p.problems.Add(pos, list+"."+name, fmt.Sprintf("`%s` is no name", name), "Letters, digits, _, - and . make one: it becomes part of keys and addresses.")
	return false
}

func (p *planner) connections(ctx context.Context) error {
	old := map[hub.ConnectionID]store.Connection{}
	list, err := p.c.store.Tenant(p.tenant).Connections(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		old[c.ID], p.conns[c.ID] = c, c
	}
	for _, e := range p.file.Connections {
		if !p.named(e.Pos, "connections", e.Key) {
			p.failed[hub.ConnectionID(e.Key)] = true
			continue
		}
		before, there := old[hub.ConnectionID(e.Key)]
		next, same, err := p.connection(ctx, e, before)
		if p.by.Tenant != access.Everyone && (err != nil || !same) {
			err = errPartners // whatever was wrong: it would tell what this machine has
		}
		if err != nil {
			if err := p.problem(e.Pos, "connections."+e.Key, err); err != nil {
				return err
			}
			p.failed[hub.ConnectionID(e.Key)] = true
			continue
		}
		p.conns[next.ID] = next
		switch {
		case !there:
			p.note("connection "+e.Key, "add")
		case same:
			p.note("connection "+e.Key, "unchanged")
			continue
		default:
			p.note("connection "+e.Key, "change")
		}
		p.setup.Connections = append(p.setup.Connections, next)
	}
	return nil
}

// errPartners refuses a connection to a customer's own admin: what its reference names is read from the partner's machine,
// where other customers' secrets are too, and would be sent to the address beside it.
var errPartners = &hub.Error{Kind: hub.Invalid, Code: "connection.partners", Message: "A key for one customer leaves its connections as they are.",
	Hint: "Have the partner, whose machine holds the secrets, apply this connection; flows, rates and packages are yours to change."}

func (p *planner) connection(ctx context.Context, e specfile.Entry[ConnectionSpec], before store.Connection) (c store.Connection, same bool, err error) {
	system, err := p.c.catalog.System(e.Value.Connector)
	if err != nil {
		return c, false, err
	}
	if err := unknownSetting(e.Value, system); err != nil {
		return c, false, err
	}
	settings := maps.Clone(e.Value.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	for _, s := range system.Connector.File.Settings {
		if settings[s.Key] == "" && s.Value.Default != "" {
			settings[s.Key] = s.Value.Default
		}
		if s.Value.Needed && settings[s.Key] == "" {
			return c, false, &hub.Error{Kind: hub.Invalid, Code: "connection.setting_missing", Field: "settings." + s.Key, Message: fmt.Sprintf("%s needs %s.", e.Value.Connector, s.Key), Hint: s.Value.About}
		}
	}
	for _, l := range system.Connector.File.Limits {
		if _, err := l.In(settings[l.Setting]); err != nil {
			return c, false, err
		}
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return c, false, err
	}
	c = store.Connection{Tenant: p.tenant, ID: hub.ConnectionID(e.Key), Connector: e.Value.Connector, Version: system.Connector.File.Version,
		Settings: string(text), Secret: before.Secret, State: "active", Updated: p.now}
	if err := p.sameAccount(ctx, c, before, settings, system); err != nil {
		return c, false, err
	}
	sameSecret, err := p.secret(ctx, e.Value, system, &c, before)
	sameSettings := before.Connector == c.Connector && before.Settings == c.Settings
	// A consent does not hang on the settings, and its first token is used up; a session may: they say where it is one.
	c.KeepSession = sameSecret && before.Connector == c.Connector && (sameSettings || system.Connector.File.Auth.OAuth2 != nil)
	same = sameSecret && sameSettings && before.Version == c.Version && before.State == c.State
	if same {
		c = before
	}
	return c, same, err
}

// unknownSetting refuses a setting that the connector has no use for: with a misspelt currency the default would hold.
func unknownSetting(e ConnectionSpec, system *catalog.System) error {
	known := system.Connector.File.Settings.Keys()
	for _, l := range system.Connector.File.Limits {
		known = append(known, l.Setting)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Settings)) {
		if !slices.Contains(known, name) {
			return &hub.Error{Kind: hub.Invalid, Code: "connection.setting_unknown", Field: "settings." + name, Message: fmt.Sprintf("%s has no setting %q.", e.Connector, name),
				Hint: "It has " + strings.Join(system.Connector.File.Settings.Keys(), ", ") + "."}
		}
	}
	return nil
}

// sameAccount refuses to lead a connection to another account once records are known there: by the old one's ids it would
// write on other records of the new one.
func (p *planner) sameAccount(ctx context.Context, c, before store.Connection, settings map[string]string, system *catalog.System) error {
	if before.ID == "" || p.moved {
		return nil
	}
	had := map[string]string{}
	if err := json.Unmarshal([]byte(before.Settings), &had); err != nil {
		return fmt.Errorf("read the settings of %s: %w", before.ID, err)
	}
	other := ""
	for _, s := range system.Connector.File.Settings {
		if old, said := had[s.Key]; said && s.Value.Account && settings[s.Key] != old {
			other = fmt.Sprintf("Its %s is another, %s instead of %s", s.Key, settings[s.Key], old)
		}
	}
	if name, _, _ := strings.Cut(before.Connector, "@"); name != system.Connector.File.Connector {
		other = "It is of another system"
	}
	if other == "" {
		return nil
	}
	known, err := p.c.store.Tenant(p.tenant).Knows(ctx, c.ID)
	if err != nil || !known {
		return err
	}
	return &hub.Error{Kind: hub.Invalid, Code: "connection.other_account", Message: other + ", and records are known there by the old one's ids.",
		Hint: "Give another account a connection with a name of its own; where it is the same one, which has moved, apply with --moved."}
}

// secret seals the secret anew where it differs from the one that is sealed.
func (p *planner) secret(ctx context.Context, e ConnectionSpec, system *catalog.System, c *store.Connection, before store.Connection) (same bool, err error) {
	clear := []byte("{}")
	if e.Secret != "" {
		if clear, err = p.c.secrets.Resolve(e.Secret); err != nil {
			return false, err
		}
	}
	if err := needed(e, system, clear); err != nil {
		return false, err
	}
	if len(before.Secret) > 0 {
		had, err := p.c.secrets.Open(ctx, p.tenant, c.ID, before.Secret)
		if err == nil && bytes.Equal(had, clear) {
			return true, nil
		}
	}
	c.Secret, err = p.c.secrets.Seal(ctx, p.tenant, c.ID, clear)
	return false, err
}

// needed refuses a secret that lacks what the connector cannot do without: it would fail at the first
// call, or accept no webhook.
func needed(e ConnectionSpec, system *catalog.System, clear []byte) error {
	var held map[string]any
	if err := json.Unmarshal(clear, &held); err != nil {
		return fmt.Errorf("read a secret: %w", err)
	}
	var missing []string
	for _, s := range system.Connector.File.Secrets {
		if v, ok := held[s.Key]; s.Value.Needed && (!ok || v == "" || v == nil) {
			missing = append(missing, fmt.Sprintf("%s (%s)", s.Key, s.Value.Title))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &hub.Error{Kind: hub.Invalid, Code: "connection.secret_missing", Field: "secret", Message: fmt.Sprintf("%s needs %s.", e.Connector, strings.Join(missing, " and ")),
		Hint: "Name them in a JSON object, and say where it stands: secret: env:NAME or file:PATH."}
}

func (p *planner) flows(ctx context.Context) error {
	old := map[hub.DeploymentID]store.Deployment{}
	list, err := p.c.store.Tenant(p.tenant).Deployments(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		old[d.ID] = d
	}
	packages, err := p.packages()
	if err != nil {
		return err
	}
	if err := p.file.Rates.Check(); err != nil {
		p.problems.Add(p.file.Pos, "rates", err.Error(), "Write a rate like 140 EUR, and name what it is agreed for.")
	}
	for _, e := range p.file.Flows {
		if !p.named(e.Pos, "flows", e.Key) || p.onFailed(e.Value) {
			continue // it, or its connection, is told already
		}
		if err := p.flow(ctx, e, old[hub.DeploymentID(e.Key)], packages); err != nil {
			if err := p.problem(e.Pos, "flows."+e.Key, err); err != nil {
				return err
			}
		}
		delete(old, hub.DeploymentID(e.Key))
	}
	for _, id := range slices.Sorted(maps.Keys(old)) { // one that was given another name would do everything twice
		if old[id].State == "active" {
			p.note("flow "+string(id), "stays")
		}
	}
	return nil
}

func (p *planner) onFailed(f FlowSpec) bool {
	for _, name := range f.Roles {
		if p.failed[hub.ConnectionID(name)] {
			return true
		}
	}
	return false
}

func (p *planner) packages() (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	for _, e := range p.file.Packages {
		v, err := e.Value.Data()
		if err != nil {
			p.problems.Add(e.Pos, "packages."+e.Key, err.Error(), "Write the value itself.")
			continue
		}
		fields, ok := v.(map[string]any)
		if !ok {
			p.problems.Add(e.Pos, "packages."+e.Key, "a map is wanted", "Write name, tasks and milestones.")
			continue
		}
		fields["code"] = e.Key
		if _, err := p.c.loader.Package(e.Key, fields); err != nil {
			if err := p.problem(e.Pos, "packages."+e.Key, err); err != nil {
				return nil, err
			}
			continue
		}
		out[e.Key] = fields
	}
	return out, nil
}

func (p *planner) flow(ctx context.Context, e specfile.Entry[FlowSpec], before store.Deployment, packages map[string]map[string]any) error {
	name, version, ok := strings.Cut(e.Value.Template, "@")
	n, err := strconv.Atoi(version)
	if !ok || err != nil {
		return &hub.Error{Kind: hub.Invalid, Code: "flow.template", Field: "template", Message: fmt.Sprintf("%q names no version.", e.Value.Template), Hint: "Write it like deal-to-project@1."}
	}
	spec := workflow.Spec{Template: name, Version: n, Roles: e.Value.Roles, Parameters: map[string]any{}, From: e.Value.From, Poll: e.Value.Poll, Sweep: e.Value.Sweep, Zone: p.file.Zone, Without: e.Value.Without,
		Values: e.Value.Values, Packages: packages, Rates: p.file.Rates, Extend: e.Value.Extend}
	for _, v := range e.Value.Parameters {
		if spec.Parameters[v.Key], err = v.Value.Data(); err != nil {
			return &hub.Error{Kind: hub.Invalid, Code: "flow.parameter", Field: "parameters." + v.Key, Message: err.Error(), Hint: "Write the value itself."}
		}
	}
	f, err := p.c.loader.Compile(ctx, p.tenant, hub.DeploymentID(e.Key), 0, spec, p.conns)
	if err != nil {
		return err
	}
	if spec.Sweep == "" && f.Sweeps() {
		spec.Sweep = "hourly"
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	switch {
	case before.Revision > 0 && before.Spec == string(text) && before.State == e.Value.State:
		p.note("flow "+e.Key, "unchanged")
		return nil
	case before.Revision > 0:
		p.note("flow "+e.Key, "change")
	default:
		p.note("flow "+e.Key, "add")
	}
	id := hub.DeploymentID(e.Key)
	p.setup.Deployments = append(p.setup.Deployments, store.Deployment{Tenant: p.tenant, ID: id, Revision: before.Revision + 1, State: e.Value.State, Spec: string(text), Created: p.now})
	for key, schedule := range map[string]string{ingest.PollKey: spec.Poll, ingest.SweepKey: spec.Sweep} {
		if schedule != "" {
			p.setup.Polls = append(p.setup.Polls, hub.Work{Tenant: p.tenant, Deployment: id, Key: key, Lane: hub.Normal, Due: p.now})
		}
	}
	return nil
}
