// Package canonical knows the records that the product itself understands: account, project, task
// and so on. Every vendor's record is read into one of them, and everything is written from them,
// so that no process knows a vendor and no vendor a process.
//
// A record type is data: a YAML file under schemas/. This package reads those files, checks and
// normalises records against them, and derives the types of expressions and JSON Schema from them.
// Where a record is kept, and which vendor's records it stands for, is not its business.
package canonical

import (
	"fmt"
	"io/fs"
	"slices"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/specfile"
)

// Schema is one version of a record type.
type Schema struct {
	Pos     specfile.Pos
	Record  string              `spec:"record,required" doc:"the type's name: time_entry" pattern:"^[a-z][a-z_]*$"`
	Version int                 `spec:"version,required" min:"1"`
	Title   string              `spec:"title,required" doc:"what people call it"`
	About   string              `spec:"about" doc:"one sentence for those who map to it"`
	Label   string              `spec:"label" default:"name" doc:"the field that a person knows the record by"`
	Fields  specfile.Map[Field] `spec:"fields,required"`
	Keys    [][]string          `spec:"match" doc:"fields that together tell two records are the same, the most telling first"`
}

// Field is one field of a record, or of an object inside it.
type Field struct {
	Pos      specfile.Pos
	Type     string              `spec:"type,required" enum:"text|bool|int|decimal|money|date|instant|seconds|enum|ref|list|object"`
	Required bool                `spec:"required"`
	About    string              `spec:"about"`
	Max      int                 `spec:"max" doc:"characters (code points), for text"`
	Values   []string            `spec:"values" doc:"what an enum may be"`
	To       string              `spec:"to" doc:"the record type that a ref points to"`
	Of       *Field              `spec:"of" doc:"what a list holds"`
	Fields   specfile.Map[Field] `spec:"fields" doc:"what an object holds"`
	Personal bool                `spec:"personal" doc:"personal data: masked in logs, exported and erased on request"`
	Min      *exact.Decimal      `spec:"min" doc:"the least value, for int, decimal, seconds"`
}

// Set is all record types, by name. It is read-only once loaded.
type Set struct {
	byName map[string]*Schema
	types  expr.Objects
}

// Load reads every *.yaml file of the folder.
func Load(dir fs.FS) (*Set, error) {
	files, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, err
	}
	set := &Set{byName: map[string]*Schema{}}
	var problems specfile.Problems
	for _, name := range files {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("read schema %s: %w", name, err)
		}
		s := &Schema{}
		problems = append(problems, specfile.Decode(name, data, s)...)
		set.byName[s.Record] = s
	}
	for _, s := range set.byName {
		set.check(s, &problems)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	set.types = set.objects()
	return set, nil
}

// Schema is the record type of this name, or nil.
func (s *Set) Schema(name string) *Schema { return s.byName[name] }

// Names lists the record types.
func (s *Set) Names() []string {
	var names []string
	for n := range s.byName {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// check finds what the shape of the file cannot: references to nowhere, keys without a field.
func (s *Set) check(t *Schema, problems *specfile.Problems) {
	known := t.Fields.Keys()
	for _, key := range t.Keys {
		for _, f := range key {
			if !slices.Contains(known, f) {
				problems.Add(t.Pos, "match", fmt.Sprintf("there is no field %q", f), "A match key names fields of the record.")
			}
		}
	}
	if !slices.Contains(known, t.Label) {
		problems.Add(t.Pos, "label", fmt.Sprintf("there is no field %q", t.Label), "Say which field people know the record by.")
	}
	for _, f := range t.Fields {
		s.checkField(f.Value, f.Key, problems)
	}
}

func (s *Set) checkField(f Field, path string, problems *specfile.Problems) {
	needs := func(ok bool, message, hint string) {
		if !ok {
			problems.Add(f.Pos, path, message, hint)
		}
	}
	switch f.Type {
	case "enum":
		needs(len(f.Values) > 0, "an enum has no values", "List them: values: [open, closed].")
	case "ref":
		needs(s.byName[f.To] != nil, fmt.Sprintf("there is no record type %q", f.To), "Say which type the reference points to: to: account.")
	case "list":
		needs(f.Of != nil, "a list does not say of what", "Add of: {type: text}.")
		if f.Of != nil {
			s.checkField(*f.Of, path+".of", problems)
		}
	case "object":
		needs(len(f.Fields) > 0, "an object has no fields", "List them under fields:.")
		for _, inner := range f.Fields {
			s.checkField(inner.Value, path+"."+inner.Key, problems)
		}
	}
}

// Objects are the expression types of all records: an object type per record type, and one per
// object inside a record, named "opportunity.lines".
func (s *Set) Objects() expr.Objects { return s.types }

func (s *Set) objects() expr.Objects {
	all := expr.Objects{}
	for name, t := range s.byName {
		all[name] = fieldTypes(name, t.Fields, all)
		all[name]["ext"] = expr.Map(expr.Dyn) // a tenant's own fields
		all[name]["id"] = expr.Text
	}
	return all
}

func fieldTypes(owner string, fields specfile.Map[Field], all expr.Objects) map[string]expr.Type {
	types := map[string]expr.Type{}
	for _, f := range fields {
		types[f.Key] = typeOf(owner+"."+f.Key, f.Value, all)
	}
	return types
}

func typeOf(path string, f Field, all expr.Objects) expr.Type {
	switch f.Type {
	case "bool":
		return expr.Bool
	case "int":
		return expr.Int
	case "decimal":
		return expr.Decimal
	case "money":
		return expr.Money
	case "date":
		return expr.Date
	case "instant":
		return expr.Instant
	case "seconds":
		return expr.Seconds
	case "ref":
		return expr.Ref(f.To)
	case "list":
		return expr.List(typeOf(path, *f.Of, all))
	case "object":
		all[path] = fieldTypes(path, f.Fields, all)
		return expr.Object(path)
	default: // text, enum
		return expr.Text
	}
}

// TypeOf is the expression type of a record's field; ok is false where there is none.
func (s *Set) TypeOf(record, field string) (t expr.Type, ok bool) {
	t, ok = s.types[record][field]
	return t, ok
}
