package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresDB is a pool of pgx connections.
type postgresDB struct {
	pool    *pgxpool.Pool
	wall    wall
	changes atomic.Int64
	next    atomic.Int64 // number of changes at which the planner learns anew; 0: the first time
}

const (
	firstLesson = 20
	lastLesson  = 100_000 // from then on the server looks after it by itself
)

// learn lets the planner count the rows, as often as the changes have doubled. The server does so by itself a
// minute after it was due; until then it takes all tables for empty and all their indexes for equal, and may
// look a row up by an index that holds a tenant's every row.
func (d *postgresDB) learn(ctx context.Context) error {
	n, next := d.changes.Load(), max(d.next.Load(), firstLesson)
	if n < next || next > lastLesson || !d.next.CompareAndSwap(d.next.Load(), 2*n) {
		return nil
	}
	_, err := d.pool.Exec(ctx, `ANALYZE event, work, run, input, record, xref, write, posting, tally`)
	return err
}

func (d *postgresDB) dialect() dialect {
	return dialect{name: "postgresql", columns: `
		SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = CURRENT_SCHEMA() AND t.table_type = 'BASE TABLE' ORDER BY c.table_name COLLATE "C", c.ordinal_position`,
		skipLocked: " FOR UPDATE SKIP LOCKED", forUpdate: " FOR UPDATE", forShare: " FOR SHARE"}
}
func (d *postgresDB) query(ctx context.Context, q string, args ...any) (rows, error) {
	return d.pool.Query(ctx, numbered(q), args...)
}
func (d *postgresDB) exec(ctx context.Context, q string, args ...any) (int64, error) {
	tag, err := d.pool.Exec(ctx, numbered(q), args...)
	return tag.RowsAffected(), err
}
func (d *postgresDB) each(ctx context.Context, q string, args [][]any) ([]int64, error) {
	var n []int64
	err := d.change(ctx, func(t tx) (err error) { n, err = t.each(ctx, q, args); return err })
	return n, err
}

// changeLimit ends a change whose database has gone silent, so that the node can say so.
const changeLimit = 30 * time.Second

func (d *postgresDB) change(ctx context.Context, f func(tx) error) error {
	d.changes.Add(1)
	return d.within(ctx, changeLimit, f)
}

// commit is a change: the server answers when it is on its disk.
func (d *postgresDB) commit(ctx context.Context, f func(tx) error) (func() error, error) {
	return nil, d.change(ctx, f)
}

func (d *postgresDB) within(ctx context.Context, limit time.Duration, f func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return pgx.BeginFunc(ctx, d.pool, func(t pgx.Tx) error { return f(pgTx{t}) })
}

func (d *postgresDB) snapshot(ctx context.Context, f func(tx) error) error {
	return pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(t pgx.Tx) error { return f(pgTx{t}) })
}

func (d *postgresDB) fill(ctx context.Context, f func(filler) error) error {
	return pgx.BeginFunc(ctx, d.pool, func(t pgx.Tx) error { return f(pgTx{t}) })
}

func (d *postgresDB) close() error { d.pool.Close(); return nil }

type pgTx struct{ t pgx.Tx }

func (t pgTx) query(ctx context.Context, q string, args ...any) (rows, error) {
	return t.t.Query(ctx, numbered(q), args...)
}
func (t pgTx) exec(ctx context.Context, q string, args ...any) (int64, error) {
	tag, err := t.t.Exec(ctx, numbered(q), args...)
	return tag.RowsAffected(), err
}
func (t pgTx) each(ctx context.Context, q string, args [][]any) ([]int64, error) {
	if len(args) == 0 {
		return nil, nil
	}
	q = numbered(q)
	b := &pgx.Batch{}
	for _, a := range args {
		b.Queue(q, a...)
	}
	res := t.t.SendBatch(ctx, b)
	counts := make([]int64, len(args))
	for i := range args {
		tag, err := res.Exec()
		if err != nil {
			return nil, errors.Join(err, res.Close())
		}
		counts[i] = tag.RowsAffected()
	}
	return counts, res.Close()
}

// fill copies. PostgreSQL copies nothing into a table behind a wall, not even for its owner: the wall is let down
// for as long as it takes, within the transaction, which keeps all others out of the table.
func (t pgTx) fill(ctx context.Context, to table, next func() ([]any, error)) error {
	if !to.ofTenants() {
		return t.copyIn(ctx, to, next)
	}
	alter := `ALTER TABLE ` + pgx.Identifier{to.Name}.Sanitize()
	if _, err := t.t.Exec(ctx, alter+` NO FORCE ROW LEVEL SECURITY`); err != nil {
		return err
	}
	if err := t.copyIn(ctx, to, next); err != nil {
		return err
	}
	_, err := t.t.Exec(ctx, alter+` FORCE ROW LEVEL SECURITY`)
	return err
}

func (t pgTx) copyIn(ctx context.Context, to table, next func() ([]any, error)) error {
	_, err := t.t.CopyFrom(ctx, pgx.Identifier{to.Name}, to.names(), pgx.CopyFromFunc(next))
	return err
}

// numbered turns "?" into "$1", "$2", … No statement here has a "?" of another meaning.
func numbered(q string) string {
	var b strings.Builder
	n := 0
	for i := range len(q) {
		if q[i] != '?' {
			b.WriteByte(q[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
