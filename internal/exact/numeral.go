package exact

import (
	"fmt"
	"strconv"
	"strings"
)

// numeral is a decimal number as it is written, taken apart.
type numeral struct {
	negative        bool
	whole, fraction string
	exponent        int
}

func scanNumeral(s string) (numeral, error) {
	var n numeral
	rest := s
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		n.negative, rest = rest[0] == '-', rest[1:]
	}
	n.whole, rest = digits(rest)
	if strings.HasPrefix(rest, ".") {
		n.fraction, rest = digits(rest[1:])
		if n.fraction == "" {
			return n, notDecimal(s)
		}
	}
	if n.whole == "" && n.fraction == "" {
		return n, notDecimal(s)
	}
	if len(n.whole)+len(n.fraction) > maxDigits {
		return n, fmt.Errorf("%q has more than %d digits", abridged(s), maxDigits)
	}
	if rest == "" {
		return n, nil
	}
	var err error
	n.exponent, err = scanExponent(s, rest)
	return n, err
}

// scanExponent reads the "e-12" at the end of s.
func scanExponent(s, rest string) (int, error) {
	if rest[0] != 'e' && rest[0] != 'E' {
		return 0, notDecimal(s)
	}
	text := strings.TrimPrefix(rest[1:], "+")
	if d, after := digits(strings.TrimPrefix(text, "-")); d == "" || after != "" || strings.HasPrefix(rest[1:], "+-") {
		return 0, notDecimal(s)
	}
	exponent, err := strconv.Atoi(text)
	if err != nil || exponent > maxExponent || exponent < -maxExponent {
		return 0, fmt.Errorf("%q has an exponent beyond %d", abridged(s), maxExponent)
	}
	return exponent, nil
}

// small is the digits as an integer, if there are few enough for that to be certain.
func (n numeral) small() (int64, bool) {
	if len(n.whole)+len(n.fraction) > 18 {
		return 0, false
	}
	var coef int64
	for i := range len(n.whole) {
		coef = coef*10 + int64(n.whole[i]-'0')
	}
	for i := range len(n.fraction) {
		coef = coef*10 + int64(n.fraction[i]-'0')
	}
	if n.negative {
		coef = -coef
	}
	return coef, true
}

// digits splits s behind its leading digits.
func digits(s string) (lead, rest string) {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

func notDecimal(s string) error {
	return fmt.Errorf("%q is not a decimal number such as 1234.56", abridged(s))
}

// abridged keeps a stranger's endless text out of messages and logs.
func abridged(s string) string {
	if len(s) <= 40 {
		return s
	}
	return strings.ToValidUTF8(s[:40], "") + "…"
}
