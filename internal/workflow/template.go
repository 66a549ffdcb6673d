// Package workflow knows what a template file may say: the trigger, the steps and the parameters of
// a process, written on canonical records and roles only. It names no vendor and no operation.
//
// A template is compiled for a deployment: its expressions are typed against the canonical records,
// the parameters and the results of earlier steps, so that a template that could fail on a type
// cannot be deployed. Carrying a step out is the business of package engine.
package workflow

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// File is templates/NAME/vN.yaml.
type File struct {
	Pos        specfile.Pos
	Template   string                  `spec:"template,required" pattern:"^[a-z][a-z0-9-]*$"`
	Version    int                     `spec:"version,required" min:"1"`
	Title      string                  `spec:"title,required"`
	About      string                  `spec:"about"`
	Roles      map[string]string       `spec:"roles,required" doc:"role: required or optional"`
	Parameters specfile.Map[Parameter] `spec:"parameters"`
	Trigger    Trigger                 `spec:"trigger,required"`
	Rules      specfile.Map[[]Rule]    `spec:"rules" doc:"packs of rules, for check steps"`
	Steps      []Step                  `spec:"steps,required"`
	Extend     specfile.Map[string]    `spec:"extension_points" doc:"name: the write step whose fields a deployment may add to"`
}

// Parameter is a question that a deployment answers.
type Parameter struct {
	Type    string   `spec:"type,required" enum:"text|bool|int|money|list"`
	Title   string   `spec:"title,required"`
	About   string   `spec:"about"`
	Default string   `spec:"default"`
	Values  []string `spec:"values" doc:"what a text may be"`
}

// Trigger says which record of which role starts a run.
type Trigger struct {
	Record string        `spec:"record,required"`
	From   string        `spec:"from,required"`
	When   specfile.Expr `spec:"when" doc:"false: the record is filtered"`
}

// Rule is a condition that must hold.
type Rule struct {
	Pos      specfile.Pos
	Rule     string        `spec:"rule,required" doc:"its name, stable"`
	That     specfile.Expr `spec:"that,required" doc:"what must be true"`
	Says     string        `spec:"says,required" doc:"what is wrong, for people"`
	Fix      string        `spec:"fix" doc:"what to do about it"`
	Field    string        `spec:"field"`
	Severity string        `spec:"severity" enum:"block|warn" default:"block"`
}

// Step is one step; the first of check, read, match, decide, approve and write that is set is its kind.
type Step struct {
	Pos     specfile.Pos
	Check   string                       `spec:"check" doc:"the pack of rules that must hold"`
	Read    string                       `spec:"read" doc:"the record type that is read, and the name of the result"`
	Of      specfile.Expr                `spec:"of" doc:"the reference that is read"`
	Match   string                       `spec:"match" doc:"the result of an earlier step that may be known in another system already"`
	In      string                       `spec:"in" doc:"the role whose system is searched"`
	Decide  string                       `spec:"decide" doc:"the name of the result"`
	From    specfile.Expr                `spec:"from"`
	Approve specfile.Expr                `spec:"approve" doc:"a person is asked where this is true"`
	Asks    string                       `spec:"asks" doc:"what the person is asked"`
	Write   string                       `spec:"write" doc:"the record type that is written, and the name of the result"`
	To      []string                     `spec:"to,one" doc:"the roles it is written to"`
	Set     specfile.Map[specfile.Value] `spec:"set" doc:"canonical field: value; left out: the record as it was read"`
	Each    specfile.Expr                `spec:"each" doc:"once per item, as item"`
	Key     specfile.Expr                `spec:"key" doc:"what tells the items of each apart, over all time"`
	When    specfile.Expr                `spec:"when" doc:"false: the step is left out"`
}

// Kind is what a step does.
func (s Step) Kind() string {
	switch {
	case s.Check != "":
		return "check"
	case s.Read != "":
		return "read"
	case s.Match != "":
		return "match"
	case s.Decide != "":
		return "decide"
	case s.Approve.Set():
		return "approve"
	case s.Write != "":
		return "write"
	}
	return ""
}

// Template is a compiled file.
type Template struct {
	File  *File
	When  *expr.Program
	Steps []Plan
	Rules map[string][]CompiledRule
}

// Plan is a compiled step.
type Plan struct {
	Step
	Name            string // of the result, or of the step
	Record          string // the canonical type of the result
	Of, From, Ask   *expr.Program
	Each, Key, When *expr.Program
	Set             []Field
	Uses            []string // the roles whose ids, numbers or links the step reads: project.at.erp.number
}

// Field sets one field of a written record.
type Field struct {
	Name    string
	Program *expr.Program
	Literal any
	RefTo   string // the field is a reference to such a record
}

// CompiledRule is a rule with its condition.
type CompiledRule struct {
	Rule
	That *expr.Program
}

// Packages looks service packages up for expressions: service_package(code).
type Packages func(code string) (map[string]any, bool)

// Place is where a template's expressions are evaluated.
type Place struct {
	Packages Packages
	Values   map[string]map[string]string // the tenant's value maps
}

// Load reads one version of a template, its extensions by a deployment included.
func Load(dir fs.FS, name string, version int, set *canonical.Set, extend map[string]specfile.Map[specfile.Value]) (*Template, error) {
	file := path.Join(name, "v"+strconv.Itoa(version)+".yaml")
	data, err := fs.ReadFile(dir, file)
	if err != nil {
		return nil, &hub.Error{Kind: hub.NotFound, Code: "template.unknown", Message: fmt.Sprintf("There is no template %s@%d.", name, version),
			Hint: "Correct name or version; a partner's own stand below templates/ of --definitions.", Err: err}
	}
	f := &File{}
	problems := specfile.Decode(file, data, f)
	t := compile(f, set, extend, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

type compiler struct {
	file     *File
	set      *canonical.Set
	objects  expr.Objects
	vars     expr.Vars
	records  map[string]string // result → canonical type
	problems *specfile.Problems
}

func compile(f *File, set *canonical.Set, extend map[string]specfile.Map[specfile.Value], problems *specfile.Problems) *Template {
	c := &compiler{file: f, set: set, problems: problems, records: map[string]string{}, vars: expr.Vars{"item": expr.Dyn, "today": expr.Date}}
	c.objects = maps.Clone(set.Objects())
	c.objects["@link"] = map[string]expr.Type{"id": expr.Text, "number": expr.Text, "link": expr.Text}
	for name, fields := range set.Objects() {
		if set.Schema(name) != nil {
			fields = maps.Clone(fields)
			fields["at"] = expr.Map(expr.Object("@link")) // project.at.erp.number
			c.objects[name] = fields
		}
	}
	for _, p := range f.Parameters {
		c.vars[p.Key] = parameterType(p.Value.Type)
	}
	t := &Template{File: f, Rules: map[string][]CompiledRule{}}
	if set.Schema(f.Trigger.Record) == nil {
		problems.Add(f.Pos, "trigger.record", fmt.Sprintf("there is no canonical record %q", f.Trigger.Record), "Known are "+strings.Join(set.Names(), ", ")+".")
		return t
	}
	c.declare("record", f.Trigger.Record)
	t.When = c.expr(f.Trigger.When, expr.Bool)
	for _, s := range f.Steps {
		if s.Write != "" {
			for point, step := range maps.Collect(points(f)) {
				if step == s.Write {
					s.Set = append(slices.Clone(s.Set), extend[point]...)
				}
			}
		}
		t.Steps = append(t.Steps, c.step(s, t))
	}
	return t
}

func points(f *File) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, e := range f.Extend {
			if !yield(e.Key, e.Value) {
				return
			}
		}
	}
}

func parameterType(name string) expr.Type {
	switch name {
	case "bool":
		return expr.Bool
	case "int":
		return expr.Int
	case "money":
		return expr.Money
	case "list":
		return expr.List(expr.Text)
	}
	return expr.Text
}

// declare makes a step's result a variable of the steps after it.
func (c *compiler) declare(name, record string) {
	c.vars[name] = expr.Object(record)
	c.records[name] = record
}

func (c *compiler) expr(e specfile.Expr, want expr.Type) *expr.Program {
	if !e.Set() {
		return nil
	}
	return c.compile(e.Pos, e.Path, e.Source, want)
}

func (c *compiler) compile(pos specfile.Pos, at, source string, want expr.Type) *expr.Program {
	env, err := expr.NewEnv(c.vars, expr.WithObjects(c.objects), expr.WithFuncs(
		expr.Func{Name: "service_package", Args: []expr.Type{expr.Text}, Result: expr.Object("service_package"), Call: callPackage},
		expr.Func{Name: "value", Args: []expr.Type{expr.Text, expr.Dyn}, Result: expr.Text, Call: callValue},
	))
	if err == nil {
		var p *expr.Program
		if p, err = env.Compile(source, want); err == nil {
			return p
		}
	}
	c.problems.Add(pos, at, err.Error(), "")
	return nil
}

func (c *compiler) step(s Step, t *Template) Plan {
	p := Plan{Step: s, When: c.expr(s.When, expr.Bool), Uses: uses(s)}
	c.roles(s)
	switch s.Kind() {
	case "check":
		p.Name = s.Check
		for _, pack := range c.file.Rules {
			if pack.Key != s.Check {
				continue
			}
			for _, r := range pack.Value {
				t.Rules[s.Check] = append(t.Rules[s.Check], CompiledRule{r, c.expr(r.That, expr.Bool)})
			}
		}
		if len(t.Rules[s.Check]) == 0 {
			c.problems.Add(s.Pos, "check", fmt.Sprintf("there is no pack of rules %q", s.Check), "Add it under rules:.")
		}
	case "read":
		p.Name, p.Record, p.Of = s.Read, s.Read, c.expr(s.Of, expr.Ref(s.Read))
		c.declare(s.Read, s.Read)
	case "match":
		p.Name, p.Record = s.Match, c.records[s.Match]
		if p.Record == "" {
			c.problems.Add(s.Pos, "match", fmt.Sprintf("no earlier step gives %q", s.Match), "Read it first.")
		}
	case "decide":
		p.Name, p.Record, p.From = s.Decide, "service_package", c.expr(s.From, expr.Object("service_package"))
		c.declare(s.Decide, p.Record)
	case "approve":
		p.Name, p.Ask = "approve", c.expr(s.Approve, expr.Bool)
	case "write":
		c.write(s, &p)
	default:
		c.problems.Add(s.Pos, "steps", "this step does nothing", "A step is one of check, read, match, decide, approve and write.")
	}
	return p
}

var atRole = regexp.MustCompile(`\.at\.([a-z][a-z0-9_]*)`)

// uses finds the roles whose answers a step's expressions read.
func uses(s Step) []string {
	var out []string
	sources := []string{s.When.Source, s.Each.Source, s.Key.Source, s.From.Source, s.Approve.Source}
	for _, f := range s.Set {
		sources = append(sources, f.Value.Source)
	}
	for _, source := range sources {
		for _, hit := range atRole.FindAllStringSubmatch(source, -1) {
			if !slices.Contains(out, hit[1]) {
				out = append(out, hit[1])
			}
		}
	}
	return out
}

func (c *compiler) roles(s Step) {
	for _, r := range append(slices.Clone(s.To), s.In) {
		if _, ok := c.file.Roles[r]; r != "" && !ok {
			c.problems.Add(s.Pos, "to", fmt.Sprintf("there is no role %q", r), "Known are "+strings.Join(slices.Sorted(maps.Keys(c.file.Roles)), ", ")+".")
		}
	}
}

func (c *compiler) write(s Step, p *Plan) {
	p.Name, p.Record = s.Write, s.Write
	if r := c.records[s.Write]; r != "" {
		p.Record = r // an earlier result is written on: the account that was read
	} else if s.Write == c.file.Trigger.Record {
		p.Record = s.Write
	}
	if c.set.Schema(p.Record) == nil {
		c.problems.Add(s.Pos, "write", fmt.Sprintf("there is no canonical record %q", p.Record), "Known are "+strings.Join(c.set.Names(), ", ")+".")
		return
	}
	p.Each = c.expr(s.Each, expr.Dyn)
	if p.Each != nil {
		c.vars["item"] = expr.Dyn
		p.Key = c.expr(s.Key, expr.Dyn)
		if p.Key == nil {
			c.problems.Add(s.Pos, "each", "the items have no key", "Add key: =item.code, so that the same item is found again in the next run.")
		}
	}
	for _, f := range s.Set {
		p.Set = append(p.Set, c.field(p.Record, f))
	}
	if p.Each == nil {
		c.declare(s.Write, p.Record)
	}
}

// field compiles one line of set. A reference may be given by the record that it points to.
func (c *compiler) field(record string, f specfile.Entry[specfile.Value]) Field {
	out := Field{Name: f.Key}
	t, ok := c.set.TypeOf(record, f.Key)
	if !ok {
		c.problems.Add(f.Pos, f.Key, fmt.Sprintf("a %s has no field %q", record, f.Key), "Known are "+strings.Join(c.set.Schema(record).Fields.Keys(), ", ")+".")
		return out
	}
	for _, def := range c.set.Schema(record).Fields {
		if def.Key == f.Key && def.Value.Type == "ref" {
			out.RefTo = def.Value.To
		}
	}
	if f.Value.Kind != specfile.KindExpr {
		data, err := f.Value.Data()
		if err != nil {
			c.problems.Add(f.Pos, f.Key, err.Error(), "")
		}
		out.Literal = data
		return out
	}
	if out.RefTo != "" && c.records[f.Value.Source] == out.RefTo {
		t = expr.Object(out.RefTo)
	}
	out.Program = c.compile(f.Value.Pos, f.Key, f.Value.Source, t)
	return out
}

func callPackage(at any, args []any) (any, error) {
	code, _ := args[0].(string)
	if code == "" {
		return nil, nil
	}
	if p, ok := at.(*Place).Packages(code); ok {
		return p, nil
	}
	return nil, &hub.Error{Kind: hub.Invalid, Code: "package.unknown", Field: "package", Message: fmt.Sprintf("Nobody has said what work the package %q is.", code),
		Hint: "Add it to the customer's packages, or map it to one of them (values, service_package), then retry."}
}

// callValue maps by the tenant's own list; what it does not name stays what it is.
func callValue(at any, args []any) (any, error) {
	name, _ := args[0].(string)
	v, _ := args[1].(string)
	if to, ok := at.(*Place).Values[name][v]; ok {
		return to, nil
	}
	return args[1], nil
}

// Answer turns a deployment's answer to a parameter into a value, or its default.
func (p Parameter) Answer(given any) (any, error) {
	if given == nil {
		given = p.Default
	}
	s, text := given.(string)
	switch p.Type {
	case "money":
		if s == "" || s == "none" {
			return nil, nil
		}
		return exact.ParseMoney(s)
	case "bool":
		if b, ok := given.(bool); ok {
			return b, nil
		}
		return s == "true", nil
	case "list":
		if !text {
			return given, nil
		}
		var list []any
		for _, e := range strings.Fields(strings.ReplaceAll(s, ",", " ")) {
			list = append(list, e)
		}
		return list, nil
	case "int":
		if n, ok := given.(int64); ok {
			return n, nil
		}
		return strconv.ParseInt(s, 10, 64)
	}
	if !text {
		return nil, fmt.Errorf("text is wanted")
	}
	if len(p.Values) > 0 && !slices.Contains(p.Values, s) {
		return nil, fmt.Errorf("%q is none of %s", s, strings.Join(p.Values, ", "))
	}
	return s, nil
}
