package simulator

import (
	"maps"
	"slices"
	"strings"
)

// Some far sides write every value as {"value": …}. Inside the simulator values are plain; these two
// functions are the door.

// unwrap takes the values out. An empty object means that nothing is said, so it goes.
func unwrap(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = unwrap(v[i])
		}
		return out
	case map[string]any:
		if inner, ok := wrapped(v); ok {
			return inner
		}
		out := make(map[string]any, len(v))
		for name, one := range v {
			if m, ok := one.(map[string]any); ok && len(m) == 0 {
				continue
			}
			out[name] = unwrap(one)
		}
		return out
	}
	return v
}

func wrapped(m map[string]any) (any, bool) {
	inner, ok := m["value"]
	if !ok {
		return nil, false
	}
	for name := range m {
		if name != "value" && name != "error" && name != "type" {
			return nil, false
		}
	}
	return inner, true
}

// wrapping is a shape: the row's declared fields, each value in its own object.
type wrapping struct {
	fields map[string]*field
	names  []string
	of     shape
	expand shape // names of the linked objects and details that are shown; nil: none
	choose shape // names of the fields that are shown; nil: all
	custom shape // names of custom fields that are shown
}

func (w *wrapping) value(c *call) (any, error) {
	v, err := w.of.value(c)
	if err != nil {
		return nil, err
	}
	row, _ := v.(map[string]any)
	expand, err := nameList(c, w.expand)
	if err != nil {
		return nil, err
	}
	choose, err := nameList(c, w.choose)
	if err != nil {
		return nil, err
	}
	custom, err := nameList(c, w.custom)
	if err != nil {
		return nil, err
	}
	out := wrapRow(w.fields, w.names, row, expand, choose, "")
	out["custom"] = wrapCustom(row, custom)
	return out, nil
}

// nameList reads "A,B/C" into names.
func nameList(c *call, s shape) ([]string, error) {
	if s == nil {
		return nil, nil
	}
	v, err := s.value(c)
	if err != nil || blank(v) {
		return nil, err
	}
	var list []string
	for _, one := range strings.Split(textOf(v), ",") {
		if one = strings.TrimSpace(one); one != "" {
			list = append(list, one)
		}
	}
	return list, nil
}

func wrapRow(fields map[string]*field, names []string, row map[string]any, expand, choose []string, prefix string) map[string]any {
	out := map[string]any{"id": row["id"], "rowNumber": int64(1), "note": map[string]any{"value": ""}, "custom": map[string]any{}}
	for _, name := range names {
		path := prefix + name
		if !chosen(choose, path) {
			continue
		}
		f := fields[name]
		switch f.Type {
		case "linked":
			if chosenPart(expand, path) {
				part, _ := row[name].(map[string]any)
				out[name] = wrapRow(f.fields, f.names, part, expand, choose, path+"/")
			}
		case "details":
			if chosenPart(expand, path) {
				out[name] = wrapDetails(f, row[name], expand, choose, path+"/")
			}
		default:
			out[name] = wrapValue(row[name])
		}
	}
	return out
}

func wrapDetails(f *field, v any, expand, choose []string, prefix string) []any {
	list, _ := v.([]any)
	out := make([]any, len(list))
	for i, one := range list {
		row, _ := one.(map[string]any)
		item := wrapRow(f.fields, f.names, row, expand, choose, prefix)
		item["rowNumber"] = int64(i + 1)
		out[i] = item
	}
	return out
}

// wrapValue: what is not set is an empty object.
func wrapValue(v any) any {
	if v == nil {
		return map[string]any{}
	}
	return map[string]any{"value": v}
}

// chosen says whether a $select (A, B/C) shows a path.
func chosen(list []string, path string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool {
		return s == path || strings.HasPrefix(path, s+"/") || strings.HasPrefix(s, path+"/")
	})
}

func chosenPart(list []string, path string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return s == path || strings.HasPrefix(s, path+"/") })
}

// wrapCustom shows the custom fields that were asked for, View.Field each.
func wrapCustom(row map[string]any, names []string) map[string]any {
	have, _ := row["custom"].(map[string]any)
	out := map[string]any{}
	for _, name := range names {
		view, key, ok := strings.Cut(name, ".")
		in, _ := have[view].(map[string]any)
		if !ok || in[key] == nil {
			continue
		}
		part, _ := out[view].(map[string]any)
		if part == nil {
			part = map[string]any{}
		}
		part[key] = map[string]any{"type": "CustomStringField", "value": in[key]}
		out[view] = part
	}
	return out
}

// annotation is a shape: what the caller sent, with the message beside each value at fault.
type annotation struct{ of shape }

func (a *annotation) value(c *call) (any, error) {
	v, err := a.of.value(c)
	if err != nil {
		return nil, err
	}
	e, _ := c.vars["error"].(map[string]any)
	list, _ := e["fields"].([]any)
	for _, one := range list {
		f, _ := one.(map[string]any)
		path := strings.FieldsFunc(textOf(f["field"]), func(r rune) bool { return strings.ContainsRune(".[]", r) })
		v = annotate(v, path, textOf(f["message"]))
	}
	return v, nil
}

func annotate(v any, path []string, message string) any {
	if len(path) == 0 {
		m, _ := v.(map[string]any)
		m = maps.Clone(m)
		if m == nil {
			m = map[string]any{}
		}
		m["error"] = message
		return m
	}
	if list, ok := v.([]any); ok {
		list = slices.Clone(list)
		if n, ok := numberOf(path[0]); ok {
			if i, err := n.Int64(); err == nil && int(i) < len(list) {
				list[i] = annotate(list[i], path[1:], message)
			}
		}
		return list
	}
	m, _ := v.(map[string]any)
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	m[path[0]] = annotate(m[path[0]], path[1:], message)
	return m
}
