package specfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decode fills v from the node, as the rules of the field say (the zero field has none).
func (n *Node) decode(v reflect.Value, f field) {
	if n.yaml.Kind == yaml.AliasNode {
		return // a problem already
	}
	if custom, ok := v.Addr().Interface().(Custom); ok {
		custom.DecodeSpec(n)
		return
	}
	if read, ok := quantities[v.Type()]; ok {
		n.decodeQuantity(v, f, read)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		n.decode(fresh.Elem(), f)
		v.Set(fresh)
	case reflect.Struct:
		n.decodeStruct(v)
	case reflect.Slice:
		n.decodeList(v, f)
	case reflect.Map:
		n.decodeMap(v, f)
	default:
		n.decodeScalar(v, f)
	}
}

func (n *Node) decodeList(v reflect.Value, f field) {
	items := n.Items()
	if n.Kind() != KindList {
		if !f.one || n.Kind() == KindNull {
			n.wanted("a list", listHint(n))
			return
		}
		items = []*Node{n}
	}
	f.one = false // a list within a list is written as one
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		item.decode(list.Index(i), f)
	}
	v.Set(list)
}

func listHint(n *Node) string {
	switch n.Kind() {
	case KindNull:
		return "Remove the key or write [] for none."
	case KindMap:
		return "Begin each item with a dash."
	}
	return "Write [" + shorten(n.Text()) + "]."
}

func (n *Node) decodeMap(v reflect.Value, f field) {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("specfile: the keys of %s are not strings", v.Type()))
	}
	if n.Kind() != KindMap {
		n.wanted("a map", mapHint(n))
		return
	}
	entries := n.Entries()
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		value := reflect.New(v.Type().Elem()).Elem()
		e.Value.decode(value, f)
		m.SetMapIndex(reflect.ValueOf(e.Key).Convert(v.Type().Key()), value)
	}
	v.Set(m)
}

func mapHint(n *Node) string {
	switch n.Kind() {
	case KindNull:
		return "Remove the key, or indent what belongs to it."
	case KindList:
		return "Write `key: value` without a dash."
	}
	return "Write `key: value` on the lines below."
}

func (n *Node) decodeStruct(v reflect.Value) {
	s := shapeOf(v.Type())
	for _, at := range s.positions {
		v.FieldByIndex(at).Set(reflect.ValueOf(n.pos))
	}
	if n.Kind() != KindMap {
		n.wanted("a map", structHint(n, s))
		return
	}
	present := map[string]bool{}
	for _, e := range n.Entries() {
		f, ok := s.fields[e.Key]
		if !ok {
			n.unknown(e, s.names)
			continue
		}
		present[e.Key] = true
		e.Value.decode(v.FieldByIndex(f.index), f)
	}
	for _, name := range s.names {
		if !present[name] {
			n.fillAbsent(v, s.fields[name])
		}
	}
}

func (n *Node) unknown(e Entry[*Node], known []string) {
	// The rest of an expression that was cut at a comma: that has been said.
	rest := n.yaml.Style&yaml.FlowStyle != 0 && e.Value.Kind() == KindNull && strings.ContainsAny(e.Key, `)"'`)
	if !rest && !n.into.full() {
		n.into.add(e.Pos, e.Value.path, "unknown key `"+shorten(e.Key)+"`", suggest(e.Key, known))
	}
}

func structHint(n *Node, s *shape) string {
	if len(s.names) == 0 || n.Kind() == KindNull {
		return mapHint(n)
	}
	return "Keys known here: " + strings.Join(s.names, ", ") + "."
}

// fillAbsent applies the default of a field that is not in the file, or says that it is missing.
func (n *Node) fillAbsent(v reflect.Value, f field) {
	if f.required {
		n.into.add(n.pos, n.path, "the key `"+f.name+"` is missing", f.doc)
		return
	}
	n.fillDefault(v, f)
}

// fillDefault walks into absent structs too, since their fields may have defaults.
func (n *Node) fillDefault(v reflect.Value, f field) {
	v = v.FieldByIndex(f.index)
	switch {
	case f.hasDefault:
		n.child(f.defaultNode(n.pos), joinPath(n.path, f.name)).decode(v, f)
	case isPlainStruct(f.typ):
		s := shapeOf(f.typ)
		for _, name := range s.names {
			n.fillDefault(v, s.fields[name])
		}
	}
}

// isPlainStruct reports whether t is read key by key.
func isPlainStruct(t reflect.Type) bool {
	_, quantity := quantities[t]
	return t.Kind() == reflect.Struct && !quantity && !reflect.PointerTo(t).Implements(customType)
}

var customType = reflect.TypeFor[Custom]()

// suggest helps somebody who wrote a word that is not among those known.
func suggest(word string, known []string) string {
	if len(known) == 0 {
		return "No keys are known here."
	}
	best := slices.MinFunc(known, func(a, b string) int { return distance(word, a) - distance(word, b) })
	if distance(word, best) <= min(2, len(word)/2) {
		return "Did you mean `" + best + "`?"
	}
	return "Known here: " + strings.Join(known, ", ") + "."
}

// distance counts the typing errors between two words: letters too many, missing, wrong, or two
// neighbours exchanged.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			wrong := 0
			if a[i] != b[j] {
				wrong = 1
			}
			next[j+1] = min(last[j+1]+1, next[j]+1, last[j]+wrong)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last = last, next
	}
	return last[len(b)]
}
