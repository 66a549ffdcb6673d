package cases

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/specfile"
	"throughline/internal/workflow"
)

// TemplateCase is one example of a template: a record that arrives, and what would be written. A
// reference is named by the step that gives its record ("account"), an item by step and key
// ("task/DISC"); what a far side answers to a write is "number of project in erp".
type TemplateCase struct {
	Pos        specfile.Pos
	It         string                                  `spec:"it,required" doc:"what happens, as a sentence"`
	Version    int                                     `spec:"version" doc:"of the template; the newest unless said"`
	Given      specfile.Value                          `spec:"given,required" doc:"the canonical record that starts the run"`
	Records    specfile.Map[specfile.Value]            `spec:"records" doc:"what the read steps read, by the step's name"`
	Roles      []string                                `spec:"roles" doc:"those that are connected; all unless said"`
	Without    []string                                `spec:"without" doc:"role/record: what the flow leaves out"`
	Parameters specfile.Map[specfile.Value]            `spec:"parameters"`
	Packages   specfile.Map[specfile.Value]            `spec:"packages" doc:"the customer's service packages"`
	Values     map[string]map[string]string            `spec:"values" doc:"the customer's value maps"`
	Rates      *workflow.Rates                         `spec:"rates" doc:"the customer's agreed rates"`
	Extend     map[string]specfile.Map[specfile.Value] `spec:"extend" doc:"fields added at the extension points"`
	Approved   bool                                    `spec:"approved" doc:"a person has said yes"`
	Today      exact.Date                              `spec:"today" default:"2026-03-01"`
	Expect     []Written                               `spec:"expect" doc:"the writes, in order; [] where the record is filtered"`
	Refused    *Refused                                `spec:"refused" doc:"the rule or error that stops the run"`
}

// Written is one expected write.
type Written struct {
	Pos    specfile.Pos
	Write  string         `spec:"write,required" doc:"the canonical record"`
	To     string         `spec:"to,required" doc:"the role"`
	Fields specfile.Value `spec:"fields" doc:"all of its fields; not compared unless said"`
}

// Versions are the published versions of a template, the oldest first.
func Versions(dir fs.FS, name string) ([]int, error) {
	names, err := fs.Glob(dir, path.Join(name, "v*.yaml"))
	if err != nil {
		return nil, err
	}
	var list []int
	for _, file := range names {
		if n, err := strconv.Atoi(strings.TrimSuffix(path.Base(file)[1:], ".yaml")); err == nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

// Template runs the cases of a template's folder; n is how many there are. All that fail are told
// at once.
func Template(dir fs.FS, name string, set *canonical.Set) (n int, err error) {
	versions, err := Versions(dir, name)
	if err != nil || len(versions) == 0 {
		return 0, err
	}
	var problems specfile.Problems
	list, err := load[TemplateCase](dir, name, &problems)
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		a := at{c.Pos, c.It, &problems}
		t, err := workflow.Load(dir, name, cmp.Or(c.Version, versions[len(versions)-1]), set, c.Extend)
		if err != nil {
			a.problem(c.Pos, "the template does not compile: "+err.Error(), "")
			continue
		}
		w := &walk{at: a, c: c, t: t, set: set, results: map[string]canonical.Record{}, scope: workflow.Scope{Vars: t.Blank()}, reached: map[string][]string{}}
		if w.prepare() {
			w.judge(w.run())
		}
	}
	return len(list), problems.Err()
}

// walk goes through a template's steps and notes what they would write. It is package engine
// without far sides: nothing is known anywhere, every write succeeds.
type walk struct {
	at
	c       TemplateCase
	t       *workflow.Template
	set     *canonical.Set
	scope   workflow.Scope
	results map[string]canonical.Record
	reached map[string][]string // result → roles in which it is known
	writes  []made
}

type made struct {
	to     string
	record canonical.Record
}

// prepare reads the given record, parameters and packages.
func (w *walk) prepare() bool {
	before := len(*w.problems)
	for _, p := range w.t.File.Parameters {
		given, _ := w.c.Parameters.Get(p.Key)
		data, err := given.Data()
		if err == nil {
			w.scope.Vars[p.Key], err = p.Value.Answer(data)
		}
		if err != nil {
			w.problem(given.Pos, "parameters."+p.Key+": "+err.Error(), "")
		}
	}
	for _, p := range w.c.Parameters {
		if _, known := w.t.File.Parameters.Get(p.Key); !known {
			w.problem(p.Pos, fmt.Sprintf("the template has no parameter %q", p.Key), "Known are "+strings.Join(w.t.File.Parameters.Keys(), ", ")+".")
		}
	}
	w.known()
	packages := map[string]map[string]any{}
	for _, p := range w.c.Packages {
		if fields, ok := w.fields(w.set.Schema("service_package"), p.Value); ok {
			fields["code"] = p.Key
			packages[p.Key] = fields
		}
	}
	w.scope.Place = &workflow.Place{Values: w.c.Values, Rates: w.c.Rates, Packages: func(code string) (map[string]any, bool) { p, ok := packages[code]; return p, ok }}
	w.scope.Vars["today"] = w.c.Today
	if r, ok := w.record(w.t.File.Trigger.Record, w.c.Given); ok {
		r.ID = "record"
		w.keep("record", r)
		w.keep(r.Type, r)
	}
	return len(*w.problems) == before
}

// known finds what the case says and no step has a use for: a misspelt name would let it pass for another reason.
func (w *walk) known() {
	var read, done []string
	for _, p := range w.t.Steps {
		if kind := p.Kind(); kind == "read" || kind == "find" {
			read = append(read, p.Name)
		}
		for _, role := range append(slices.Clone(p.To), p.In) {
			done = append(done, role+"/"+p.Record)
		}
	}
	for _, r := range w.c.Records {
		if !slices.Contains(read, r.Key) {
			w.problem(r.Pos, fmt.Sprintf("no step reads %q", r.Key), "Known are "+strings.Join(read, ", ")+".")
		}
	}
	for _, role := range w.c.Roles {
		if _, there := w.t.File.Roles[role]; !there {
			w.problem(w.c.Pos, fmt.Sprintf("the template has no role %q", role), "Known are "+strings.Join(slices.Sorted(maps.Keys(w.t.File.Roles)), ", ")+".")
		}
	}
	for _, left := range w.c.Without {
		if !slices.Contains(done, left) {
			w.problem(w.c.Pos, "no step has "+left+" to go without", "Write role/record, as in a flow.")
		}
	}
	if len(w.c.Expect) > 0 && w.c.Refused != nil {
		w.problem(w.c.Pos, both, bothHint)
	}
}

func (w *walk) record(name string, v specfile.Value) (canonical.Record, bool) {
	schema := w.set.Schema(name)
	fields, ok := w.fields(schema, v)
	if !ok {
		return canonical.Record{}, false
	}
	r, err := schema.Normalise(canonical.Record{Type: name, Fields: seen(schema, fields)})
	if err != nil {
		w.problem(v.Pos, err.Error(), "")
	}
	return r, err == nil
}

// seen makes references of the texts that stand for them: an id where the record was seen.
func seen(schema *canonical.Schema, fields map[string]any) map[string]any {
	for _, f := range schema.Fields {
		if id, ok := fields[f.Key].(string); ok && f.Value.Type == "ref" {
			fields[f.Key] = canonical.Ref{Type: f.Value.To, Key: hub.RecordKey{Connection: far, Kind: f.Value.To, ID: id}}
		}
	}
	return fields
}

// keep makes a result a variable of the steps after it, with how it is known in each role.
func (w *walk) keep(name string, r canonical.Record) {
	w.results[name] = r
	known := map[string]any{}
	for role := range w.t.File.Roles {
		known[role] = map[string]any{}
	}
	for _, role := range w.reached[name] {
		known[role] = map[string]any{"id": name + " in " + role, "number": "number of " + name + " in " + role, "link": "link of " + name + " in " + role}
	}
	view := maps.Clone(r.Fields)
	view["id"], view["at"] = string(r.ID), known
	w.scope.Vars[name] = view
}

func (w *walk) run() error {
	if w.t.When != nil {
		if wanted, err := w.t.When.TrueAt(w.scope.Place, w.scope.Vars); err != nil || !wanted {
			return err
		}
	}
	for i := range w.t.Steps {
		if err := w.step(&w.t.Steps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) step(p *workflow.Plan) error {
	if wanted, err := w.scope.Wants(p); err != nil || !wanted {
		return err
	}
	switch p.Kind() {
	case "check":
		_, err := w.scope.Check(w.t.Rules[p.Check])
		return err
	case "read":
		return w.read(p)
	case "find":
		return w.find(p)
	case "decide":
		return w.scope.Decide(p)
	case "approve":
		asked, err := w.scope.Asks(p)
		if err == nil && asked && !w.c.Approved {
			err = &hub.Error{Kind: hub.Blocked, Code: "approval.wanted", Message: p.Asks}
		}
		return err
	case "write":
		return w.write(p)
	case "post":
		return w.writeOne(p, "", p.Name)
	}
	return nil // match: nothing is known in any far side
}

func (w *walk) read(p *workflow.Plan) error {
	if p.In != "" && p.In != workflow.InLedger && (!w.connected(p.In) || slices.Contains(w.c.Without, p.In+"/"+p.Record)) {
		return nil
	}
	if _, err := w.scope.Ref(p); err != nil {
		return err
	}
	given, there := w.c.Records.Get(p.Read)
	if !there && p.In == workflow.InLedger {
		w.keep(p.Read, canonical.Record{ID: hub.RecordID(p.Read), Type: p.Record, Fields: map[string]any{}})
		return nil // the ledger knows nothing of it
	}
	if !there {
		return fmt.Errorf("the case gives no record for the step read: %s; add it under records", p.Read)
	}
	if r, ok := w.record(p.Record, given); ok {
		r.ID = hub.RecordID(p.Read)
		w.keep(p.Read, r)
	}
	return nil
}

// find takes what the case gives under the step's name.
func (w *walk) find(p *workflow.Plan) error {
	if !w.connected(p.In) || slices.Contains(w.c.Without, p.In+"/"+p.Record) {
		return nil
	}
	v, err := w.scope.Sought(p)
	if err != nil {
		return err
	}
	given, there := w.c.Records.Get(p.Name)
	if !there {
		return &hub.Error{Kind: hub.NotFound, Code: "find.unknown", Field: p.Record, Message: fmt.Sprintf("%s has no %s with the %s %v.", p.In, p.Record, p.By.Name, v)}
	}
	if r, ok := w.record(p.Record, given); ok {
		r.ID = hub.RecordID(p.Name)
		w.keep(p.Name, r)
	}
	return nil
}

func (w *walk) write(p *workflow.Plan) error {
	if p.Each == nil {
		return w.writeOne(p, p.Name, p.Name)
	}
	return w.scope.Each(p, func(key string) error { return w.writeOne(p, "", p.Name+"/"+key) })
}

// writeOne composes the record and notes its writes. Name is that of the result, id that of the record.
func (w *walk) writeOne(p *workflow.Plan, name, id string) error {
	r := canonical.Record{ID: hub.RecordID(id), Type: p.Record, Fields: map[string]any{}}
	if earlier, there := w.results[name]; there {
		r.ID, r.Fields = earlier.ID, maps.Clone(earlier.Fields)
	}
	if err := w.scope.Fill(p, r.Fields); err != nil {
		return err
	}
	r, err := w.set.Schema(p.Record).Normalise(r)
	if err != nil {
		return err
	}
	for _, role := range p.To {
		if w.connected(role) && !slices.Contains(w.c.Without, role+"/"+p.Record) {
			w.writes = append(w.writes, made{role, r})
			if name != "" && !slices.Contains(w.reached[name], role) {
				w.reached[name] = append(w.reached[name], role)
			}
		}
	}
	if name != "" {
		w.keep(name, r)
	}
	return nil
}

func (w *walk) connected(role string) bool {
	return len(w.c.Roles) == 0 || slices.Contains(w.c.Roles, role)
}

// judge compares what the steps came to with what the case expects.
func (w *walk) judge(err error) {
	if w.refusal(w.c.Refused, err) {
		return
	}
	for i, want := range w.c.Expect {
		if i >= len(w.writes) {
			w.problem(want.Pos, fmt.Sprintf("a %s is not written to %s", want.Write, want.To), "The steps write "+w.list()+".")
			continue
		}
		got := w.writes[i]
		if got.to != want.To || got.record.Type != want.Write {
			w.problem(want.Pos, fmt.Sprintf("write %d is a %s to %s, expected a %s to %s", i+1, got.record.Type, got.to, want.Write, want.To), "The steps write "+w.list()+".")
			continue
		}
		if !want.Fields.Set() {
			continue
		}
		if fields, ok := w.fields(w.set.Schema(want.Write), want.Fields); ok {
			w.same("fields", want.Fields, fields, got.record.Fields)
		}
	}
	if more := w.writes[min(len(w.c.Expect), len(w.writes)):]; len(more) > 0 {
		w.problem(w.pos, fmt.Sprintf("a %s is written to %s, which is not expected", more[0].record.Type, more[0].to), "The steps write "+w.list()+".")
	}
}

func (w *walk) list() string {
	names := []string{}
	for _, m := range w.writes {
		names = append(names, m.record.Type+" to "+m.to)
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
