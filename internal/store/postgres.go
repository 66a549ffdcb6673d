package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
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
	asks    *crowd[*asking]
	next    atomic.Int64 // number of changes at which the planner learns anew; 0: the first time
}

const (
	firstLesson = 20
	lastLesson  = 100_000 // from then on the server looks after it by itself
)

// learn lets the planner count the rows, as often as the changes have doubled. The server does so by itself a
// minute after it was due; until then it takes all tables for empty and all their indexes for equal, and may
// look a row up by an index that holds a tenant's every row. A process that starts on a ledger of which the
// planner knows more rows than it has changed yet has nothing to teach: who claims would wait for it, and the
// lease with it. A tenth of the usual sample tells as well which index is the narrow one.
func (d *postgresDB) learn(ctx context.Context) error {
	n, next := d.changes.Load(), max(d.next.Load(), firstLesson)
	if n < next || next > lastLesson || !d.next.CompareAndSwap(d.next.Load(), 2*n) {
		return nil
	}
	var known int64
	if err := d.pool.QueryRow(ctx, `SELECT COALESCE(MAX(reltuples), 0)::bigint FROM pg_class WHERE oid = to_regclass('work')`).Scan(&known); err != nil {
		return err
	}
	if n < known {
		d.next.Store(known)
		return nil
	}
	return pgx.BeginFunc(ctx, d.pool, func(t pgx.Tx) error {
		_, err := t.Exec(ctx, "SET LOCAL default_statistics_target = 10; ANALYZE event, work, run, input, record, xref, write, posting, tally", pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

func (d *postgresDB) dialect() dialect {
	return dialect{name: "postgresql", columns: `
		SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = CURRENT_SCHEMA() AND t.table_type = 'BASE TABLE' ORDER BY c.table_name COLLATE "C", c.ordinal_position`,
		alone:      `SELECT pg_advisory_xact_lock(hashtext(CURRENT_SCHEMA() || CAST(? AS TEXT)), hashtext(?))`,
		beside:     `SELECT pg_advisory_xact_lock_shared(hashtext(CURRENT_SCHEMA() || CAST(? AS TEXT)), hashtext(?))`,
		skipLocked: " FOR UPDATE SKIP LOCKED", forUpdate: " FOR UPDATE", forShare: " FOR SHARE", letters: ` COLLATE "default"`, now: `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`}
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

// silence is after how long the server gives up a transaction whose process says no more: one that was stopped
// or cut off in the midst of it would hold its rows for as long as that lasts, and no other node could renew its
// lease. Between two statements of ours nothing is waited for but the machine.
const silence = 2 * time.Second

// quiet lets a transaction be silent for longer, 0: for ever. A login is made in it, or its rows go to or come from
// a file.
func (t *pgTx) quiet(limit time.Duration) {
	t.queue(fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", limit.Milliseconds()), nil, nil)
}

// changeLimit ends a change whose database has gone silent, so that the node can say so.
const changeLimit = 30 * time.Second

func (d *postgresDB) change(ctx context.Context, f func(tx) error) error {
	d.changes.Add(1)
	return d.within(ctx, changeLimit, f)
}

// commit is a change: the server answers when it is on its disk.
func (d *postgresDB) put(ctx context.Context, q string, args [][]any, explain func(error) error) error {
	return d.change(ctx, func(t tx) error { return t.put(ctx, q, args, explain) })
}

func (d *postgresDB) commit(ctx context.Context, f func(tx) error) (func() error, error) {
	return nil, d.change(ctx, f)
}

func (d *postgresDB) within(ctx context.Context, limit time.Duration, f func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release() // a connection on which a transaction is still open is closed
	t := &pgTx{c: c}
	t.queue("begin", nil, nil)
	if limit > changeLimit {
		t.quiet(limit)
	}
	if err := f(t); err != nil {
		t.undo(ctx)
		return err
	}
	return t.end(ctx)
}

func (d *postgresDB) snapshot(ctx context.Context, f func(tx) error) error {
	return d.through(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(t *pgTx) error { return f(t) })
}

func (d *postgresDB) fill(ctx context.Context, f func(filler) error) error {
	return d.through(ctx, pgx.TxOptions{}, func(t *pgTx) error { return f(t) })
}

// through is a transaction of any length.
func (d *postgresDB) through(ctx context.Context, how pgx.TxOptions, f func(*pgTx) error) error {
	return pgx.BeginTxFunc(ctx, d.pool, how, func(c pgx.Tx) error {
		t := &pgTx{c: c}
		t.quiet(0)
		if err := f(t); err != nil {
			return err
		}
		return t.flush(ctx)
	})
}

func (d *postgresDB) close() error { d.pool.Close(); return nil }

// pgTx is a transaction. What nobody asks an answer of waits, and leaves together with the next question: what
// costs is the round trip.
type pgTx struct {
	c interface {
		SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
		CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error)
	}
	waiting pgx.Batch
	explain []func(error) error // for each that waits
	sent    bool
}

func (t *pgTx) queue(q string, args []any, explain func(error) error) {
	t.waiting.Queue(numbered(q), args...)
	t.explain = append(t.explain, explain)
}

func (t *pgTx) put(_ context.Context, q string, args [][]any, explain func(error) error) error {
	if m := atOnce(q, args); m != nil {
		for _, round := range m.rounds(args) {
			t.queue(m.text, columns(args, round), explain)
		}
		return nil
	}
	for _, a := range args {
		t.queue(q, a, explain)
	}
	return nil
}

// send sends what waits, and more behind it, whose answers come out of the result next.
func (t *pgTx) send(ctx context.Context, more func(*pgx.Batch)) (pgx.BatchResults, error) {
	batch, explain := t.waiting, t.explain
	t.waiting, t.explain, t.sent = pgx.Batch{}, nil, true
	more(&batch)
	res := t.c.SendBatch(ctx, &batch)
	for _, e := range explain {
		_, err := res.Exec()
		if err == nil {
			continue
		}
		_ = res.Close() // says the same
		if e != nil {
			err = e(err)
		}
		return nil, err
	}
	return res, nil
}

func (t *pgTx) flush(ctx context.Context) error {
	if len(t.explain) == 0 {
		return nil
	}
	res, err := t.send(ctx, func(*pgx.Batch) {})
	if err != nil {
		return err
	}
	return res.Close()
}

func (t *pgTx) query(ctx context.Context, q string, args ...any) (rows, error) {
	res, err := t.send(ctx, func(b *pgx.Batch) { b.Queue(numbered(q), args...) })
	if err != nil {
		return nil, err
	}
	return rowsNext(res)
}

// rowsNext are the rows of a batch's next answer, its last.
func rowsNext(res pgx.BatchResults) (rows, error) {
	r, err := res.Query()
	if err != nil {
		return nil, errors.Join(err, res.Close())
	}
	return &batchRows{Rows: r, all: res}, nil
}

func (t *pgTx) ask(ctx context.Context, list []question, read func(int, rows) error) error {
	if len(list) == 0 {
		return nil
	}
	res, err := t.send(ctx, func(b *pgx.Batch) {
		for _, q := range list {
			b.Queue(numbered(q.text), q.args...)
		}
	})
	if err != nil {
		return err
	}
	return readAll(res, len(list), read)
}

// readAll reads the next n answers of a batch, its last, one after the other.
func readAll(res pgx.BatchResults, n int, read func(int, rows) error) error {
	for i := range n {
		r, err := res.Query()
		if err == nil {
			err = read(i, r)
		}
		if err != nil {
			return errors.Join(err, res.Close())
		}
	}
	return res.Close()
}

func (t *pgTx) exec(ctx context.Context, q string, args ...any) (int64, error) {
	n, err := t.each(ctx, q, [][]any{args})
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

func (t *pgTx) each(ctx context.Context, q string, args [][]any) ([]int64, error) {
	if len(args) == 0 {
		return nil, nil
	}
	if m := atOnce(q, args); m != nil && m.told != "" {
		return m.eachOf(ctx, t, args)
	}
	res, err := t.send(ctx, func(b *pgx.Batch) {
		q := numbered(q)
		for _, a := range args {
			b.Queue(q, a...)
		}
	})
	if err != nil {
		return nil, err
	}
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

// end commits, together with what still waits.
func (t *pgTx) end(ctx context.Context) error {
	res, err := t.send(ctx, func(b *pgx.Batch) { b.Queue("commit") })
	if err != nil {
		t.undo(ctx)
		return err
	}
	tag, err := res.Exec()
	if err == nil && tag.String() == "ROLLBACK" {
		err = pgx.ErrTxCommitRollback
	}
	return errors.Join(err, res.Close())
}

// undo rolls back what has left; what waits never leaves. Where that fails the connection is closed when it is
// given back, and the server rolls back.
func (t *pgTx) undo(ctx context.Context) {
	if t.waiting, t.explain = (pgx.Batch{}), nil; t.sent {
		t.queue("rollback", nil, nil)
		_ = t.flush(ctx)
	}
}

// batchRows give back the connection, or let it send again, when they are closed.
type batchRows struct {
	pgx.Rows
	all pgx.BatchResults
	err error
}

func (r *batchRows) Close() {
	r.Rows.Close()
	if r.all != nil {
		r.err, r.all = r.all.Close(), nil
	}
}

func (r *batchRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *batchRows) Err() error { return errors.Join(r.Rows.Err(), r.err) }

func (t *pgTx) seize(ctx context.Context, list []table) error {
	names := make([]string, len(list))
	for i, to := range list {
		names[i] = pgx.Identifier{to.Name}.Sanitize()
	}
	_, err := t.exec(ctx, `LOCK TABLE `+strings.Join(names, ", ")+` IN ACCESS EXCLUSIVE MODE`)
	return err
}

// copyAside copies all tables into a schema beside ours.
func (t *pgTx) copyAside(ctx context.Context, list []table, stamp string) (to string, err error) {
	r, err := t.query(ctx, `SELECT CURRENT_SCHEMA()`)
	here, err := one(all(r, err, func(r rows, v *string) error { return r.Scan(v) }))
	if err != nil {
		return "", err
	}
	to = *here + "_before_" + stamp
	if _, err := t.exec(ctx, `CREATE SCHEMA `+pgx.Identifier{to}.Sanitize()); err != nil {
		return "", err
	}
	for _, from := range list {
		if _, err := t.exec(ctx, `CREATE TABLE `+pgx.Identifier{to, from.Name}.Sanitize()+` AS TABLE `+pgx.Identifier{from.Name}.Sanitize()); err != nil {
			return "", err
		}
	}
	return to, nil
}

// fill copies. PostgreSQL copies nothing into a table behind a wall, not even for its owner: the wall is let down
// for as long as it takes, within the transaction, which keeps all others out of the table.
func (t *pgTx) fill(ctx context.Context, to table, next func() ([]any, error)) error {
	if !to.ofTenants() {
		return t.copyIn(ctx, to, next)
	}
	alter := `ALTER TABLE ` + pgx.Identifier{to.Name}.Sanitize()
	if _, err := t.exec(ctx, alter+` NO FORCE ROW LEVEL SECURITY`); err != nil {
		return err
	}
	if err := t.copyIn(ctx, to, next); err != nil {
		return err
	}
	_, err := t.exec(ctx, alter+` FORCE ROW LEVEL SECURITY`)
	return err
}

func (t *pgTx) copyIn(ctx context.Context, to table, next func() ([]any, error)) error {
	if err := t.flush(ctx); err != nil {
		return err
	}
	_, err := t.c.CopyFrom(ctx, pgx.Identifier{to.Name}, to.names(), pgx.CopyFromFunc(func() ([]any, error) {
		row, err := next()
		for i := range row {
			if s, is := row[i].(string); is {
				row[i] = text(s) // SQLite holds any
			}
		}
		return row, err
	}))
	return err
}

// numbered turns "?" into "$1", "$2", … No statement here has a "?" of another meaning. The texts are
// constants and filters' few combinations: each is turned once.
func numbered(q string) string {
	if known, ok := turned.Load(q); ok {
		return known.(string)
	}
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
	turned.Store(q, b.String())
	return b.String()
}

var turned sync.Map
