package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"throughline/internal/exact"
)

// kind is a collection's description, ready for use.
type kind struct {
	name    string
	idField string
	idKind  string
	idStart int64
	fields  map[string]*field
	names   []string // of fields, in the order of the file
	unknown string
	keys    []string
	unique  []uniqueSet
	indexed []string
	created string
	updated string
	version string
	key     string
	marker  string
	silent  bool
	order   []sortKey
	state   string
	moves   map[string]*move
	rules   []rule
	then    []consequence
	shape   string
}

// field is a field's description, ready for use.
type field struct {
	FieldSpec
	name     string
	pattern  *regexp.Regexp
	standard shape
	fields   map[string]*field
	names    []string
}

// checker turns what a caller sent into fields to store, and collects what is wrong with it.
type checker struct {
	call   *call
	values string // plain, text, wrapped
	faults []fault
	person bool // through the back door, read-only fields may be set
}

func (k *checker) fault(f fault) { k.faults = append(k.faults, f) }

// merge lays input over old. It gives a new map; old stays as it is.
func (k *checker) merge(fields map[string]*field, unknown, prefix string, old, input map[string]any) map[string]any {
	out := maps.Clone(old)
	if out == nil {
		out = map[string]any{}
	}
	for _, name := range slices.Sorted(maps.Keys(input)) {
		f := fields[name]
		switch {
		case f != nil:
			k.set(f, prefix+name, out, old, input[name])
		case unknown == "keep":
			out[name] = input[name]
		case unknown == "refuse":
			k.fault(fault{field: prefix + name, code: "unknown_field", value: input[name]})
		}
	}
	return out
}

func (k *checker) set(f *field, path string, out, old map[string]any, v any) {
	if (f.ReadOnly == "ignore" || f.ReadOnly == "refuse" || f.Fixed && old != nil) && !k.person {
		if f.ReadOnly == "refuse" && !blank(v) {
			k.fault(fault{field: path, code: "read_only", value: v})
		}
		return
	}
	switch f.Type {
	case "linked":
		k.linked(f, path, out, v)
	case "details":
		k.details(f, path, out, v)
	default:
		value, ok := k.value(f, v)
		if !ok {
			k.fault(fault{field: path, code: "bad_type", value: v})
			return
		}
		out[f.name] = value
		k.content(f, path, value)
	}
}

func (k *checker) linked(f *field, path string, out map[string]any, v any) {
	input, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			delete(out, f.name)
			return
		}
		k.fault(fault{field: path, code: "bad_type", value: v})
		return
	}
	was, _ := out[f.name].(map[string]any)
	next := k.merge(f.fields, "ignore", path+".", was, input)
	if was == nil {
		k.complete(f.fields, f.names, path+".", next)
	}
	out[f.name] = next
}

// details changes rows inside a row: found by id or keys a row changes, otherwise it is added;
// "delete" removes it; rows that are not sent stay.
func (k *checker) details(f *field, path string, out map[string]any, v any) {
	input, ok := v.([]any)
	if !ok {
		k.fault(fault{field: path, code: "bad_type", value: v})
		return
	}
	was, _ := out[f.name].([]any)
	list := slices.Clone(was)
	for n, item := range input {
		one, ok := item.(map[string]any)
		if !ok {
			k.fault(fault{field: fmt.Sprintf("%s[%d]", path, n), code: "bad_type", value: item})
			continue
		}
		list = k.detail(f, fmt.Sprintf("%s[%d].", path, n), list, one)
	}
	out[f.name] = list
}

func (k *checker) detail(f *field, path string, list []any, input map[string]any) []any {
	at := slices.IndexFunc(list, func(v any) bool { return sameDetail(f, v.(map[string]any), input) })
	if input["delete"] == true {
		if at >= 0 {
			list = slices.Delete(slices.Clone(list), at, at+1)
		}
		return list
	}
	if at >= 0 {
		list[at] = k.merge(f.fields, "ignore", path, list[at].(map[string]any), input)
		return list
	}
	next := k.merge(f.fields, "ignore", path, nil, input)
	next["id"] = k.call.sim.uuid()
	k.complete(f.fields, f.names, path, next)
	return append(list, next)
}

func sameDetail(f *field, have, input map[string]any) bool {
	if id, ok := input["id"].(string); ok {
		return have["id"] == id
	}
	if len(f.Keys) == 0 {
		return false
	}
	for _, key := range f.Keys {
		if blank(input[key]) || fold(have[key]) != fold(input[key]) {
			return false
		}
	}
	return true
}

// complete fills in what a new object does not say, and misses what it must say.
func (k *checker) complete(fields map[string]*field, names []string, prefix string, out map[string]any) {
	for _, name := range names {
		f := fields[name]
		if _, ok := out[name]; !ok && f.standard != nil {
			v, err := f.standard.value(k.call)
			if err != nil {
				k.fault(fault{field: prefix + name, code: "bad_type", message: err.Error()})
				continue
			}
			if v != nil {
				out[name] = v
			}
		}
		if f.Type == "linked" && out[name] == nil && f.standard == nil {
			sub := map[string]any{}
			k.complete(f.fields, f.names, prefix+name+".", sub)
			if len(sub) > 0 {
				out[name] = sub
			}
		}
	}
	k.required(fields, names, prefix, out)
}

func (k *checker) required(fields map[string]*field, names []string, prefix string, out map[string]any) {
	for _, name := range names {
		if fields[name].Required && blank(out[name]) && !k.knows(prefix+name) {
			k.fault(fault{field: prefix + name, code: "required"})
		}
	}
}

func (k *checker) knows(path string) bool {
	return slices.ContainsFunc(k.faults, func(f fault) bool { return f.field == path })
}

// value brings v into the type that the far side stores.
func (k *checker) value(f *field, v any) (any, bool) {
	if v == nil {
		return nil, true
	}
	if k.values == "text" {
		return k.asText(f, v)
	}
	switch f.Type {
	case "text":
		s, ok := v.(string)
		if f.Trim {
			s = strings.TrimSpace(s)
		}
		return s, ok
	case "number", "integer":
		return numeral(f, v)
	case "bool":
		if s, ok := v.(string); ok && (s == "true" || s == "false") {
			return s == "true", true
		}
		_, ok := v.(bool)
		return v, ok
	case "instant", "date":
		return k.moment(f, v)
	case "object":
		_, ok := v.(map[string]any)
		return v, ok
	case "list":
		_, ok := v.([]any)
		return v, ok
	}
	return v, true
}

func numeral(f *field, v any) (any, bool) {
	var d exact.Decimal
	switch v := v.(type) {
	case json.Number, int64, string, exact.Decimal:
		var ok bool
		if d, ok = numberOf(v); !ok {
			return nil, false
		}
	default:
		return nil, false
	}
	if f.Type == "integer" && !d.IsWhole() {
		return nil, false
	}
	return json.Number(d.String()), true
}

func (k *checker) moment(f *field, v any) (any, bool) {
	t, ok := moment(v, true)
	if !ok {
		return nil, false
	}
	if f.Type == "date" {
		return textOf(v)[:10], isMoment(v)
	}
	return k.call.sim.stamp(t), true
}

// asText is for far sides in which every value is a text, whatever it means.
func (k *checker) asText(f *field, v any) (any, bool) {
	s := textOf(v)
	switch v.(type) {
	case map[string]any, []any:
		return nil, false
	}
	if s == "" {
		return nil, true
	}
	if f.Trim {
		s = strings.TrimSpace(s)
	}
	switch f.Type {
	case "number", "integer":
		n, ok := numeral(f, s)
		_ = n // the spelling stays as it was sent
		return s, ok
	case "bool":
		return s, s == "true" || s == "false"
	case "instant":
		return k.moment(f, s)
	case "date":
		t, ok := moment(s, true)
		return t.UTC().Format(time.DateOnly), ok
	}
	return s, true
}

// content checks what the value says, once its type is right.
func (k *checker) content(f *field, path string, v any) {
	if blank(v) {
		if s, ok := v.(string); ok && f.Min > len(s) {
			k.fault(fault{field: path, code: "too_short", value: v, limit: int64(f.Min)})
		}
		return
	}
	s, isText := v.(string)
	if n := length(s, f.Unit); isText && f.Max > 0 && n > f.Max {
		k.fault(fault{field: path, code: "too_long", value: v, limit: int64(f.Max)})
	} else if isText && n < f.Min {
		k.fault(fault{field: path, code: "too_short", value: v, limit: int64(f.Min)})
	}
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, textOf(v)) {
		allowed := make([]any, len(f.Enum))
		for i, one := range f.Enum {
			allowed[i] = one
		}
		k.fault(fault{field: path, code: "not_in_enum", value: v, limit: allowed})
	}
	if f.pattern != nil && isText && !f.pattern.MatchString(s) {
		k.fault(fault{field: path, code: "pattern", value: v})
	}
	if f.To != "" && !k.call.exists(f.To, f.By, v) {
		k.fault(fault{field: path, code: "unknown_reference", value: v, limit: f.To})
	}
}

// length counts a text in the vendor's unit.
func length(s, unit string) int {
	switch unit {
	case "bytes":
		return len(s)
	case "characters":
		return utf8.RuneCountInString(s)
	}
	n := 0
	for _, r := range s {
		if n++; r > 0xFFFF {
			n++ // outside of the first plane a character takes two units
		}
	}
	return n
}
