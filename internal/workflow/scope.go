package workflow

import (
	"fmt"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/hub"
)

// Scope is what the steps of one run read: the variables, and the place in which their expressions are evaluated.
// What a step means as far as it reaches no far side stands here, once for runs and once for cases.
type Scope struct {
	Place *Place
	Vars  map[string]any
}

// Wants reports whether a step is not to be left out.
func (s Scope) Wants(p *Plan) (bool, error) {
	if p.When == nil {
		return true, nil
	}
	return p.When.TrueAt(s.Place, s.Vars)
}

// Check holds the record against a pack of rules; all that fail are told at once, and the first one
// gives the error its name. Warns are what fails without stopping it.
func (s Scope) Check(rules []CompiledRule) (warns []string, err error) {
	var says, fixes []string
	var first *CompiledRule
	for i, rule := range rules {
		holds, err := rule.That.TrueAt(s.Place, s.Vars)
		if err != nil {
			return warns, err
		}
		if holds {
			continue
		}
		if rule.Severity != "block" {
			warns = append(warns, rule.Says)
			continue
		}
		says = append(says, rule.Says)
		if rule.Fix != "" {
			fixes = append(fixes, rule.Fix)
		}
		if first == nil {
			first = &rules[i]
		}
	}
	if first == nil {
		return warns, nil
	}
	return warns, &hub.Error{Kind: hub.Blocked, Code: "rule." + first.Rule.Rule, Field: first.Field, Message: strings.Join(says, " "), Hint: strings.Join(fixes, " ")}
}

// Ref is the record that a read step reads.
func (s Scope) Ref(p *Plan) (canonical.Ref, error) {
	v, err := p.Of.EvalAt(s.Place, s.Vars)
	if err != nil {
		return canonical.Ref{}, err
	}
	ref, ok := v.(canonical.Ref)
	if !ok {
		return canonical.Ref{}, &hub.Error{Kind: hub.Invalid, Code: "record.reference_missing", Field: p.Read, Message: fmt.Sprintf("The record names no %s.", plainly(p.Read)),
			Hint: "Fill it in where the record comes from, then retry."}
	}
	return ref, nil
}

// Sought is the value that a find step looks for.
func (s Scope) Sought(p *Plan) (any, error) {
	v, err := s.Field(*p.By)
	if err != nil {
		return nil, err
	}
	if v == nil || v == "" {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "find.nothing_to_find", Field: p.Name, Message: fmt.Sprintf("Nothing says which %s this is.", plainly(p.Record)),
			Hint: "Fill it in where the record comes from, or map it in the customer's values, then retry."}
	}
	return v, nil
}

// Decide makes what a step decides a variable of the steps after it.
func (s Scope) Decide(p *Plan) error {
	v, err := p.From.EvalAt(s.Place, s.Vars)
	if err != nil {
		return err
	}
	fields, ok := v.(map[string]any)
	if !ok && p.Record != "service_package" {
		return nil // a rule says what is missing
	}
	if !ok {
		return &hub.Error{Kind: hub.Invalid, Code: "package.missing", Field: p.Decide, Message: "The record names no " + plainly(p.Decide) + ".",
			Hint: "Fill it in where the record comes from, then retry."}
	}
	s.Vars[p.Decide] = fields
	return nil
}

// Asks reports whether a person is to be asked before it goes on.
func (s Scope) Asks(p *Plan) (bool, error) {
	v, err := p.Ask.EvalAt(s.Place, s.Vars)
	return v == true, err
}

// Each does something for each item of a write step, under the key by which the item is known. Nothing is done of any
// where two have the same key, which would make one record of them, or one has none.
func (s Scope) Each(p *Plan, do func(key string) error) error {
	v, err := p.Each.EvalAt(s.Place, s.Vars)
	if err != nil {
		return err
	}
	items, ok := v.([]any)
	if !ok && v != nil {
		return &hub.Error{Kind: hub.Invalid, Code: "items.none", Field: "each", Message: p.Each.Source() + " is no list.", Hint: "Correct the template: each: wants the items."}
	}
	defer delete(s.Vars, "item")
	keys, err := s.keys(p, items)
	if err != nil {
		return err
	}
	for i, item := range items {
		s.Vars["item"] = item
		if err := do(keys[i]); err != nil {
			return err
		}
	}
	return nil
}

// keys are what the items are known by.
func (s Scope) keys(p *Plan, items []any) ([]string, error) {
	keys, at := make([]string, len(items)), make(map[string]int, len(items))
	for i, item := range items {
		s.Vars["item"] = item
		v, err := p.Key.EvalAt(s.Place, s.Vars)
		if err != nil {
			return nil, err
		}
		if v == nil || v == "" {
			return nil, unkeyed(fmt.Sprintf("Item %d of %s has no key.", i+1, plainly(p.Record)))
		}
		keys[i] = fmt.Sprint(v)
		if twin, taken := at[keys[i]]; taken {
			return nil, unkeyed(fmt.Sprintf("Items %d and %d of %s have the same key %q.", twin, i+1, plainly(p.Record), keys[i]))
		}
		at[keys[i]] = i + 1
	}
	return keys, nil
}

func unkeyed(message string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "items.key", Field: "key", Message: message, Hint: "Give each a key of its own where they come from, then retry."}
}

// Fill sets the fields that a step says.
func (s Scope) Fill(p *Plan, fields map[string]any) error {
	for _, f := range p.Set {
		v, err := s.Field(f)
		if err != nil {
			return err
		}
		if v != nil {
			fields[f.Name] = v
		}
	}
	return nil
}

// Field is the value of a field. The referenced record itself may stand for the reference; that of a step
// that was left out gives null.
func (s Scope) Field(f Field) (any, error) {
	if f.Program == nil {
		return f.Literal, nil
	}
	v, err := f.Program.EvalAt(s.Place, s.Vars)
	if err != nil || f.RefTo == "" {
		return v, err
	}
	if view, ok := v.(map[string]any); ok {
		id, _ := view["id"].(string)
		if id == "" {
			return nil, nil
		}
		return canonical.Ref{Type: f.RefTo, ID: hub.RecordID(id)}, nil
	}
	return v, nil
}

// plainly is a record's name as people write it.
func plainly(name string) string { return strings.ReplaceAll(name, "_", " ") }
