package workflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/workflow"
	"throughline/schemas"
	"throughline/templates"
)

const head = "template: t\nversion: 1\ntitle: T\nroles: {crm: required, erp: required}\ntrigger: {record: opportunity, from: crm}\n"

func set(t *testing.T) *canonical.Set {
	t.Helper()
	s, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestABadTemplateIsToldWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a word that there is not", "steps: [{wriet: project}]", "unknown key `wriet`. Did you mean `write`?"},
		{"a step that does nothing", "steps: [{when: =true}]", "this step does nothing. A step is one of check, read, find, match, decide, approve, write and post."},
		{"a role that there is not", "steps: [{write: contact, to: time}]", `there is no role "time". Known are crm, erp.`},
		{"a record that there is not", "steps: [{write: invoicing, to: erp}]", `there is no canonical record "invoicing"`},
		{"a field that there is not", "steps: [{write: project, to: erp, set: {nmae: A}}]", `a project has no field "nmae"`},
		{"a field of another type", "steps: [{write: project, to: erp, set: {budget: =record.name}}]", "this is of type text, but money is wanted here"},
		{"a result that no earlier step gives", "steps: [{match: account, in: erp}]", `no earlier step gives "account". Read it first.`},
		{"a result before its step", "steps: [{write: project, to: erp, set: {account: =account}}, {read: account, of: =record.account}]", "account: this is of type type(account), but reference to (account) is wanted here"},
		{"a pack of rules that there is not", "steps: [{check: sellable}]", `there is no pack of rules "sellable". Add it under rules:.`},
		{"a condition that is no yes or no", "steps: [{approve: =record.amount, asks: A}]", "this is of type money, but bool is wanted here"},
		{"items without a key", "steps: [{write: task, to: erp, each: =record.lines, set: {name: =item.name}}]", "the items have no key. Add key: =item.code"},
		{"a read of nothing", "steps: [{read: account}]", "this read has no of:. A read wants of:."},
		{"a write to nobody", "steps: [{write: project}]", "this write has no to:"},
		{"a match in nothing", "steps: [{read: account, of: =record.account}, {match: account}]", "this match has no in:"},
		{"a question without words", "steps: [{approve: =true}]", "this approve has no asks:"},
		{"two steps in one", "steps: [{approve: =true, asks: A, write: project, to: erp}]", "this step is approve and write at once. Make a step of each."},
		{"limits of what is not posted", "steps: [{write: project, to: erp, limits: [{limit: c, per: =record.name, amount: =record.amount, says: x}]}]", "a write has no use for limits:"},
		{"a read that writes", "steps: [{read: account, of: =record.account, to: erp}]", "a read has no use for to:"},
		{"a key of nothing", "steps: [{write: project, to: erp, key: =record.name}]", "key: tells items apart, and there is no each:"},
		{"rules that nobody checks", "rules: {a: [{rule: r, that: =false, says: x}]}\nsteps: [{write: opportunity, to: crm}]", "rules.a: no step checks these rules. Add - check: a"},
		{"an extension of nothing", "extension_points: {a: project}\nsteps: [{write: opportunity, to: crm}]", `extension_points.a: no step writes a "project"`},
		{"the answer of a role that there is not", "steps: [{write: project, to: erp}, {write: opportunity, to: crm, set: {project_number: =project.at.epr.number}}]", `there is no role "epr"`},
		{"a rule on a role that there is not", "steps: [{write: project, to: erp}, {check: a}]\nrules: {a: [{rule: r, that: '=project.at.epr.id != null', says: x}]}", `there is no role "epr"`},
		{"a write to the ledger", "steps: [{write: project, to: ledger}]", `there is no role "ledger"`},
		{"a role twice", "steps: [{write: project, to: [erp, erp]}]", "erp stands there twice"},
		{"a value that an enum has not", "steps: [{write: opportunity, to: crm, set: {stage: wno}}]", `stage: "wno" is none of`},
		{"an amount without a currency", "steps: [{write: opportunity, to: crm, set: {amount: 5000}}]", `"5000" is not an amount and a currency`},
		{"a default that is no answer", "parameters: {n: {type: int, title: N, default: nine}}\nsteps: [{write: opportunity, to: crm}]", `parameters.n.default: "nine" is no whole number`},
		{"a parameter called like a step's result", "parameters: {account: {type: text, title: A}}\nsteps: [{read: account, of: =record.account}, {write: opportunity, to: crm}]", "parameters.account: a record or a step is called that already"},
		{"a reference to another record", "steps: [{read: account, of: =record.contact}]", "t/v1.yaml:6:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := workflow.Load(fstest.MapFS{"t/v1.yaml": {Data: []byte(head + c.text)}}, "t", 1, set(t), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "t/v1.yaml:6:") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestATriggerComesFromARole(t *testing.T) {
	text := strings.Replace(head, "from: crm", "from: cmr", 1) + "steps: [{write: opportunity, to: crm}]"
	if _, err := workflow.Load(fstest.MapFS{"t/v1.yaml": {Data: []byte(text)}}, "t", 1, set(t), nil); err == nil || !strings.Contains(err.Error(), `trigger.from: there is no role "cmr". Known are crm, erp.`) {
		t.Error(err)
	}
}

func TestAnswersToParameters(t *testing.T) {
	for _, c := range []struct {
		name  string
		p     workflow.Parameter
		given any
		want  string
	}{
		{"money", workflow.Parameter{Type: "money"}, "250000 EUR", "250000.00 EUR"},
		{"no money", workflow.Parameter{Type: "money", Default: "none"}, nil, "<nil>"},
		{"a text that may be", workflow.Parameter{Type: "text", Values: []string{"a", "b"}}, "b", "b"},
		{"a text that may not be", workflow.Parameter{Type: "text", Values: []string{"a", "b"}}, "c", `"c" is none of a, b`},
		{"a list in one line", workflow.Parameter{Type: "list"}, "a, b", "[a b]"},
		{"yes", workflow.Parameter{Type: "bool"}, true, "true"},
		{"a number", workflow.Parameter{Type: "int"}, "7", "7"},
		{"a number that is written as one", workflow.Parameter{Type: "int"}, exact.MustDecimal("360"), "360"},
		{"a number as a kept flow has it", workflow.Parameter{Type: "int"}, json.Number("1000000"), "1000000"},
		{"money without a currency", workflow.Parameter{Type: "money"}, "7", "currency"},
		{"an amount that is a number is no answer, and not none", workflow.Parameter{Type: "money"}, json.Number("5000"), "5000 is no answer: an amount and its currency are wanted, such as 5000 EUR, or none"},
		{"a day that is a number is none", workflow.Parameter{Type: "date"}, json.Number("20261031"), "a day is wanted"},
		{"a word is no yes, and no no", workflow.Parameter{Type: "bool"}, "yes", `"yes" is no answer: true or false is wanted`},
		{"a number is no yes", workflow.Parameter{Type: "bool"}, json.Number("1"), "1 is no answer: true or false is wanted"},
		{"a no in quotes", workflow.Parameter{Type: "bool"}, "false", "false <nil>"},
		{"a list of what looks like numbers", workflow.Parameter{Type: "list"}, []any{json.Number("100"), "b"}, "[100 b]"},
		{"a map is no list", workflow.Parameter{Type: "list"}, map[string]any{"a": "b"}, "a list of texts is wanted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := c.p.Answer(c.given)
			if got := fmt.Sprint(v, " ", err); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestTheGraphFollowsFromTheExpressions: steps need no arrows.
func TestTheGraphFollowsFromTheExpressions(t *testing.T) {
	tpl, err := workflow.Load(templates.Files, "deal-to-project", 1, set(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, n := range tpl.Graph() {
		lines = append(lines, n.Kind+" "+n.Name+" <- "+strings.Join(n.Needs, " "))
	}
	got := strings.Join(lines, "\n")
	for _, want := range []string{"read account <- record", "match account <- account", "decide sold <- record", "write project <- record account sold", "write task <- sold project", "write opportunity <- project record"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// TestItemsAreToldApart: two items of one key would be one record, of which the first is lost; one without a key another
// one tomorrow. Nothing is written of any of them then.
func TestItemsAreToldApart(t *testing.T) {
	tpl, err := workflow.Load(fstest.MapFS{"t/v1.yaml": {Data: []byte(head + "steps: [{write: task, to: erp, each: =record.lines, key: =item.product, set: {name: =item.name}}]")}}, "t", 1, set(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	line := func(product any) any { return map[string]any{"name": "L", "product": product} }
	for _, c := range []struct {
		name  string
		lines any
		want  string
	}{
		{"each has its own", []any{line("A"), line("B"), line("a")}, "[A B a] <nil>"},
		{"two have one", []any{line("A"), line("B"), line("A")}, `[] key: Items 1 and 3 of task have the same key "A". Give each a key of its own where they come from, then retry.`},
		{"a number and a text are one", []any{line(int64(1)), line("1")}, `[] key: Items 1 and 2 of task have the same key "1".`},
		{"one has none", []any{line("A"), line(nil)}, `[] key: Item 2 of task has no key.`},
		{"one is empty", []any{line("")}, `[] key: Item 1 of task has no key.`},
		{"none at all", nil, "[] <nil>"},
		{"no list", line("A"), "[] each: record.lines is no list."},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := []string{}
			s := workflow.Scope{Vars: map[string]any{"record": map[string]any{"lines": c.lines}}}
			err := s.Each(&tpl.Steps[0], func(key string) error { done = append(done, key); return nil })
			if got := fmt.Sprint(done, " ", err); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
