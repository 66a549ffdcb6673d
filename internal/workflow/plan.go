package workflow

import (
	"throughline/internal/canonical"
	"throughline/internal/expr"
)

// Template is a compiled file.
type Template struct {
	File  *File
	When  *expr.Program
	Open  *expr.Program
	Worth *expr.Program
	Steps []Plan
	Post  *Plan // the last step, where it posts; nil: the template only writes
	Rules map[string][]CompiledRule
	Lists map[string]bool // the value lists that its expressions read; "" where one of them computes the list's name
}

// Plan is a compiled step.
type Plan struct {
	Step
	Name            string // of the result, or of the step
	Record          string // the canonical type of the result
	Of, From, Ask   *expr.Program
	Each, Key, When *expr.Program
	By              *Field // of find
	Set             []Field
	Limits          []PlanLimit
	Uses            []string // the roles whose ids, numbers or links the step reads: project.at.erp.number
}

// Field sets one field of a written record.
type Field struct {
	Name    string
	Program *expr.Program
	Literal any
	RefTo   string // the field is a reference to such a record
}

// PlanLimit is a limit with its expressions.
type PlanLimit struct {
	Limit
	Per, Seconds, Amount, Warn *expr.Program
}

// Blank are the results of all steps before any is carried out: objects without fields, so that reading
// from the result of a step that was left out gives null like any other field that is not set.
func (t *Template) Blank() map[string]any {
	out := make(map[string]any, 2*len(t.Steps)+len(t.File.Parameters)+4)
	for _, p := range t.Steps {
		if p.Record != "" {
			out[p.Name] = fieldless
		}
	}
	return out
}

var fieldless = map[string]any{}

// LimitNamed is the step's limit of this name, or nil.
func (p *Plan) LimitNamed(name string) *PlanLimit {
	for i := range p.Limits {
		if p.Limits[i].Limit.Limit == name {
			return &p.Limits[i]
		}
	}
	return nil
}

// Withdrawn is the content of a record that does not count any more.
const Withdrawn = "withdrawn"

// Content is the hash of the fields by which what a record has brought into the books stands.
func (p *Plan) Content(fields map[string]any) (string, error) {
	some := map[string]any{}
	for _, f := range p.StandBy {
		if v, ok := fields[f]; ok {
			some[f] = v
		}
	}
	body, err := canonical.Encode(some)
	return canonical.Hash(body), err
}

// CompiledRule is a rule with its condition.
type CompiledRule struct {
	Rule
	That *expr.Program
}
