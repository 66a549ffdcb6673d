package simulator

import (
	"maps"
	"slices"
	"time"
)

// create makes a row of input and what the route sets. Nothing has happened when it refuses.
func (c *call) create(col *collection, input, set map[string]any) (*row, error) {
	fields, err := c.prepare(col, nil, input, set)
	if err != nil {
		return nil, err
	}
	r := &row{id: c.identify(col, fields)}
	if col.rows[r.id] != nil {
		return nil, &refusal{name: "exists", entity: col.kind.name, id: r.id, message: "the id exists already"}
	}
	return r, c.commit(col, r, fields, "create")
}

// update changes a row. A write that changes nothing is no effect.
func (c *call) update(col *collection, r *row, input, set map[string]any) error {
	fields, err := c.prepare(col, r, input, set)
	if err != nil {
		return err
	}
	if c.same(col.kind, r.fields, fields) {
		return nil
	}
	return c.commit(col, r, fields, c.effectName("update"))
}

func (c *call) effectName(verb string) string {
	if c.route != nil && c.route.spec.Name != "" {
		return c.route.spec.Name
	}
	return verb
}

// prepare checks a write and gives the fields that would be stored.
func (c *call) prepare(col *collection, r *row, input, set map[string]any) (map[string]any, error) {
	k := col.kind
	check := &checker{call: c, values: c.sim.plan.values, person: c.by != "api"}
	var old map[string]any
	op := "create"
	if r != nil {
		old, op = r.fields, "update"
	}
	fields := check.merge(k.fields, k.unknown, "", old, input)
	maps.Copy(fields, set)
	if r == nil {
		if v := input[k.idField]; v != nil && (check.person || k.idKind == "given") {
			fields[k.idField] = v
		}
		c.number(col, fields)
		c.vars["row"] = fields // defaults may look at what was sent
		check.complete(k.fields, k.names, "", fields)
	} else {
		check.required(k.fields, k.names, "", fields)
	}
	if len(check.faults) > 0 {
		return nil, &refusal{name: "invalid", entity: k.name, faults: check.faults}
	}
	if err := c.rules(k, op, old, fields); err != nil {
		return nil, err
	}
	return fields, c.unique(col, r, fields)
}

// number gives the numbers that nobody gave.
func (c *call) number(col *collection, fields map[string]any) {
	for _, name := range col.kind.names {
		f := col.kind.fields[name]
		if f.Auto == "" || !blank(fields[name]) {
			continue
		}
		fields[name] = c.sim.autoNumber(col, f)
	}
}

func (c *call) identify(col *collection, fields map[string]any) string {
	k := col.kind
	if id := textOf(fields[k.idField]); id != "" {
		return id
	}
	id := c.sim.newID(col)
	fields[k.idField] = id
	return id
}

func (c *call) unique(col *collection, self *row, fields map[string]any) error {
	other, set := col.twin(fields, self)
	if other == nil {
		return nil
	}
	last := set.by[len(set.by)-1]
	f := fault{field: last, code: "duplicate", value: fieldOf(fields, last), id: other.id}
	if set.message != nil {
		err := c.with("fault", f.vars(), func() error {
			v, err := set.message.value(c)
			f.message = textOf(v)
			return err
		})
		if err != nil {
			return err
		}
	}
	return &refusal{name: set.refusal, code: "duplicate", entity: col.kind.name, id: other.id, faults: []fault{f}}
}

// rules refuse a write or change it.
func (c *call) rules(k *kind, op string, old, fields map[string]any) error {
	if len(k.rules) == 0 {
		return nil
	}
	c.vars["row"], c.vars["old"] = fields, orNil(old)
	for _, one := range k.rules {
		if !one.on(op) {
			continue
		}
		if yes, err := one.when.True(c); err != nil || !yes {
			if err != nil {
				return err
			}
			continue
		}
		if one.refuse != nil {
			return one.refusal(c, k)
		}
		if err := c.assign(fields, one.set); err != nil {
			return err
		}
	}
	return nil
}

func orNil(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

func (c *call) assign(fields map[string]any, list []named) error {
	for _, one := range list {
		v, err := one.value.value(c)
		if err != nil {
			return err
		}
		fields[one.name] = v
	}
	return nil
}

// object evaluates named shapes into a map.
func (c *call) object(list []named) (map[string]any, error) {
	out := make(map[string]any, len(list))
	return out, c.assign(out, list)
}

// same says that a write changed nothing but stamps.
func (c *call) same(k *kind, old, fields map[string]any) bool {
	return maps.EqualFunc(old, fields, func(a, b any) bool { return equal(a, b) })
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, m, equal)
	case []any:
		l, ok := b.([]any)
		return ok && slices.EqualFunc(a, l, equal)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// commit stores the row, writes the ledger, tells the hooks and lets consequences follow.
func (c *call) commit(col *collection, r *row, fields map[string]any, op string) error {
	k, old := col.kind, r.fields
	if k.created != "" && old == nil && (c.by == "api" || blank(fields[k.created])) {
		fields[k.created] = c.sim.stamp(c.now)
	}
	if k.updated != "" && (c.by != "seed" || blank(fields[k.updated])) {
		fields[k.updated] = c.sim.stamp(c.now)
	}
	if k.version != "" {
		fields[k.version] = r.version + 1
	}
	col.put(r, fields, c.now, c.sim.lag(c.by))
	if err := c.effect(k, op, r); err != nil {
		return err
	}
	c.tell(k, op, r, old)
	return c.follow(k, op, r, old)
}

func verbOf(op string, old map[string]any) string {
	switch {
	case op == "delete":
		return op
	case old == nil:
		return "create"
	}
	return "update"
}

func (c *call) erase(col *collection, r *row) error {
	k := col.kind
	if c.by != "system" {
		if err := c.rules(k, "delete", r.fields, r.fields); err != nil {
			return err
		}
	}
	r.version++
	col.remove(r, c.now, c.sim.lag(c.by))
	if err := c.effect(k, "delete", r); err != nil {
		return err
	}
	c.tell(k, "delete", r, r.fields)
	return c.follow(k, "delete", r, r.fields)
}

func (c *call) effect(k *kind, op string, r *row) error {
	if k.silent || c.by == "seed" {
		return nil
	}
	hash, err := hashOf(r.fields)
	if err != nil {
		return err
	}
	e := Effect{
		At: c.now.UTC().Truncate(time.Microsecond), Account: c.world.account, Entity: k.name, Op: op, ID: r.id,
		Version: r.version, Hash: hash, By: c.by,
	}
	if k.key != "" {
		e.Key = textOf(fieldOf(r.fields, k.key))
	}
	if k.marker != "" {
		e.Marker = textOf(fieldOf(r.fields, k.marker))
	}
	return c.sim.journal.add(e)
}

// follow carries out what a write does to other collections.
func (c *call) follow(k *kind, op string, r *row, old map[string]any) error {
	for i := range k.then {
		t := &k.then[i]
		if !t.on(op, verbOf(op, old)) {
			continue
		}
		was := map[string]any{"row": c.vars["row"], "old": c.vars["old"]}
		c.vars["row"], c.vars["old"] = r.fields, orNil(old)
		err := c.consequence(t)
		maps.Copy(c.vars, was)
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) consequence(t *consequence) error {
	if t.when != nil {
		if yes, err := t.when.True(c); err != nil || !yes {
			return err
		}
	}
	if t.each == nil {
		return c.consequenceOnce(t)
	}
	v, err := t.each.value(c)
	if err != nil {
		return err
	}
	list, _ := v.([]any)
	was := map[string]any{"row": c.vars["row"], "old": c.vars["old"]}
	for _, item := range list {
		maps.Copy(c.vars, was) // the write before this one has left its own row there
		if err := c.with("item", item, func() error { return c.consequenceOnce(t) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) consequenceOnce(t *consequence) error {
	set, err := c.object(t.set)
	if err != nil {
		return err
	}
	col := c.world.collections[t.target]
	if t.do == "insert" {
		if len(t.unless) > 0 {
			f, err := c.where(t.unless)
			if err != nil || col.find(f) != nil {
				return err
			}
		}
		return c.addRow(col, t, set)
	}
	f, err := c.where(t.where)
	if err != nil {
		return err
	}
	_, err = c.asSystem(func() (*row, error) { return nil, c.changeAll(col, t.do, f, set) })
	return err
}

func (c *call) changeAll(col *collection, do string, f filter, set map[string]any) error {
	for _, r := range slices.Clone(col.candidates(f, false)) {
		if r.gone || !f.match(r.fields) {
			continue
		}
		var err error
		if do == "remove" {
			err = c.erase(col, r)
		} else {
			err = c.update(col, r, nil, set)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) addRow(col *collection, t *consequence, set map[string]any) error {
	fields := map[string]any{}
	if t.take != nil {
		v, err := t.take.value(c)
		if err != nil {
			return err
		}
		m, _ := v.(map[string]any)
		maps.Copy(fields, m)
	}
	maps.Copy(fields, set)
	_, err := c.asSystem(func() (*row, error) { return c.create(col, fields, nil) })
	return err
}

// asSystem is for what the far side does by itself: read-only fields may change, and rules that stop
// callers from deleting do not stop it.
func (c *call) asSystem(f func() (*row, error)) (*row, error) {
	was := c.by
	if was == "api" {
		c.by = "system"
	}
	defer func() { c.by = was }()
	return f()
}

// where is a filter of fields that must have given values.
func (c *call) where(list []named) (filter, error) {
	f := allOf{}
	for _, one := range list {
		v, err := one.value.value(c)
		if err != nil {
			return nil, err
		}
		f = append(f, &condition{path: splitPath(one.name), op: "eq", value: v})
	}
	return f, nil
}

// exists says whether a reference leads anywhere.
func (c *call) exists(entity, by string, v any) bool {
	col := c.world.collections[entity]
	if col == nil {
		return false
	}
	if by == "" {
		return col.rows[textOf(v)] != nil
	}
	return col.find(&condition{path: splitPath(by), op: "eq", value: v}) != nil
}
