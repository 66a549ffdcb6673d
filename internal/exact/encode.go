package exact

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON writes v as canonical JSON behind dst: keys sorted by their bytes, no spaces, the
// same bytes for the same value, so that their hash says whether something changed.
//
// It takes what DecodeJSON gives, the types of this package, int, int64, []string and time.Time
// (UTC, to the microsecond). A json.Number is written as it is spelled, so 1.0 and 1 differ; make
// it a Decimal where they must not. What is an Appender writes itself. Everything else, floats above all, is an error.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	if dst == nil {
		dst = make([]byte, 0, 512) // most records fit
	}
	return appendValue(dst, v, 0)
}

// Appender is a value of another package that has a form in canonical JSON.
type Appender interface {
	AppendJSON(dst []byte) ([]byte, error)
}

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return AppendText(dst, v)
	case bool:
		return strconv.AppendBool(dst, v), nil
	case json.Number:
		return appendNumber(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case map[string]any:
		return appendObject(dst, v, depth+1)
	case []any:
		return appendList(dst, v, depth+1)
	case []string:
		return appendStrings(dst, v)
	}
	return appendQuantity(dst, v)
}

func appendQuantity(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case Decimal:
		return append(v.appendFixed(append(dst, '"'), 0), '"'), nil
	case Money:
		return v.appendJSON(dst), nil
	case Date:
		return v.appendJSON(dst)
	case Seconds:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case time.Time:
		return appendInstant(dst, v)
	case Appender:
		return v.AppendJSON(dst)
	}
	return dst, fmt.Errorf("a %T has no exact JSON", v)
}

func appendObject(dst []byte, object map[string]any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errTooDeep
	}
	var few [16]string // most objects are small: their keys are sorted without touching the heap
	keys := few[:0]
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	var err error
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = AppendText(dst, key); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
		if dst, err = appendValue(dst, object[key], depth); err != nil {
			return dst, fmt.Errorf("%s: %w", key, err)
		}
	}
	return append(dst, '}'), nil
}

func appendList(dst []byte, list []any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errTooDeep
	}
	dst = append(dst, '[')
	var err error
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendValue(dst, v, depth); err != nil {
			return dst, fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return append(dst, ']'), nil
}

func appendStrings(dst []byte, list []string) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = AppendText(dst, s); err != nil {
			return dst, fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return append(dst, ']'), nil
}

var errTooDeep = errors.New("more than 64 levels deep")

func appendNumber(dst []byte, n json.Number) ([]byte, error) {
	if n == "" || numberLength(string(n)) != len(n) {
		return dst, fmt.Errorf("%q is not a JSON number", abridged(string(n)))
	}
	return append(dst, n...), nil
}

// AppendText writes a text as canonical JSON behind dst; only what JSON demands is escaped.
func AppendText(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, fmt.Errorf("%q is not UTF-8", abridged(s))
	}
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		start = i + 1
	}
	return append(append(dst, s[start:]...), '"'), nil
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendInstant cuts to microseconds, as the store does, so that an instant that was kept and read
// again has the same hash.
func appendInstant(dst []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return dst, fmt.Errorf("an instant in the year %d cannot be written", t.Year())
	}
	return t.AppendFormat(dst, `"2006-01-02T15:04:05.000000Z"`), nil
}
