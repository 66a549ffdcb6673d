package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"throughline/internal/exact"
)

// filter says which rows a list shows.
type filter interface {
	match(fields map[string]any) bool
}

type (
	allOf []filter
	anyOf []filter
	not   struct{ filter }
)

func (l allOf) match(f map[string]any) bool {
	for _, one := range l {
		if !one.match(f) {
			return false
		}
	}
	return true
}

func (l anyOf) match(f map[string]any) bool {
	for _, one := range l {
		if one.match(f) {
			return true
		}
	}
	return false
}

func (n not) match(f map[string]any) bool { return !n.filter.match(f) }

// condition compares one field. Its path may lead into linked objects; a list on the way matches
// when one of its items does.
type condition struct {
	path  []string
	op    string
	value any
	list  []any
	fold  bool
}

var operators = map[string]bool{
	"eq": true, "ne": true, "gt": true, "ge": true, "lt": true, "le": true, "contains": true, "starts": true,
	"ends": true, "in": true, "not_in": true, "has": true, "missing": true, "between": true, "word": true,
}

func newCondition(field, op string, value any) (*condition, error) {
	if !operators[op] {
		return nil, fmt.Errorf("no operator is called %q", op)
	}
	return &condition{path: splitPath(field), op: op, value: value}, nil
}

func splitPath(field string) []string {
	return strings.FieldsFunc(field, func(r rune) bool { return r == '.' || r == '/' })
}

func (c *condition) match(fields map[string]any) bool { return c.reach(fields, c.path) }

func (c *condition) reach(v any, path []string) bool {
	if list, ok := v.([]any); ok {
		for _, item := range list {
			if c.reach(item, path) {
				return true
			}
		}
		return len(list) == 0 && c.test(nil)
	}
	if len(path) == 0 {
		return c.test(v)
	}
	m, _ := v.(map[string]any)
	return c.reach(m[path[0]], path[1:])
}

func (c *condition) test(v any) bool {
	switch c.op {
	case "has":
		return !blank(v)
	case "missing":
		return blank(v)
	case "eq":
		return c.same(v, c.value)
	case "ne":
		return !c.same(v, c.value)
	case "in":
		return c.among(v)
	case "not_in":
		return !c.among(v)
	case "contains", "starts", "ends", "word":
		return c.text(v)
	}
	return c.ordered(v)
}

func (c *condition) same(a, b any) bool {
	if blank(a) || blank(b) {
		return blank(a) && blank(b)
	}
	if c.fold {
		return strings.EqualFold(textOf(a), textOf(b))
	}
	n, ok := compare(a, b)
	return ok && n == 0
}

func (c *condition) among(v any) bool {
	for _, one := range c.list {
		if c.same(v, one) {
			return true
		}
	}
	return false
}

func (c *condition) text(v any) bool {
	if v == nil || c.value == nil {
		return false
	}
	a, b := textOf(v), textOf(c.value)
	if c.fold {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	switch c.op {
	case "starts":
		return strings.HasPrefix(a, b)
	case "ends":
		return strings.HasSuffix(a, b)
	case "word":
		return hasWord(a, b)
	}
	return strings.Contains(a, b)
}

// hasWord is a search engine's idea of containing: whole words, with * at the ends for any rest.
func hasWord(text, want string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,.;:/@-_()", r) })
	front, back := strings.HasPrefix(want, "*"), strings.HasSuffix(want, "*")
	want = strings.Trim(want, "*")
	for _, w := range append(words, text) {
		switch {
		case front && back && strings.Contains(w, want),
			front && !back && strings.HasSuffix(w, want),
			back && !front && strings.HasPrefix(w, want),
			w == want:
			return true
		}
	}
	return false
}

func (c *condition) ordered(v any) bool {
	if blank(v) {
		return false
	}
	if c.op == "between" {
		low, ok1 := compare(v, c.list[0])
		high, ok2 := compare(v, c.list[1])
		return ok1 && ok2 && low >= 0 && high <= 0
	}
	n, ok := compare(v, c.value)
	if !ok {
		return false
	}
	switch c.op {
	case "gt":
		return n > 0
	case "ge":
		return n >= 0
	case "lt":
		return n < 0
	}
	return n <= 0
}

func blank(v any) bool { return v == nil || v == "" }

// compare orders two values: as moments when one is a written moment, as numbers when both can be
// read as such, else as texts. Milliseconds since 1970 are a moment beside a moment.
func compare(a, b any) (int, bool) {
	if ta, ok := moment(a, isMoment(b)); ok {
		if tb, ok := moment(b, true); ok {
			return ta.Compare(tb), true
		}
	}
	if na, ok := numberOf(a); ok {
		if nb, ok := numberOf(b); ok {
			return na.Cmp(nb), true
		}
	}
	if a == nil || b == nil {
		return 0, false
	}
	return strings.Compare(textOf(a), textOf(b)), true
}

func isMoment(v any) bool {
	s, ok := v.(string)
	return ok && len(s) >= 10 && s[4] == '-' && s[7] == '-'
}

func moment(v any, numbers bool) (time.Time, bool) {
	s := textOf(v)
	if isMoment(v) {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, true
			}
		}
		return time.Time{}, false
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && numbers {
		return time.UnixMilli(ms), true
	}
	return time.Time{}, false
}

func numberOf(v any) (exact.Decimal, bool) {
	switch v := v.(type) {
	case json.Number:
		d, err := exact.ParseDecimal(v.String())
		return d, err == nil
	case int64:
		return exact.NewDecimal(v), true
	case exact.Decimal:
		return v, true
	case string:
		d, err := exact.ParseDecimal(v)
		return d, err == nil
	}
	return exact.Decimal{}, false
}

// textOf is v as the far side would print it.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case exact.Decimal:
		return v.String()
	}
	return fmt.Sprint(v)
}

// pins are the fields that a filter holds to one value: those can be looked up in an index.
func pins(f filter) []*condition {
	switch f := f.(type) {
	case *condition:
		if f.op == "eq" && !blank(f.value) {
			return []*condition{f}
		}
	case allOf:
		var list []*condition
		for _, one := range f {
			list = append(list, pins(one)...)
		}
		return list
	case anyOf:
		if len(f) == 1 {
			return pins(f[0])
		}
	}
	return nil
}
