package cases

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/specfile"
)

// same compares what came out with what is expected, field by field; written is where the
// expectation stands. Both are brought to JSON first, the form in which values leave us.
func (a at) same(name string, written specfile.Value, want, got any) {
	w, err := plainJSON(want)
	if err == nil {
		got, err = plainJSON(got)
	}
	if err != nil {
		a.problem(written.Pos, name+": "+err.Error(), "")
		return
	}
	a.compare(name, written, w, got)
}

func (a at) compare(name string, written specfile.Value, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		if m, ok := got.(map[string]any); ok {
			a.compareMaps(name, written, want, m)
			return
		}
	case []any:
		if list, ok := got.([]any); ok && len(list) == len(want) {
			for i := range want {
				a.compare(name+"["+strconv.Itoa(i)+"]", item(written, i), want[i], list[i])
			}
			return
		}
	default:
		if equal(want, got) {
			return
		}
	}
	a.problem(written.Pos, fmt.Sprintf("%s is %s, expected %s", name, show(got), show(want)), "")
}

func (a at) compareMaps(name string, written specfile.Value, want, got map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		child, _ := written.Entries.Get(key)
		if child.Pos.Line == 0 {
			child.Pos = written.Pos
		}
		if _, there := got[key]; !there && want[key] != nil {
			a.problem(child.Pos, fmt.Sprintf("%s.%s is not there, expected %s", name, key, show(want[key])), "")
			continue
		}
		a.compare(name+"."+key, child, want[key], got[key])
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, expected := want[key]; !expected && got[key] != nil {
			a.problem(written.Pos, fmt.Sprintf("%s.%s is %s, expected nothing", name, key, show(got[key])), "Add it to what is expected, or correct the rule that makes it.")
		}
	}
}

func item(v specfile.Value, i int) specfile.Value {
	if i < len(v.Items) {
		return v.Items[i]
	}
	return specfile.Value{Pos: v.Pos}
}

// equal takes 1 and 1.0 for the same number.
func equal(a, b any) bool {
	x, ok := a.(json.Number)
	y, ok2 := b.(json.Number)
	if !ok || !ok2 {
		return a == b
	}
	d, err := exact.ParseDecimal(x.String())
	e, err2 := exact.ParseDecimal(y.String())
	return err == nil && err2 == nil && d.Cmp(e) == 0
}

// plainJSON is a value as it looks in JSON; a reference is the text that cases name it by.
func plainJSON(v any) (any, error) {
	data, err := exact.AppendJSON(nil, named(v))
	if err != nil {
		return nil, err
	}
	return exact.DecodeJSON(data)
}

func named(v any) any {
	switch v := v.(type) {
	case canonical.Ref:
		if v.ID != "" {
			return string(v.ID)
		}
		return v.Key.ID
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = named(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = named(e)
		}
		return out
	}
	return v
}

// show is a value in a message, on one line and not too long.
func show(v any) string {
	if v == nil {
		return "nothing"
	}
	data, err := exact.AppendJSON(nil, v)
	if err != nil {
		return err.Error()
	}
	if r := []rune(string(data)); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return string(data)
}
