package mapping

import (
	"fmt"
	"slices"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/expr"
	"throughline/internal/hub"
)

// Context is for whom and where a mapping is used.
type Context struct {
	Tenant     hub.TenantID
	Connection hub.ConnectionID
	Settings   any
	Kinds      func(recordType string) *connector.Kind // the connection's kind for a canonical type
	Values     Values
	Resolve    Resolve // needed for writing only
}

// Read makes the canonical record of the vendor's record x, checked against its schema. Its ID is
// left to package xref.
func (m *Mapping) Read(c Context, x any) (canonical.Record, error) {
	at := m.at(c, true)
	vars := map[string]any{"x": x, "settings": c.Settings}
	fields := map[string]any{}
	for _, r := range m.read {
		v, err := r.eval(at, vars)
		if err != nil {
			return canonical.Record{}, m.failed(r, err)
		}
		if v != nil {
			fields[r.field] = v
		}
	}
	return m.Schema.Normalise(canonical.Record{Type: m.Schema.Record, Fields: fields})
}

// Reads reports whether Read may set a field.
func (m *Mapping) Reads(field string) bool {
	return slices.ContainsFunc(m.read, func(r rule) bool { return r.field == field })
}

// Write makes the vendor's fields of a canonical record. Fresh adds those that are sent only when
// the record is made. What is not set is left out.
func (m *Mapping) Write(c Context, record canonical.Record, fresh bool) (map[string]any, error) {
	for _, f := range m.needs {
		if record.Fields[f] == nil {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "mapping.field_missing", Field: f,
				Message: fmt.Sprintf("This %s has no %s, and the system it goes to cannot do without.", m.Schema.Title, f),
				Hint:    "Fill it in where the record comes from, then retry."}
		}
	}
	at := m.at(c, false)
	vars := map[string]any{"record": record.Fields, "settings": c.Settings, "marker": record.ID.Marker()}
	for i, that := range m.holds {
		if err := held(that, &m.File.Holds[i], at, vars); err != nil {
			return nil, err
		}
	}
	out := map[string]any{}
	for _, list := range [][]rule{m.write, m.create} {
		for _, r := range list {
			v, err := r.eval(at, vars)
			if err != nil {
				return nil, m.failed(r, err)
			}
			if v != nil {
				set(out, r.path, v)
			}
		}
		if !fresh {
			break
		}
	}
	return out, nil
}

// CreatesMore reports whether there are fields that are sent only when the record is made.
func (m *Mapping) CreatesMore() bool { return len(m.create) > 0 }

// held refuses a record that the vendor's cannot hold.
func held(that *expr.Program, b *Bound, at *place, vars map[string]any) error {
	v, err := that.EvalAt(at, vars)
	if err != nil {
		return fmt.Errorf("%s: holds: %w", b.Pos, err)
	}
	if v == true {
		return nil
	}
	return &hub.Error{Kind: hub.Blocked, Code: "mapping.not_held", Field: b.Field, Message: b.Says, Hint: b.Fix}
}

func (m *Mapping) at(c Context, reading bool) *place {
	return &place{m: m, conn: c.Connection, tenant: c.Tenant, kinds: c.Kinds, resolve: c.Resolve, override: c.Values, reading: reading}
}

func (r rule) eval(at *place, vars map[string]any) (any, error) {
	if r.program == nil {
		return r.literal, nil
	}
	return r.program.EvalAt(at, vars)
}

// failed names the field and the rule at fault.
func (m *Mapping) failed(r rule, err error) error {
	e := hub.AsError(err)
	if e == nil {
		return fmt.Errorf("%s: %s: %w", r.pos, r.field, err)
	}
	named := *e
	if named.Field == "" {
		named.Field = r.field
	}
	if named.Hint == "" {
		named.Hint = fmt.Sprintf("The rule stands in %s.", r.pos)
	}
	return &named
}

// set puts a value at a path of nested objects.
func set(out map[string]any, path []string, v any) {
	for _, p := range path[:len(path)-1] {
		inner, ok := out[p].(map[string]any)
		if !ok {
			inner = map[string]any{}
			out[p] = inner
		}
		out = inner
	}
	out[path[len(path)-1]] = v
}

// Why explains a written field: the rule that made it, and where it stands.
type Why struct {
	Field  string `json:"field"`
	Rule   string `json:"rule"`
	Source string `json:"source"` // file, line and column
}

// Explain lists the rules by which a record is written.
func (m *Mapping) Explain() []Why {
	var out []Why
	for _, r := range append(append([]rule{}, m.write...), m.create...) {
		w := Why{Field: r.field, Source: r.pos.String(), Rule: fmt.Sprint(r.literal)}
		if r.program != nil {
			w.Rule = "=" + r.program.Source()
		}
		out = append(out, w)
	}
	return out
}

// callLink names another record by the vendor's id for it.
func callLink(at any, args []any) (any, error) {
	p := at.(*place)
	recordType, _ := args[0].(string)
	id := idText(args[1])
	if id == "" {
		return nil, nil
	}
	if strings.ContainsRune(id, 0) {
		return nil, fmt.Errorf("the id %q holds a NUL character", id)
	}
	kind := p.kinds(recordType)
	if kind == nil {
		return nil, fmt.Errorf("the connector has no record that is a %s", recordType)
	}
	return canonical.Ref{Type: recordType, Key: hub.RecordKey{Connection: p.conn, Kind: kind.Name, ID: id}}, nil
}

func idText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return fmt.Sprint(v)
	case fmt.Stringer:
		return v.String()
	}
	return ""
}

// callRef is a referenced record's id in the system that is written to.
func callRef(at any, args []any) (any, error) {
	p := at.(*place)
	ref, ok := args[0].(canonical.Ref)
	if !ok {
		return nil, nil
	}
	id, known, err := p.resolve(ref)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, &Missing{Ref: ref, Connection: p.conn}
	}
	return id, nil
}

// Missing says that a record waits for another one, which is not in the far side yet.
type Missing struct {
	Ref        canonical.Ref
	Connection hub.ConnectionID
}

func (e *Missing) Error() string {
	return fmt.Sprintf("the %s it belongs to is not in %s yet", e.Ref.Type, e.Connection)
}
