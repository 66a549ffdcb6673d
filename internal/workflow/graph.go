package workflow

import (
	"regexp"
	"slices"

	"throughline/internal/specfile"
)

// Node is a step in the graph that results from the expressions: it goes before nothing but what
// reads its result.
type Node struct {
	Kind  string   // check, read, find, match, decide, approve, write, post
	Name  string   // of the result; of the pack for a check
	To    []string // roles that are written to or searched
	Each  string   // once per item of this expression
	When  string
	Needs []string // the results that its expressions read; "record" is what started the run
}

// Graph is the template's steps with what each of them waits for.
func (t *Template) Graph() []Node {
	results := []string{"record"}
	var out []Node
	for i := range t.Steps {
		p := &t.Steps[i]
		n := Node{Kind: p.Kind(), Name: p.Name, To: p.To, Each: p.Step.Each.Source, When: p.Step.When.Source}
		if p.In != "" {
			n.To = []string{p.In}
		}
		n.Needs = reads(t.sources(p), results)
		if (n.Kind == "match" || n.Kind == "write") && slices.Contains(results, n.Name) && !slices.Contains(n.Needs, n.Name) {
			n.Needs = append(n.Needs, n.Name) // an earlier result is matched or written on
		}
		if (n.Kind == "write" || n.Kind == "post") && len(p.Step.Set) > 0 && n.Name == t.File.Trigger.Record && !slices.Contains(n.Needs, "record") {
			n.Needs = append(n.Needs, "record")
		}
		out = append(out, n)
		if n.Kind != "check" && n.Kind != "approve" && p.Each == nil && !slices.Contains(results, n.Name) {
			results = append(results, n.Name)
		}
	}
	return out
}

// sources are all expressions of a step.
func (t *Template) sources(p *Plan) []string {
	s := p.Step
	var out []string
	for _, e := range []specfile.Expr{s.When, s.Of, s.From, s.Approve, s.Each, s.Key} {
		out = append(out, e.Source)
	}
	for _, f := range s.By {
		out = append(out, f.Value.Source)
	}
	for _, l := range s.Limits {
		out = append(out, l.Per.Source, l.Seconds.Source, l.Amount.Source, l.Warn.Source)
	}
	for _, f := range s.Set {
		for _, e := range f.Value.Exprs() {
			out = append(out, e.Source)
		}
	}
	for _, r := range t.Rules[s.Check] {
		out = append(out, r.Rule.That.Source)
	}
	return out
}

var (
	quoted     = regexp.MustCompile(`"(\\.|[^"\\])*"|'(\\.|[^'\\])*'`)
	identifier = regexp.MustCompile(`(\.\s*)?\b[a-z_][a-z0-9_]*\b`)
)

// reads finds which results the expressions read: names that stand at the front of a path.
func reads(sources, results []string) []string {
	var out []string
	for _, source := range sources {
		for _, word := range identifier.FindAllString(quoted.ReplaceAllString(source, `""`), -1) {
			if slices.Contains(results, word) && !slices.Contains(out, word) {
				out = append(out, word)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return slices.Index(results, a) - slices.Index(results, b) })
	return out
}
