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

// Row is a record of a list, with the instant at which the row that holds it changed; zero where the list
// does not tell.
type Row struct {
	Record  any
	Changed time.Time
	Err     error // when it changed cannot be read
}

// List is Rows for whom it does not matter when each record changed.
func (c *Client) List(ctx context.Context, conn *Connection, l *connector.ListOp, since time.Time, vars Vars, page func([]any) error) (newest time.Time, err error) {
	return c.Rows(ctx, conn, l, since, vars, func(rows []Row) error {
		records := make([]any, len(rows))
		for i, r := range rows {
			if r.Err != nil {
				return r.Err
			}
			records[i] = r.Record
		}
		return page(records)
	})
}

// Rows reads a list page by page: what changed since the instant, less the overlap, with what more the
// list's expressions read. It says when the newest change was; since where none is newer. A list that is
// asked for each record of another kind is asked for all of them.
func (c *Client) Rows(ctx context.Context, conn *Connection, l *connector.ListOp, since time.Time, vars Vars, page func([]Row) error) (newest time.Time, err error) {
	if l.Per == nil {
		return c.pages(ctx, conn, l, since, vars, page)
	}
	var parents []any
	if _, err := c.pages(ctx, conn, l.Per.List, time.Time{}, nil, func(rows []Row) error {
		for _, r := range rows {
			parents = append(parents, r.Record)
		}
		return nil
	}); err != nil {
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
func (c *Client) pages(ctx context.Context, conn *Connection, l *connector.ListOp, since time.Time, vars Vars, page func([]Row) error) (newest time.Time, err error) {
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
			if at, err := l.ChangedAt(x); err == nil && at.After(newest) { // one that does not tell is told of by its Row
				newest = at
			}
		}
		fresh, known := l.Fresh(rows, from)
		records, err := recordsOf(l, answer, fresh)
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

// recordsOf are the records in rows of an answer.
func recordsOf(l *connector.ListOp, a *connector.Answer, rows []any) ([]Row, error) {
	out := make([]Row, 0, len(rows))
	for i, x := range rows {
		at, unread := l.ChangedAt(x)
		records, err := l.Records(a, rows[i:i+1])
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			out = append(out, Row{Record: r, Changed: at, Err: unread})
		}
	}
	return out, nil
}
