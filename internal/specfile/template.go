package specfile

import "strings"

// Template is text with places: "/workspaces/{workspace}/approvals/{x.approvalId}". Only {…} is a
// place, and what stands in it is an expression; {{ is a brace.
type Template struct {
	Parts []Part
	Pos   Pos
	Path  string
}

// Part is a piece of a Template: fixed text, or a place.
type Part struct {
	Text string // when Expr is not set
	Expr Expr
}

// DecodeSpec takes text.
func (t *Template) DecodeSpec(n *Node) {
	if n.Kind() != KindText {
		n.wanted("text with {places}", "")
		return
	}
	*t = Template{Pos: n.Pos(), Path: n.Path()}
	t.parse(n)
}

// parse goes through the text once. Where the template is broken it notes so and stops.
func (t *Template) parse(n *Node) {
	rest, column := n.Text(), 0
	advance := func(by int) {
		column += len([]rune(rest[:by]))
		rest = rest[by:]
	}
	for {
		brace := strings.IndexByte(rest, '{')
		if brace < 0 {
			t.text(rest)
			return
		}
		t.text(rest[:brace])
		advance(brace)
		if strings.HasPrefix(rest, "{{") {
			t.text("{")
			advance(2)
			continue
		}
		end := placeEnd(rest)
		if end < 0 {
			n.Problem("the place `"+shorten(rest)+"` has no end", "Close it with }, or write {{ for a brace.")
			return
		}
		inside := rest[1:end]
		source := strings.TrimSpace(inside)
		if source == "" {
			n.Problem("a place is empty", "Name a value between the braces, or write {{ for a brace.")
			return
		}
		t.place(n, source, column+1+len(inside)-len(strings.TrimLeft(inside, " ")))
		advance(end + 1)
	}
}

func (t *Template) text(s string) {
	if s == "" {
		return
	}
	if last := len(t.Parts) - 1; last >= 0 && !t.Parts[last].Expr.Set() {
		t.Parts[last].Text += s
		return
	}
	t.Parts = append(t.Parts, Part{Text: s})
}

func (t *Template) place(n *Node, source string, column int) {
	pos := n.Pos()
	if !strings.Contains(n.Text(), "\n") {
		pos.Column += column
		if !n.plain() {
			pos.Column++
		}
	}
	t.Parts = append(t.Parts, Part{Expr: Expr{Source: source, Pos: pos, Path: n.Path()}})
}

// placeEnd finds the } that closes the { at the front of s, past braces and quotes of the
// expression between them.
func placeEnd(s string) int {
	depth, q := 0, quotes{}
	for i := range len(s) {
		if !q.outside(s[i]) {
			continue
		}
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// Set reports whether there is a template; an empty text is none.
func (t Template) Set() bool { return len(t.Parts) > 0 }

// Exprs are the expressions of the places, in order.
func (t Template) Exprs() []Expr {
	var all []Expr
	for _, p := range t.Parts {
		if p.Expr.Set() {
			all = append(all, p.Expr)
		}
	}
	return all
}

// String is the template as it is written.
func (t Template) String() string {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Expr.Set() {
			b.WriteString("{" + p.Expr.Source + "}")
		} else {
			b.WriteString(strings.ReplaceAll(p.Text, "{", "{{"))
		}
	}
	return b.String()
}

// JSONSchema is text that is no expression as a whole.
func (Template) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": "^[^=]|^$", "description": "text with {places}"}
}
