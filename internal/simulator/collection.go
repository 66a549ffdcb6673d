package simulator

import (
	"slices"
	"strings"
	"time"
)

// row is one record of the far side. Its fields are never changed in place: a write puts a new map
// there, so what was read stays what it was.
type row struct {
	id      string
	fields  map[string]any
	version int64
	seq     int64
	gone    bool

	shown   map[string]any // what a lagging search still sees; nil: nothing yet
	shownIn time.Time      // from when the search sees fields
}

// seen is what a reader finds: at once, or what the search index knows by now.
func (r *row) seen(now time.Time, lagging bool) map[string]any {
	if !lagging || !now.Before(r.shownIn) {
		if r.gone {
			return nil
		}
		return r.fields
	}
	return r.shown
}

// collection holds the rows of one entity in one account.
type collection struct {
	kind     *kind
	rows     map[string]*row
	order    []*row // by creation; rows that are gone stay until there are many
	gone     int
	seq      int64
	index    map[string]map[string][]*row // of single fields
	unique   []map[string]*row            // one for each of kind.unique
	counters map[string]int64
	late     []*row // rows that a lagging search does not see as they are
}

func newCollection(k *kind) *collection {
	c := &collection{kind: k, rows: map[string]*row{}, index: map[string]map[string][]*row{}, counters: map[string]int64{}}
	for _, field := range k.indexed {
		c.index[field] = map[string][]*row{}
	}
	for range k.unique {
		c.unique = append(c.unique, map[string]*row{})
	}
	return c
}

// next counts: ids and numbers that the far side gives by itself.
func (c *collection) next(counter string, start int64) int64 {
	if n, ok := c.counters[counter]; ok {
		start = n + 1
	}
	c.counters[counter] = start
	return start
}

// put stores fields as the row's new state; lag is how long searches stay behind.
func (c *collection) put(r *row, fields map[string]any, now time.Time, lag time.Duration) {
	fresh := r.fields == nil
	if fresh {
		c.seq++
		r.seq = c.seq
		c.rows[r.id] = r
		c.order = append(c.order, r)
	} else {
		c.unlink(r)
		if !now.Before(r.shownIn) {
			r.shown = r.fields
		}
	}
	r.fields = fields
	r.version++
	r.shownIn = now.Add(lag)
	c.link(r)
	if lag > 0 {
		c.late = append(slices.DeleteFunc(c.late, func(o *row) bool { return o == r || !now.Before(o.shownIn) }), r)
	}
}

func (c *collection) remove(r *row, now time.Time, lag time.Duration) {
	c.unlink(r)
	delete(c.rows, r.id)
	if !now.Before(r.shownIn) {
		r.shown = r.fields
	}
	r.gone, r.shownIn = true, now.Add(lag)
	if lag > 0 {
		c.late = append(slices.DeleteFunc(c.late, func(o *row) bool { return o == r }), r)
	}
	if c.gone++; c.gone > 1000 && c.gone > len(c.order)/2 {
		c.order = slices.DeleteFunc(c.order, func(r *row) bool { return r.gone })
		c.gone = 0
	}
}

func (c *collection) link(r *row) {
	for field, index := range c.index {
		if key := fold(fieldOf(r.fields, field)); key != "" {
			index[key] = append(index[key], r)
		}
	}
	for i, u := range c.kind.unique {
		if key := u.key(r.fields); key != "" {
			c.unique[i][key] = r
		}
	}
}

func (c *collection) unlink(r *row) {
	for field, index := range c.index {
		key := fold(fieldOf(r.fields, field))
		if rest := slices.DeleteFunc(index[key], func(o *row) bool { return o == r }); len(rest) > 0 {
			index[key] = rest
		} else {
			delete(index, key)
		}
	}
	for i, u := range c.kind.unique {
		if key := u.key(r.fields); c.unique[i][key] == r {
			delete(c.unique[i], key)
		}
	}
}

// twin is the other row that fields would collide with.
func (c *collection) twin(fields map[string]any, self *row) (*row, *uniqueSet) {
	for i := range c.kind.unique {
		u := &c.kind.unique[i]
		if key := u.key(fields); key != "" {
			if other := c.unique[i][key]; other != nil && other != self {
				return other, u
			}
		}
	}
	return nil, nil
}

// candidates are the rows that may match f, in the order of creation.
func (c *collection) candidates(f filter, lagging bool) []*row {
	for _, p := range pins(f) {
		index, ok := c.index[strings.Join(p.path, ".")]
		if !ok {
			continue
		}
		list := index[fold(p.value)]
		if lagging && len(c.late) > 0 {
			list = append(slices.Clone(list), c.late...)
			slices.SortFunc(list, func(a, b *row) int { return int(a.seq - b.seq) })
			list = slices.Compact(list)
		}
		return list
	}
	return c.order
}

// find is the first row that matches, as it is now.
func (c *collection) find(f filter) *row {
	for _, r := range c.candidates(f, false) {
		if !r.gone && f.match(r.fields) {
			return r
		}
	}
	return nil
}

// fieldOf reads a field by its path, which may lead into linked objects.
func fieldOf(fields map[string]any, path string) any {
	if !strings.Contains(path, ".") {
		return fields[path]
	}
	var v any = fields
	for _, part := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	return v
}

func fold(v any) string { return strings.ToLower(textOf(v)) }

// uniqueSet is a set of fields that no two rows share.
type uniqueSet struct {
	by      []string
	fold    bool
	blank   bool
	message shape
	refusal string
}

// key joins the fields; "" when an empty one keeps the row out of the comparison.
func (u uniqueSet) key(fields map[string]any) string {
	parts := make([]string, len(u.by))
	empty := true
	for i, name := range u.by {
		s := textOf(fieldOf(fields, name))
		if u.fold {
			s = strings.ToLower(s)
		}
		if s == "" && !u.blank {
			return ""
		}
		empty = empty && s == ""
		parts[i] = s
	}
	if empty {
		return ""
	}
	return strings.Join(parts, "\x00")
}
