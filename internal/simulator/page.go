package simulator

import (
	"slices"
	"strconv"
)

// page is the part of a list that was asked for.
type page struct {
	spec   *pagePlan
	size   int
	offset int
	number int
	after  int64 // rows after this one, by order of creation
}

// page reads what the caller asks for.
func (c *call) page() (*page, error) {
	spec := c.route.page
	if spec == nil {
		return &page{size: -1}, nil
	}
	p := &page{spec: spec, size: spec.standard}
	size, asked, err := c.whole(spec.size)
	if err != nil {
		return nil, err
	}
	if asked {
		p.size = size
	}
	if p.size < 1 || spec.max > 0 && p.size > spec.max {
		if spec.over == "refuse" {
			return nil, pageFault("limit", p.size, spec.max)
		}
		p.size = min(max(p.size, 1), max(spec.max, 1))
	}
	return p, c.position(p)
}

func pageFault(name string, v, limit int) error {
	return &refusal{name: "invalid", code: "page", faults: []fault{{field: name, code: "page", value: int64(v), limit: int64(limit)}}}
}

func (c *call) position(p *page) error {
	if p.spec.style == "after" && p.spec.cursor == "id" {
		return c.cursor(p)
	}
	n, asked, err := c.whole(p.spec.at)
	if err != nil || !asked {
		p.number = p.spec.first
		return err
	}
	p.number, p.offset = n, n
	if p.spec.style == "page" {
		p.offset = (n - p.spec.first) * p.size
	}
	if p.offset < 0 {
		return pageFault("page", n, 0)
	}
	if p.spec.window > 0 && p.offset+p.size > p.spec.window {
		return pageFault("after", p.offset, p.spec.window)
	}
	return nil
}

// cursor continues after the row whose id it holds, whatever has come before it meanwhile.
func (c *call) cursor(p *page) error {
	if p.spec.at == nil {
		return nil
	}
	v, err := p.spec.at.value(c)
	if err != nil || blank(v) {
		return err
	}
	col := c.collection()
	if r := col.rows[textOf(v)]; r != nil {
		p.after = r.seq
		return nil
	}
	for _, r := range col.order {
		if r.id == textOf(v) {
			p.after = r.seq // the row went while the caller was paging
			return nil
		}
	}
	return &refusal{name: "invalid", code: "cursor", faults: []fault{{field: "after", code: "page", value: v}}}
}

// whole reads a whole number that the caller may leave out.
func (c *call) whole(s shape) (n int, asked bool, err error) {
	if s == nil {
		return 0, false, nil
	}
	v, err := s.value(c)
	if err != nil || blank(v) {
		return 0, false, err
	}
	n, bad := strconv.Atoi(textOf(v))
	if bad != nil {
		return 0, false, &refusal{name: "invalid", code: "page", faults: []fault{{field: "page", code: "bad_type", value: v}}}
	}
	return n, true, nil
}

func (p *page) cut(list []sight) []sight {
	if p.size < 0 {
		return list
	}
	if p.after > 0 {
		n := slices.IndexFunc(list, func(s sight) bool { return s.seq > p.after })
		if n < 0 {
			n = len(list)
		}
		p.offset = n
	}
	from := min(max(p.offset, 0), len(list))
	return list[from:min(from+p.size, len(list))]
}

// vars is what expressions see as "page".
func (p *page) vars(total int, list []sight) map[string]any {
	end := max(p.offset, 0) + len(list)
	v := map[string]any{
		"total": int64(total), "count": int64(len(list)), "size": int64(p.size), "number": int64(p.number),
		"offset": int64(p.offset), "last": end >= total, "next": nil,
	}
	if end < total && p.spec != nil {
		switch {
		case p.spec.style == "page":
			v["next"] = strconv.Itoa(p.number + 1)
		case p.spec.style == "after" && p.spec.cursor == "id":
			v["next"] = list[len(list)-1].id
		default:
			v["next"] = strconv.Itoa(end)
		}
	}
	return v
}
