package specfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"throughline/internal/hub"
)

// Pos is a place in a file; lines and columns count from 1, columns in characters.
type Pos struct {
	File         string
	Line, Column int
}

// String is "connectors/acme/connector.yaml:12:3", as editors and terminals link it.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with a file. Message has no full stop at its end; Hint is a
// sentence of its own and may be empty.
type Problem struct {
	Pos
	Path    string // "records.client.page.max"; empty for the file as a whole
	Message string
	Hint    string
}

// String is "file:12:3: records.client.page.max: message. hint".
func (p Problem) String() string {
	s := p.Pos.String() + ": "
	if p.Path != "" {
		s += p.Path + ": "
	}
	s += p.Message
	if p.Hint != "" {
		s += ". " + p.Hint
	}
	return s
}

// Problems is everything that is wrong with one or more files.
type Problems []Problem

// Add notes one more.
func (ps *Problems) Add(pos Pos, path, message, hint string) {
	*ps = append(*ps, Problem{Pos: pos, Path: path, Message: message, Hint: hint})
}

// Sort puts them in the order in which a person goes through the files.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there are no problems, so that a caller can return it as it is.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps.AsError()
}

// AsError is the error that other rooms understand; nil when there are no problems. Its message is
// the whole list, because a person wants to correct everything in one go; errors.As finds the
// Problems in its chain.
func (ps Problems) AsError() *hub.Error {
	if len(ps) == 0 {
		return nil
	}
	sorted := slices.Clone(ps)
	sorted.Sort()
	return &hub.Error{Kind: hub.Invalid, Code: "file.invalid", Message: sorted.Error(), Err: counted{sorted}}
}

// counted keeps the list in the chain of an error whose message has told it already.
type counted struct{ list Problems }

func (c counted) Error() string { return fmt.Sprintf("problems: %d", len(c.list)) }

func (c counted) Unwrap() error { return c.list }
