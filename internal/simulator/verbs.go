package simulator

import (
	"net/http"
	"slices"
	"strings"
)

// act does what the route says and makes the answer.
func (c *call) act() (answer, error) {
	if !c.route.spec.Public {
		if err := c.demand(c.sim.plan.only); err != nil {
			return answer{}, err
		}
	}
	with, err := c.object(c.route.with)
	if err != nil {
		return answer{}, err
	}
	c.vars["with"] = with
	if err := c.demand(c.route.only); err != nil {
		return answer{}, err
	}
	switch c.route.spec.Do {
	case "read":
		return c.doRead()
	case "list":
		return c.doList()
	case "create":
		return c.doCreate()
	case "update", "upsert":
		return c.doUpdate()
	case "delete":
		return c.doDelete()
	case "move":
		return c.doMove()
	case "batch":
		return c.doBatch()
	case "login":
		return c.doLogin()
	case "logout":
		return c.doLogout()
	case "token":
		return c.doToken()
	case "job":
		return c.doJob()
	}
	return c.render(c.route.answer, nil)
}

// demand refuses where a condition does not hold.
func (c *call) demand(list []demand) error {
	for _, d := range list {
		yes, err := d.when.True(c)
		if err != nil {
			return err
		}
		if !yes {
			return d.refusal(c)
		}
	}
	return nil
}

func (c *call) collection() *collection { return c.world.collections[c.route.spec.Of] }

// scoped are the fields that every row of the route has.
func (c *call) scoped() (map[string]any, error) { return c.object(c.route.scope) }

func (c *call) missing() error {
	return &refusal{name: "not_found", entity: c.route.spec.Of, message: "not found"}
}

func (c *call) doRead() (answer, error) {
	r, err := c.locate(c.route.find)
	if err != nil {
		return answer{}, err
	}
	if r == nil {
		return answer{}, c.missing()
	}
	return c.answerRow(r)
}

// answerRow answers with one row in its shape.
func (c *call) answerRow(r *row) (answer, error) {
	c.vars["row"] = r.fields
	item, err := c.shaped(c.route.shape, r.fields)
	if err != nil {
		return answer{}, err
	}
	c.vars["item"] = item
	return c.render(c.route.answer, item)
}

func (c *call) shaped(s shape, fields map[string]any) (any, error) {
	if s == nil {
		return fields, nil
	}
	var out any
	err := c.with("row", fields, func() (err error) {
		out, err = s.value(c)
		return err
	})
	return out, err
}

// taken are the fields that a write brings.
func (c *call) taken(s shape) (map[string]any, error) {
	v := c.vars["body"]
	if s != nil {
		var err error
		if v, err = s.value(c); err != nil {
			return nil, err
		}
	}
	if c.sim.plan.values == "wrapped" {
		v = unwrap(v)
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, refuse("malformed", "an object is expected")
	}
	return fields, nil
}

// settings are the fields that the route itself gives to a write.
func (c *call) settings() (map[string]any, error) {
	set, err := c.scoped()
	if err != nil {
		return nil, err
	}
	return set, c.assign(set, c.route.set)
}

func (c *call) doCreate() (answer, error) {
	input, err := c.taken(c.route.take)
	if err != nil {
		return answer{}, err
	}
	set, err := c.settings()
	if err != nil {
		return answer{}, err
	}
	r, err := c.create(c.collection(), input, set)
	if err != nil {
		return answer{}, err
	}
	return c.answerRow(r)
}

// doUpdate changes a row; an upsert makes it when there is none.
func (c *call) doUpdate() (answer, error) {
	input, err := c.taken(c.route.take)
	if err != nil {
		return answer{}, err
	}
	r, err := c.target(input)
	if err != nil {
		return answer{}, err
	}
	if err := c.precondition(r); err != nil {
		return answer{}, err
	}
	set, err := c.settings()
	if err != nil {
		return answer{}, err
	}
	if c.route.spec.Do == "upsert" {
		c.vars["created"] = r == nil
	}
	switch {
	case r == nil && c.route.spec.Do == "update":
		err = c.missing()
	case r == nil:
		r, err = c.create(c.collection(), input, set)
	default:
		err = c.update(c.collection(), r, input, set)
	}
	if err != nil {
		return answer{}, err
	}
	return c.answerRow(r)
}

// precondition obeys If-Match: *, If-None-Match: * and the vendor's own version.
func (c *call) precondition(r *row) error {
	header, _ := c.vars["header"].(map[string]any)
	if c.route.spec.Match {
		if header["if_none_match"] == "*" && r != nil {
			return &refusal{name: "precondition", code: "exists", id: r.id, message: "the record exists already"}
		}
		if header["if_match"] == "*" && r == nil {
			return &refusal{name: "precondition", code: "missing", message: "the record does not exist"}
		}
	}
	if c.route.lock == nil || r == nil {
		return nil
	}
	known, err := c.route.lock.value(c)
	if err != nil || blank(known) {
		return err
	}
	if have := r.fields[c.collection().kind.version]; textOf(known) != textOf(have) {
		return &refusal{name: "conflict", id: r.id, message: "the record was changed by somebody else"}
	}
	return nil
}

func (c *call) doDelete() (answer, error) {
	r, err := c.locate(c.route.find)
	if err != nil {
		return answer{}, err
	}
	if r == nil {
		return answer{}, c.missing()
	}
	if err := c.erase(c.collection(), r); err != nil {
		return answer{}, err
	}
	return c.answerRow(r)
}

// doList finds, sorts and cuts into pages.
func (c *call) doList() (answer, error) {
	f, err := c.filter()
	if err != nil {
		return answer{}, err
	}
	p, err := c.page()
	if err != nil {
		return answer{}, err
	}
	order, err := c.sorting()
	if err != nil {
		return answer{}, err
	}
	found := c.found(f, order)
	if c.fault == ShiftPages && p.offset > 0 {
		p.offset += 1 - 2*c.sim.rand.IntN(2)
	}
	list := p.cut(found)
	c.vars["page"] = p.vars(len(found), list)
	items := make([]any, len(list))
	for i, one := range list {
		if items[i], err = c.shaped(c.route.shape, one.fields); err != nil {
			return answer{}, err
		}
	}
	c.vars["items"] = items
	if p.spec != nil {
		for _, h := range p.spec.headers {
			v, err := h.value.value(c)
			if err != nil {
				return answer{}, err
			}
			c.header.Set(h.name, textOf(v))
		}
	}
	return c.render(c.route.answer, items)
}

// sight is a row as a list sees it.
type sight struct {
	*row
	fields map[string]any
}

func (c *call) found(f filter, order []sortKey) []sight {
	col := c.collection()
	lagging := c.route.spec.Lagging
	var list []sight
	for _, r := range col.candidates(f, lagging) {
		if fields := r.seen(c.now, lagging); fields != nil && f.match(fields) {
			list = append(list, sight{r, fields})
		}
	}
	if len(order) == 0 {
		order = col.kind.order
	}
	if len(order) > 0 {
		slices.SortStableFunc(list, func(a, b sight) int { return compareBy(order, a.fields, b.fields) })
	}
	return list
}

// sortKey is one field of an order.
type sortKey struct {
	field   string
	descend bool
}

func compareBy(order []sortKey, a, b map[string]any) int {
	for _, key := range order {
		va, vb := fieldOf(a, key.field), fieldOf(b, key.field)
		n := 0
		switch {
		case blank(va) && blank(vb):
		case blank(va):
			n = -1
		case blank(vb):
			n = 1
		default:
			if n, _ = compare(va, vb); n == 0 {
				n = strings.Compare(textOf(va), textOf(vb))
			}
		}
		if n != 0 {
			if key.descend {
				return -n
			}
			return n
		}
	}
	return 0
}

// sorting is the order that the caller wants.
func (c *call) sorting() ([]sortKey, error) {
	s := c.route.sort
	if s == nil {
		return nil, nil
	}
	v, err := s.by.value(c)
	if err != nil || blank(v) {
		return nil, err
	}
	descend := false
	if s.descend != nil {
		if descend, err = s.descend.True(c); err != nil {
			return nil, err
		}
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var order []sortKey
	for _, one := range list {
		key, err := s.key(one, descend)
		if err != nil {
			return nil, err
		}
		order = append(order, key)
	}
	return order, nil
}

// key reads one wish: "name", "-name" or {name and direction}.
func (s *sorting) key(v any, descend bool) (sortKey, error) {
	key := sortKey{descend: descend}
	if m, ok := v.(map[string]any); ok {
		key.descend = m[s.spec.Way] == s.spec.Down
		v = m[s.spec.Field]
	}
	name, down := strings.CutPrefix(textOf(v), "-")
	key.field, key.descend = name, key.descend || down
	if len(s.fields) == 0 {
		return key, nil
	}
	field, ok := s.fields[name]
	if !ok {
		return key, &refusal{name: "invalid", code: "sort", faults: []fault{{field: name, code: "unknown_field"}}}
	}
	key.field = field
	return key, nil
}

// doMove changes the state, as a button in the far side's screen does.
func (c *call) doMove() (answer, error) {
	r, err := c.locate(c.route.find)
	if err != nil {
		return answer{}, err
	}
	name, err := c.route.move.value(c)
	if err != nil {
		return answer{}, err
	}
	col := c.collection()
	m := col.kind.moves[textOf(name)]
	if m == nil {
		return answer{}, &refusal{name: "no_action", code: textOf(name), message: "there is no such action"}
	}
	if r == nil {
		return answer{}, c.missing()
	}
	c.vars["row"] = r.fields
	if err := c.allowed(col.kind, m, r); err != nil {
		return answer{}, err
	}
	if later := c.route.later; later != nil {
		if yes, err := later.wanted(c); err != nil || yes {
			if err != nil {
				return answer{}, err
			}
			return c.postpone(later, col, m, r)
		}
	}
	if err := c.move(col, m, r); err != nil {
		return answer{}, err
	}
	c.vars["row"] = r.fields
	return c.render(c.route.answer, nil)
}

func (c *call) allowed(k *kind, m *move, r *row) error {
	state := textOf(r.fields[k.state])
	if len(m.from) > 0 && !slices.Contains(m.from, state) {
		return &refusal{name: "blocked", code: "state", entity: k.name, id: r.id,
			message: m.name + " is not possible in the state " + state,
			extra:   map[string]any{"action": m.name, "state": state}}
	}
	return c.demand(m.only)
}

func (c *call) move(col *collection, m *move, r *row) error {
	set, err := c.object(m.set)
	if err != nil {
		return err
	}
	if m.to != "" {
		set[col.kind.state] = m.to
	}
	was := c.by
	if c.by == "api" {
		c.by = "system"
	}
	fields, err := c.prepare(col, r, nil, set)
	c.by = was
	if err != nil {
		return err
	}
	return c.commit(col, r, fields, m.name)
}

// renamed gives one field of the answer another name, as an update of the far side may.
func (c *call) renamed(body any) any {
	switch body := body.(type) {
	case []any:
		out := make([]any, len(body))
		for i, v := range body {
			out[i] = v
			if i == 0 {
				out[i] = c.renamed(v)
			}
		}
		return out
	case map[string]any:
		keys := sortedKeys(body)
		if len(keys) == 0 {
			return body
		}
		out := map[string]any{}
		hit := keys[c.sim.rand.IntN(len(keys))]
		for _, key := range keys {
			if key == hit {
				out[key+"_v2"] = body[key]
			} else {
				out[key] = body[key]
			}
		}
		return out
	}
	return body
}

// writes says whether a route may have an effect.
func (r *route) writes() bool {
	switch r.spec.Do {
	case "create", "update", "upsert", "delete", "move":
		return true
	case "batch":
		return r.spec.Batch.Each != "read"
	}
	return false
}

// doJob tells how far a postponed move is.
func (c *call) doJob() (answer, error) {
	path, _ := c.vars["path"].(map[string]any)
	j := c.world.jobs[textOf(path["job"])]
	if j == nil {
		return answer{}, c.missing()
	}
	if c.now.Before(j.due) {
		a, err := c.render(nil, nil)
		a.status = http.StatusAccepted
		a.header.Set("Location", j.location)
		return a, err
	}
	if j.failed != nil {
		return answer{}, j.failed
	}
	return c.render(c.route.answer, nil)
}
