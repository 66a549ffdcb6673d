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
	"throughline/internal/expr"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

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
	lists    map[string]bool   // value lists that are read
	problems *specfile.Problems
}

func compile(f *File, set *canonical.Set, extend map[string]specfile.Map[specfile.Value], problems *specfile.Problems) *Template {
	c := &compiler{file: f, set: set, problems: problems, records: map[string]string{}, lists: map[string]bool{}, vars: expr.Vars{"item": expr.Dyn, "today": expr.Date}}
	c.objects = maps.Clone(set.Objects())
	c.objects["rate"] = map[string]expr.Type{"rate": expr.Money, "source": expr.Text, "from": expr.Text}
	c.objects["@link"] = map[string]expr.Type{"id": expr.Text, "number": expr.Text, "link": expr.Text}
	for name, fields := range set.Objects() {
		if set.Schema(name) != nil {
			fields = maps.Clone(fields)
			fields["at"] = expr.Map(expr.Object("@link")) // project.at.erp.number
			c.objects[name] = fields
		}
	}
	c.parameters()
	t := &Template{File: f, Rules: map[string][]CompiledRule{}, Lists: c.lists}
	if set.Schema(f.Trigger.Record) == nil {
		problems.Add(f.Pos, "trigger.record", fmt.Sprintf("there is no canonical record %q", f.Trigger.Record), "Known are "+strings.Join(set.Names(), ", ")+".")
		return t
	}
	c.role(f.Pos, "trigger.from", f.Trigger.From)
	c.declare("record", f.Trigger.Record)
	t.When, t.Open = c.expr(f.Trigger.When, expr.Bool), c.expr(f.Trigger.Open, expr.Date)
	c.extensions(extend)
	for i, s := range f.Steps {
		if written := s.Write + s.Post; written != "" {
			for point, step := range maps.Collect(points(f)) {
				if step == written {
					s.Set = append(slices.Clone(s.Set), extend[point]...)
				}
			}
		}
		t.Steps = append(t.Steps, c.step(s, t))
		if s.Post != "" && i < len(f.Steps)-1 {
			problems.Add(s.Pos, "post", "post is not the last step", "A run that finds its record posted already is done: what comes after would be left out.")
		}
	}
	if last := len(t.Steps) - 1; last >= 0 && t.Steps[last].Kind() == "post" {
		t.Post = &t.Steps[last]
	}
	t.Worth = c.expr(f.Worth, expr.Money)
	c.unused(t)
	return t
}

// parameters declares what a flow answers. A default has the form of an answer, and a name is that of nothing else.
func (c *compiler) parameters() {
	taken := []string{"record", "item", "today", c.file.Trigger.Record}
	for _, s := range c.file.Steps {
		taken = append(taken, s.Read, s.Find, s.Decide, s.Write)
	}
	for _, p := range c.file.Parameters {
		if _, err := p.Value.Answer(nil); err != nil && p.Value.Default != "" {
			c.problems.Add(p.Pos, "parameters."+p.Key+".default", err.Error(), "")
		}
		if slices.Contains(taken, p.Key) {
			c.problems.Add(p.Pos, "parameters."+p.Key, "a record or a step is called that already", "Expressions read both by name: give it another one.")
		}
		c.vars[p.Key] = parameterType(p.Value.Type)
	}
}

// unused finds rules that no step checks, and extension points that no step has.
func (c *compiler) unused(t *Template) {
	for _, pack := range c.file.Rules {
		if len(pack.Value) > 0 && len(t.Rules[pack.Key]) == 0 {
			c.problems.Add(pack.Pos, "rules."+pack.Key, "no step checks these rules", "Add - check: "+pack.Key+", or take them out.")
		}
	}
	for _, e := range c.file.Extend {
		if !slices.ContainsFunc(c.file.Steps, func(s Step) bool { return s.Write+s.Post == e.Value }) {
			c.problems.Add(e.Pos, "extension_points."+e.Key, fmt.Sprintf("no step writes a %q", e.Value), "An extension point names a write or post step.")
		}
	}
}

// extensions refuses fields at a point that there is not: nobody would ever set them.
func (c *compiler) extensions(extend map[string]specfile.Map[specfile.Value]) {
	for _, point := range slices.Sorted(maps.Keys(extend)) {
		if _, there := c.file.Extend.Get(point); there || len(extend[point]) == 0 {
			continue
		}
		c.problems.Add(extend[point][0].Pos, "extend."+point, fmt.Sprintf("the template %s@%d has no extension point %q", c.file.Template, c.file.Version, point),
			"It has "+strings.Join(c.file.Extend.Keys(), ", ")+".")
	}
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
	case "date":
		return expr.Date
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
		expr.Func{Name: "find_rate", Args: []expr.Type{expr.Dyn}, Result: expr.Object("rate"), Call: callRate},
	))
	if err == nil {
		var p *expr.Program
		if p, err = env.Compile(source, want); err == nil {
			for _, read := range readsList.FindAllStringSubmatch(source, -1) {
				c.lists[read[1]+read[2]] = true
			}
			return p
		}
	}
	c.problems.Add(pos, at, err.Error(), "")
	return nil
}

// readsList is where an expression reads a value list, with its name where that is written out.
var readsList = regexp.MustCompile(`\bvalue\(\s*(?:"([^"]*)"|'([^']*)')?`)

func (c *compiler) step(s Step, t *Template) Plan {
	p := Plan{Step: s, When: c.expr(s.When, expr.Bool), Uses: uses(s)}
	c.words(s)
	c.roles(s)
	switch s.Kind() {
	case "check":
		p.Name = s.Check
		if len(t.Rules[s.Check]) > 0 {
			break // checked before
		}
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
	case "find":
		c.find(s, &p)
	case "match":
		p.Name, p.Record = s.Match, c.records[s.Match]
		if p.Record == "" {
			c.problems.Add(s.Pos, "match", fmt.Sprintf("no earlier step gives %q", s.Match), "Read it first.")
		}
	case "decide":
		c.decide(s, &p)
	case "approve":
		p.Name, p.Ask = "approve", c.expr(s.Approve, expr.Bool)
	case "write":
		c.write(s, &p)
	case "post":
		c.post(s, &p)
	}
	for _, r := range rolesIn(t.sources(&p)) {
		c.role(s.Pos, "at", r)
	}
	return p
}

// find compiles a search by one field.
func (c *compiler) find(s Step, p *Plan) {
	p.Name, p.Record = s.Find, s.Find
	if c.set.Schema(s.Find) == nil {
		c.problems.Add(s.Pos, "find", fmt.Sprintf("there is no canonical record %q", s.Find), "Known are "+strings.Join(c.set.Names(), ", ")+".")
		return
	}
	if len(s.By) != 1 {
		c.problems.Add(s.Pos, "find", "a search wants one field in by:", "Write it like in: erp, by: {code: =record.code}.")
		return
	}
	by := s.By[0]
	p.By = &Field{Name: by.Key}
	if by.Value.Kind == specfile.KindExpr {
		p.By.Program = c.compile(by.Value.Pos, by.Key, by.Value.Source, expr.Dyn)
	} else {
		p.By.Literal = c.literal(by)
	}
	c.declare(s.Find, s.Find)
}

// decide compiles a step whose result is an object: a service package, a rate.
func (c *compiler) decide(s Step, p *Plan) {
	p.Name, p.From = s.Decide, c.expr(s.From, expr.Dyn)
	if p.From == nil {
		return // a problem already
	}
	p.Record = p.From.Result().String()
	if c.objects[p.Record] == nil {
		c.problems.Add(s.Pos, "from", fmt.Sprintf("this is %s, which has no fields", p.Record), "Decide for an object, such as service_package(…) or find_rate(…).")
		return
	}
	c.declare(s.Decide, p.Record)
}

// post compiles the step that brings the triggering record into the books.
func (c *compiler) post(s Step, p *Plan) {
	c.write(Step{Pos: s.Pos, Write: s.Post, Set: s.Set}, p)
	p.Step, p.Name = s, s.Post
	if len(s.To) != 1 {
		c.problems.Add(s.Pos, "to", "a record is posted to one system", "Name one role; another system takes another flow.")
	}
	for _, f := range s.StandBy {
		if _, ok := c.set.TypeOf(c.file.Trigger.Record, f); !ok {
			c.problems.Add(s.Pos, "stands_by", fmt.Sprintf("a %s has no field %q", c.file.Trigger.Record, f), "Known are "+strings.Join(c.set.Schema(c.file.Trigger.Record).Fields.Keys(), ", ")+".")
		}
	}
	if len(s.StandBy) == 0 {
		c.problems.Add(s.Pos, "stands_by", "nothing says by what a posting stands", "Name the fields whose change takes it back, such as [employee, project, date, seconds].")
	}
	if s.BackAs != "" && c.set.Schema(s.BackAs) == nil {
		c.problems.Add(s.Pos, "back_as", fmt.Sprintf("there is no canonical record %q", s.BackAs), "Known are "+strings.Join(c.set.Names(), ", ")+".")
	}
	for _, l := range s.Limits {
		if l.Seconds.Set() == l.Amount.Set() {
			c.problems.Add(l.Pos, "limits", "a limit is either of seconds or of an amount", "Set one of the two.")
		}
		p.Limits = append(p.Limits, PlanLimit{l, c.expr(l.Per, expr.Text), c.expr(l.Seconds, expr.Seconds), c.expr(l.Amount, expr.Money), c.expr(l.Warn, expr.Int)})
	}
}

func (c *compiler) literal(f specfile.Entry[specfile.Value]) any {
	data, err := f.Value.Data()
	if err != nil {
		c.problems.Add(f.Pos, f.Key, err.Error(), "")
	}
	return data
}

var atRole = regexp.MustCompile(`\.at\.([a-z][a-z0-9_]*)`)

// uses finds the roles whose answers a step's expressions read.
func uses(s Step) []string {
	sources := []string{s.When.Source, s.Each.Source, s.Key.Source, s.From.Source, s.Approve.Source}
	for _, f := range s.Set {
		sources = append(sources, f.Value.Source)
	}
	return rolesIn(sources)
}

// rolesIn are the roles whose answers expressions read: project.at.erp.number.
func rolesIn(sources []string) (out []string) {
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
	for i, r := range s.To {
		c.role(s.Pos, "to", r)
		if slices.Contains(s.To[:i], r) {
			c.problems.Add(s.Pos, "to", fmt.Sprintf("%s stands there twice", r), "Name each role once.")
		}
	}
	if s.In != "" && (s.In != InLedger || s.Kind() != "read") {
		c.role(s.Pos, "in", s.In)
	}
}

func (c *compiler) role(pos specfile.Pos, at, name string) {
	if _, ok := c.file.Roles[name]; !ok {
		c.problems.Add(pos, at, fmt.Sprintf("there is no role %q", name), "Known are "+strings.Join(slices.Sorted(maps.Keys(c.file.Roles)), ", ")+".")
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
		var err error
		if out.Literal, err = c.set.Schema(record).Field(f.Key, c.literal(f)); err != nil {
			c.problems.Add(f.Pos, f.Key, err.Error(), "")
		}
		return out
	}
	if out.RefTo != "" && c.records[f.Value.Source] == out.RefTo {
		t = expr.Object(out.RefTo)
	}
	out.Program = c.compile(f.Value.Pos, f.Key, f.Value.Source, t)
	return out
}
