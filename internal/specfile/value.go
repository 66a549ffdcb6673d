package specfile

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Kind is what a Value holds.
type Kind int

// The kinds.
const (
	Absent Kind = iota // the key was left out
	NullValue
	BoolValue
	NumberValue
	TextValue
	ExprValue
	ListValue
	MapValue
)

// Value is any YAML subtree, kept as data with its positions.
type Value struct {
	Kind    Kind
	Pos     Pos
	Path    string
	Text    string // of a scalar, as written; numbers keep every digit
	Source  string // of an expression, without "="
	List    []Value
	Entries []Entry[Value]
}

// Literal is the plain Go value: nil, bool, json.Number, string, []any or map[string]any. An
// expression is the text that it was written as.
func (v Value) Literal() any {
	switch v.Kind {
	case Absent, NullValue:
		return nil
	case BoolValue:
		return v.Text == "true"
	case NumberValue:
		if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
			return n
		}
		return json.Number(v.Text)
	case ListValue:
		out := make([]any, len(v.List))
		for i, e := range v.List {
			out[i] = e.Literal()
		}
		return out
	case MapValue:
		out := make(map[string]any, len(v.Entries))
		for _, e := range v.Entries {
			out[e.Key] = e.Value.Literal()
		}
		return out
	}
	return v.Text
}

// Expr is a field that must be an expression: "=…". The zero value means that it was left out.
type Expr struct {
	Source string
	Pos    Pos
	Path   string
}

// Set reports whether it was given.
func (e Expr) Set() bool { return e.Source != "" }

// Template is a text with places: "/workspaces/{workspace}/x/{x.approvalId}". "{{" is a brace.
type Template struct {
	Text  string
	Parts []Part
	Pos   Pos
	Path  string
}

// Part is literal text, or with Source a place.
type Part struct {
	Text   string
	Source string
	Pos    Pos
}

// Map is a YAML map in the order of the file.
type Map[T any] []Entry[T]

// Entry is one line of a Map.
type Entry[T any] struct {
	Key   string
	Pos   Pos
	Value T
}

// Get finds an entry.
func (m Map[T]) Get(key string) (v T, ok bool) {
	for _, e := range m {
		if e.Key == key {
			return e.Value, true
		}
	}
	return v, false
}

// Keys lists the keys in the order of the file.
func (m Map[T]) Keys() []string {
	keys := make([]string, len(m))
	for i, e := range m {
		keys[i] = e.Key
	}
	return keys
}

// Duration is a length of time in words: "2m", "90 s", "60 days".
type Duration struct{ D time.Duration }

// Rate is so many per time: "50 per second", "100 per 15 s", "20000 per day".
type Rate struct {
	N   int
	Per time.Duration
}

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute,
	"minute": time.Minute, "h": time.Hour, "hour": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour,
}

var durationText = regexp.MustCompile(`^(\d{0,6}) *([a-z]+)$`)

// ParseDuration reads a duration in words; a missing number is 1 ("second").
func ParseDuration(s string) (time.Duration, error) {
	m := durationText.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, fmt.Errorf("%q is no duration; write it like 90 s, 2 m, 6 h or 60 days", s)
	}
	unit, ok := units[m[2]]
	if !ok {
		unit, ok = units[strings.TrimSuffix(m[2], "s")]
	}
	n := 1
	if m[1] != "" {
		n, _ = strconv.Atoi(m[1]) // digits only, at most six
	}
	if !ok {
		return 0, fmt.Errorf("%q is no unit of time; use ms, s, m, h or days", m[2])
	}
	return time.Duration(n) * unit, nil
}

// ParseRate reads a rate in words.
func ParseRate(s string) (Rate, error) {
	count, per, ok := strings.Cut(s, " per ")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 {
		return Rate{}, fmt.Errorf("%q is no rate; write it like 50 per second or 100 per 15 s", s)
	}
	d, err := ParseDuration(per)
	return Rate{n, d}, err
}

// parseTemplate splits a text into its parts. Quotes inside a place may hold braces.
func parseTemplate(s string, pos Pos) ([]Part, error) {
	var parts []Part
	literal := ""
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '{' && i+1 < len(s) && s[i+1] == '{':
			literal += "{"
			i++
		case s[i] == '{':
			end := closing(s[i+1:])
			if end <= 0 {
				return nil, fmt.Errorf("the place that begins at character %d is empty or never ends", i+1)
			}
			if literal != "" {
				parts, literal = append(parts, Part{Text: literal, Pos: pos}), ""
			}
			at := pos
			at.Column += i + 1
			parts = append(parts, Part{Source: s[i+1 : i+1+end], Pos: at})
			i += end + 1
		default:
			literal += string(s[i])
		}
	}
	if literal != "" {
		parts = append(parts, Part{Text: literal, Pos: pos})
	}
	return parts, nil
}

// closing finds the brace that ends a place, past quotes and inner braces.
func closing(s string) int {
	depth, quote := 0, byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}
