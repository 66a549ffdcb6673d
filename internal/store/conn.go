package store

import (
	"context"
	"errors"

	"throughline/internal/sqlite"
)

// conn is one connection to a SQLite file. One goroutine at a time uses it.
type conn struct {
	*sqlite.Conn
	statements map[string]*statement
}

// statement is compiled once: the texts are constants and filters' few combinations. One whose rows are still
// open is not run again; somebody who asks the same within runs another one.
type statement struct {
	*sqlite.Stmt
	open bool
	once bool // it ends with its rows
}

func (c *conn) exec(ctx context.Context, q string, args ...any) (int64, error) {
	st, err := c.statement(q)
	if err != nil {
		return 0, err
	}
	n, err := st.Exec(ctx, args...)
	return n, errors.Join(err, st.end())
}

func (c *conn) each(ctx context.Context, q string, args [][]any) (_ []int64, err error) {
	if len(args) == 0 {
		return nil, nil
	}
	st, err := c.statement(q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.end()) }()
	counts := make([]int64, len(args))
	for i, a := range args {
		if counts[i], err = st.Exec(ctx, a...); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

func (c *conn) put(ctx context.Context, q string, args [][]any, explain func(error) error) error {
	_, err := c.each(ctx, q, args)
	if err != nil && explain != nil {
		err = explain(err)
	}
	return err
}

func (c *conn) query(ctx context.Context, q string, args ...any) (rows, error) {
	st, err := c.statement(q)
	if err != nil {
		return nil, err
	}
	if err := st.Query(ctx, args...); err != nil {
		return nil, errors.Join(err, st.end())
	}
	st.open = true
	return &connRows{statement: st, ctx: ctx}, nil
}

func (c *conn) statement(q string) (*statement, error) {
	known := c.statements[q]
	if known != nil && !known.open {
		return known, nil
	}
	st, err := c.Prepare(q)
	if err != nil {
		return nil, err
	}
	made := &statement{Stmt: st, once: known != nil}
	if !made.once {
		c.statements[q] = made
	}
	return made, nil
}

// end is called when a statement's rows are read.
func (st *statement) end() error {
	st.open = false
	if st.once {
		return st.Close()
	}
	return nil
}

// close closes what nobody else would: left open, statements keep the database from being folded into its one file.
func (c *conn) close() error {
	var errs []error
	for _, st := range c.statements {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, c.Close())...)
}

// connRows are read one after the other, and closed by who asked.
type connRows struct {
	*statement
	ctx    context.Context
	err    error
	closed bool
}

func (r *connRows) Next() bool {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	if r.err != nil || r.closed {
		return false
	}
	var more bool
	more, r.err = r.statement.Next()
	return more
}

func (r *connRows) Err() error { return r.err }

func (r *connRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.Reset()
	r.err = errors.Join(r.err, r.end())
}
