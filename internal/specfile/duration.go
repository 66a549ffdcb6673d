package specfile

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time as people write it: "2m", "90 s", "60 days", "250 ms". A day is 24
// hours. It is a struct, so that an arithmetic mistake with plain numbers does not compile.
type Duration struct{ D time.Duration }

const (
	unitWords    = "ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|weeks?"
	durationForm = `^([0-9]+) ?(` + unitWords + `)$`
	rateForm     = `^([0-9]+) per ([0-9]*) ?(` + unitWords + `)$`
)

var (
	durationText = regexp.MustCompile(durationForm)
	rateText     = regexp.MustCompile(rateForm)
)

// units are looked up by their first letters, behind which only the s of the plural may come.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

const durationHint = "Write a whole number and a unit: 250 ms, 90 s, 2 min, 1 h, 60 days."

// DecodeSpec takes a whole number with a unit.
func (d *Duration) DecodeSpec(n *Node) {
	m := durationText.FindStringSubmatch(n.Text())
	if n.Kind() != KindText || m == nil {
		n.wanted("a span of time", durationHint)
		return
	}
	span, ok := spanOf(m[1], m[2])
	if !ok {
		n.Problem("the span `"+shorten(n.Text())+"` is longer than 292 years", "")
		return
	}
	d.D = span
}

// spanOf is number × unit, unless that is more than a time.Duration holds.
func spanOf(number, unit string) (time.Duration, bool) {
	one, ok := units[unit]
	if !ok {
		one = units[strings.TrimSuffix(unit, "s")]
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64/int64(one) {
		return 0, false
	}
	return time.Duration(n) * one, true
}

// String is Go's short form, 1m30s.
func (d Duration) String() string { return d.D.String() }

// JSONSchema is a whole number with a unit.
func (Duration) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": durationForm, "description": "a span of time such as 90 s or 60 days"}
}

// Rate is so many calls in a span of time: "50 per second", "100 per 15 s", "20000 per day".
type Rate struct {
	N   int
	Per time.Duration
}

const rateHint = "Write it as 50 per second, 100 per 15 s or 20000 per day."

// DecodeSpec takes a number, "per" and a span of time.
func (r *Rate) DecodeSpec(n *Node) {
	if n.Kind() != KindText || !rateText.MatchString(n.Text()) {
		n.wanted("a rate", rateHint)
		return
	}
	v, ok := ParseRate(n.Text())
	if !ok {
		n.Problem("the rate `"+shorten(n.Text())+"` is out of range", rateHint)
		return
	}
	*r = v
}

// ParseRate reads a rate as it is written in files.
func ParseRate(text string) (r Rate, ok bool) {
	m := rateText.FindStringSubmatch(text)
	if m == nil {
		return Rate{}, false
	}
	if m[2] == "" {
		m[2] = "1"
	}
	count, err := strconv.Atoi(m[1])
	per, ok := spanOf(m[2], m[3])
	if err != nil || !ok || count == 0 || per == 0 {
		return Rate{}, false
	}
	return Rate{count, per}, true
}

// JSONSchema is a number, "per" and a span of time.
func (Rate) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": rateForm, "description": "a rate such as 50 per second"}
}
