package simulator

import (
	"fmt"
	"strings"
)

// filter puts together what a list shows: the route's scope and what the caller asks for.
func (c *call) filter() (filter, error) {
	f, err := c.where(c.route.scope)
	if err != nil || c.route.filter == nil {
		return f, err
	}
	list := f.(allOf)
	for _, p := range c.route.filter.query {
		one, err := c.parameter(p)
		if err != nil {
			return nil, err
		}
		if one != nil {
			list = append(list, one)
		}
	}
	if c.route.filter.odata != nil {
		one, err := c.odata()
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if c.route.filter.groups != nil {
		one, err := c.groups(c.route.filter.groups)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// parameter is a condition from one parameter of the address; nil when it was not sent.
func (c *call) parameter(p param) (filter, error) {
	query, _ := c.vars["query"].(map[string]any)
	sent, ok := query[p.name]
	if !ok || blank(sent) {
		return nil, nil
	}
	for _, all := range p.spec.Skip {
		if textOf(sent) == all {
			return nil, nil
		}
	}
	op := "eq"
	value := sent
	if p.op != nil {
		v, err := p.op.value(c)
		if err != nil {
			return nil, err
		}
		op = textOf(v)
	}
	if p.value != nil {
		v, err := p.value.value(c)
		if err != nil {
			return nil, err
		}
		value = v
	}
	f, err := newCondition(p.spec.Field, op, value)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", p.name, err)
	}
	f.fold = p.spec.Fold
	if op == "in" || op == "not_in" {
		f.list = several(query, p, textOf(value))
	}
	return f, nil
}

// several are the values of a parameter that was repeated or holds a list.
func several(query map[string]any, p param, value string) []any {
	if list, ok := query[p.name+"[]"].([]any); ok {
		return list
	}
	split := p.spec.Split
	if split == "" {
		split = ","
	}
	var list []any
	for _, one := range strings.Split(value, split) {
		list = append(list, one)
	}
	return list
}

func (c *call) odata() (filter, error) {
	v, err := c.route.filter.odata.value(c)
	if err != nil || blank(v) {
		return allOf{}, err
	}
	return c.parsed(textOf(v), c.route.filter.strict)
}

// parsed reads an OData filter; strict far sides look at the fields' types.
func (c *call) parsed(text string, strict bool) (filter, error) {
	f, err := parseOData(text)
	if err == nil && strict {
		err = fits(f, c.collection().kind.fields)
	}
	if err != nil {
		return nil, &refusal{name: "bad_filter", code: "odata", message: err.Error()}
	}
	return f, nil
}

// fits checks that a filter speaks of fields that exist, with values of their type.
func fits(f filter, fields map[string]*field) error {
	switch f := f.(type) {
	case allOf:
		return fitAll(f, fields)
	case anyOf:
		return fitAll(f, fields)
	case not:
		return fits(f.filter, fields)
	case *condition:
		return f.fits(fields)
	}
	return nil
}

func fitAll(list []filter, fields map[string]*field) error {
	for _, one := range list {
		if err := fits(one, fields); err != nil {
			return err
		}
	}
	return nil
}

func (c *condition) fits(fields map[string]*field) error {
	if c.path[0] == "custom" || c.path[0] == "id" {
		return nil
	}
	var f *field
	for _, name := range c.path {
		if f = fields[name]; f == nil {
			return fmt.Errorf("the field %s does not exist", strings.Join(c.path, "/"))
		}
		fields = f.fields
	}
	if _, isText := c.value.(string); isText && (f.Type == "bool" || f.Type == "number" || f.Type == "integer") {
		return fmt.Errorf("the types of %s and the value are incompatible", f.name)
	}
	return nil
}

// groups reads a list of groups of conditions: a row must meet all conditions of any group.
func (c *call) groups(g *groups) (filter, error) {
	v, err := g.from.value(c)
	if err != nil || v == nil {
		return allOf{}, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, badFilter("the groups of filters must be a list")
	}
	if g.spec.MaxGroups > 0 && len(list) > g.spec.MaxGroups {
		return nil, badFilter(fmt.Sprintf("too many groups of filters: %d, at most %d", len(list), g.spec.MaxGroups))
	}
	either, total := anyOf{}, 0
	for _, one := range list {
		all, err := c.group(g, one)
		if err != nil {
			return nil, err
		}
		total += len(all)
		either = append(either, all)
	}
	if g.spec.MaxTotal > 0 && total > g.spec.MaxTotal {
		return nil, badFilter(fmt.Sprintf("too many filters: %d, at most %d", total, g.spec.MaxTotal))
	}
	if len(either) == 0 {
		return allOf{}, nil
	}
	return either, nil
}

func badFilter(message string) error { return &refusal{name: "bad_filter", message: message} }

func (c *call) group(g *groups, v any) (allOf, error) {
	m, _ := v.(map[string]any)
	list, _ := m[g.spec.Filters].([]any)
	if g.spec.MaxEach > 0 && len(list) > g.spec.MaxEach {
		return nil, badFilter(fmt.Sprintf("too many filters in a group: %d, at most %d", len(list), g.spec.MaxEach))
	}
	all := allOf{}
	for _, one := range list {
		f, err := c.grouped(g, one)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func (c *call) grouped(g *groups, v any) (filter, error) {
	m, _ := v.(map[string]any)
	name, word := textOf(m[g.spec.Field]), textOf(m[g.spec.Operator])
	op, ok := g.operators[word]
	if !ok {
		return nil, badFilter(fmt.Sprintf("%q is not an operator", word))
	}
	if k := c.collection().kind; k.fields[name] == nil && name != k.idField {
		return nil, &refusal{name: "bad_filter", code: "unknown_field", message: "there is no property " + name,
			faults: []fault{{field: name, code: "unknown_field"}}}
	}
	f, err := newCondition(name, op, m[g.spec.Value])
	if err != nil {
		return nil, err
	}
	f.fold = g.spec.Fold
	switch op {
	case "in", "not_in":
		f.list, _ = m[g.spec.Values].([]any)
		if len(f.list) == 0 {
			return nil, badFilter(word + " needs values")
		}
	case "between":
		f.list = []any{m[g.spec.Value], m[g.spec.High]}
	case "has", "missing":
	default:
		if f.value == nil {
			return nil, badFilter(word + " needs a value")
		}
	}
	return f, nil
}
