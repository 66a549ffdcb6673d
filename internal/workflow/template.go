// Package workflow knows what a template file may say: the trigger, the steps and the parameters of
// a process, written on canonical records and roles only. It names no vendor and no operation.
//
// A template is compiled for a deployment: its expressions are typed against the canonical records,
// the parameters and the results of earlier steps, so that a template that could fail on a type
// cannot be deployed. Carrying a step out is the business of package engine.
package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"throughline/internal/exact"
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
	Worth      specfile.Expr           `spec:"worth" doc:"the money that the record is about, as far as it is known when it has to wait or is parked"`
	Extend     specfile.Map[string]    `spec:"extension_points" doc:"name: the write step whose fields a deployment may add to"`
}

// Parameter is a question that a deployment answers.
type Parameter struct {
	Type    string   `spec:"type,required" enum:"text|bool|int|money|date|list"`
	Title   string   `spec:"title,required"`
	About   string   `spec:"about"`
	Default string   `spec:"default"`
	Values  []string `spec:"values" doc:"what a text may be"`
}

// Trigger says which record of which role starts a run.
type Trigger struct {
	Record string        `spec:"record,required"`
	From   string        `spec:"from,required"`
	When   specfile.Expr `spec:"when" doc:"false: the record is filtered; what was posted of it is taken back"`
	Open   specfile.Expr `spec:"open" doc:"the first business day on which something may still change: what is looked through for deletions"`
}

// Rule is a condition that must hold.
type Rule struct {
	Pos      specfile.Pos
	Rule     string        `spec:"rule,required" doc:"its name, stable"`
	That     specfile.Expr `spec:"that,required" doc:"what must be true"`
	Says     string        `spec:"says,required" doc:"what is wrong, for people"`
	Fix      string        `spec:"fix" doc:"what to do about it"`
	Field    string        `spec:"field"`
	Severity string        `spec:"severity" enum:"block|warn|info" default:"block"`
}

// Limit bounds a running sum that postings add to: a person's hours of a day, a contract's amount. It is
// held in the commit that keeps the intent, so that postings at the same moment cannot pass it together.
type Limit struct {
	Pos     specfile.Pos
	Limit   string        `spec:"limit,required" doc:"its name, stable; flows of a customer that name the same limit share it"`
	Per     specfile.Expr `spec:"per,required" doc:"what is summed up by; null: the limit does not concern this record"`
	Seconds specfile.Expr `spec:"seconds" doc:"the most work"`
	Amount  specfile.Expr `spec:"amount" doc:"the most money"`
	Warn    specfile.Expr `spec:"warn" doc:"per cent of it from which on people are told"`
	Says    string        `spec:"says,required" doc:"what is wrong, for people"`
	Fix     string        `spec:"fix" doc:"what to do about it"`
	Field   string        `spec:"field"`
}

// Step is one step; the first of check, read, find, match, decide, approve, write and post that is set is
// its kind.
type Step struct {
	Pos     specfile.Pos
	Check   string                       `spec:"check" doc:"the pack of rules that must hold"`
	Read    string                       `spec:"read" doc:"the record type that is read, and the name of the result"`
	Of      specfile.Expr                `spec:"of" doc:"the reference that is read"`
	Find    string                       `spec:"find" doc:"the record type that is searched, and the name of the result"`
	By      specfile.Map[specfile.Value] `spec:"by" doc:"what is searched: one field that the system can search by, and its value"`
	Match   string                       `spec:"match" doc:"the result of an earlier step that may be known in another system already"`
	In      string                       `spec:"in" doc:"the role whose system is asked; a read without it asks where the reference comes from, and ledger asks nobody"`
	Within  specfile.Duration            `spec:"within" doc:"an answer this old will do: many records that refer to the same one ask once"`
	Decide  string                       `spec:"decide" doc:"the name of the result"`
	From    specfile.Expr                `spec:"from"`
	Approve specfile.Expr                `spec:"approve" doc:"a person is asked where this is true"`
	Asks    string                       `spec:"asks" doc:"what the person is asked"`
	Write   string                       `spec:"write" doc:"the record type that is written, and the name of the result"`
	Post    string                       `spec:"post" doc:"the record type that is brought into the books; the last step"`
	StandBy []string                     `spec:"stands_by" doc:"the fields of the triggering record by which what was posted stands: another value in one of them takes it back, and posts anew"`
	BackAs  string                       `spec:"back_as" doc:"the record type that takes back what the far side does not let go of"`
	Limits  []Limit                      `spec:"limits" doc:"running sums that posting may not push too far"`
	To      []string                     `spec:"to,one" doc:"the roles it is written to"`
	Set     specfile.Map[specfile.Value] `spec:"set" doc:"canonical field: value; left out: the record as it was read"`
	Each    specfile.Expr                `spec:"each" doc:"once per item, as item"`
	Key     specfile.Expr                `spec:"key" doc:"what tells the items of each apart, over all time"`
	When    specfile.Expr                `spec:"when" doc:"false: the step is left out"`
}

// InLedger in a read step asks no far side: the record is taken as our own ledger has it.
const InLedger = "ledger"

// Kind is what a step does.
func (s Step) Kind() string {
	switch {
	case s.Check != "":
		return "check"
	case s.Read != "":
		return "read"
	case s.Find != "":
		return "find"
	case s.Match != "":
		return "match"
	case s.Decide != "":
		return "decide"
	case s.Approve.Set():
		return "approve"
	case s.Write != "":
		return "write"
	case s.Post != "":
		return "post"
	}
	return ""
}

// Answer turns a deployment's answer to a parameter into a value, or its default.
func (p Parameter) Answer(given any) (any, error) {
	if given == nil {
		given = p.Default
	}
	s, text := given.(string)
	switch p.Type {
	case "money", "date":
		return amountOrDay(p.Type, s, text)
	case "bool":
		if b, ok := given.(bool); ok {
			return b, nil
		}
		if s != "true" && s != "false" && s != "" {
			return nil, fmt.Errorf("true or false is wanted")
		}
		return s == "true", nil
	case "list":
		if list, is := given.([]any); is {
			return list, nil
		}
		if !text {
			return nil, fmt.Errorf("a list is wanted")
		}
		var list []any
		for _, e := range strings.Fields(strings.ReplaceAll(s, ",", " ")) {
			list = append(list, e)
		}
		return list, nil
	case "int":
		switch n := given.(type) {
		case int64:
			return n, nil
		case float64: // as a kept flow is read
			s = strconv.FormatFloat(n, 'f', -1, 64)
		case fmt.Stringer: // a number in a file
			s = n.String()
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%v is no whole number", given)
		}
		return n, nil
	}
	if !text {
		return nil, fmt.Errorf("text is wanted")
	}
	if len(p.Values) > 0 && !slices.Contains(p.Values, s) {
		return nil, fmt.Errorf("%q is none of %s", s, strings.Join(p.Values, ", "))
	}
	return s, nil
}

// amountOrDay reads an amount of money or a date. What is no text, as 500 without its currency, is not taken for none: a
// limit would be gone without a word.
func amountOrDay(kind, s string, text bool) (any, error) {
	switch {
	case !text && kind == "money":
		return nil, fmt.Errorf("an amount with its currency is wanted, like 500 EUR")
	case !text:
		return nil, fmt.Errorf("a date is wanted, like 2026-10-31")
	case s == "" || s == "none":
		return nil, nil
	case kind == "money":
		return exact.ParseMoney(s)
	}
	return exact.ParseDate(s)
}
