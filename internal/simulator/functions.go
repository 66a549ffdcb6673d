package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"

	"throughline/internal/exact"
	"throughline/internal/expr"
)

// variables are what expressions may speak of; which of them has a value depends on the place.
var variables = []string{
	"account", "base", "body", "created", "error", "event", "failures", "fault", "header", "hook", "input", "item",
	"items", "job", "limit", "method", "now", "old", "page", "path", "query", "raw", "results", "row", "tries",
	"uri", "url", "with",
}

// environment is the expression language as it is spoken in a simulator.yaml.
func environment() (*expr.Env, error) {
	vars := expr.Vars{}
	for _, name := range variables {
		vars[name] = expr.Dyn
	}
	return expr.NewEnv(vars, expr.WithFuncs(
		expr.Func{Name: "row_of", Args: []expr.Type{expr.Text, expr.Dyn}, Result: expr.Dyn, Call: rowOf},
		expr.Func{Name: "rows_of", Args: []expr.Type{expr.Text, expr.Dyn}, Result: expr.List(expr.Dyn), Call: rowsOf},
		expr.Func{Name: "fields_of", Args: []expr.Type{expr.Text}, Result: expr.List(expr.Dyn), Call: fieldsOf},
		expr.Func{Name: "pick", Args: []expr.Type{expr.Dyn, expr.Dyn}, Result: expr.Dyn, Call: pick},
		expr.Func{Name: "names_in", Args: []expr.Type{expr.Dyn}, Result: expr.Dyn, Call: namesIn},
		expr.Func{Name: "keys_of", Args: []expr.Type{expr.Dyn}, Result: expr.Dyn, Call: keysOf},
		expr.Func{Name: "unwrapped", Args: []expr.Type{expr.Dyn}, Result: expr.Dyn, Call: unwrapped},
		expr.Func{Name: "translate", Args: []expr.Type{expr.Dyn, expr.Dyn, expr.Dyn}, Result: expr.Dyn, Call: translate},
		expr.Func{Name: "sum", Args: []expr.Type{expr.Dyn}, Result: expr.Dyn, Call: sum},
		expr.Func{Name: "random_id", Args: []expr.Type{expr.Text}, Result: expr.Text, Call: randomID},
		expr.Func{Name: "hmac_sha256", Args: []expr.Type{expr.Dyn, expr.Dyn, expr.Text}, Result: expr.Text, Call: hmacSHA256},
		expr.Func{Name: "written", Args: []expr.Type{expr.Dyn}, Result: expr.Dyn, Call: written},
	))
}

// rowOf("client", id) is the row with that id, or null.
func rowOf(at any, args []any) (any, error) {
	c := at.(*call)
	col := c.world.collections[textOf(args[0])]
	if col == nil {
		return nil, fmt.Errorf("there is no collection %v", args[0])
	}
	if r := col.rows[textOf(args[1])]; r != nil {
		return r.fields, nil
	}
	return nil, nil
}

// rowsOf("task", {"project": id}) are the rows with these values, in the order of creation.
func rowsOf(at any, args []any) (any, error) {
	c := at.(*call)
	col := c.world.collections[textOf(args[0])]
	want, ok := args[1].(map[string]any)
	if col == nil || !ok {
		return nil, fmt.Errorf("rows_of needs a collection and the fields to look for")
	}
	f := allOf{}
	for _, name := range sortedKeys(want) {
		f = append(f, &condition{path: splitPath(name), op: "eq", value: want[name]})
	}
	list := []any{}
	for _, r := range col.candidates(f, false) {
		if !r.gone && f.match(r.fields) {
			list = append(list, r.fields)
		}
	}
	return list, nil
}

// fieldsOf("deal") describes the fields of a collection, for far sides that tell their schema.
func fieldsOf(at any, args []any) (any, error) {
	k := at.(*call).sim.plan.kinds[textOf(args[0])]
	if k == nil {
		return nil, fmt.Errorf("there is no collection %v", args[0])
	}
	list := make([]any, len(k.names))
	for i, name := range k.names {
		f := k.fields[name]
		enum := make([]any, len(f.Enum))
		for j, one := range f.Enum {
			enum[j] = one
		}
		list[i] = map[string]any{
			"name": name, "type": f.Type, "required": f.Required, "enum": enum, "to": f.To, "max": int64(f.Max),
			"read_only": f.ReadOnly != "no", "unique": k.alone(name),
		}
	}
	return list, nil
}

// pick(map, names) is the map with just these keys; missing ones are null.
func pick(_ any, args []any) (any, error) {
	m, _ := args[0].(map[string]any)
	names, _ := args[1].([]any)
	out := make(map[string]any, len(names))
	for _, name := range names {
		if key := textOf(name); key != "" {
			out[key] = m[key]
		}
	}
	return maps.Clone(out), nil
}

// namesIn("a,b") is the list of names in a text; null when there is no text.
func namesIn(_ any, args []any) (any, error) {
	if blank(args[0]) {
		return nil, nil
	}
	list := []any{}
	for _, name := range strings.Split(textOf(args[0]), ",") {
		list = append(list, strings.TrimSpace(name))
	}
	return list, nil
}

// keysOf are the keys of a map, or of all maps in a list.
func keysOf(_ any, args []any) (any, error) {
	maps, ok := args[0].([]any)
	if !ok {
		maps = []any{args[0]}
	}
	all := map[string]bool{}
	for _, one := range maps {
		m, _ := one.(map[string]any)
		for key := range m {
			all[key] = true
		}
	}
	list := []any{}
	for _, key := range sortedKeys(all) {
		list = append(list, key)
	}
	return list, nil
}

// unwrapped(body) is a body whose values stand in objects of their own, with plain values.
func unwrapped(_ any, args []any) (any, error) { return unwrap(args[0]), nil }

// translate({…}, word, otherwise) looks a word up.
func translate(_ any, args []any) (any, error) {
	m, _ := args[0].(map[string]any)
	if v, ok := m[textOf(args[1])]; ok {
		return v, nil
	}
	return args[2], nil
}

// sum([…]) adds up numbers.
func sum(_ any, args []any) (any, error) {
	list, _ := args[0].([]any)
	total := exact.NewDecimal(0)
	for _, v := range list {
		n, ok := numberOf(v)
		if !ok {
			return nil, fmt.Errorf("%v is not a number", v)
		}
		total = total.Add(n)
	}
	return total, nil
}

// randomID("uuid") or ("hex24").
func randomID(at any, args []any) (any, error) {
	s := at.(*call).sim
	switch args[0] {
	case "uuid":
		return s.uuid(), nil
	case "hex24":
		return s.hex(12), nil
	}
	return nil, fmt.Errorf("random_id knows uuid and hex24")
}

// hmacSHA256(secret, text, "hex" or "base64") signs webhooks.
func hmacSHA256(_ any, args []any) (any, error) {
	mac := hmac.New(sha256.New, []byte(textOf(args[0])))
	mac.Write([]byte(textOf(args[1])))
	if args[2] == "base64" {
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
	}
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// written(value) is a value as a text, the way the far side prints it.
func written(at any, args []any) (any, error) {
	if args[0] == nil {
		return nil, nil
	}
	return textOf(at.(*call).leaf(args[0])), nil
}
