package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"throughline/internal/canonical"
	"throughline/internal/exact"
)

// A write is kept with its body, so that one whose answer was lost can be sent once more as it was sent. In JSON an
// amount, a day, work, and an instant are texts and numbers like others; what they are stands beside them, under typesOf.

// typesOf is no vendor's field.
const typesOf = "="

// keptBody is a body as the ledger keeps it, and the hash of what it says.
func keptBody(fields map[string]any) (body []byte, hash string, err error) {
	if body, err = canonical.Encode(fields); err != nil {
		return nil, "", err
	}
	hash = canonical.Hash(body)
	types, ok := typed(fields).(map[string]any)
	if !ok {
		return body, hash, nil
	}
	body = append(body[:len(body)-1], `,"`+typesOf+`":`...)
	body, err = exact.AppendJSON(body, types)
	return append(body, '}'), hash, err
}

// typed names the types of the exact values in v, item by item; nil where there are none.
func typed(v any) any {
	var types map[string]any
	note := func(name string, v any) {
		if t := typed(v); t != nil {
			if types == nil {
				types = map[string]any{}
			}
			types[name] = t
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			note(name, e)
		}
	case []any:
		for i, e := range v {
			note(strconv.Itoa(i), e)
		}
	default:
		if t := canonical.TypeOf(v); slices.Contains(lostInJSON, t) {
			return t
		}
	}
	if types == nil {
		return nil
	}
	return types
}

// lostInJSON are the types that look like others there.
var lostInJSON = []string{"decimal", "money", "date", "seconds", "instant"}

// shown is a kept body as the audit tells it: without what only a repeat needs.
func shown(body []byte) string {
	said, _, types := bytes.Cut(body, []byte(`,"`+typesOf+`":{`))
	if !types {
		return string(body)
	}
	return string(said) + "}"
}

// SentBody is what a kept body was made of.
func SentBody(body []byte) (map[string]any, error) {
	v, err := exact.DecodeJSON(body)
	if err != nil {
		return nil, fmt.Errorf("read the body of an open write: %w", err)
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the body of an open write is no object")
	}
	types := fields[typesOf]
	delete(fields, typesOf)
	if _, err = retyped(fields, types); err != nil {
		return nil, fmt.Errorf("read the body of an open write: %w", err)
	}
	return fields, nil
}

// retyped gives the values in v the types that they had.
func retyped(v, types any) (_ any, err error) {
	if name, ok := types.(string); ok {
		return canonical.DecodeAs(name, v)
	}
	inner, _ := types.(map[string]any)
	switch v := v.(type) {
	case map[string]any:
		for name, t := range inner {
			if v[name], err = retyped(v[name], t); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		for i := range v {
			if v[i], err = retyped(v[i], inner[strconv.Itoa(i)]); err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
		}
	}
	return v, nil
}
