// Package cases runs the examples that stand beside a connector or a template: cases/*.yaml, each
// "it: reads an approved entry over midnight" with what is given and what is expected. They are run
// by `throughline check` and by the product's own tests, without a network and without a database.
//
// What differs is told field by field, with the line of the case. Whether the expectation is right
// is left to those who write it.
package cases

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// Refused is what a case expects to go wrong. Only what is said is compared.
type Refused struct {
	Pos   specfile.Pos
	Kind  string `spec:"kind" doc:"whose turn it is: invalid, not_found, exists, throttled …"`
	Code  string `spec:"code" doc:"the error's stable name"`
	Field string `spec:"field" doc:"the field at fault"`
	Says  string `spec:"says" doc:"a part of the message"`
	After string `spec:"after" doc:"how long to wait, such as 10s"`
}

// empty reports whether any mistake would do, one in the files among them.
func (r *Refused) empty() bool { return r.Kind+r.Code+r.Field+r.Says+r.After == "" }

// What is refused comes to nothing that could be compared.
const (
	both     = "a case that is refused expects nothing else"
	bothHint = "Take expect: out, or refused:."
)

// files are the case files of a folder.
func files(dir fs.FS, name string) ([]string, error) {
	return fs.Glob(dir, path.Join(name, "cases", "*.yaml"))
}

// load reads every case file of a folder into one list.
func load[T any](dir fs.FS, name string, problems *specfile.Problems) ([]T, error) {
	names, err := files(dir, name)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, file := range names {
		data, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, fmt.Errorf("read cases %s: %w", file, err)
		}
		var list []T
		if bad := specfile.Decode(file, data, &list); len(bad) > 0 {
			*problems = append(*problems, bad...)
			continue
		}
		all = append(all, list...)
	}
	return all, nil
}

// at is where a case stands and what it is called: every problem of it begins with both.
type at struct {
	pos      specfile.Pos
	it       string
	problems *specfile.Problems
}

func (a at) problem(pos specfile.Pos, message, hint string) {
	if pos.Line == 0 {
		pos = a.pos
	}
	a.problems.Add(pos, "it "+a.it, message, hint)
}

// refusal compares an error with the expected one, and reports whether the case ends with it.
func (a at) refusal(want *Refused, err error) (ended bool) {
	if want != nil && want.empty() {
		a.problem(want.Pos, "refused says nothing", "Say kind, code, field or a part of the message.")
	}
	switch {
	case want == nil && err == nil:
		return false
	case want == nil:
		a.problem(a.pos, "this was refused: "+err.Error(), "Correct it, or expect it with refused:.")
		return true
	case err == nil:
		a.problem(want.Pos, "this was to be refused, and is not", "")
		return true
	}
	e := hub.AsError(err)
	if e == nil {
		e = &hub.Error{Message: err.Error()}
	}
	got := Refused{Kind: string(e.Kind), Code: e.Code, Field: e.Field, After: e.After.String()}
	for _, f := range []struct{ name, want, got string }{{"kind", want.Kind, got.Kind}, {"code", want.Code, got.Code}, {"field", want.Field, got.Field}, {"after", want.After, got.After}} {
		if f.want != "" && f.want != f.got {
			a.problem(want.Pos, fmt.Sprintf("refused.%s is %q, expected %q (%v)", f.name, f.got, f.want, err), "")
		}
	}
	if !strings.Contains(e.Message, want.Says) {
		a.problem(want.Pos, fmt.Sprintf("refused.says: %q is no part of %q", want.Says, e.Message), "")
	}
	return true
}
