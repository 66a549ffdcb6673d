package simulator

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"throughline/internal/expr"
	"throughline/internal/specfile"
)

// shape is a piece of a description that gives a value: a constant, an expression, or a tree of
// them. In a map, a key that ends in ? is left out when its value is null, and these keys mean
// something:
//
//	$each: =list, $is: …             a list with one … for every item
//	$when: =condition, $is: …, $else: …
//	$shape: name, $of: =row          another shape, applied to another row
//	$merge: [..]                     several maps as one
//	$wrapped: collection, $of: =row  every value in an object of its own (see wrap.go)
//	$annotate: =sent                 what was sent, with the message beside each fault
type shape interface {
	value(c *call) (any, error)
}

// named is one entry of a map of shapes.
type named struct {
	name  string
	value shape
}

type constant struct{ v any }

func (s constant) value(*call) (any, error) { return s.v, nil }

// reading is an expression that only names a value, such as row.name. Most are; they do without the
// expression language.
type reading struct{ path []string }

var readingText = regexp.MustCompile(`^[a-z][a-z_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

func (s reading) value(c *call) (any, error) {
	v := c.vars[s.path[0]]
	for _, name := range s.path[1:] {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, nil
		}
		v = m[name]
	}
	return c.leaf(v), nil
}

type computed struct{ program *expr.Program }

func (s computed) value(c *call) (any, error) {
	v, err := s.program.EvalAt(c, c.vars)
	if err != nil {
		return nil, err
	}
	return c.tree(v), nil
}

// predicate is a condition.
type predicate struct{ of shape }

// True: null is not true.
func (p *predicate) True(c *call) (bool, error) {
	v, err := p.of.value(c)
	return v == true, err
}

type record struct {
	entries []named
	maybe   []bool
}

func (s *record) value(c *call) (any, error) {
	out := make(map[string]any, len(s.entries))
	for i, e := range s.entries {
		v, err := e.value.value(c)
		if err != nil {
			return nil, err
		}
		if v != nil || !s.maybe[i] {
			out[e.name] = v
		}
	}
	return out, nil
}

type sequence []shape

func (s sequence) value(c *call) (any, error) {
	out := make([]any, 0, len(s))
	for _, one := range s {
		v, err := one.value(c)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

type loop struct{ each, is shape }

func (s *loop) value(c *call) (any, error) {
	v, err := s.each.value(c)
	if err != nil || v == nil {
		return nil, err
	}
	list, _ := v.([]any)
	out := make([]any, 0, len(list))
	for _, item := range list {
		err := c.with("item", item, func() error {
			v, err := s.is.value(c)
			out = append(out, v)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

type choice struct {
	when      *predicate
	is, other shape
}

func (s *choice) value(c *call) (any, error) {
	yes, err := s.when.True(c)
	if err != nil {
		return nil, err
	}
	if yes {
		return s.is.value(c)
	}
	if s.other == nil {
		return nil, nil
	}
	return s.other.value(c)
}

// applied is another shape on another row. It is looked up when used, because shapes may speak of
// each other in any order.
type applied struct {
	shapes map[string]shape
	name   string
	of     shape
}

func (s *applied) value(c *call) (any, error) {
	v, err := s.of.value(c)
	if err != nil || v == nil {
		return nil, err
	}
	var out any
	err = c.with("row", v, func() (err error) {
		out, err = s.shapes[s.name].value(c)
		return err
	})
	return out, err
}

type merged []shape

func (s merged) value(c *call) (any, error) {
	out := map[string]any{}
	for _, one := range s {
		v, err := one.value(c)
		if err != nil {
			return nil, err
		}
		m, _ := v.(map[string]any)
		maps.Copy(out, m)
	}
	return out, nil
}

// compiler turns a description into a plan and gathers everything that is wrong with it.
type compiler struct {
	env      *expr.Env
	plan     *plan
	problems specfile.Problems
}

func (k *compiler) problem(pos specfile.Pos, path, message, hint string) {
	k.problems.Add(pos, path, message, hint)
}

// shape compiles a value; nil for one that was left out.
func (k *compiler) shape(v specfile.Value) shape {
	switch v.Kind {
	case specfile.KindAbsent:
		return nil
	case specfile.KindExpr:
		return k.expression(v.Source, v.Pos, v.Path)
	case specfile.KindList:
		list := sequence{}
		for _, one := range v.Items {
			list = append(list, k.shape(one))
		}
		if fixed, ok := constants(list); ok {
			return constant{fixed}
		}
		return list
	case specfile.KindMap:
		return k.mapping(v)
	}
	plain, err := v.Data()
	if err != nil {
		k.problem(v.Pos, v.Path, err.Error(), "")
	}
	return constant{plain}
}

func constants(list sequence) ([]any, bool) {
	out := make([]any, len(list))
	for i, one := range list {
		c, ok := one.(constant)
		if !ok {
			return nil, false
		}
		out[i] = c.v
	}
	return out, true
}

func (k *compiler) mapping(v specfile.Value) shape {
	if i := slices.IndexFunc(v.Entries, func(e specfile.Entry[specfile.Value]) bool { return isWord(e.Key) }); i >= 0 {
		return k.special(v)
	}
	r := &record{}
	for _, e := range v.Entries {
		name, maybe := strings.CutSuffix(e.Key, "?")
		r.entries = append(r.entries, named{name, k.shape(e.Value)})
		r.maybe = append(r.maybe, maybe)
	}
	return r
}

var words = []string{"$each", "$is", "$when", "$else", "$shape", "$of", "$merge", "$wrapped", "$annotate", "$expand", "$select", "$custom"}

func isWord(key string) bool { return slices.Contains(words, key) }

// special compiles a map whose keys mean something.
func (k *compiler) special(v specfile.Value) shape {
	part := map[string]specfile.Value{}
	for _, e := range v.Entries {
		if !isWord(e.Key) {
			k.problem(e.Pos, v.Path, e.Key+" cannot stand beside words that begin with $", "")
		}
		part[e.Key] = e.Value
	}
	has := func(name string) bool { _, ok := part[name]; return ok }
	switch {
	case has("$each") && has("$is"):
		return &loop{k.shape(part["$each"]), k.shape(part["$is"])}
	case has("$when") && has("$is"):
		return &choice{&predicate{k.shape(part["$when"])}, k.shape(part["$is"]), k.shape(part["$else"])}
	case has("$shape") && has("$of"):
		return k.applied(part["$shape"], part["$of"])
	case has("$merge"):
		list, _ := k.shape(part["$merge"]).(sequence)
		return merged(list)
	case has("$wrapped") && has("$of"):
		return k.wrapping(part)
	case has("$annotate"):
		return &annotation{k.shape(part["$annotate"])}
	}
	k.problem(v.Pos, v.Path, "these words do not belong together", "$each goes with $is, $when with $is, $shape with $of")
	return constant{}
}

func (k *compiler) applied(name, of specfile.Value) shape {
	return &applied{k.plan.shapes, k.knownShape(name.Text, name.Pos, name.Path), k.shape(of)}
}

// knownShape checks that a shape exists; those that come later in the file are known as well.
func (k *compiler) knownShape(name string, pos specfile.Pos, path string) string {
	if _, ok := k.plan.shapes[name]; !ok {
		k.problem(pos, path, "there is no shape "+name, "")
	}
	return name
}

func (k *compiler) wrapping(part map[string]specfile.Value) shape {
	name := part["$wrapped"]
	of := k.plan.kinds[name.Text]
	if of == nil {
		k.problem(name.Pos, name.Path, "there is no collection "+name.Text, "")
		return constant{}
	}
	return &wrapping{
		fields: of.fields, names: of.names, of: k.shape(part["$of"]), expand: k.shape(part["$expand"]),
		choose: k.shape(part["$select"]), custom: k.shape(part["$custom"]),
	}
}

func (k *compiler) expression(source string, pos specfile.Pos, path string) shape {
	source = strings.TrimSpace(source)
	if readingText.MatchString(source) && !slices.Contains([]string{"true", "false", "null"}, source) {
		parts := strings.Split(source, ".")
		if !slices.Contains(variables, parts[0]) {
			k.problem(pos, path, "nothing here is called "+parts[0], "known are "+strings.Join(variables, ", "))
		}
		return reading{parts}
	}
	p, err := k.env.Compile(source, expr.Dyn)
	if err != nil {
		k.problem(pos, path, err.Error(), "")
		return constant{}
	}
	return computed{p}
}

// expr compiles a field that is an expression; nil when it was left out.
func (k *compiler) expr(e specfile.Expr) shape {
	if !e.Set() {
		return nil
	}
	return k.expression(e.Source, e.Pos, e.Path)
}

func (k *compiler) predicate(e specfile.Expr) *predicate {
	s := k.expr(e)
	if s == nil {
		return nil
	}
	return &predicate{s}
}

func (k *compiler) named(m specfile.Map[specfile.Value]) []named {
	var list []named
	for _, e := range m {
		list = append(list, named{e.Key, k.shape(e.Value)})
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
