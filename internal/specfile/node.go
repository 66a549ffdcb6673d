package specfile

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Kind is what a value is.
type Kind int

// The kinds of values. A quoted number is text, and so is everything that YAML of various ages
// takes for something else: yes, 0x1F, 2026-03-01.
const (
	KindAbsent Kind = iota // the zero Value: the key is not there
	KindNull
	KindBool
	KindNumber
	KindText
	KindExpr // text that begins with "="
	KindList
	KindMap
)

var kindNames = [...]string{"nothing", "nothing", "true or false", "a number", "text", "an expression", "a list", "a map"}

func (k Kind) String() string { return kindNames[k] }

// Custom is a type that decodes itself.
type Custom interface{ DecodeSpec(n *Node) }

// Node is a place in a file, as a Custom type sees it.
type Node struct {
	yaml *yaml.Node
	pos  Pos
	path string
	into *reading
}

// reading is what all nodes of one Decode share.
type reading struct {
	file     string
	problems Problems
	found    int // problems, including those beyond maxProblems
}

// maxProblems is more than anybody reads; beyond it a hostile file would only cost us time.
const maxProblems = 500

func (r *reading) add(pos Pos, path, message, hint string) {
	switch r.found++; {
	case r.found <= maxProblems:
		r.problems.Add(pos, path, message, hint)
	case r.found == maxProblems+1:
		r.problems.Add(pos, path, message, fmt.Sprintf("There are more than %d problems; the rest is not listed.", maxProblems))
	}
}

func (r *reading) full() bool { return r.found > maxProblems }

// Pos is where the value begins.
func (n *Node) Pos() Pos { return n.pos }

// Path leads to the value from the top of the file: "records.client.write[0]".
func (n *Node) Path() string { return n.path }

// Kind is what the value is.
func (n *Node) Kind() Kind {
	switch n.yaml.Kind {
	case yaml.SequenceNode:
		return KindList
	case yaml.MappingNode:
		return KindMap
	}
	return scalarKind(n.yaml.Value, n.plain())
}

// plain reports whether the scalar stands without quotes and not as a block.
func (n *Node) plain() bool {
	return n.yaml.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// Text is a scalar as it is written: the digits of a number, an expression with its "=".
func (n *Node) Text() string { return n.yaml.Value }

// Items are the items of a list.
func (n *Node) Items() []*Node {
	if n.Kind() != KindList {
		return nil
	}
	items := make([]*Node, len(n.yaml.Content))
	for i, item := range n.yaml.Content {
		items[i] = n.child(item, itemPath(n.path, i))
	}
	return items
}

// Entries are the entries of a map, in the order of the file. What is a problem already, such as
// the second of two equal keys, is left out.
func (n *Node) Entries() []Entry[*Node] {
	if n.Kind() != KindMap {
		return nil
	}
	entries := make([]Entry[*Node], 0, len(n.yaml.Content)/2)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key, value := n.yaml.Content[i], n.yaml.Content[i+1]
		if key.Kind != yaml.ScalarNode || seen[key.Value] {
			continue
		}
		seen[key.Value] = true
		entries = append(entries, Entry[*Node]{key.Value, n.into.pos(key), n.child(value, joinPath(n.path, key.Value))})
	}
	return entries
}

// Problem notes that something is wrong with this value.
func (n *Node) Problem(message, hint string) { n.into.add(n.pos, n.path, message, hint) }

// Decode decodes the value into what the pointer points to and reports whether all was well. The
// problems are noted already.
func (n *Node) Decode(into any) bool {
	before := n.into.found
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("specfile: cannot decode into a %T; a pointer is needed", into))
	}
	n.decode(v.Elem(), field{})
	return n.into.found == before
}

func (n *Node) child(y *yaml.Node, path string) *Node {
	return &Node{yaml: y, pos: n.into.pos(y), path: path, into: n.into}
}

func (r *reading) pos(y *yaml.Node) Pos { return Pos{r.file, y.Line, y.Column} }

// wanted notes that something else stands where a value of some kind is needed.
func (n *Node) wanted(what, hint string) {
	n.Problem(fmt.Sprintf("%s is expected, here stands %s", what, n.describe()), hint)
}

// describe names the value for people: "the text `abc`".
func (n *Node) describe() string {
	switch k := n.Kind(); k {
	case KindNumber:
		return "the number " + shorten(n.Text())
	case KindBool:
		return "the word " + n.Text()
	case KindText:
		return "the text `" + shorten(n.Text()) + "`"
	case KindExpr:
		return "the expression `" + shorten(n.Text()) + "`"
	default:
		return k.String()
	}
}

// shorten keeps messages to one line.
func shorten(s string) string {
	line, _, cut := strings.Cut(s, "\n")
	if r := []rune(line); len(r) > 60 {
		line, cut = string(r[:60]), true
	}
	if cut {
		line += "…"
	}
	return line
}

// maxPath keeps deep nesting of long keys from costing memory for every value below.
const maxPath = 400

func itemPath(path string, i int) string {
	if len(path) > maxPath {
		return path
	}
	return path + "[" + strconv.Itoa(i) + "]"
}

func joinPath(path, key string) string {
	key = shorten(key)
	if len(path) > maxPath {
		return path
	}
	if strings.ContainsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]\"` \n", r) }) || key == "" {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
