package simulator

import "slices"

// doBatch does the same to each item of a list, and answers for each.
func (c *call) doBatch() (answer, error) {
	b := c.route.batch
	items, err := c.items(b)
	if err != nil {
		return answer{}, err
	}
	if b.spec.Atomic {
		if err := c.rehearse(b, items); err != nil {
			return answer{}, err
		}
	}
	bad := c.unlucky(len(items))
	var results, failed []any
	for n, item := range items {
		if c.fault == CutBatch && n == bad[0] {
			c.cut = true // what is done is done; nobody learns of it
			return answer{}, nil
		}
		out, err := c.item(b, item, c.fault == FailItems && slices.Contains(bad, n))
		if err == nil {
			results = append(results, out)
			continue
		}
		if out, err = c.failure(b, item, err); err != nil {
			return answer{}, err
		}
		failed = append(failed, out)
	}
	c.vars["results"], c.vars["failures"] = orEmpty(results), orEmpty(failed)
	if len(failed) > 0 && b.some != nil {
		return c.render(b.some, nil)
	}
	return c.render(c.route.answer, orEmpty(results))
}

func orEmpty(list []any) []any {
	if list == nil {
		return []any{}
	}
	return list
}

func (c *call) items(b *batch) ([]any, error) {
	v, err := b.items.value(c)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, refuse("malformed", "a list of inputs is expected")
	}
	if len(list) > b.spec.Max {
		return nil, &refusal{name: "invalid", code: "batch", message: "too many inputs",
			faults: []fault{{field: "inputs", code: "batch", value: int64(len(list)), limit: int64(b.spec.Max)}}}
	}
	return list, nil
}

// unlucky picks the items that suffer from a fault: up to three that fail, or the one before which
// the connection breaks.
func (c *call) unlucky(n int) []int {
	switch {
	case c.fault == FailItems && n > 0:
		return c.sim.rand.Perm(n)[:min(3, n)]
	case c.fault == CutBatch && n > 1:
		return []int{1 + c.sim.rand.IntN(n-1)}
	case c.fault == CutBatch:
		return []int{0}
	}
	return nil
}

// rehearse checks all items before the first one is written.
func (c *call) rehearse(b *batch, items []any) error {
	seen := map[string]bool{}
	for _, item := range items {
		err := c.with("item", item, func() error { return c.rehearseOne(b, seen) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) rehearseOne(b *batch, seen map[string]bool) error {
	if b.spec.Each == "read" {
		return nil
	}
	r, err := c.locate(b.find)
	if err != nil {
		return err
	}
	if r != nil && b.spec.Twins && seen["id\x00"+r.id] {
		return &refusal{name: "invalid", code: "twins", id: r.id, message: "Duplicate IDs found in batch input"}
	}
	if r != nil {
		seen["id\x00"+r.id] = true
	}
	if b.spec.Each == "delete" || r == nil && b.spec.Each == "update" {
		return nil // an item that is not there is answered by itself
	}
	input, err := c.taken(b.take)
	if err != nil {
		return err
	}
	set, err := c.settings()
	if err != nil {
		return err
	}
	col := c.collection()
	fields, err := c.prepare(col, r, input, set)
	if err != nil {
		return err
	}
	for i, u := range col.kind.unique {
		key := u.key(fields)
		if key = string(rune('0'+i)) + key; len(key) > 1 && seen[key] {
			return &refusal{name: "invalid", code: "twins", message: "Duplicate values found in batch input"}
		}
		seen[key] = true
	}
	return nil
}

func (c *call) item(b *batch, item any, bad bool) (out any, err error) {
	if bad {
		return nil, refuse("unavailable", "this item could not be processed")
	}
	err = c.with("item", item, func() error {
		r, err := c.itemRow(b)
		if err != nil {
			return err
		}
		out, err = c.shaped(b.shape, r.fields)
		return err
	})
	return out, err
}

func (c *call) itemRow(b *batch) (*row, error) {
	r, err := c.locate(b.find)
	if err != nil {
		return nil, err
	}
	col := c.collection()
	if r == nil && b.spec.Each != "create" && b.spec.Each != "upsert" {
		return nil, c.missing()
	}
	switch b.spec.Each {
	case "read":
		return r, nil
	case "delete":
		return r, c.erase(col, r)
	}
	input, err := c.taken(b.take)
	if err != nil {
		return nil, err
	}
	set, err := c.settings()
	if err != nil {
		return nil, err
	}
	if b.spec.Each == "upsert" {
		c.vars["created"] = r == nil
	}
	if r == nil {
		return c.create(col, input, set)
	}
	return r, c.update(col, r, input, set)
}

// failure is what stands for a failed item; anything but a refusal fails the whole call.
func (c *call) failure(b *batch, item any, err error) (any, error) {
	r, ok := isRefusal(err)
	if !ok || b.failed == nil {
		return nil, err
	}
	if err := c.word(r); err != nil {
		return nil, err
	}
	var out any
	err = c.with("item", item, func() error {
		return c.with("error", r.vars(), func() (err error) {
			out, err = b.failed.value(c)
			return err
		})
	})
	return out, err
}
