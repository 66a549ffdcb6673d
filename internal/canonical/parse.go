package canonical

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/specfile"
)

// Parse gives plain JSON or YAML values the types of the schema: "16:00" becomes seconds, "1200 EUR"
// money. It is how people write records in files; Normalise then checks them.
func (s *Schema) Parse(fields map[string]any) (map[string]any, error) {
	return parseFields(s.Fields, fields, s.Title)
}

// Field gives one field's plain value its type, and checks it.
func (s *Schema) Field(name string, v any) (any, error) {
	def, _ := s.Fields.Get(name)
	typed, err := parseValue(def, v, name)
	if err != nil {
		return nil, err
	}
	var bad []string
	typed, problem := normalise(def, typed, name, &bad)
	if problem != "" {
		bad = append(bad, name+": "+problem)
	}
	if len(bad) > 0 {
		return nil, errors.New(strings.Join(bad, "; "))
	}
	return typed, nil
}

func parseFields(defs specfile.Map[Field], fields map[string]any, path string) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range fields {
		def, ok := defs.Get(name)
		if !ok {
			return nil, fmt.Errorf("%s has no field %q; known are %s", path, name, strings.Join(defs.Keys(), ", "))
		}
		p, err := parseValue(def, v, path+"."+name)
		if err != nil {
			return nil, err
		}
		out[name] = p
	}
	return out, nil
}

func parseValue(f Field, v any, path string) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if f.Type == "object" {
			return parseFields(f.Fields, v, path)
		}
	case []any:
		if f.Type != "list" {
			break
		}
		out := make([]any, len(v))
		for i, e := range v {
			p, err := parseValue(*f.Of, e, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out[i] = p
		}
		return out, nil
	case json.Number, int64:
		return parseText(f, fmt.Sprint(v), path)
	case string:
		return parseText(f, v, path)
	case bool, nil:
		return v, nil
	}
	return nil, fmt.Errorf("%s: a %s is wanted", path, f.Type)
}

func parseText(f Field, s, path string) (any, error) {
	var v any = s
	var err error
	switch f.Type {
	case "bool":
		v = s == "true"
		if s != "true" && s != "false" {
			err = fmt.Errorf("%q is neither true nor false", s)
		}
	case "int":
		v, err = json.Number(s).Int64()
	case "decimal":
		v, err = exact.ParseDecimal(s)
	case "money":
		v, err = exact.ParseMoney(s)
	case "date":
		v, err = exact.ParseDate(s)
	case "instant":
		v, err = time.Parse(time.RFC3339Nano, s)
	case "seconds":
		v, err = parseWork(s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// parseWork reads an amount of work: a clock ("16:30"), ISO 8601, or hours ("16", "16 h").
func parseWork(s string) (exact.Seconds, error) {
	switch {
	case strings.Contains(s, ":"):
		return exact.ParseClock(s)
	case strings.HasPrefix(strings.TrimPrefix(s, "-"), "P"):
		return exact.ParseISODuration(s)
	}
	d, err := exact.ParseDecimal(strings.TrimSpace(strings.TrimSuffix(s, "h")))
	if err != nil {
		return 0, err
	}
	return exact.FromHours(d)
}
