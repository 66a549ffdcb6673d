package simulator

import "slices"

// locate finds the row that the route speaks of; nil when there is none.
func (c *call) locate(ways []way) (*row, error) {
	scope, err := c.scoped()
	if err != nil {
		return nil, err
	}
	col := c.collection()
	for _, w := range ways {
		if w.when != nil {
			if yes, err := w.when.True(c); err != nil || !yes {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		r, err := c.lookup(col, w)
		if err != nil {
			return nil, err
		}
		if r != nil && within(r.fields, scope) {
			return r, nil
		}
	}
	return nil, nil
}

// lookup finds a row in one way.
func (c *call) lookup(col *collection, w way) (*row, error) {
	switch {
	case w.field != nil:
		return c.lookupNamed(col, w)
	case w.keys != nil:
		return c.lookupKeys(col, w.keys)
	case w.from != nil:
		v, err := w.from.value(c)
		m, _ := v.(map[string]any)
		return c.byKeys(col, m), err
	case w.odata != nil:
		return c.lookupOData(col, w.odata)
	}
	return c.lookupFields(col, w.by)
}

// lookupFields finds by id directly, and by other fields through their index.
func (c *call) lookupFields(col *collection, by []named) (*row, error) {
	f := allOf{}
	for _, one := range by {
		v, err := one.value.value(c)
		if err != nil {
			return nil, err
		}
		if len(by) == 1 && one.name == col.kind.idField {
			return col.rows[textOf(v)], nil
		}
		if blank(v) {
			return nil, nil // nothing to look for finds nothing
		}
		f = append(f, &condition{path: splitPath(one.name), op: "eq", value: v, fold: true})
	}
	return col.find(f), nil
}

// lookupKeys finds by the pieces of an address: the id, or the keys in their order.
func (c *call) lookupKeys(col *collection, s shape) (*row, error) {
	v, err := s.value(c)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	if len(list) == 1 {
		if r := col.rows[textOf(list[0])]; r != nil {
			return r, nil
		}
	}
	if len(list) != len(col.kind.keys) {
		return nil, nil
	}
	input := map[string]any{}
	for i, key := range col.kind.keys {
		input[key] = list[i]
	}
	return c.byKeys(col, input), nil
}

func (c *call) lookupOData(col *collection, s shape) (*row, error) {
	v, err := s.value(c)
	if err != nil || blank(v) {
		return nil, err
	}
	f, err := c.parsed(textOf(v), true)
	if err != nil {
		return nil, err
	}
	return col.find(f), nil
}

// lookupNamed finds by a field that the caller names.
func (c *call) lookupNamed(col *collection, w way) (*row, error) {
	name, err := w.field.value(c)
	if err != nil {
		return nil, err
	}
	v, err := w.is.value(c)
	if err != nil {
		return nil, err
	}
	if name == col.kind.idField {
		return col.rows[textOf(v)], nil
	}
	if !col.kind.alone(textOf(name)) {
		return nil, &refusal{name: "invalid", code: "not_unique", entity: col.kind.name,
			faults: []fault{{field: textOf(name), code: "not_unique", value: v}}}
	}
	return col.find(&condition{path: splitPath(textOf(name)), op: "eq", value: v, fold: true}), nil
}

// alone says that no two rows share the field.
func (k *kind) alone(name string) bool {
	return slices.ContainsFunc(k.unique, func(u uniqueSet) bool { return len(u.by) == 1 && u.by[0] == name })
}

func within(fields, scope map[string]any) bool {
	for name, v := range scope {
		if fold(fieldOf(fields, name)) != fold(v) {
			return false
		}
	}
	return true
}

// target is the row that a write means: by the route's ways, and for an upsert by the collection's
// keys as well.
func (c *call) target(input map[string]any) (*row, error) {
	c.vars["input"] = input
	r, err := c.locate(c.route.find)
	if err != nil || r != nil || c.route.spec.Do != "upsert" {
		return r, err
	}
	return c.byKeys(c.collection(), input), nil
}

func (c *call) byKeys(col *collection, input map[string]any) *row {
	if id := textOf(input[col.kind.idField]); id != "" {
		return col.rows[id]
	}
	f := allOf{}
	for _, key := range col.kind.keys {
		if blank(input[key]) {
			return nil
		}
		f = append(f, &condition{path: splitPath(key), op: "eq", value: input[key], fold: true})
	}
	if len(f) == 0 {
		return nil
	}
	return col.find(f)
}
