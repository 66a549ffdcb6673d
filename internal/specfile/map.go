package specfile

import "reflect"

// Map is a map that keeps the order of the file.
type Map[T any] []Entry[T]

// Entry is one key of a Map with its value; Pos is where the key stands.
type Entry[T any] struct {
	Key   string
	Pos   Pos
	Value T
}

// DecodeSpec takes a map and decodes each of its values as a T.
func (m *Map[T]) DecodeSpec(n *Node) {
	if n.Kind() != KindMap {
		n.wanted("a map", mapHint(n))
		return
	}
	entries := n.Entries()
	*m = make(Map[T], len(entries))
	for i, e := range entries {
		(*m)[i].Key, (*m)[i].Pos = e.Key, e.Pos
		e.Value.Decode(&(*m)[i].Value)
	}
}

// Get is the value of a key.
func (m Map[T]) Get(key string) (T, bool) {
	for _, e := range m {
		if e.Key == key {
			return e.Value, true
		}
	}
	var none T
	return none, false
}

// Keys are the keys in the order of the file.
func (m Map[T]) Keys() []string {
	keys := make([]string, len(m))
	for i, e := range m {
		keys[i] = e.Key
	}
	return keys
}

// valueType is for the JSON Schema.
func (Map[T]) valueType() reflect.Type { return reflect.TypeFor[T]() }
