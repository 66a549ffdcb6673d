// Package mapping turns a vendor's record into a canonical one and back.
//
// A mapping is a file of one-line rules, typed when it is loaded: against the canonical record on
// one side, against what the connector says of the vendor's record on the other. What does not fit
// cannot be deployed (N4). Reading never reaches out: a reference to another record is only named,
// and who it is decides package xref. Writing asks for the ids of referenced records through
// Resolve, and says which one is missing where one is.
package mapping

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/expr"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// File is mapping/NAME.yaml of a connector.
type File struct {
	Pos    specfile.Pos
	Record string                                     `spec:"record,required" doc:"the vendor's record"`
	As     string                                     `spec:"as,required" doc:"the canonical record and its version: time_entry@1"`
	Same   specfile.Map[string]                       `spec:"same" doc:"canonical field: the vendor's path; both ways"`
	Read   specfile.Map[specfile.Value]               `spec:"read" doc:"canonical field: expression over x"`
	Write  specfile.Map[specfile.Value]               `spec:"write" doc:"the vendor's field: expression over record"`
	Create specfile.Map[specfile.Value]               `spec:"create" doc:"fields sent only when the record is made"`
	Values specfile.Map[specfile.Map[specfile.Value]] `spec:"values" doc:"canonical value: the vendor's value, or several of which the first is written"`
	Needs  []string                                   `spec:"needs" doc:"canonical fields that this vendor cannot do without"`
	Holds  []Bound                                    `spec:"holds" doc:"what must be so, for the vendor has no field for anything else; else a person is asked"`
}

// Bound is something that the vendor's record cannot be without being wrong: an amount in another currency
// where it has no field for the currency.
type Bound struct {
	Pos   specfile.Pos
	That  specfile.Expr `spec:"that,required" doc:"an expression over record; where it is false, nothing is written"`
	Says  string        `spec:"says,required" doc:"a sentence for people"`
	Fix   string        `spec:"fix,required" doc:"what somebody can do about it"`
	Field string        `spec:"field" doc:"the canonical field at fault"`
}

// NotHeld reports whether an error says that the vendor's record has no room for what was to be written.
func NotHeld(err error) bool {
	e := hub.AsError(err)
	return e != nil && e.Code == "mapping.not_held"
}

// Mapping is a compiled file.
type Mapping struct {
	File   *File
	Schema *canonical.Schema
	Kind   *connector.Kind
	read   []rule
	write  []rule
	create []rule
	values map[string]valueMap
	needs  []string
	holds  []*expr.Program // beside File.Holds
}

// rule makes one field.
type rule struct {
	field   string
	path    []string // the vendor's field may lie inside an object: properties.dealname
	program *expr.Program
	literal any
	pos     specfile.Pos
}

// place is where an expression of a mapping is evaluated: what link, ref and value go by.
type place struct {
	m        *Mapping
	conn     hub.ConnectionID
	tenant   hub.TenantID
	kinds    func(recordType string) *connector.Kind
	resolve  Resolve
	override Values
	reading  bool
}

// Resolve gives the external id of a record in the connection that is written to; ok is false where
// it is not known there yet.
type Resolve func(canonical.Ref) (id string, ok bool, err error)

// Values are a tenant's own value maps, over those of the connector: name, then canonical value to
// the vendor's.
type Values map[string]map[string]string

// Load compiles mapping/*.yaml of a connector's folder, by canonical record type.
func Load(dir fs.FS, c *connector.Connector, set *canonical.Set) (map[string]*Mapping, error) {
	files, err := fs.Glob(dir, path.Join(c.File.Connector, "mapping", "*.yaml"))
	if err != nil {
		return nil, err
	}
	out := map[string]*Mapping{}
	var problems specfile.Problems
	for _, name := range files {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("read mapping %s: %w", name, err)
		}
		f := &File{}
		problems = append(problems, specfile.Decode(name, data, f)...)
		if m := compile(f, c, set, &problems); m != nil {
			out[m.Schema.Record] = m
		}
	}
	return out, problems.Err()
}

func compile(f *File, c *connector.Connector, set *canonical.Set, problems *specfile.Problems) *Mapping {
	name, _, _ := strings.Cut(f.As, "@")
	m := &Mapping{File: f, Schema: set.Schema(name), Kind: c.Kind(f.Record), needs: f.Needs, values: map[string]valueMap{}}
	if m.Schema == nil {
		problems.Add(f.Pos, "as", fmt.Sprintf("there is no canonical record %q", name), "Known are "+strings.Join(set.Names(), ", ")+".")
		return nil
	}
	if m.Kind == nil || m.Kind.As != name {
		problems.Add(f.Pos, "record", fmt.Sprintf("the connector has no record %q that is a %s", f.Record, name), "Add it to connector.yaml, with as: "+name+".")
		return nil
	}
	for _, v := range f.Values {
		m.values[v.Key] = newValueMap(v.Key, v.Value, problems)
	}
	env, err := m.env(set)
	if err != nil {
		problems.Add(f.Pos, "", err.Error(), "")
		return nil
	}
	k := &compiler{env: env, set: set, m: m, problems: problems}
	k.same(f)
	for _, r := range f.Read {
		k.reads(r)
	}
	m.write = append(m.write, k.writes(f.Write)...)
	m.create = k.writes(f.Create)
	for _, b := range f.Holds {
		m.holds = append(m.holds, k.expr(b.That.Pos, b.That.Source, expr.Bool))
	}
	k.covered()
	return m
}

// Lists are the names of its value maps.
func (m *Mapping) Lists() []string { return m.File.Values.Keys() }

// env is what a mapping's expressions may use.
func (m *Mapping) env(set *canonical.Set) (*expr.Env, error) {
	refs, maps := map[string]expr.Type{}, map[string]expr.Type{}
	for _, n := range set.Names() {
		refs[n] = expr.Ref(n)
	}
	for n := range m.values {
		maps[n] = expr.Text
	}
	funcs := []expr.Func{
		{Name: "link", Args: []expr.Type{expr.Text, expr.Dyn}, Variants: refs, Call: callLink},
		{Name: "ref", Args: []expr.Type{expr.AnyRef}, Result: expr.Dyn, Call: callRef},
	}
	if len(maps) > 0 {
		funcs = append(funcs, expr.Func{Name: "value", Args: []expr.Type{expr.Text, expr.Dyn}, Variants: maps, Call: callValue})
	}
	return expr.NewEnv(expr.Vars{"x": expr.Dyn, "record": expr.Object(m.Schema.Record), "settings": expr.Dyn, "marker": expr.Text},
		expr.WithObjects(set.Objects()), expr.WithFuncs(funcs...))
}

type compiler struct {
	env      *expr.Env
	set      *canonical.Set
	m        *Mapping
	problems *specfile.Problems
}

// same compiles the fields that go both ways.
func (k *compiler) same(f *File) {
	for _, s := range f.Same {
		t, ok := k.set.TypeOf(k.m.Schema.Record, s.Key)
		if !ok {
			k.unknownField(s.Pos, s.Key)
			continue
		}
		source := "x." + s.Value
		if t != expr.Text && t != expr.Bool {
			k.problems.Add(s.Pos, "same."+s.Key, "only text and bool are the same on both sides, this is "+t.String(), "Write it under read: and write:, with its unit.")
			continue
		}
		k.m.read = append(k.m.read, rule{field: s.Key, program: k.expr(s.Pos, source, expr.Dyn), pos: s.Pos})
		k.m.write = append(k.m.write, rule{field: s.Value, path: strings.Split(s.Value, "."), program: k.expr(s.Pos, "record."+s.Key, expr.Dyn), pos: s.Pos})
	}
}

func (k *compiler) unknownField(pos specfile.Pos, field string) {
	k.problems.Add(pos, field, fmt.Sprintf("a %s has no field %q", k.m.Schema.Record, field), "Known are "+strings.Join(k.m.Schema.Fields.Keys(), ", ")+".")
}

func (k *compiler) reads(r specfile.Entry[specfile.Value]) {
	t, ok := k.set.TypeOf(k.m.Schema.Record, r.Key)
	if !ok {
		k.unknownField(r.Pos, r.Key)
		return
	}
	if r.Value.Kind == specfile.KindExpr {
		k.m.read = append(k.m.read, rule{field: r.Key, program: k.expr(r.Value.Pos, r.Value.Source, t), pos: r.Pos})
		return
	}
	k.m.read = append(k.m.read, rule{field: r.Key, literal: k.literal(r.Value), pos: r.Pos})
}

func (k *compiler) writes(list specfile.Map[specfile.Value]) []rule {
	var out []rule
	for _, w := range list {
		r := rule{field: w.Key, path: strings.Split(w.Key, "."), pos: w.Pos}
		if w.Value.Kind == specfile.KindExpr {
			r.program = k.expr(w.Value.Pos, w.Value.Source, expr.Dyn)
		} else {
			r.literal = k.literal(w.Value)
		}
		out = append(out, r)
	}
	return out
}

func (k *compiler) literal(v specfile.Value) any {
	data, err := v.Data()
	if err != nil {
		k.problems.Add(v.Pos, v.Path, err.Error(), "")
	}
	return data
}

func (k *compiler) expr(pos specfile.Pos, source string, want expr.Type) *expr.Program {
	p, err := k.env.Compile(source, want)
	if err != nil {
		k.problems.Add(pos, "", err.Error(), "")
	}
	return p
}

// covered finds required fields that nothing reads.
func (k *compiler) covered() {
	if len(k.m.read) == 0 {
		return // a record that is only written
	}
	for _, f := range k.m.Schema.Fields {
		if f.Value.Required && !slices.ContainsFunc(k.m.read, func(r rule) bool { return r.field == f.Key }) {
			k.problems.Add(k.m.File.Pos, "read", fmt.Sprintf("nothing gives %s.%s, which is required", k.m.Schema.Record, f.Key), "Add it under read: or same:.")
		}
	}
}
