package exact

import (
	"errors"
	"math"

	"github.com/shopspring/decimal"
)

// Mode says what becomes of a value that lies exactly between two neighbours. It is always
// written out, because the trade knows both and they differ by cents.
type Mode int

// The two modes of the trade.
const (
	HalfEven Mode = iota // to the even neighbour: 2.5 to 2, 3.5 to 4
	HalfUp               // away from zero: 2.5 to 3, -2.5 to -3
)

// maxPlaces bounds the digits that a division may be asked for.
const maxPlaces = 1000

// Add is d + o.
func (d Decimal) Add(o Decimal) Decimal {
	if x, y, places, ok := aligned(d, o); ok {
		if sum := x + y; (sum > x) == (y > 0) && sum != math.MinInt64 {
			return fromSmall(sum, places)
		}
	}
	return fromWide(d.big().Add(o.big()))
}

// Sub is d - o.
func (d Decimal) Sub(o Decimal) Decimal { return d.Add(o.Neg()) }

// Mul is d × o, with every digit.
func (d Decimal) Mul(o Decimal) Decimal {
	if d.wide == "" && o.wide == "" {
		if product, ok := product(d.coef, o.coef); ok {
			return fromSmall(product, int(d.places)+int(o.places))
		}
	}
	return fromWide(d.big().Mul(o.big()))
}

// Neg is -d.
func (d Decimal) Neg() Decimal {
	if d.wide != "" {
		return fromWide(d.big().Neg())
	}
	d.coef = -d.coef
	return d
}

// Abs is d without its sign.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Cmp is -1, 0 or 1 as d is less than, equal to or greater than o.
func (d Decimal) Cmp(o Decimal) int {
	x, y, _, ok := aligned(d, o)
	switch {
	case !ok:
		return d.big().Cmp(o.big())
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Round keeps that many digits behind the point; a negative number rounds to tens, hundreds, ….
func (d Decimal) Round(places int32, mode Mode) Decimal {
	if d.wide == "" && places >= d.places {
		return d
	}
	wide := d.big()
	if places >= -wide.Exponent() {
		return d
	}
	// Rounding to a unit more than ten times as large as the number leaves nothing, and would
	// otherwise build that unit, however many digits it has.
	if int64(places) < -int64(wide.NumDigits()) {
		return Decimal{}
	}
	if mode == HalfUp {
		return fromWide(wide.Round(places))
	}
	return fromWide(wide.RoundBank(places))
}

// Div is d / o, rounded to that many digits behind the point (at most 1000).
func (d Decimal) Div(o Decimal, places int32, mode Mode) (Decimal, error) {
	if o.IsZero() {
		return Decimal{}, errors.New("division by zero")
	}
	if places < 0 || places > maxPlaces {
		return Decimal{}, errors.New("a division is rounded to between 0 and 1000 places")
	}
	by := o.big()
	quotient, remainder := d.big().QuoRem(by, places)
	twice := remainder.Abs().Mul(decimal.NewFromInt(2))
	half := twice.Cmp(by.Abs().Shift(-places))
	if half > 0 || half == 0 && (mode == HalfUp || odd(quotient, places)) {
		step := decimal.New(int64(d.Sign()*o.Sign()), -places)
		quotient = quotient.Add(step)
	}
	return fromWide(quotient), nil
}

// odd reports whether the last of that many digits behind the point is odd.
func odd(d decimal.Decimal, places int32) bool {
	return d.Shift(places).BigInt().Bit(0) == 1
}

// aligned brings two small decimals to the same number of places, if both still fit.
func aligned(a, b Decimal) (x, y int64, places int, ok bool) {
	if a.wide != "" || b.wide != "" {
		return 0, 0, 0, false
	}
	x, y, ok = a.coef, b.coef, true
	for p := a.places; p < b.places && ok; p++ {
		x, ok = product(x, 10)
	}
	for p := b.places; p < a.places && ok; p++ {
		y, ok = product(y, 10)
	}
	return x, y, int(max(a.places, b.places)), ok
}

// product is a × b, if it fits.
func product(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	if p := a * b; p/b == a && p != math.MinInt64 && a != math.MinInt64 && b != math.MinInt64 {
		return p, true
	}
	return 0, false
}
