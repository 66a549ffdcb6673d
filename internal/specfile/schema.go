package specfile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"throughline/internal/exact"
)

// Schema is the JSON Schema (2020-12) of the files that Decode reads into root's type, for editors.
// What it refuses Decode refuses too; Decode knows more.
func Schema(root any, title string) map[string]any {
	w := schemaWriter{defs: map[string]any{}, names: map[reflect.Type]string{}}
	s := w.schema(reflect.TypeOf(root), field{})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = title
	if len(w.defs) > 0 {
		s["$defs"] = w.defs
	}
	return s
}

type schemaWriter struct {
	defs  map[string]any
	names map[reflect.Type]string
}

// schema is what a value of type t may be under the rules of the field.
func (w *schemaWriter) schema(t reflect.Type, f field) map[string]any {
	if t.Kind() == reflect.Pointer {
		return w.schema(t.Elem(), f)
	}
	switch own := reflect.New(t).Interface().(type) {
	case interface{ JSONSchema() map[string]any }:
		return own.JSONSchema()
	case interface{ valueType() reflect.Type }:
		return map[string]any{"type": "object", "additionalProperties": w.schema(own.valueType(), field{})}
	case Custom:
		return map[string]any{} // it alone knows what it takes
	}
	if s, ok := quantitySchema(t, f); ok {
		return s
	}
	switch t.Kind() {
	case reflect.Struct:
		return w.structSchema(t)
	case reflect.Slice:
		return w.listSchema(t, f)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": w.schema(t.Elem(), f)}
	}
	return scalarSchema(t, f)
}

// structSchema puts a named struct among the definitions, so that it may contain itself.
func (w *schemaWriter) structSchema(t reflect.Type) map[string]any {
	if t.Name() == "" {
		return w.objectSchema(t)
	}
	name, known := w.names[t]
	if !known {
		name = w.freeName(t)
		w.names[t] = name
		w.defs[name] = w.objectSchema(t)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

// freeName is the type's name; two packages may use the same one.
func (w *schemaWriter) freeName(t reflect.Type) string {
	name := strings.Map(onlyLetters, t.Name())
	for n := 2; w.taken(name); n++ {
		name = fmt.Sprintf("%s%d", strings.Map(onlyLetters, t.Name()), n)
	}
	return name
}

func (w *schemaWriter) taken(name string) bool {
	for _, other := range w.names {
		if other == name {
			return true
		}
	}
	return false
}

// onlyLetters leaves out the brackets of a generic type.
func onlyLetters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

func (w *schemaWriter) objectSchema(t reflect.Type) map[string]any {
	shape := shapeOf(t)
	properties := map[string]any{}
	var required []any
	for _, name := range shape.names {
		f := shape.fields[name]
		property := w.schema(f.typ, f)
		if f.doc != "" {
			property["description"] = f.doc
		}
		if f.hasDefault {
			property["default"] = defaultValue(f)
		}
		properties[name] = property
		if f.required {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func (w *schemaWriter) listSchema(t reflect.Type, f field) map[string]any {
	one := f.one
	f.one = false
	list := map[string]any{"type": "array", "items": w.schema(t.Elem(), f)}
	if !one {
		return list
	}
	return map[string]any{"anyOf": []any{w.schema(t.Elem(), f), list}}
}

func scalarSchema(t reflect.Type, f field) map[string]any {
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return textSchema(f)
	}
	s := map[string]any{"type": "integer"}
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 {
		s["minimum"] = json.Number("0")
	}
	return limit(s, f)
}

func textSchema(f field) map[string]any {
	if f.enum != nil {
		words := make([]any, len(f.enum))
		for i, word := range f.enum {
			words[i] = word
		}
		return map[string]any{"type": "string", "enum": words}
	}
	s := map[string]any{"type": "string", "not": map[string]any{"pattern": "^="}}
	if f.pattern != nil {
		s["pattern"] = f.pattern.String()
	}
	return s
}

func limit(s map[string]any, f field) map[string]any {
	if f.min != nil {
		s["minimum"] = json.Number(f.min.String())
	}
	if f.max != nil {
		s["maximum"] = json.Number(f.max.String())
	}
	return s
}

func quantitySchema(t reflect.Type, f field) (map[string]any, bool) {
	switch t {
	case reflect.TypeFor[exact.Decimal]():
		return limit(map[string]any{"type": "number"}, f), true
	case reflect.TypeFor[exact.Money]():
		return map[string]any{"type": "string", "pattern": `^[-+]?[0-9.eE+-]+ [A-Z]{3}$`}, true
	case reflect.TypeFor[exact.Date]():
		return map[string]any{"type": "string", "format": "date", "pattern": `^\d{4}-\d{2}-\d{2}$`}, true
	}
	return nil, false
}

// defaultValue is the default as JSON.
func defaultValue(f field) any {
	y := f.defaultNode(Pos{})
	switch n := (&Node{yaml: y}); n.Kind() {
	case KindBool:
		return f.def == "true"
	case KindNumber:
		return json.Number(f.def)
	}
	return f.def
}
