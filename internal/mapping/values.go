package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// valueMap is a code list, both ways: canonical value to the vendor's values, of which the first is
// the one that is written.
type valueMap struct {
	name   string
	to     map[string][]string
	from   map[string]string
	others string // what an unknown value becomes; "" = block
}

// otherwise is the key that says what becomes of a value that no line names.
const otherwise = "otherwise"

func newValueMap(name string, lines specfile.Map[specfile.Value], problems *specfile.Problems) valueMap {
	m := valueMap{name: name, to: map[string][]string{}, from: map[string]string{}}
	for _, l := range lines {
		list := words(l.Value, problems)
		if len(list) == 0 {
			continue
		}
		if l.Key == otherwise {
			m.others = list[0]
			continue
		}
		m.to[l.Key] = list
		for _, v := range list {
			if other, taken := m.from[v]; taken {
				problems.Add(l.Pos, "values."+name, fmt.Sprintf("%q stands for %s already", v, other), "A value of the vendor is read as one of ours: leave it to one line.")
			}
			m.from[v] = l.Key
		}
	}
	return m
}

// words are the vendor's values in one line: one, or a list.
func words(v specfile.Value, problems *specfile.Problems) []string {
	items := v.Items
	if v.Kind != specfile.KindList {
		items = []specfile.Value{v}
	}
	var list []string
	for _, item := range items {
		data, err := item.Data()
		if err != nil {
			problems.Add(item.Pos, item.Path, err.Error(), "")
			continue
		}
		list = append(list, fmt.Sprint(data))
	}
	return list
}

// callValue maps a value by the list of this name: the vendor's to ours when reading, ours to the
// vendor's when writing. A tenant's own lines go before the connector's.
func callValue(at any, args []any) (any, error) {
	p := at.(*place)
	name, _ := args[0].(string)
	if args[1] == nil {
		return nil, nil
	}
	m := p.m.values[name]
	v, err := m.code(args[1])
	if err != nil {
		return nil, err
	}
	if p.reading {
		own := meant(p.override[name], v)
		ours, ok := m.from[v]
		switch {
		case len(own) == 1:
			return own[0], nil
		case len(own) > 1 && !slices.Contains(own, ours):
			return nil, m.ambiguous(v, own)
		case ok:
			return ours, nil
		}
	} else {
		if theirs, ok := p.override[name][v]; ok {
			return theirs, nil
		}
		if list := m.to[v]; len(list) > 0 {
			return list[0], nil
		}
	}
	if m.others != "" {
		return m.others, nil
	}
	if !p.reading {
		return nil, m.unsaid(v)
	}
	return nil, m.unmapped(v)
}

// code is a value as the lines write it: a text, a number, true or false.
func (m valueMap) code(v any) (string, error) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), nil
	case map[string]any, []any:
		return "", &hub.Error{Kind: hub.Invalid, Code: "mapping.value_unmapped", Field: m.name, Message: fmt.Sprintf("This is no single value, as those of the value map %s are.", m.name),
			Hint: "Correct the mapping: it is to hand on one of them."}
	}
	return idText(v), nil
}

func (m valueMap) unmapped(v string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "mapping.value_unmapped", Field: m.name, Value: v,
		Message: fmt.Sprintf("Nobody has said what %q means in the value map %s.", v, m.name), Hint: m.hint()}
}

// meant are those of ours that a customer's lines write as one value of the vendor.
func meant(lines map[string]string, v string) (own []string) {
	for ours, theirs := range lines {
		if theirs == v {
			own = append(own, ours)
		}
	}
	slices.Sort(own)
	return own
}

// ambiguous says that a value cannot be read back: several of ours are written as it.
func (m valueMap) ambiguous(v string, own []string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "mapping.value_ambiguous", Field: m.name, Value: v,
		Message: fmt.Sprintf("In the customer's values, %q stands for %s alike (value map %s).", v, strings.Join(own, " and "), m.name),
		Hint:    "Leave it to one of them in the flow's values, apply, then retry."}
}

// unsaid is the same the other way round: a value of ours that has no word over there.
func (m valueMap) unsaid(v string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "mapping.value_unsaid", Field: m.name, Value: v,
		Message: fmt.Sprintf("Nobody has said what the far side calls %q (value map %s).", v, m.name), Hint: m.hint()}
}

func (m valueMap) hint() string {
	known := slices.Sorted(maps.Keys(m.to))
	return fmt.Sprintf("Add a line for it to the customer's values (%s: …), then retry. Known are %s.", m.name, strings.Join(known, ", "))
}
