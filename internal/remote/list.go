package remote

import (
	"context"
	"fmt"
	"maps"
	"time"

	"throughline/internal/connector"
)

// maxPages bounds one reading; the cursor lets the next one go on.
const maxPages = 10_000

// List reads a list page by page: what changed since the instant, less the overlap, with what more the
// list's expressions read. It says when the newest change was; since where none is newer. A list that is
// asked for each record of another kind is asked for all of them.
func (c *Client) List(ctx context.Context, conn *Connection, l *connector.ListOp, since time.Time, vars Vars, page func([]any) error) (newest time.Time, err error) {
	if l.Per == nil {
		return c.pages(ctx, conn, l, since, vars, page)
	}
	var parents []any
	if _, err := c.pages(ctx, conn, l.Per.List, time.Time{}, nil, func(rows []any) error { parents = append(parents, rows...); return nil }); err != nil {
		return since, err
	}
	newest = since
	for _, parent := range parents {
		own := maps.Clone(vars)
		if own == nil {
			own = Vars{}
		}
		own["parent"] = parent
		at, err := c.pages(ctx, conn, l, since, own, page)
		if err != nil {
			return newest, err
		}
		if at.After(newest) {
			newest = at
		}
	}
	return newest, nil
}

// pages reads one list to its end, or to where it is known already.
func (c *Client) pages(ctx context.Context, conn *Connection, l *connector.ListOp, since time.Time, vars Vars, page func([]any) error) (newest time.Time, err error) {
	from, pager := since.Add(-l.Spec.Overlap.D), l.Pager()
	newest = since
	for range maxPages {
		ask := maps.Clone(vars)
		if ask == nil {
			ask = Vars{}
		}
		ask["since"], ask["page"] = from, pager.Vars()
		answer, err := c.Call(ctx, conn, l.Op, ask)
		if err != nil {
			return newest, err
		}
		rows := answer.Items()
		for _, x := range rows {
			at, err := l.ChangedAt(x)
			if err != nil {
				return newest, err
			}
			if at.After(newest) {
				newest = at
			}
		}
		fresh, known, err := l.Fresh(rows, from)
		if err != nil {
			return newest, err
		}
		records, err := l.Records(answer, fresh)
		if err != nil {
			return newest, err
		}
		if err := page(records); err != nil {
			return newest, err
		}
		more, err := pager.Next(answer, len(rows))
		if err != nil || known || !more {
			return newest, err
		}
	}
	return newest, fmt.Errorf("%s: the list has no end after %d pages", l.Name, maxPages)
}
