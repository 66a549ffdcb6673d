package specfile

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Value is any part of a file, kept as data with its positions: a request's body, the default of
// a parameter whose type is known only later. The zero Value is KindAbsent.
type Value struct {
	Kind    Kind
	Pos     Pos
	Path    string
	Bool    bool       // of a KindBool
	Text    string     // of a KindText, and the digits of a KindNumber as they are written
	Source  string     // of a KindExpr, without its "="
	Items   []Value    // of a KindList
	Entries Map[Value] // of a KindMap, in the order of the file
	source  Pos        // where Source begins
}

// DecodeSpec takes whatever stands there.
func (v *Value) DecodeSpec(n *Node) {
	*v = Value{Kind: n.Kind(), Pos: n.Pos(), Path: n.Path()}
	switch v.Kind {
	case KindBool:
		v.Bool = n.Text() == "true"
	case KindNumber, KindText:
		v.Text = n.Text()
	case KindExpr:
		var e Expr
		e.DecodeSpec(n)
		v.Source, v.source = e.Source, e.Pos
	case KindList:
		for _, item := range n.Items() {
			var child Value
			child.DecodeSpec(item)
			v.Items = append(v.Items, child)
		}
	case KindMap:
		v.Entries.DecodeSpec(n)
	}
}

// Set reports whether the key was there at all.
func (v Value) Set() bool { return v.Kind != KindAbsent }

// Expr is the expression of a KindExpr.
func (v Value) Expr() Expr { return Expr{Source: v.Source, Pos: v.source, Path: v.Path} }

// Exprs are all expressions in v, in the order of the file.
func (v Value) Exprs() []Expr {
	if v.Kind == KindExpr {
		return []Expr{v.Expr()}
	}
	var all []Expr
	for _, item := range v.Items {
		all = append(all, item.Exprs()...)
	}
	for _, e := range v.Entries {
		all = append(all, e.Value.Exprs()...)
	}
	return all
}

// Data is v as exact.DecodeJSON would give it. A value with an expression in it is no data yet,
// and an error names where.
func (v Value) Data() (any, error) {
	switch v.Kind {
	case KindBool:
		return v.Bool, nil
	case KindNumber:
		return json.Number(v.Text), nil
	case KindText:
		return v.Text, nil
	case KindExpr:
		return nil, fmt.Errorf("%s: %s: an expression is not possible here", v.Pos, v.Path)
	case KindList:
		return v.list()
	case KindMap:
		return v.object()
	}
	return nil, nil
}

func (v Value) list() (any, error) {
	list := make([]any, len(v.Items))
	for i, item := range v.Items {
		data, err := item.Data()
		if err != nil {
			return nil, err
		}
		list[i] = data
	}
	return list, nil
}

func (v Value) object() (any, error) {
	object := make(map[string]any, len(v.Entries))
	for _, e := range v.Entries {
		data, err := e.Value.Data()
		if err != nil {
			return nil, err
		}
		object[e.Key] = data
	}
	return object, nil
}

// JSONSchema allows everything.
func (Value) JSONSchema() map[string]any { return map[string]any{} }

// Expr is a field that must be an expression. The zero Expr is an absent one.
type Expr struct {
	Source string // without its "="
	Pos    Pos    // where Source begins
	Path   string
}

// DecodeSpec takes text that begins with "=".
func (e *Expr) DecodeSpec(n *Node) {
	if n.Kind() != KindExpr {
		n.wanted("an expression", exprHint(n))
		return
	}
	rest := n.Text()[1:]
	source := strings.TrimSpace(rest)
	if source == "" {
		n.Problem("the expression is empty", "Write it behind the =.")
		return
	}
	*e = Expr{Source: source, Pos: n.Pos(), Path: n.Path()}
	// Only where a line of the file is the text itself do columns say where it begins.
	if onOneLine := !strings.Contains(rest, "\n"); onOneLine {
		e.Pos.Column += 1 + len(rest) - len(strings.TrimLeft(rest, " "))
		if !n.plain() {
			e.Pos.Column++
		}
	}
}

func exprHint(n *Node) string {
	switch n.Kind() {
	case KindNull, KindList, KindMap:
		return "An expression begins with =."
	case KindText:
		return "An expression begins with =: `=" + shorten(n.Text()) + "`, or for the fixed text `=\"" + shorten(n.Text()) + "\"`."
	}
	return "An expression begins with =: `=" + shorten(n.Text()) + "`."
}

// Set reports whether there is an expression.
func (e Expr) Set() bool { return e.Source != "" }

// JSONSchema is text that begins with "=".
func (Expr) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": "^=", "description": "an expression"}
}
