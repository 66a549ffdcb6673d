package expr

import (
	"math"
	"reflect"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"throughline/internal/exact"
)

// The four quantities of the trade as values of the language. An operation that would mix units
// (hours and money, two currencies) does not compile; two currencies that meet in values fail.

type decimal struct{ d exact.Decimal }

func (v decimal) Type() ref.Type { return Decimal.cel }
func (v decimal) Value() any     { return v.d }
func (v decimal) Equal(o ref.Val) ref.Val {
	other, ok := asDecimal(o)
	return types.Bool(ok && v.d.Cmp(other) == 0)
}
func (v decimal) Compare(o ref.Val) ref.Val {
	if other, ok := asDecimal(o); ok {
		return types.Int(v.d.Cmp(other))
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v decimal) Add(o ref.Val) ref.Val {
	if other, ok := asDecimal(o); ok {
		return decimal{v.d.Add(other)}
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v decimal) Subtract(o ref.Val) ref.Val {
	if other, ok := asDecimal(o); ok {
		return decimal{v.d.Sub(other)}
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v decimal) Multiply(o ref.Val) ref.Val {
	if m, ok := o.(money); ok {
		return m.Multiply(v)
	}
	if other, ok := asDecimal(o); ok {
		return decimal{v.d.Mul(other)}
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v decimal) Negate() ref.Val                                { return decimal{v.d.Neg()} }
func (v decimal) ConvertToNative(want reflect.Type) (any, error) { return convert(v, want) }
func (v decimal) ConvertToType(t ref.Type) ref.Val {
	if t == types.IntType {
		return wholeNumber(v.d)
	}
	return retype(v, t, v.d.String())
}

// wholeNumber is int(d): refused, never cut, where d has a fraction.
func wholeNumber(d exact.Decimal) ref.Val {
	r := d.Round(0, exact.HalfEven)
	if r.Cmp(d) != 0 {
		return types.NewErr("%s is no whole number; round it first", d)
	}
	n, err := r.Int64()
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(n)
}

type money struct{ m exact.Money }

func (v money) Type() ref.Type { return Money.cel }
func (v money) Value() any     { return v.m }
func (v money) Equal(o ref.Val) ref.Val {
	other, ok := o.(money)
	return types.Bool(ok && v.m.Currency == other.m.Currency && v.m.Amount.Cmp(other.m.Amount) == 0)
}
func (v money) Compare(o ref.Val) ref.Val {
	other, ok := o.(money)
	if !ok {
		return types.MaybeNoSuchOverloadErr(o)
	}
	c, err := v.m.Cmp(other.m)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(c)
}
func (v money) Add(o ref.Val) ref.Val      { return v.combine(o, exact.Money.Add) }
func (v money) Subtract(o ref.Val) ref.Val { return v.combine(o, exact.Money.Sub) }
func (v money) combine(o ref.Val, op func(a, b exact.Money) (exact.Money, error)) ref.Val {
	other, ok := o.(money)
	if !ok {
		return types.MaybeNoSuchOverloadErr(o)
	}
	m, err := op(v.m, other.m)
	if err != nil {
		return types.WrapErr(err)
	}
	return money{m}
}
func (v money) Multiply(o ref.Val) ref.Val {
	if by, ok := asDecimal(o); ok {
		return money{exact.Money{Amount: v.m.Amount.Mul(by), Currency: v.m.Currency}}
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v money) Negate() ref.Val {
	return money{exact.Money{Amount: v.m.Amount.Neg(), Currency: v.m.Currency}}
}
func (v money) ConvertToNative(want reflect.Type) (any, error) { return convert(v, want) }
func (v money) ConvertToType(t ref.Type) ref.Val               { return retype(v, t, v.m.String()) }

type date struct{ d exact.Date }

func (v date) Type() ref.Type { return Date.cel }
func (v date) Value() any     { return v.d }
func (v date) Equal(o ref.Val) ref.Val {
	other, ok := o.(date)
	return types.Bool(ok && v.d.Compare(other.d) == 0)
}
func (v date) Compare(o ref.Val) ref.Val {
	if other, ok := o.(date); ok {
		return types.Int(v.d.Compare(other.d))
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v date) Add(o ref.Val) ref.Val      { return v.move(o, 1) }
func (v date) Subtract(o ref.Val) ref.Val { return v.move(o, -1) }
func (v date) move(o ref.Val, sign int) ref.Val {
	days, ok := o.(types.Int)
	if !ok || days > math.MaxInt32 || days < math.MinInt32 {
		return types.MaybeNoSuchOverloadErr(o)
	}
	return date{v.d.AddDays(sign * int(days))}
}
func (v date) ConvertToNative(want reflect.Type) (any, error) { return convert(v, want) }
func (v date) ConvertToType(t ref.Type) ref.Val               { return retype(v, t, v.d.String()) }

type seconds exact.Seconds

func (v seconds) Type() ref.Type { return Seconds.cel }
func (v seconds) Value() any     { return exact.Seconds(v) }
func (v seconds) Equal(o ref.Val) ref.Val {
	other, ok := o.(seconds)
	return types.Bool(ok && v == other)
}
func (v seconds) Compare(o ref.Val) ref.Val {
	other, ok := o.(seconds)
	if !ok {
		return types.MaybeNoSuchOverloadErr(o)
	}
	return types.Int(v).Compare(types.Int(other))
}
func (v seconds) Add(o ref.Val) ref.Val {
	if other, ok := o.(seconds); ok {
		return whole(types.Int(v).Add(types.Int(other)))
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v seconds) Subtract(o ref.Val) ref.Val {
	if other, ok := o.(seconds); ok {
		return whole(types.Int(v).Subtract(types.Int(other)))
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v seconds) Multiply(o ref.Val) ref.Val {
	if n, ok := o.(types.Int); ok {
		return whole(types.Int(v).Multiply(n))
	}
	return types.MaybeNoSuchOverloadErr(o)
}
func (v seconds) Negate() ref.Val                                { return whole(types.Int(v).Negate()) }
func (v seconds) ConvertToNative(want reflect.Type) (any, error) { return convert(v, want) }
func (v seconds) ConvertToType(t ref.Type) ref.Val {
	if t == types.IntType {
		return types.Int(v)
	}
	return retype(v, t, exact.Seconds(v).ISO())
}

// whole brings the sum of two numbers of seconds back; CEL's integers report an overflow.
func whole(v ref.Val) ref.Val {
	if n, ok := v.(types.Int); ok {
		return seconds(n)
	}
	return v
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
