package exact

import (
	"fmt"
	"strconv"
	"strings"
)

// Seconds is an amount of work. Systems that speak of hours, minutes or clock times all meet in
// whole seconds; what is finer is refused rather than rounded.
type Seconds int64

var secondsPerHour = NewDecimal(3600)

// FromHours is exact to the second: 1.25 h is 4500 s, and a third of an hour is an error.
func FromHours(hours Decimal) (Seconds, error) {
	n, err := hours.Mul(secondsPerHour).Int64()
	if err != nil {
		return 0, fmt.Errorf("%s hours are not a whole number of seconds", abridged(hours.String()))
	}
	return Seconds(n), nil
}

// Hours is s / 3600, rounded to that many places (taken as 0 to 1000).
func (s Seconds) Hours(places int32, mode Mode) Decimal {
	// The two errors of a division are ruled out: the divisor is 3600 and the places are bounded.
	hours, _ := NewDecimal(int64(s)).Div(secondsPerHour, min(max(places, 0), maxPlaces), mode)
	return hours
}

// isoUnit is one letter of an ISO 8601 duration, in the order in which they are written.
type isoUnit struct {
	letter  byte
	seconds int64
	clock   bool // stands behind the T
}

// A month or a year is no fixed amount of work, and nobody logs weeks.
var isoUnits = []isoUnit{{'D', 86400, false}, {'H', 3600, true}, {'M', 60, true}, {'S', 1, true}}

// ParseISODuration reads "PT1H30M", "PT1.5H", "P1DT2H" (a day is 24 hours) and "-PT15M". Years,
// months and weeks are refused, and so is whatever does not end on a whole second.
func ParseISODuration(s string) (Seconds, error) {
	rest, negative := strings.CutPrefix(s, "-")
	rest, ok := strings.CutPrefix(rest, "P")
	if !ok || rest == "" {
		return 0, notISO(s)
	}
	var total Decimal
	units, clock := isoUnits, false
	for rest != "" {
		if rest[0] == 'T' && !clock && len(rest) > 1 {
			rest, clock = rest[1:], true
		}
		amount, unit, after, err := isoPart(s, rest)
		if err != nil {
			return 0, err
		}
		at := unitAt(units, unit, clock)
		if at < 0 || !amount.IsWhole() && after != "" { // only the last part may have a fraction
			return 0, notISO(s)
		}
		total = total.Add(amount.Mul(NewDecimal(units[at].seconds)))
		units, rest = units[at+1:], after
	}
	if negative {
		total = total.Neg()
	}
	n, err := total.Int64()
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number of seconds", abridged(s))
	}
	return Seconds(n), nil
}

// isoPart reads one "30M" off the front of rest.
func isoPart(s, rest string) (amount Decimal, unit byte, after string, err error) {
	i := strings.IndexFunc(rest, func(r rune) bool { return r >= 'A' })
	if i <= 0 || rest[0] < '0' || rest[0] > '9' {
		return Decimal{}, 0, "", notISO(s)
	}
	amount, err = ParseDecimal(strings.Replace(rest[:i], ",", ".", 1)) // ISO 8601 allows both
	if err != nil {
		return Decimal{}, 0, "", notISO(s)
	}
	return amount, rest[i], rest[i+1:], nil
}

// unitAt finds a letter among those that may still come; M means minutes only behind the T.
func unitAt(units []isoUnit, letter byte, clock bool) int {
	for i, u := range units {
		if u.letter == letter && u.clock == clock {
			return i
		}
	}
	return -1
}

func notISO(s string) error {
	return fmt.Errorf("%q is not an amount of work in ISO 8601 such as PT1H30M", abridged(s))
}

// ParseClock reads hours and minutes, with or without seconds: "01:30", "1:30:00", "-0:15".
func ParseClock(s string) (Seconds, error) {
	text, negative := strings.CutPrefix(s, "-")
	parts := strings.Split(text, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return 0, notClock(s)
	}
	var total int64
	for i, part := range parts {
		n, ok := clockPart(part, i == 0)
		if !ok {
			return 0, notClock(s)
		}
		total = total*60 + n
	}
	if len(parts) == 2 {
		total *= 60
	}
	if negative {
		total = -total
	}
	return Seconds(total), nil
}

// clockPart reads one part of a clock. Nine digits of hours are more than anybody has worked and
// cannot overflow.
func clockPart(part string, hours bool) (int64, bool) {
	lead, rest := digits(part)
	if lead == "" || rest != "" || len(lead) > 9 || !hours && len(lead) != 2 {
		return 0, false
	}
	n, err := strconv.ParseInt(lead, 10, 64)
	return n, err == nil && (hours || n < 60)
}

func notClock(s string) error {
	return fmt.Errorf("%q is not hours and minutes such as 01:30", abridged(s))
}

// ISO is "PT1H30M"; nothing at all is "PT0S".
func (s Seconds) ISO() string {
	sign, h, m, sec := s.split()
	text := ""
	for _, part := range []struct {
		n    uint64
		unit string
	}{{h, "H"}, {m, "M"}, {sec, "S"}} {
		if part.n > 0 {
			text += strconv.FormatUint(part.n, 10) + part.unit
		}
	}
	if text == "" {
		text = "0S"
	}
	return sign + "PT" + text
}

// Clock is "01:30", and "01:30:15" where there are seconds to show.
func (s Seconds) Clock() string {
	sign, h, m, sec := s.split()
	text := fmt.Sprintf("%s%02d:%02d", sign, h, m)
	if sec > 0 {
		text += fmt.Sprintf(":%02d", sec)
	}
	return text
}

// String is the clock, as people read hours.
func (s Seconds) String() string { return s.Clock() }

func (s Seconds) split() (sign string, h, m, sec uint64) {
	n := uint64(s)
	if s < 0 {
		sign, n = "-", -n // also right for the smallest int64
	}
	return sign, n / 3600, n / 60 % 60, n % 60
}
