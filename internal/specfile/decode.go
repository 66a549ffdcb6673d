package specfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"throughline/internal/exact"
)

const (
	maxBytes = 1 << 20
	maxDepth = 64
)

// Decode reads the one YAML document in data into the struct that into points to, and returns all
// that is wrong with it. File is the name used in problems.
func Decode(file string, data []byte, into any) Problems {
	d := &decoder{file: file}
	root, ok := d.parse(data)
	if ok && d.shape(root, 0) {
		d.value(root, reflect.ValueOf(into).Elem(), "", tag{})
	}
	d.problems.Sort()
	return d.problems
}

// Custom is a type that decodes itself.
type Custom interface{ DecodeSpec(n *Node) }

// Node is one place of a file, as a Custom type sees it.
type Node struct {
	d    *decoder
	yaml *yaml.Node
	path string
}

// Text is the scalar as written; "" for a list or map.
func (n *Node) Text() string { return n.yaml.Value }

// Pos is where it stands.
func (n *Node) Pos() Pos { return n.d.pos(n.yaml) }

// Problem notes that something is wrong here.
func (n *Node) Problem(message, hint string) { n.d.problem(n.yaml, n.path, message, hint) }

// Decode reads the node into what into points to.
func (n *Node) Decode(into any) { n.d.value(n.yaml, reflect.ValueOf(into).Elem(), n.path, tag{}) }

type decoder struct {
	file     string
	problems Problems
}

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

func (d *decoder) problem(n *yaml.Node, path, message, hint string) {
	d.problems.Add(d.pos(n), path, message, hint)
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// parse reads the text; only one document is allowed.
func (d *decoder) parse(data []byte) (*yaml.Node, bool) {
	at := Pos{d.file, 1, 1}
	if len(data) > maxBytes {
		d.problems.Add(at, "", "the file is larger than 1 MB", "Split it.")
		return nil, false
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			d.problems.Add(at, "", "the file is empty", "")
			return nil, false
		}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			at.Line, _ = strconv.Atoi(m[1]) // digits by the expression
		}
		d.problems.Add(at, "", "this is no YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "Check indentation and quotes around here.")
		return nil, false
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		d.problem(&second, "", "there is a second document in the file", "Keep one document per file.")
		return nil, false
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0], true
	}
	d.problems.Add(at, "", "the file is empty", "")
	return nil, false
}

// shape refuses what YAML allows and these files do not: aliases, tags, double keys, deep nesting.
func (d *decoder) shape(n *yaml.Node, depth int) bool {
	before := len(d.problems)
	switch {
	case depth > maxDepth:
		d.problem(n, "", fmt.Sprintf("this is nested deeper than %d levels", maxDepth), "")
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.problem(n, "", "anchors and aliases are not allowed", "Write the value out.")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.problem(n, "", "tags such as "+n.Tag+" are not allowed", "Leave the tag out.")
	}
	if n.Kind == yaml.MappingNode {
		d.doubles(n)
	}
	for _, c := range n.Content {
		d.shape(c, depth+1)
	}
	return len(d.problems) == before
}

func (d *decoder) doubles(n *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		if line, twice := seen[k.Value]; twice {
			d.problem(k, k.Value, fmt.Sprintf("the key `%s` stands here a second time", k.Value), fmt.Sprintf("The first one is in line %d.", line))
		}
		seen[k.Value] = k.Line
	}
}

// tag is what a struct field's tags say.
type tag struct {
	name             string
	required, inline bool
	one              bool
	enum             []string
	def, pattern     string
	min, max         string
	doc              string
}

func parseTag(f reflect.StructField) (tag, bool) {
	spec, ok := f.Tag.Lookup("spec")
	if !ok {
		return tag{}, false
	}
	name, options, _ := strings.Cut(spec, ",")
	t := tag{name: name, def: f.Tag.Get("default"), pattern: f.Tag.Get("pattern"), min: f.Tag.Get("min"), max: f.Tag.Get("max"), doc: f.Tag.Get("doc")}
	for _, o := range strings.Split(options, ",") {
		switch o {
		case "required":
			t.required = true
		case "inline":
			t.inline = true
		case "one":
			t.one = true
		}
	}
	if e := f.Tag.Get("enum"); e != "" {
		t.enum = strings.Split(e, "|")
	}
	return t, true
}

var (
	posType      = reflect.TypeFor[Pos]()
	valueType    = reflect.TypeFor[Value]()
	exprType     = reflect.TypeFor[Expr]()
	templateType = reflect.TypeFor[Template]()
	durationType = reflect.TypeFor[Duration]()
	rateType     = reflect.TypeFor[Rate]()
	decimalType  = reflect.TypeFor[exact.Decimal]()
	moneyType    = reflect.TypeFor[exact.Money]()
	dateType     = reflect.TypeFor[exact.Date]()
	customType   = reflect.TypeFor[Custom]()
)

// mapper is what Map[T] offers to the decoder, whatever its T.
type mapper interface {
	newEntry() (value reflect.Value, add func(key string, pos Pos))
}

func (m *Map[T]) newEntry() (reflect.Value, func(string, Pos)) {
	var v T
	return reflect.ValueOf(&v).Elem(), func(key string, pos Pos) { *m = append(*m, Entry[T]{key, pos, v}) }
}

// value decodes a node into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, t tag) {
	if v.CanAddr() && v.Addr().Type().Implements(customType) {
		v.Addr().Interface().(Custom).DecodeSpec(&Node{d, n, path})
		return
	}
	if v.CanAddr() {
		if m, ok := v.Addr().Interface().(mapper); ok {
			d.ordered(n, m, path, t)
			return
		}
	}
	if v.Type() == valueType {
		v.Set(reflect.ValueOf(d.subtree(n, path)))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, t)
	case reflect.Slice:
		d.list(n, v, path, t)
	case reflect.Map:
		d.plainMap(n, v, path, t)
	case reflect.Struct:
		if !d.scalarType(n, v, path) {
			d.structure(n, v, path)
		}
	default:
		d.scalar(n, v, path, t)
	}
}

func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("`%s`", n.Value)
}

func (d *decoder) wants(n *yaml.Node, path, wanted string) {
	d.problem(n, path, fmt.Sprintf("%s is wanted here, this is %s", wanted, what(n)), "")
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.wants(n, path, "a map")
		return
	}
	fields := map[string]reflect.Value{}
	tags := map[string]tag{}
	var names []string
	d.collect(n, v, fields, tags, &names)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		f, ok := fields[key.Value]
		if !ok {
			d.problem(key, join(path, key.Value), fmt.Sprintf("unknown key `%s`", key.Value), suggest(key.Value, names))
			continue
		}
		seen[key.Value] = true
		d.value(val, f, join(path, key.Value), tags[key.Value])
	}
	for _, name := range names {
		t := tags[name]
		switch {
		case seen[name]:
		case t.required:
			d.problem(n, join(path, name), fmt.Sprintf("`%s` is missing", name), t.doc)
		case t.def != "":
			d.value(&yaml.Node{Kind: yaml.ScalarNode, Value: t.def, Line: n.Line, Column: n.Column}, fields[name], join(path, name), t)
		}
	}
}

// collect finds the fields that a map may set, those of inlined structs included.
func (d *decoder) collect(n *yaml.Node, v reflect.Value, fields map[string]reflect.Value, tags map[string]tag, names *[]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		t, ok := parseTag(f)
		switch {
		case f.Type == posType && f.Name == "Pos" && !ok:
			v.Field(i).Set(reflect.ValueOf(d.pos(n)))
		case !ok:
		case t.inline:
			d.collect(n, v.Field(i), fields, tags, names)
		default:
			fields[t.name], tags[t.name] = v.Field(i), t
			*names = append(*names, t.name)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (d *decoder) ordered(n *yaml.Node, m mapper, path string, t tag) {
	if n.Kind != yaml.MappingNode {
		d.wants(n, path, "a map")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		v, add := m.newEntry()
		d.value(n.Content[i+1], v, join(path, key.Value), tag{})
		add(key.Value, d.pos(key))
	}
}

func (d *decoder) plainMap(n *yaml.Node, v reflect.Value, path string, t tag) {
	if n.Kind != yaml.MappingNode {
		d.wants(n, path, "a map")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], e, join(path, n.Content[i].Value), tag{})
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value), e)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, t tag) {
	items := n.Content
	if n.Kind != yaml.SequenceNode {
		if !t.one {
			d.problem(n, path, "a list is wanted here, this is "+what(n), "Put it in brackets: [ … ].")
			return
		}
		items = []*yaml.Node{n}
	}
	t.one = false
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), t)
	}
	v.Set(out)
}

// scalarType decodes the types that are written as one word; false for any other struct.
func (d *decoder) scalarType(n *yaml.Node, v reflect.Value, path string) bool {
	parse, ok := map[reflect.Type]func() (any, error){
		exprType:     func() (any, error) { return d.expression(n, path) },
		templateType: func() (any, error) { return d.template(n, path) },
		durationType: func() (any, error) { x, err := ParseDuration(n.Value); return Duration{x}, err },
		rateType:     func() (any, error) { return ParseRate(n.Value) },
		decimalType:  func() (any, error) { return exact.ParseDecimal(n.Value) },
		moneyType:    func() (any, error) { return exact.ParseMoney(n.Value) },
		dateType:     func() (any, error) { return exact.ParseDate(n.Value) },
	}[v.Type()]
	if !ok {
		return false
	}
	if n.Kind != yaml.ScalarNode {
		d.wants(n, path, "a single value")
		return true
	}
	x, err := parse()
	if err != nil {
		d.problem(n, path, err.Error(), "")
		return true
	}
	v.Set(reflect.ValueOf(x))
	return true
}

func (d *decoder) expression(n *yaml.Node, path string) (Expr, error) {
	if !strings.HasPrefix(n.Value, "=") || strings.TrimSpace(n.Value) == "=" {
		return Expr{}, fmt.Errorf("an expression is wanted here, this is `%s`; an expression begins with =", n.Value)
	}
	return Expr{Source: strings.TrimSpace(n.Value[1:]), Pos: d.pos(n), Path: path}, nil
}

func (d *decoder) template(n *yaml.Node, path string) (Template, error) {
	parts, err := parseTemplate(n.Value, d.pos(n))
	return Template{Text: n.Value, Parts: parts, Pos: d.pos(n), Path: path}, err
}

func (d *decoder) subtree(n *yaml.Node, path string) Value {
	v := Value{Pos: d.pos(n), Path: path, Text: n.Value}
	switch n.Kind {
	case yaml.MappingNode:
		v.Kind = MapValue
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			v.Entries = append(v.Entries, Entry[Value]{k.Value, d.pos(k), d.subtree(n.Content[i+1], join(path, k.Value))})
		}
		return v
	case yaml.SequenceNode:
		v.Kind = ListValue
		for i, c := range n.Content {
			v.List = append(v.List, d.subtree(c, fmt.Sprintf("%s[%d]", path, i)))
		}
		return v
	}
	switch n.Tag {
	case "!!null":
		v.Kind = NullValue
	case "!!bool":
		v.Kind = BoolValue
	case "!!int", "!!float":
		v.Kind = NumberValue
	default:
		v.Kind = TextValue
		if strings.HasPrefix(n.Value, "=") {
			v.Kind, v.Source = ExprValue, strings.TrimSpace(n.Value[1:])
		}
	}
	return v
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, t tag) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.wants(n, path, wordFor(v.Kind()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		d.checkText(n, path, t)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if err != nil || (n.Value != "true" && n.Value != "false") {
			d.wants(n, path, "true or false")
			return
		}
		v.SetBool(b)
	default:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || v.OverflowInt(i) {
			d.wants(n, path, "a whole number")
			return
		}
		v.SetInt(i)
		d.checkRange(n, i, path, t)
	}
}

func wordFor(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	}
	return "a whole number"
}

func (d *decoder) checkText(n *yaml.Node, path string, t tag) {
	if len(t.enum) > 0 && !slices.Contains(t.enum, n.Value) {
		d.problem(n, path, fmt.Sprintf("`%s` is not allowed here", n.Value), suggest(n.Value, t.enum))
	}
	if t.pattern != "" && !regexp.MustCompile(t.pattern).MatchString(n.Value) {
		d.problem(n, path, fmt.Sprintf("`%s` has not the right form", n.Value), "It must match "+t.pattern+".")
	}
}

func (d *decoder) checkRange(n *yaml.Node, i int64, path string, t tag) {
	if lo, err := strconv.ParseInt(t.min, 10, 64); err == nil && i < lo {
		d.problem(n, path, fmt.Sprintf("%d is too small", i), "At least "+t.min+".")
	}
	if hi, err := strconv.ParseInt(t.max, 10, 64); err == nil && i > hi {
		d.problem(n, path, fmt.Sprintf("%d is too large", i), "At most "+t.max+".")
	}
}

// suggest names the nearest known word, or all of them.
func suggest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if n := editDistance(word, k); n < distance {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("Did you mean `%s`?", best)
	}
	sorted := slices.Clone(known)
	slices.Sort(sorted)
	return "Known are " + strings.Join(sorted, ", ") + "."
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	prev2, prev, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, make([]int, len(b)+1)
	}
	return prev[len(b)]
}
