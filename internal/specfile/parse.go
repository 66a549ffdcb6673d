package specfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of one file.
const (
	maxSize  = 1 << 20
	maxDepth = 64
)

// Decode reads the one document in data into what the pointer points to. The file's name stands
// in the positions only. With problems, as much as was sound has been decoded, so that later
// checks can add theirs.
func Decode(file string, data []byte, into any) Problems {
	r := &reading{file: file}
	if top := r.parse(data); top != nil {
		top.Decode(into)
	}
	r.problems.Sort()
	return r.problems
}

// parse gives the top of the document; nil if there is nothing that can be read on.
func (r *reading) parse(data []byte) *Node {
	start := Pos{r.file, 1, 1}
	if len(data) > maxSize {
		r.add(start, "", "the file is larger than 1 MB", "Split it.")
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.unreadable(err)
		return nil
	}
	var document, second yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		r.add(start, "", "the file is empty", "")
		return nil
	case err != nil:
		r.unreadable(err)
		return nil
	}
	top := document.Content[0]
	if !r.check(top, "", 1) {
		return nil
	}
	if err := loader.Load(&second); err == nil {
		r.add(r.pos(&second), "", "a second document begins here", "One file holds one document: remove the line `---`.")
	} else if !errors.Is(err, io.EOF) {
		r.unreadable(err)
	}
	return &Node{yaml: top, pos: r.pos(top), into: r}
}

// unreadable notes what the parser could not get past.
func (r *reading) unreadable(err error) {
	var syntax *yaml.LoadError
	if !errors.As(err, &syntax) {
		r.add(Pos{r.file, 1, 1}, "", "not readable as YAML: "+err.Error(), "")
		return
	}
	pos := Pos{r.file, max(syntax.Mark.Line, 1), max(syntax.Mark.Column, 1)}
	r.add(pos, "", "not readable as YAML: "+syntax.Message, syntaxHint(syntax.Message))
}

// syntaxHint says in our words what usually lies behind a message of the parser.
func syntaxHint(message string) string {
	switch {
	case strings.Contains(message, "mapping values are not allowed"):
		return "Text with a colon and a space in it needs quotes."
	case strings.Contains(message, "cannot start any token"):
		return "Indent with spaces, not tabs; text that begins with @, ` or % needs quotes."
	case strings.Contains(message, "did not find expected"):
		return "Check the indentation and the closing brackets and quotes above this line."
	}
	return ""
}

// check refuses what is YAML but not ours. It reports whether the tree is shallow enough to read.
func (r *reading) check(y *yaml.Node, path string, depth int) bool {
	if depth > maxDepth {
		r.add(r.pos(y), "", fmt.Sprintf("more than %d levels deep", maxDepth), "")
		return false
	}
	r.checkMarks(y, path)
	switch y.Kind {
	case yaml.SequenceNode:
		return r.checkList(y, path, depth)
	case yaml.MappingNode:
		return r.checkMap(y, path, depth)
	}
	return true
}

// checkMarks refuses the marks with which YAML copies values or gives them types. Copies let a
// small file grow without end, and both say something else than the reader sees.
func (r *reading) checkMarks(y *yaml.Node, path string) {
	switch {
	case y.Kind == yaml.AliasNode:
		r.add(r.pos(y), path, "the alias `*"+shorten(y.Value)+"` is not allowed", "Write the value out.")
	case y.Anchor != "":
		r.add(r.pos(y), path, "the anchor `&"+shorten(y.Anchor)+"` is not allowed", "Remove it.")
	}
	if y.Style&yaml.TaggedStyle != 0 {
		r.add(r.pos(y), path, "the tag `"+shorten(y.Tag)+"` is not allowed", "Remove it; quotes make text of a number.")
	}
}

func (r *reading) checkList(y *yaml.Node, path string, depth int) bool {
	shallow := true
	for i, item := range y.Content {
		at := itemPath(path, i)
		r.checkCut(y, item, at)
		shallow = r.check(item, at, depth+1) && shallow
	}
	return shallow
}

func (r *reading) checkMap(y *yaml.Node, path string, depth int) bool {
	shallow := true
	lines := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.add(r.pos(key), path, "a key must be a word or text", "")
			continue
		}
		at := joinPath(path, key.Value)
		r.checkMarks(key, at)
		if line, twice := lines[key.Value]; twice {
			r.add(r.pos(key), at, fmt.Sprintf("the key `%s` stands here for the second time; the first is on line %d", shorten(key.Value), line), "Remove one of them.")
		} else {
			lines[key.Value] = key.Line
		}
		r.checkCut(y, value, at)
		shallow = r.check(value, at, depth+1) && shallow
	}
	return shallow
}

// checkCut finds the trap of { } and [ ]: in them a comma ends a value, also within the
// parentheses of an expression.
func (r *reading) checkCut(parent, y *yaml.Node, path string) {
	n := Node{yaml: y}
	if parent.Style&yaml.FlowStyle == 0 || n.Kind() != KindExpr || !n.plain() {
		return
	}
	if unfinished(y.Value) {
		r.add(r.pos(y), path, "the expression `"+shorten(y.Value)+"` is cut off at a comma", "Within { } and [ ] put an expression with a comma in quotes.")
	}
}

// unfinished reports whether an expression ends within parentheses or a string.
func unfinished(source string) bool {
	depth, q := 0, quotes{}
	for _, c := range []byte(source) {
		if !q.outside(c) {
			continue
		}
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	return depth > 0 || q.open != 0
}
