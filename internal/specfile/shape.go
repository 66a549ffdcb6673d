package specfile

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"throughline/internal/exact"
)

// field is what the tags of a struct field say.
type field struct {
	name       string
	index      []int
	typ        reflect.Type
	required   bool
	one        bool
	enum       []string
	pattern    *regexp.Regexp
	min, max   *exact.Decimal
	def        string
	hasDefault bool
	doc        string
}

// defaultNode is the default as it would stand in the file. A default of text is text, also when
// it looks like a number.
func (f field) defaultNode(pos Pos) *yaml.Node {
	y := &yaml.Node{Kind: yaml.ScalarNode, Value: f.def, Line: pos.Line, Column: pos.Column}
	if valueKind(f.typ) == reflect.String {
		y.Style = yaml.DoubleQuotedStyle
	}
	return y
}

// valueKind is the kind of what a pointer points to or a list lists.
func valueKind(t reflect.Type) reflect.Kind {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind()
}

// shape is what a struct takes from a file.
type shape struct {
	fields    map[string]field
	names     []string // in the order of the struct
	positions [][]int  // the fields that receive the position
}

var (
	shapes  sync.Map // reflect.Type to *shape
	posType = reflect.TypeFor[Pos]()
)

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{fields: map[string]field{}}
	s.collect(t, nil)
	shapes.Store(t, s)
	return s
}

// collect adds the fields of t, which stands at that index of the outermost struct.
func (s *shape) collect(t reflect.Type, at []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(slices.Clone(at), i)
		tag, tagged := sf.Tag.Lookup("spec")
		switch {
		case !tagged && sf.Type == posType && sf.Name == "Pos":
			s.positions = append(s.positions, index)
		case !tagged:
		case tag == ",inline":
			s.collect(sf.Type, index)
		default:
			s.add(t, readField(t, sf, tag, index))
		}
	}
}

func (s *shape) add(t reflect.Type, f field) {
	if _, twice := s.fields[f.name]; twice {
		panic(fmt.Sprintf("specfile: %s has the key %q twice", t, f.name))
	}
	s.fields[f.name] = f
	s.names = append(s.names, f.name)
}

func readField(t reflect.Type, sf reflect.StructField, tag string, index []int) field {
	name, options, _ := strings.Cut(tag, ",")
	f := field{name: name, index: index, typ: sf.Type, doc: sf.Tag.Get("doc")}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "required":
			f.required = true
		case "one":
			f.one = true
		default:
			panic(fmt.Sprintf("specfile: %s.%s: unknown option %q", t, sf.Name, option))
		}
	}
	if name == "" || !sf.IsExported() {
		panic(fmt.Sprintf("specfile: %s.%s needs a key and an exported name", t, sf.Name))
	}
	f.readLimits(sf.Tag)
	return f
}

func (f *field) readLimits(tag reflect.StructTag) {
	if enum := tag.Get("enum"); enum != "" {
		f.enum = strings.Split(enum, "|")
	}
	if pattern := tag.Get("pattern"); pattern != "" {
		f.pattern = regexp.MustCompile(pattern)
	}
	if least := tag.Get("min"); least != "" {
		d := exact.MustDecimal(least)
		f.min = &d
	}
	if most := tag.Get("max"); most != "" {
		d := exact.MustDecimal(most)
		f.max = &d
	}
	f.def, f.hasDefault = tag.Lookup("default")
}
