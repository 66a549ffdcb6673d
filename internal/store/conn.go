package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// conn is one connection to a SQLite file. What it runs it hands to the driver itself: database/sql would add a
// fifth to each row, and more to each question. One goroutine at a time uses it.
type conn struct {
	conn       *sql.Conn
	statements map[string]*statement
	args       []driver.NamedValue
}

// statement is compiled once: the texts are constants and filters' few combinations. One whose rows are still
// open is not run again; somebody who asks the same within runs another one.
type statement struct {
	driver.Stmt
	open bool
	once bool // it ends with its rows
}

func newConn(c *sql.Conn) *conn { return &conn{conn: c, statements: map[string]*statement{}} }

func (c *conn) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = c.conn.Raw(func(raw any) error {
		n, err = c.run(ctx, raw, q, args)
		return err
	})
	return n, err
}

func (c *conn) each(ctx context.Context, q string, args [][]any) ([]int64, error) {
	if len(args) == 0 {
		return nil, nil
	}
	counts := make([]int64, len(args))
	err := c.conn.Raw(func(raw any) (err error) {
		for i, a := range args {
			if counts[i], err = c.run(ctx, raw, q, a); err != nil {
				return err
			}
		}
		return nil
	})
	return counts, err
}

func (c *conn) put(ctx context.Context, q string, args [][]any, explain func(error) error) error {
	_, err := c.each(ctx, q, args)
	if err != nil && explain != nil {
		err = explain(err)
	}
	return err
}

func (c *conn) run(ctx context.Context, raw any, q string, args []any) (int64, error) {
	st, err := c.statement(ctx, raw, q)
	if err != nil {
		return 0, err
	}
	if err := c.bind(args); err != nil {
		return 0, err
	}
	r, err := st.Stmt.(driver.StmtExecContext).ExecContext(ctx, c.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (c *conn) query(ctx context.Context, q string, args ...any) (found rows, err error) {
	err = c.conn.Raw(func(raw any) error {
		st, err := c.statement(ctx, raw, q)
		if err != nil {
			return err
		}
		if err := c.bind(args); err != nil {
			return err
		}
		r, err := st.Stmt.(driver.StmtQueryContext).QueryContext(ctx, c.args)
		if err != nil {
			return err
		}
		st.open = true
		found = &connRows{of: st, rows: r, row: make([]driver.Value, len(r.Columns()))}
		return nil
	})
	return found, err
}

func (c *conn) statement(ctx context.Context, raw any, q string) (*statement, error) {
	known := c.statements[q]
	if known != nil && !known.open {
		return known, nil
	}
	st, err := raw.(driver.ConnPrepareContext).PrepareContext(ctx, q)
	if err != nil {
		return nil, err
	}
	made := &statement{Stmt: st, once: known != nil}
	if !made.once {
		c.statements[q] = made
	}
	return made, nil
}

func (c *conn) bind(args []any) error {
	c.args = c.args[:0]
	for i, a := range args {
		v, err := plain(a)
		if err != nil {
			return err
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return nil
}

// plain is a value as drivers take it.
func plain(v any) (driver.Value, error) {
	switch v := v.(type) {
	case string, int64, []byte, nil:
		return v, nil
	case int:
		return int64(v), nil
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.String {
		return r.String(), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(v)
}

// close closes what nobody else would: left open, statements keep the database from being folded into its one file.
func (c *conn) close() error {
	var errs []error
	for _, st := range c.statements {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

// connRows are read one after the other, and closed by who asked.
type connRows struct {
	of     *statement
	rows   driver.Rows
	row    []driver.Value
	err    error
	closed bool
}

func (r *connRows) Next() bool {
	if r.err != nil || r.closed {
		return false
	}
	r.err = r.rows.Next(r.row)
	return r.err == nil
}

func (r *connRows) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

func (r *connRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	err := r.rows.Close()
	if r.of.once {
		err = errors.Join(err, r.of.Stmt.Close())
	}
	if r.err == nil {
		r.err = err
	}
	r.of.open = false
}

func (r *connRows) Scan(into ...any) error {
	if len(into) != len(r.row) {
		return fmt.Errorf("%d columns, and places for %d", len(r.row), len(into))
	}
	for i, v := range r.row {
		if err := assign(into[i], v); err != nil {
			return fmt.Errorf("column %s: %w", r.rows.Columns()[i], err)
		}
	}
	return nil
}

// assign puts a column's value into its place: a text into what is a text, a number into what is a number.
func assign(into any, v driver.Value) error {
	switch to := into.(type) {
	case *any:
		*to = v
		return nil
	case *[]byte:
		switch v := v.(type) {
		case nil:
			*to = nil
			return nil
		case []byte:
			*to = v
			return nil
		case string:
			*to = []byte(v)
			return nil
		}
	}
	to := reflect.ValueOf(into).Elem()
	switch v := v.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return nil
		}
	case []byte:
		if to.Kind() == reflect.String {
			to.SetString(string(v))
			return nil
		}
	case int64:
		if to.CanInt() && !to.OverflowInt(v) {
			to.SetInt(v)
			return nil
		}
	}
	return fmt.Errorf("%T does not fit into %s", v, to.Type())
}
