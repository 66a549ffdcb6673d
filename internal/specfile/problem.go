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

// AsError is the error that other rooms understand. The whole list stands in its chain, for
// errors.As with a Problems; its message tells the first, which is often the cause of others.
func (ps Problems) AsError() *hub.Error {
	if len(ps) == 0 {
		return nil
	}
	first := ps[0]
	e := &hub.Error{
		Kind:    hub.Invalid,
		Code:    "specfile.invalid",
		Message: first.Pos.String() + ": " + first.Message + ".",
		Hint:    first.Hint,
		Field:   first.Path,
		Err:     ps,
	}
	if more := len(ps) - 1; more > 0 {
		e.Message += fmt.Sprintf(" (%d more)", more)
	}
	return e
}
