package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Vars declares variables by name.
type Vars map[string]Type

// Objects declares object types: name of the type, then field by field.
type Objects map[string]map[string]Type

// Func is a function whose answer depends on where the expression is evaluated: the At that is
// passed to Eval. Variants, if any, makes the first argument a literal word that picks the type of
// the result: link("account", …) is a reference to an account.
type Func struct {
	Name     string
	Args     []Type
	Result   Type
	Variants map[string]Type
	Call     func(at any, args []any) (any, error)
}

// Env is what an expression may use. It is immutable and safe for use by many at once.
type Env struct {
	cel     *cel.Env
	objects Objects
}

// at is the hidden variable that carries the place of an evaluation to a Func.
const at = "at__"

// placed begins the names by which the checker knows a Func.
const placed = "at_"

// NewEnv makes an environment with the standard functions, the given variables, object types and
// functions.
func NewEnv(vars Vars, opts ...Option) (*Env, error) {
	s := settings{}
	for _, o := range opts {
		o(&s)
	}
	list := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{}),
		cel.CustomTypeProvider(provider{types.NewEmptyRegistry(), s.objects}),
		cel.Variable(at, cel.DynType),
		cel.DefaultUTCTimeZone(true),
		texts,
		ext.Lists(ext.ListsVersion(3)),
	}
	list = append(list, bounds()...)
	list = append(list, standard()...)
	for name, t := range vars {
		list = append(list, cel.Variable(name, t.cel))
	}
	for _, f := range s.funcs {
		list = append(list, f.options()...)
	}
	e, err := cel.NewEnv(list...)
	if err != nil {
		return nil, fmt.Errorf("set up the expression language: %w", err)
	}
	return &Env{cel: e, objects: s.objects}, nil
}

// With is this environment with more variables.
func (e *Env) With(vars Vars) (*Env, error) {
	var list []cel.EnvOption
	for name, t := range vars {
		list = append(list, cel.Variable(name, t.cel))
	}
	c, err := e.cel.Extend(list...)
	if err != nil {
		return nil, fmt.Errorf("extend the expression language: %w", err)
	}
	return &Env{cel: c, objects: e.objects}, nil
}

// Option adds to an environment.
type Option func(*settings)

type settings struct {
	objects Objects
	funcs   []Func
}

// WithObjects declares object types.
func WithObjects(o Objects) Option { return func(s *settings) { s.objects = o } }

// WithFuncs declares functions that depend on where they are called.
func WithFuncs(f ...Func) Option { return func(s *settings) { s.funcs = append(s.funcs, f...) } }

// options declares f: a macro adds the hidden place, and the literal word picks the variant.
func (f Func) options() []cel.EnvOption {
	if f.Variants == nil {
		return []cel.EnvOption{f.macro(func([]ast.Expr) (string, error) { return f.Name, nil }), f.declare(f.Name, f.Result)}
	}
	list := []cel.EnvOption{f.macro(f.variant)}
	for word, result := range f.Variants {
		list = append(list, f.declare(variantName(f.Name, word), result))
	}
	return list
}

func variantName(name, word string) string { return name + "__" + word }

func (f Func) variant(args []ast.Expr) (string, error) {
	if lit, ok := args[0].AsLiteral().(types.String); ok && args[0].Kind() == ast.LiteralKind {
		if _, known := f.Variants[string(lit)]; known {
			return variantName(f.Name, string(lit)), nil
		}
		return "", fmt.Errorf("%s knows no %q; it knows %s", f.Name, string(lit), strings.Join(keys(f.Variants), ", "))
	}
	return "", fmt.Errorf("the first argument of %s must be a word in quotes, one of %s", f.Name, strings.Join(keys(f.Variants), ", "))
}

func keys(m map[string]Type) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func (f Func) macro(name func([]ast.Expr) (string, error)) cel.EnvOption {
	expand := func(h cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		target, err := name(args)
		if err != nil {
			return nil, h.NewError(args[0].ID(), err.Error())
		}
		return h.NewCall(placed+target, append([]ast.Expr{h.NewIdent(at)}, args...)...), nil
	}
	return cel.Macros(cel.GlobalMacro(f.Name, len(f.Args), expand))
}

func (f Func) declare(name string, result Type) cel.EnvOption {
	args := []*cel.Type{cel.DynType}
	for _, a := range f.Args {
		args = append(args, a.cel)
	}
	name = placed + name
	return cel.Function(name, cel.Overload(name, args, result.cel), cel.SingletonFunctionBinding(f.call))
}

func (f Func) call(vals ...ref.Val) ref.Val {
	args := make([]any, len(vals)-1)
	for i, v := range vals[1:] {
		a, err := native(v)
		if err != nil {
			return types.WrapErr(err)
		}
		args[i] = a
	}
	place, _ := vals[0].Value().(Place)
	out, err := f.Call(place.At, args)
	if err != nil {
		return types.WrapErr(err)
	}
	return adapter{}.NativeToValue(out)
}

// provider tells the checker which fields declared objects have.
type provider struct {
	types.Provider
	objects Objects
}

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.objects[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.objects[name]
	if !ok {
		return nil, false
	}
	return keys(fields), true
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	t, ok := p.objects[name][field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  t.cel,
		IsSet: func(v any) bool { m, _ := v.(map[string]any); return m[field] != nil },
		GetFrom: func(v any) (any, error) {
			m, _ := v.(map[string]any) // nothing there: null, like any other field that is not there
			return m[field], nil
		},
	}, true
}
