package store

import (
	"context"

	"throughline/internal/hub"
)

// rows is what both drivers' results have in common.
type rows interface {
	Next() bool
	Scan(into ...any) error
	Err() error
	Close()
}

// tx is one transaction, or for reading alone one connection. SQL is written with "?".
type tx interface {
	query(ctx context.Context, sql string, args ...any) (rows, error)
	exec(ctx context.Context, sql string, args ...any) (int64, error)
	// each runs one statement once per row of arguments and returns the rows affected by each: a
	// prepared statement in a loop on SQLite, one round trip on PostgreSQL.
	each(ctx context.Context, sql string, args [][]any) ([]int64, error)
	// put is each for who does not ask what it did: on PostgreSQL it leaves with the next question, or with the
	// commit, and so does its error. Explain tells what an error means; nil: what it says.
	put(ctx context.Context, sql string, args [][]any, explain func(error) error) error
}

// database is one of the two far below: what must differ between them stands here and in dialect.
type database interface {
	tx // reads outside a transaction
	// change makes a change that is on disk when it returns; commit makes one that all see when it returns, and
	// gives what waits until it is on disk. Nil: it is there.
	change(ctx context.Context, f func(tx) error) error
	commit(ctx context.Context, f func(tx) error) (settle func() error, err error)
	snapshot(ctx context.Context, f func(tx) error) error // many reads of one moment
	fill(ctx context.Context, f func(filler) error) error // a change of any length
	of(hub.TenantID) scope                                // what a tenant reaches of it
	close() error
	dialect() dialect
}

// filler takes in many rows of one table; next gives nil after the last one.
type filler interface {
	tx
	seize(ctx context.Context, list []table) error // keeps all others out until the end of the change
	copyAside(ctx context.Context, list []table, stamp string) (to string, err error)
	fill(ctx context.Context, t table, next func() ([]any, error)) error
}

// dialect holds the words that differ.
type dialect struct {
	name       string
	columns    string // all tables' columns with their types
	skipLocked string // appended to a SELECT that hands out work
	forUpdate  string // appended to a SELECT whose rows are changed next
	forShare   string
	letters    string // appended to a text of which not the bytes are compared, but the letters
	alone      string // takes a tenant's turn in a thing until the commit; empty: there is one writer anyway
	beside     string // likewise, but beside others who take it so
	now        string // the time that leases go by, in microseconds; empty: the process's own
}

// all reads every row of a result with scan.
func all[T any](r rows, err error, scan func(rows, *T) error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list []T
	for r.Next() {
		var v T
		if err := scan(r, &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, r.Err()
}

// question is a statement with its arguments.
type question struct {
	text string
	args []any
}

// answers asks many questions; read reads, and closes, the answers one after the other. On PostgreSQL they share a
// round trip.
func answers(ctx context.Context, t tx, list []question, read func(i int, r rows) error) error {
	if p, ok := t.(*pgTx); ok {
		return p.ask(ctx, list, read)
	}
	for i, q := range list {
		r, err := t.query(ctx, q.text, q.args...)
		if err == nil {
			err = read(i, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
