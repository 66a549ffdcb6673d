package exact

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// Limits on what a stranger may make us compute with. An exponent is cheap to write and dear to
// carry out; digits cost time that grows faster than their number.
const (
	maxExponent = 1000
	maxDigits   = 10_000
)

// Decimal is an exact decimal number of any size. Its zero value is 0.
//
// The value is coef / 10^places without needless zeros, so that equal numbers are equal structs.
// Few numbers of this trade need more than 18 digits; those that do are kept as their plain text
// in wide, which keeps the type comparable.
type Decimal struct {
	coef   int64
	places int32
	wide   string
}

// NewDecimal is the decimal of a whole number.
func NewDecimal(n int64) Decimal {
	if n == math.MinInt64 { // has no int64 counterpart of the other sign
		return Decimal{wide: strconv.FormatInt(n, 10)}
	}
	return Decimal{coef: n}
}

// MustDecimal is ParseDecimal for constants in code; it panics on text that is no decimal.
func MustDecimal(s string) Decimal {
	d, err := ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

// ParseDecimal reads "12", "-1.50", ".5" and "1.2e3", keeping every digit. It refuses exponents
// beyond ±1000 and numbers of more than 10,000 digits.
func ParseDecimal(s string) (Decimal, error) {
	n, err := scanNumeral(s)
	if err != nil {
		return Decimal{}, err
	}
	places := len(n.fraction) - n.exponent
	if coef, ok := n.small(); ok {
		return fromSmall(coef, places), nil
	}
	coef, _ := new(big.Int).SetString(n.whole+n.fraction, 10)
	if n.negative {
		coef.Neg(coef)
	}
	return fromBig(coef, places), nil
}

// fromSmall brings coef / 10^places into the one form that its value has.
func fromSmall(coef int64, places int) Decimal {
	for places > 0 && coef%10 == 0 {
		if coef == 0 {
			return Decimal{}
		}
		coef, places = coef/10, places-1
	}
	if places < 0 {
		return fromBig(big.NewInt(coef), places)
	}
	return Decimal{coef: coef, places: int32(places)}
}

func fromBig(coef *big.Int, places int) Decimal {
	return fromWide(decimal.NewFromBigInt(coef, int32(-places)))
}

// fromWide is the way back from decimal.Decimal.
func fromWide(d decimal.Decimal) Decimal {
	d = d.Normalize()
	if d.Exponent() > 0 {
		d = decimal.NewFromBigInt(d.BigInt(), 0)
	}
	coef := d.Coefficient()
	if coef.IsInt64() && coef.Int64() != math.MinInt64 {
		return Decimal{coef: coef.Int64(), places: -d.Exponent()}
	}
	return Decimal{wide: d.String()}
}

// big is d as a decimal.Decimal, which knows numbers of any size.
func (d Decimal) big() decimal.Decimal {
	if d.wide == "" {
		return decimal.New(d.coef, -d.places)
	}
	whole, fraction, _ := strings.Cut(d.wide, ".")
	coef, _ := new(big.Int).SetString(whole+fraction, 10)
	return decimal.NewFromBigInt(coef, int32(-len(fraction)))
}

// String is the plain number: no exponent, no needless zeros, "-0.5" rather than "-.5".
func (d Decimal) String() string {
	if d.wide != "" {
		return d.wide
	}
	if d.places == 0 {
		return strconv.FormatInt(d.coef, 10)
	}
	return string(d.appendFixed(nil, 0))
}

// Fixed is String with at least that many digits behind the point: 1.5 as "1.50".
func (d Decimal) Fixed(places int32) string { return string(d.appendFixed(nil, places)) }

// appendFixed writes d with at least that many digits behind the point.
func (d Decimal) appendFixed(dst []byte, atLeast int32) []byte {
	if d.wide != "" {
		_, fraction, pointed := strings.Cut(d.wide, ".")
		return appendZeros(append(dst, d.wide...), pointed, int(atLeast)-len(fraction))
	}
	coef := uint64(d.coef)
	if d.coef < 0 {
		dst, coef = append(dst, '-'), uint64(-d.coef)
	}
	var buf [20]byte
	digits := strconv.AppendUint(buf[:0], coef, 10)
	places := int(d.places)
	if whole := len(digits) - places; whole > 0 {
		dst, digits = append(dst, digits[:whole]...), digits[whole:]
	} else {
		dst = append(dst, '0')
	}
	if places > 0 {
		dst = append(dst, '.')
		dst = appendZeros(dst, true, places-len(digits))
		dst = append(dst, digits...)
	}
	return appendZeros(dst, places > 0, int(atLeast)-places)
}

func appendZeros(dst []byte, pointed bool, n int) []byte {
	if n > 0 && !pointed {
		dst = append(dst, '.')
	}
	for ; n > 0; n-- {
		dst = append(dst, '0')
	}
	return dst
}

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.wide != "":
		return d.big().Sign()
	case d.coef < 0:
		return -1
	case d.coef > 0:
		return 1
	}
	return 0
}

// IsZero reports whether d is 0.
func (d Decimal) IsZero() bool { return d == Decimal{} }

// IsWhole reports whether d has nothing behind the point.
func (d Decimal) IsWhole() bool { return d.places == 0 && !strings.Contains(d.wide, ".") }

// Int64 is d as an integer; an error when d has a fraction or is too large for one.
func (d Decimal) Int64() (int64, error) {
	switch {
	case !d.IsWhole():
		return 0, fmt.Errorf("%s is not a whole number", d)
	case d.wide == "":
		return d.coef, nil
	}
	n, err := strconv.ParseInt(d.wide, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is too large for a whole number of 64 bits", abridged(d.wide))
	}
	return n, nil
}

// MarshalJSON writes a string, since most readers would make a float of a number.
func (d Decimal) MarshalJSON() ([]byte, error) {
	return append(d.appendFixed([]byte{'"'}, 0), '"'), nil
}

// UnmarshalJSON reads a string or a number, both exactly.
func (d *Decimal) UnmarshalJSON(data []byte) error {
	text := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("read decimal: %w", err)
		}
	}
	parsed, err := ParseDecimal(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
