package expr

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"throughline/internal/hub"
)

const (
	costLimit   = 100_000 // a hostile expression stops after some 5 ms
	sourceLimit = 4_000   // characters
	loopLimit   = 20      // maps, filters and the like; what it takes to find their types grows with the cube of their number
)

// Program is a compiled expression, safe for use by many at once.
type Program struct {
	source  string
	program cel.Program
	result  Type
	info    *ast.SourceInfo // to say where in it something failed
}

// Compile parses and checks src; its type must fit want (Dyn: anything). The error is a *hub.Error
// of kind Invalid whose message names the place inside the expression.
func (e *Env) Compile(src string, want Type) (*Program, error) {
	if len(src) > sourceLimit {
		return nil, invalid("the expression is longer than %d characters", sourceLimit)
	}
	parsed, issues := e.cel.Parse(src)
	if issues.Err() != nil {
		return nil, e.explain(issues)
	}
	loops, growth := loopsOf(parsed)
	if loops > loopLimit {
		return nil, invalid("the expression goes through lists %d times; %d is the most", loops, loopLimit)
	}
	checked, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		return nil, e.explain(issues)
	}
	got := checked.OutputType()
	if !want.Zero() && want != Dyn && !want.accepts(got) {
		return nil, invalid("this is of type %s, but %s is wanted here", Type{got}, want)
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(boundResults)}
	if !bounded(checked) {
		options = append(options, cel.CostLimit(costLimit))
	}
	if growth > watched {
		options = append(options, cel.MemoryLimit(heaviest))
	}
	p, err := e.cel.Program(checked, options...)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return &Program{source: src, program: p, result: Type{got}, info: checked.NativeRep().SourceInfo()}, nil
}

// bounded reports whether an expression costs no more than to look at what it is given a few times over: it goes
// through no list, and makes few calls, each of which takes as long as its arguments are. To count what such a one
// costs would double what it costs.
func bounded(checked *cel.Ast) bool {
	ok, left := true, fewCalls
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			ok = false
		case ast.CallKind:
			if chooses(e.AsCall()) {
				return
			}
			left--
			ok = ok && left >= 0 && straight(e.AsCall().FunctionName())
		}
	}))
	return ok
}

const fewCalls = 8 // to read a record takes as long as to go through it so often

// chooses reports whether a call answers one of its arguments or a part of it, or compares with a word: texts
// of another length are told apart at once.
func chooses(c ast.CallExpr) bool {
	switch c.FunctionName() {
	case operators.Conditional, operators.Index, operators.OptIndex, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
		return true
	case operators.Equals, operators.NotEquals:
		return slices.ContainsFunc(c.Args(), func(e ast.Expr) bool { return e.Kind() == ast.LiteralKind })
	}
	return false
}

// straight reports whether a function goes through its arguments once: our own all do, and of the language's those
// that are named here.
func straight(name string) bool {
	if strings.HasPrefix(name, placed) || slices.ContainsFunc(library, func(f function) bool { return f.name == name }) {
		return true
	}
	switch name {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		operators.Add, operators.Subtract, operators.Multiply, operators.Negate, operators.In,
		"size", "startsWith", "endsWith", "lowerAscii", "upperAscii", "trim", "substring":
		return true
	}
	return false
}

// explain turns the checker's findings into one sentence each.
func (e *Env) explain(issues *cel.Issues) error {
	var lines []string
	for _, i := range issues.Errors() {
		msg := strings.ReplaceAll(i.Message, "(in container '')", "")
		msg = strings.TrimSpace(words.Replace(hidden.Replace(msg)))
		lines = append(lines, fmt.Sprintf("at character %d: %s", i.Location.Column()+1, msg))
	}
	return invalid("%s", strings.Join(lines, "; "))
}

// hidden removes our own machinery from the checker's messages.
var hidden = strings.NewReplacer("at_", "", "(dyn, ", "(", "undeclared reference to", "nothing here is called")

func invalid(format string, args ...any) *hub.Error {
	return &hub.Error{Kind: hub.Invalid, Code: "expression.invalid", Message: fmt.Sprintf(format, args...)}
}

// Result is the type that the expression was found to have.
func (p *Program) Result() Type { return p.result }

// Source is the expression's text, without the "=".
func (p *Program) Source() string { return p.source }

// Place hands the context of an evaluation to the functions that want it (see Func). It is opaque
// to expressions.
type Place struct{ At any }

var placeType = types.NewOpaqueType("place")

func (p Place) Type() ref.Type                            { return placeType }
func (p Place) Value() any                                { return p }
func (p Place) Equal(ref.Val) ref.Val                     { return types.False }
func (p Place) ConvertToNative(reflect.Type) (any, error) { return p, nil }
func (p Place) ConvertToType(ref.Type) ref.Val            { return p }

// activation finds variables in a plain map, without copying it.
type activation struct {
	vars map[string]any
	at   any
}

func (a activation) ResolveName(name string) (any, bool) {
	if name == at {
		return Place{a.at}, true
	}
	v, ok := a.vars[name]
	if !ok {
		return types.NullValue, true // a variable of the place that has no value this time
	}
	return adapter{}.NativeToValue(v), true
}

func (a activation) Parent() cel.Activation { return nil }

// Eval computes the expression over vars. Reading something that is not there gives nil. The result
// is a plain Go value (see adapter).
func (p *Program) Eval(vars map[string]any) (any, error) { return p.EvalAt(nil, vars) }

// EvalAt is Eval at a place, for expressions that use a Func.
func (p *Program) EvalAt(place any, vars map[string]any) (any, error) {
	v, _, err := p.program.Eval(activation{vars, place})
	if err == nil {
		return native(v)
	}
	if strings.HasPrefix(err.Error(), "no such key") {
		return nil, nil
	}
	var known *hub.Error
	if errors.As(err, &known) {
		return nil, known
	}
	// The cause stays in the chain: who called may know it, as the engine knows what waits for another record.
	return nil, &hub.Error{Kind: hub.Invalid, Code: "expression.failed", Message: fmt.Sprintf("%s: %s%s", p.source, position(p.info, err), failure(err)), Err: err}
}

func failure(err error) string {
	switch msg := err.Error(); {
	case strings.Contains(msg, "cost limit exceeded"):
		return "the expression is too costly and was stopped"
	case strings.Contains(msg, "memory limit exceeded"):
		return "the expression makes too much of what it is given and was stopped"
	case strings.HasPrefix(msg, "no such overload"):
		return "the values do not fit each other here (" + words.Replace(msg) + ")"
	default:
		return msg
	}
}

// True evaluates a condition: false also where the result is null.
func (p *Program) True(vars map[string]any) (bool, error) { return p.TrueAt(nil, vars) }

// TrueAt is True at a place.
func (p *Program) TrueAt(place any, vars map[string]any) (bool, error) {
	v, err := p.EvalAt(place, vars)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok && v != nil {
		return false, invalid("%s: a condition must be true or false, this is %v", p.source, v)
	}
	return b, nil
}
