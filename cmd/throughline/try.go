package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/egress"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
)

type tryCmd struct {
	Connector   string            `arg:"" help:"A connector, or its folder."`
	Operation   string            `arg:"" help:"The call: whoami, client.list, deal.get …"`
	Set         map[string]string `help:"A setting: name=value."`
	Secret      map[string]string `help:"A secret, by where it stands: name=env:NAME or name=file:PATH."`
	Var         map[string]string `help:"What the call reads: id=7, value=…, marker=…, since=2026-03-01T00:00:00Z, from=2026-03-01."`
	Field       map[string]string `help:"A field of the canonical record that is written: name=Alder; a reference by its id over there."`
	Write       bool              `help:"Yes, change something over there."`
	Allow       []string          `help:"Private networks that may be called, such as 127.0.0.1/32." env:"THROUGHLINE_ALLOW"`
	Definitions []string          `help:"Folders with connectors/ of your own." env:"THROUGHLINE_DEFINITIONS" type:"existingdir"`
}

// Run makes one call and shows it. A record is completed by its further reads, as in a run.
func (c *tryCmd) Run(ctx context.Context) error {
	system, set, err := openSystem(c.Connector, c.Definitions)
	if err != nil {
		return err
	}
	op := system.Connector.Operation(c.Operation)
	if op == nil {
		return &hub.Error{Kind: hub.NotFound, Code: "connector.operation_unknown", Message: fmt.Sprintf("%s has no operation %q.", c.Connector, c.Operation),
			Hint: "There are " + strings.Join(system.Connector.Operations(), ", ") + "."}
	}
	if op.Write != nil && !c.Write {
		return &hub.Error{Kind: hub.Blocked, Code: "try.write", Message: fmt.Sprintf("%s changes something at the far side.", op.Name), Hint: "Add --write if that is wanted."}
	}
	t, err := c.prepare(system, set)
	if err != nil {
		return err
	}
	if err := t.before(ctx, op); err != nil {
		return hinted(err)
	}
	answer, err := t.client.Call(ctx, t.conn, op, t.vars)
	if err != nil {
		return hinted(err)
	}
	return t.tell(ctx, op, answer)
}

// before makes the reads that come before a write.
func (t *attempt) before(ctx context.Context, op *connector.Op) error {
	with := op.With
	if t.kind != nil {
		for _, f := range append(slices.Collect(maps.Values(t.kind.Actions)), t.kind.Follow(op.Name)) {
			if f != nil && f.Op == op {
				with = f.With
			}
		}
	}
	found := map[string]any{}
	for _, w := range with {
		answer, err := t.client.Call(ctx, t.conn, w.Op, t.vars)
		if err != nil {
			return err
		}
		found[w.Name] = answer.Result
	}
	t.vars["found"] = found
	return nil
}

// hinted says in the words of this command what to do about an error that a service's operator would
// mend elsewhere.
func hinted(err error) error {
	e := hub.AsError(err)
	if e == nil {
		return err
	}
	told := *e
	switch e.Code {
	case "connector.place_empty":
		told.Hint = "Give it with --var NAME=…, --field NAME=… or --set NAME=…."
	case "egress.url", "egress.address":
		told.Hint = "For an address in your own network, such as a simulator's, add --allow 127.0.0.1/32."
	}
	return &told
}

// attempt is one call under way.
type attempt struct {
	cmd    *tryCmd
	system *catalog.System
	kind   *connector.Kind // of the operation; nil for whoami
	conn   *remote.Connection
	client *remote.Client
	vars   remote.Vars
}

func (c *tryCmd) prepare(system *catalog.System, set *canonical.Set) (*attempt, error) {
	record, _, _ := strings.Cut(c.Operation, ".")
	t := &attempt{cmd: c, system: system, kind: system.Connector.Kind(record), vars: remote.Vars{"key": "try"}}
	settings, err := c.settings(system)
	if err != nil {
		return nil, err
	}
	secrets, err := c.secrets(system)
	if err != nil {
		return nil, err
	}
	vouched, err := networks(c.Allow)
	if err != nil {
		return nil, err
	}
	t.conn = &remote.Connection{Tenant: "try", ID: "try", Connector: system.Connector, Settings: settings, Secret: secrets}
	shown := &shownCalls{way: egress.New(egress.Options{Vouched: vouched}), out: os.Stdout, secrets: secrets}
	t.client = remote.New(shown, &memory{calls: shown}, nil, time.Now)
	return t, t.variables(set)
}

// settings are those given, and the connector's defaults.
func (c *tryCmd) settings(system *catalog.System) (map[string]any, error) {
	file := system.Connector.File
	out := map[string]any{}
	for _, s := range file.Settings {
		v, given := c.Set[s.Key]
		switch {
		case given:
			out[s.Key] = v
		case s.Value.Default != "":
			out[s.Key] = s.Value.Default
		case s.Value.Needed:
			return nil, missing("setting", s.Key, s.Value, fmt.Sprintf("--set %s=…", s.Key))
		}
	}
	return out, unknown("setting", c.Set, file.Settings.Keys())
}

// secrets are read from where they stand; never from the command line itself.
func (c *tryCmd) secrets(system *catalog.System) (map[string]any, error) {
	file := system.Connector.File
	out := map[string]any{}
	for _, s := range file.Secrets {
		ref, given := c.Secret[s.Key]
		if !given {
			if s.Value.Needed {
				return nil, missing("secret", s.Key, s.Value, fmt.Sprintf("--secret %s=env:NAME or --secret %s=file:PATH", s.Key, s.Key))
			}
			continue
		}
		v, err := secretText(ref)
		if err != nil {
			return nil, err
		}
		out[s.Key] = v
	}
	return out, unknown("secret", c.Secret, file.Secrets.Keys())
}

func missing(what, name string, s connector.Setting, how string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "try.missing", Message: strings.TrimSpace(fmt.Sprintf("The connector needs the %s %s (%s).", what, name, s.Title)), Hint: "Add " + how + "."}
}

func unknown(what string, given map[string]string, known []string) error {
	for name := range given {
		if !contains(known, name) {
			return &hub.Error{Kind: hub.Invalid, Code: "try.unknown", Message: fmt.Sprintf("The connector has no %s %q.", what, name), Hint: "Known are " + strings.Join(known, ", ") + "."}
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	return strings.Contains("\x00"+strings.Join(list, "\x00")+"\x00", "\x00"+s+"\x00")
}

// secretText is one secret as it stands in the environment or in a file.
func secretText(ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		if v, ok := os.LookupEnv(name); ok {
			return v, nil
		}
		return "", &hub.Error{Kind: hub.Invalid, Code: "secret.missing", Message: fmt.Sprintf("The environment has no %s.", name), Hint: "Set it where this command runs."}
	case "file":
		data, err := os.ReadFile(name)
		return strings.TrimRight(string(data), "\r\n"), err
	}
	// The text is not repeated: who misses the form has often pasted the secret itself.
	return "", &hub.Error{Kind: hub.Invalid, Code: "secret.reference", Message: "This is no reference to a secret.", Hint: "Write name=env:NAME or name=file:PATH; never the secret itself."}
}

func networks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--allow %s: %w", text, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// variables are what the call's expressions read.
func (t *attempt) variables(set *canonical.Set) error {
	for name, v := range t.cmd.Var {
		t.vars[name] = v
	}
	since := time.Unix(0, 0).UTC()
	if v, given := t.cmd.Var["since"]; given {
		var err error
		if since, err = time.Parse(time.RFC3339, v); err != nil {
			return &hub.Error{Kind: hub.Invalid, Code: "try.since", Message: fmt.Sprintf("%q is no instant.", v), Hint: "Write it like 2026-03-01T00:00:00Z."}
		}
	}
	t.vars["since"] = since
	for _, name := range []string{"from", "to"} {
		text, given := t.cmd.Var[name]
		if !given {
			continue
		}
		d, err := exact.ParseDate(text)
		if err != nil {
			return &hub.Error{Kind: hub.Invalid, Code: "try.date", Field: name, Message: fmt.Sprintf("%q is no date.", text), Hint: "Write it like 2026-03-01."}
		}
		t.vars[name] = d
	}
	if l := t.list(); l != nil {
		t.vars["page"] = l.Pager().Vars()
	}
	if t.kind == nil || len(t.cmd.Field) == 0 {
		return nil
	}
	return t.fields(set)
}

// list is the list that is tried; nil where it is another call.
func (t *attempt) list() *connector.ListOp {
	if t.kind == nil {
		return nil
	}
	for _, l := range []*connector.ListOp{t.kind.List, t.kind.Sweep, t.kind.Deleted} {
		if l != nil && l.Name == t.cmd.Operation {
			return l
		}
	}
	return nil
}

// fields maps the canonical record that is given to what the vendor takes.
func (t *attempt) fields(set *canonical.Set) error {
	m := t.system.Mappings[t.kind.As]
	if m == nil {
		return &hub.Error{Kind: hub.Invalid, Code: "try.unmapped", Message: fmt.Sprintf("Nothing maps the record %q.", t.kind.Name), Hint: "Add it to mapping/, or leave out --field."}
	}
	given := map[string]any{}
	for name, v := range t.cmd.Field {
		given[name] = v
	}
	schema := set.Schema(t.kind.As)
	fields, err := schema.Parse(given)
	if err != nil {
		return err
	}
	for _, f := range schema.Fields {
		if id, ok := fields[f.Key].(string); ok && f.Value.Type == "ref" {
			fields[f.Key] = canonical.Ref{Type: f.Value.To, ID: hub.RecordID(id)}
		}
	}
	record := canonical.Record{ID: hub.RecordIDFor("try", t.kind.Name, fmt.Sprint(time.Now().UnixNano())), Type: t.kind.As, Fields: fields}
	if record, err = schema.Normalise(record); err != nil {
		return err
	}
	plain, err := m.Write(t.context(), record, t.vars["id"] == nil)
	if err != nil {
		return err
	}
	t.vars["fields"], t.vars["record"] = t.system.Connector.Fields(plain), record.Fields
	if t.vars["marker"] == nil {
		t.vars["marker"] = record.ID.Marker()
	}
	return nil
}

func (t *attempt) context() mapping.Context {
	known := func(r canonical.Ref) (string, bool, error) { return string(r.ID), true, nil }
	return mapping.Context{Tenant: t.conn.Tenant, Connection: t.conn.ID, Settings: t.conn.Settings, Kinds: t.system.Connector.KindAs, Resolve: known}
}

// memory keeps a session for as long as the command runs.
type memory struct {
	session map[string]any
	version int64
	calls   *shownCalls // whose login is not shown; nil where none are
}

func (m *memory) Load(context.Context, hub.TenantID, hub.ConnectionID) (map[string]any, int64, error) {
	return m.session, m.version, nil
}

func (m *memory) Renew(_ context.Context, _ hub.TenantID, _ hub.ConnectionID, _ int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	if m.calls != nil {
		m.calls.login = true
		defer func() { m.calls.login = false }()
	}
	session, err := login(m.session)
	if err != nil {
		return nil, 0, err
	}
	m.session, m.version = session, m.version+1
	return m.session, m.version, nil
}
