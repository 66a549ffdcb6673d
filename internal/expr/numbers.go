package expr

import (
	"strconv"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"throughline/internal/exact"
)

// The language has three kinds of numbers that do not know each other: whole ones, floats, and our exact ones. In JSON
// they are one, and which kind a vendor's number has depends on how it was written: 1, 1.0 or 0.5. So where numbers
// meet, they meet as exact ones; and whole numbers are not cut by a division.

// exactly is what an operator does with two values, by its name.
var exactly = map[string]func(l, r ref.Val) ref.Val{
	operators.Equals:    func(l, r ref.Val) ref.Val { return types.Equal(l, r) },
	operators.NotEquals: func(l, r ref.Val) ref.Val { return types.Bool(types.Equal(l, r) != types.True) },
	operators.Less:      compared(func(c types.Int) bool { return c < 0 }), operators.LessEquals: compared(func(c types.Int) bool { return c <= 0 }),
	operators.Greater: compared(func(c types.Int) bool { return c > 0 }), operators.GreaterEquals: compared(func(c types.Int) bool { return c >= 0 }),
	operators.Add: func(l, r ref.Val) ref.Val {
		if a, ok := l.(traits.Adder); ok {
			return a.Add(r)
		}
		return types.MaybeNoSuchOverloadErr(l)
	},
	operators.Subtract: func(l, r ref.Val) ref.Val {
		if a, ok := l.(traits.Subtractor); ok {
			return a.Subtract(r)
		}
		return types.MaybeNoSuchOverloadErr(l)
	},
	operators.Multiply: func(l, r ref.Val) ref.Val {
		if a, ok := l.(traits.Multiplier); ok {
			return a.Multiply(r)
		}
		return types.MaybeNoSuchOverloadErr(l)
	},
	operators.Divide: divided,
}

func compared(holds func(types.Int) bool) func(l, r ref.Val) ref.Val {
	return func(l, r ref.Val) ref.Val {
		a, ok := l.(traits.Comparer)
		if !ok {
			return types.MaybeNoSuchOverloadErr(l)
		}
		c := a.Compare(r)
		if n, ok := c.(types.Int); ok {
			return types.Bool(holds(n))
		}
		return c
	}
}

// divided refuses what would be cut.
func divided(l, r ref.Val) ref.Val {
	n, ok := l.(types.Int)
	by, ok2 := r.(types.Int)
	if !ok || !ok2 {
		return types.NewErr("only whole numbers are divided; a share of an amount is percent(…)")
	}
	if by != 0 && n%by != 0 {
		return types.NewErr("%d / %d leaves a remainder, which would be cut off; a hundredth is percent(decimal(…), 1)", n, by)
	}
	return n.Divide(by)
}

// exactNumbers is the decorator that lets numbers meet.
func exactNumbers(call interpreter.InterpretableCall) interpreter.InterpretableCall {
	do, ok := exactly[call.Function()]
	if !ok || len(call.Args()) != 2 || knowsNoNumber(call) {
		return call
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
		return types.LabelErrNode(call.ID(), do(met(args[0], args[1])))
	})
}

// knowsNoNumber reports whether a word, or yes or no, stands on one side: nothing is to be brought together there.
func knowsNoNumber(call interpreter.InterpretableCall) bool {
	for _, arg := range call.Args() {
		if c, ok := arg.(interpreter.InterpretableConst); ok {
			switch c.Value().(type) {
			case types.String, types.Bool, types.Null:
				return true
			}
		}
	}
	return false
}

// met are two values, as exact ones where they are numbers of different kinds, or floats.
func met(l, r ref.Val) (ref.Val, ref.Val) {
	_, lWhole := l.(types.Int)
	_, rWhole := r.(types.Int)
	if lWhole && rWhole {
		return l, r
	}
	if x, ok := asDecimal(l); ok {
		if y, ok := asDecimal(r); ok {
			return decimal{x}, decimal{y}
		}
	}
	return l, r
}

// asDecimal is a number of any kind. A float is what somebody has written in an expression: it is taken as it is written.
func asDecimal(v ref.Val) (exact.Decimal, bool) {
	switch v := v.(type) {
	case decimal:
		return v.d, true
	case types.Int:
		return exact.NewDecimal(int64(v)), true
	case types.Double:
		d, err := exact.ParseDecimal(strconv.FormatFloat(float64(v), 'f', -1, 64))
		return d, err == nil
	}
	return exact.Decimal{}, false
}
