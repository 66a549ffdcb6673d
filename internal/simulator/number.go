package simulator

import (
	"fmt"
	"strconv"
)

// newID is the next id of a collection.
func (s *Simulator) newID(col *collection) string {
	k := col.kind
	switch k.idKind {
	case "uuid":
		return s.uuid()
	case "digits":
		// Growing, with gaps, as ids of a large shared system are.
		n := col.counters["id"]
		if n == 0 {
			n = k.idStart
		}
		n += 1 + int64(s.rand.IntN(1000))
		col.counters["id"] = n
		return strconv.FormatInt(n, 10)
	case "count", "given":
		return strconv.FormatInt(col.next("id", k.idStart), 10)
	}
	return s.hex(12)
}

// autoNumber is the next number of a field, past those that people have taken by hand.
func (s *Simulator) autoNumber(col *collection, f *field) any {
	for {
		n := col.next("auto."+f.name, f.Start)
		if f.Type == "integer" {
			return n
		}
		v := fmt.Sprintf(f.Auto, n)
		if col.find(&condition{path: []string{f.name}, op: "eq", value: v}) == nil {
			return v
		}
	}
}
