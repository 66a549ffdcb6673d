package expr

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// The meter of the language counts steps, not what texts and lists grow to: a few nested replacements make a
// text of any length. So whatever makes something larger than what it was given refuses a result above largest,
// and where that can be far above, before it is made.

const (
	largest  = 1 << 20  // bytes of a text that is made, and elements of a list
	heaviest = 16 << 20 // bytes and elements of anything that an expression has in hand which may outgrow its values

	watched     = 1000    // times larger than what it is given: where a result can be more, what is made is weighed
	farTooLarge = 1 << 30 // no need to count on
)

// tooLarge is the refusal; the interpreter adds where in the expression.
func tooLarge(what string) ref.Val {
	return types.NewErr("%s would make more than 1 MiB of text, or a million elements", what)
}

// bounds replaces the functions that may make much of little by those that look first.
func bounds() []cel.EnvOption {
	format := formatting()
	text, count, list := cel.StringType, cel.IntType, cel.ListType(cel.StringType)
	return []cel.EnvOption{
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", []*cel.Type{text, text, text}, text, cel.FunctionBinding(replace)),
			cel.MemberOverload("string_replace_string_string_int", []*cel.Type{text, text, text, count}, text, cel.FunctionBinding(replace))),
		cel.Function("join",
			cel.MemberOverload("list_join", []*cel.Type{list}, text, cel.FunctionBinding(join)),
			cel.MemberOverload("list_join_string", []*cel.Type{list, text}, text, cel.FunctionBinding(join))),
		cel.Function("format",
			cel.MemberOverload("string_format", []*cel.Type{text, cel.ListType(cel.DynType)}, text, cel.BinaryBinding(func(how, args ref.Val) ref.Val {
				if weigh(args, largest) < 0 {
					return tooLarge("format")
				}
				return format(how, args)
			}))),
	}
}

// formatting is format as the language has it.
var formatting = sync.OnceValue(func() func(how, args ref.Val) ref.Val {
	e, err := cel.NewEnv(texts)
	if err != nil {
		panic(err) // it is the same at every start
	}
	list, err := e.Functions()["format"].Bindings()
	if err != nil || len(list) == 0 || list[0].Function == nil {
		panic(fmt.Sprintf("the language has another format: %v", err))
	}
	return func(how, args ref.Val) ref.Val { return list[0].Function(how, args) }
})

// texts are the functions on texts. A number of a hundred places is long enough.
var texts = ext.Strings(ext.StringsVersion(4), ext.StringsMaxPrecision(100))

// weigh takes from left what a value has of bytes and elements, and stops below nought.
func weigh(v ref.Val, left int) int {
	switch v := v.(type) {
	case types.String:
		return left - len(v)
	case types.Bytes:
		return left - len(v)
	case traits.Lister:
		n, _ := v.Size().(types.Int)
		for i := types.Int(0); i < n && left >= 0; i++ {
			left = weigh(v.Get(i), left-1)
		}
	case traits.Mapper:
		for it := v.Iterator(); left >= 0 && it.HasNext() == types.True; {
			key := it.Next()
			left = weigh(v.Get(key), weigh(key, left-1))
		}
	}
	return left
}

func replace(args ...ref.Val) ref.Val {
	s, was, now, most := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String)), -1
	if len(args) == 4 {
		most = int(args[3].(types.Int))
	}
	if len(now) > len(was) {
		n := strings.Count(s, was)
		if most >= 0 {
			n = min(n, most)
		}
		if n > 0 && (largest-len(s))/n < len(now)-len(was) {
			return tooLarge("replace")
		}
	}
	return types.String(strings.Replace(s, was, now, most))
}

func join(args ...ref.Val) ref.Val {
	list, between := args[0].(traits.Lister), ""
	if len(args) == 2 {
		between = string(args[1].(types.String))
	}
	size := int(list.Size().(types.Int))
	var out strings.Builder
	for i := range size {
		if i > 0 {
			out.WriteString(between)
		}
		part, ok := list.Get(types.Int(i)).(types.String)
		if !ok {
			return types.NewErr("join: only texts can be joined, element %d is of type %s", i, words.Replace(list.Get(types.Int(i)).Type().TypeName()))
		}
		if out.WriteString(string(part)); out.Len() > largest {
			return tooLarge("join")
		}
	}
	return types.String(out.String())
}

// grows are the other calls whose result may be larger than what they were given; by a small factor, so that
// it is enough to look at the result.
var grows = map[string]string{operators.Add: "+", "base64": "base64", "quote": "quote", "strings.quote": "strings.quote", "format": "format"}

// boundResults is the decorator that looks; it lets numbers of different kinds meet, too (numbers.go).
func boundResults(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	call = exactNumbers(call)
	if grows[call.Function()] == "" {
		return call, nil
	}
	return &boundCall{call}, nil
}

type boundCall struct{ interpreter.InterpretableCall }

// Exec implements interpreter.InterpretableV2.
func (c *boundCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return c.look(c.InterpretableCall.Exec(frame))
}

// Eval implements interpreter.Interpretable.
func (c *boundCall) Eval(vars interpreter.Activation) ref.Val {
	return c.look(c.InterpretableCall.Eval(vars))
}

func (c *boundCall) look(v ref.Val) ref.Val {
	size := 0
	switch v := v.(type) {
	case types.String:
		size = len(v)
	case types.Bytes:
		size = len(v)
	case traits.Lister:
		n, _ := v.Size().(types.Int)
		size = int(n)
	}
	if size > largest {
		return types.LabelErrNode(c.ID(), tooLarge(grows[c.Function()]))
	}
	return v
}

// loopsOf counts how often an expression goes through a list, and how many times larger than what it is given
// its result can be by that: only there can something be used over and over.
func loopsOf(parsed *cel.Ast) (loops, growth int) {
	growth = 1
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		loops++
		growth = min(growth*max(uses(e.AsComprehension()), 1), farTooLarge)
	}))
	return loops, growth
}

// uses counts how often a loop's body names what it goes through.
func uses(loop ast.ComprehensionExpr) (n int) {
	ast.PreOrderVisit(loop.LoopStep(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == loop.IterVar() {
			n++
		}
	}))
	return n
}

// position is where in the source a node begins: "at character 12: ", or nothing where that is not known.
func position(info *ast.SourceInfo, err error) string {
	at, ok := err.(*types.Err)
	if !ok || at.NodeID() == 0 {
		return ""
	}
	where := info.GetStartLocation(at.NodeID())
	if where.Column() < 0 {
		return ""
	}
	return fmt.Sprintf("at character %d: ", where.Column()+1)
}
