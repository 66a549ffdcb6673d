package connector

import "fmt"

// Pager walks through a list's pages.
type Pager struct {
	list   *ListOp
	number int64
	offset int64
	cursor any
	link   string
}

// Pager begins at the first page.
func (l *ListOp) Pager() *Pager { return &Pager{list: l, number: 1} }

// Vars is what expressions read as page: number, offset, size and cursor.
func (p *Pager) Vars() map[string]any {
	size := int64(0)
	if p.list.Page != nil {
		size = int64(p.list.Page.Max)
	}
	return map[string]any{"number": p.number, "offset": p.offset, "size": size, "cursor": p.cursor, "link": p.link}
}

// Next moves to the next page; false at the end. A list without paging has one page. An empty page ends a list that
// does not name the next one: some vendors take out of a page what the caller may not see.
func (p *Pager) Next(a *Answer, rows int) (bool, error) {
	spec := p.list.Page
	if spec == nil || rows == 0 && p.list.Next == nil {
		return false, nil
	}
	p.number++
	p.offset += int64(rows)
	if p.list.Next != nil {
		v, err := p.list.Next.Eval(a.vars)
		if err != nil || v == nil || v == "" {
			return false, err
		}
		if p.cursor != nil && fmt.Sprint(p.cursor) == fmt.Sprint(v) {
			return false, fmt.Errorf("%s: the list's next page is the page itself", p.list.Name)
		}
		p.cursor = v
		if spec.Link {
			p.link = fmt.Sprint(v)
		}
		return true, nil
	}
	if p.list.Last != nil {
		last, err := p.list.Last.True(a.vars)
		return !last, err
	}
	return rows >= spec.Max, nil
}

// paging are the query parameters that ask for a page.
func (p *Page) query(page map[string]any) map[string]string {
	out := map[string]string{}
	for param, key := range map[string]string{p.Number: "number", p.Offset: "offset", p.Cursor: "cursor", p.Size: "size"} {
		if v := page[key]; param != "" && v != nil {
			out[param] = fmt.Sprint(v)
		}
	}
	return out
}
