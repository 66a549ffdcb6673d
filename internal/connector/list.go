package connector

import (
	"fmt"
	"time"

	"throughline/internal/expr"
	"throughline/internal/specfile"
)

// ListOp reads pages. Of each page (Answer.Items), Fresh keeps the rows that are new, and Records finds
// the records in them. A list that is asked once for each record of another kind (Per) reads that record
// as parent.
type ListOp struct {
	*Op
	Changed *expr.Program
	Spec    *List
	Page    *Page
	Next    *expr.Program
	Last    *expr.Program
	Per     *Kind // nil unless the list is asked per record of this kind, all of which its own List gives

	each *expr.Program
}

// lists compiles the three lists that a kind may have.
func (k *compiler) lists(kind *Kind, r *Record, page *Page) {
	if r.List != nil {
		kind.List = k.list(kind.Name+".list", r.List, r.Path, page)
	}
	if r.Sweep != nil {
		kind.Sweep = k.list(kind.Name+".sweep", r.Sweep, r.Path, page)
	}
	if r.Deleted != nil {
		kind.Deleted = k.list(kind.Name+".deleted", &r.Deleted.List, nil, page)
		kind.gone = k.expr(r.Deleted.ID, expr.Dyn)
	}
}

func (k *compiler) list(name string, l *List, at *specfile.Template, page *Page) *ListOp {
	if l.Page != nil {
		page = l.Page
	}
	op := k.optional(name, &l.Call, nil, at, "list")
	op.list = true
	out := &ListOp{Op: op, Changed: k.expr(l.Changed, expr.Dyn), Spec: l, Page: page, each: k.expr(l.Each, expr.Dyn)}
	if page != nil {
		op.page = page
		out.Next, out.Last = k.expr(page.Next, expr.Dyn), k.expr(page.Last, expr.Bool)
	}
	if l.Order == "newest_first" && out.Changed == nil {
		k.problem(l.Pos, name, "order newest_first needs changed, to know where to stop", "Add changed: with the instant that the list is sorted by.")
	}
	return out
}

// parents finds the kinds that lists are asked per, once all of them are known.
func (k *compiler) parents(c *Connector) {
	for _, kind := range c.kinds {
		for _, l := range []*ListOp{kind.List, kind.Deleted, kind.Sweep} {
			if l == nil || l.Spec.Per == "" {
				continue
			}
			if l.Per = c.kinds[l.Spec.Per]; l.Per == nil || l.Per.List == nil {
				k.problem(l.Spec.Pos, l.Name, fmt.Sprintf("there is no record %q with a list to ask per", l.Spec.Per), "Name one of the connector's records that has list:.")
			}
		}
	}
}

// Records are what rows of a page hold: one record each, or what each finds in them.
func (l *ListOp) Records(a *Answer, rows []any) ([]any, error) {
	if l.each == nil {
		return rows, nil
	}
	vars := make(map[string]any, len(a.vars)+1)
	for name, v := range a.vars {
		vars[name] = v
	}
	var out []any
	for _, row := range rows {
		vars["x"] = row
		v, err := l.each.Eval(vars)
		if err != nil {
			return nil, fmt.Errorf("%s: each: %w", l.Name, err)
		}
		list, ok := v.([]any)
		if !ok { // null too: a field that is missing inside would make a whole row's records vanish
			return nil, fmt.Errorf("%s: each gives %T for a row, a list is wanted; [] where it holds nothing", l.Name, v)
		}
		out = append(out, list...)
	}
	return out, nil
}

// ChangedAt is when a row, as the answer has it, changed; zero where the list does not tell.
func (l *ListOp) ChangedAt(x any) (time.Time, error) {
	if l.Changed == nil {
		return time.Time{}, nil
	}
	v, err := l.Changed.Eval(map[string]any{"x": x})
	if err != nil {
		return time.Time{}, err
	}
	t, _ := v.(time.Time)
	return t, nil
}

// Fresh cuts a page at the cursor where the list comes newest first: what changed before since is
// known already, and so are all later pages (done). Rows of the very instant stay, for a vendor's
// clock may be coarse; a row that tells no instant, or none that can be read, stays too. Any other list is left as it is.
func (l *ListOp) Fresh(rows []any, since time.Time) (fresh []any, done bool) {
	if l.Spec.Order != "newest_first" {
		return rows, false
	}
	for _, x := range rows {
		if at, err := l.ChangedAt(x); err == nil && !at.IsZero() && at.Before(since) {
			done = true
			continue
		}
		fresh = append(fresh, x)
	}
	return fresh, done
}

// GoneOf reads from a row of Deleted the id of the record that is gone.
func (k *Kind) GoneOf(x any, settings any) (string, error) {
	if k.gone == nil {
		return k.IDOf(x, settings)
	}
	return k.read(k.gone, x, settings)
}
