package specfile

import (
	"fmt"
	"slices"
	"strings"

	"throughline/internal/hub"
)

// Pos is a place in a file; lines and columns count from 1.
type Pos struct {
	File   string
	Line   int
	Column int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Problem is one thing wrong with a file.
type Problem struct {
	Pos     Pos
	Path    string // "records.client.page.max"
	Message string
	Hint    string
}

func (p Problem) String() string {
	s := p.Pos.String() + ": "
	if p.Path != "" {
		s += p.Path + ": "
	}
	s += p.Message
	if p.Hint != "" {
		s = strings.TrimSuffix(s, ".") + ". " + p.Hint
	}
	return s
}

// Problems is all that is wrong, as an error.
type Problems []Problem

// Add notes one more.
func (ps *Problems) Add(pos Pos, path, message, hint string) {
	*ps = append(*ps, Problem{pos, path, message, hint})
}

// Sort orders by file, line and column.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if c := strings.Compare(a.Pos.File, b.Pos.File); c != 0 {
			return c
		}
		if a.Pos.Line != b.Pos.Line {
			return a.Pos.Line - b.Pos.Line
		}
		return a.Pos.Column - b.Pos.Column
	})
}

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil without problems, else one *hub.Error that lists them all.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	ps.Sort()
	return &hub.Error{Kind: hub.Invalid, Code: "file.invalid", Message: ps.Error()}
}
