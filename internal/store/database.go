package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
}

// database is one of the two far below: what must differ between them stands here and in dialect.
type database interface {
	tx // reads outside a transaction
	change(ctx context.Context, f func(tx) error) error
	snapshot(ctx context.Context, f func(tx) error) error // many reads of one moment
	fill(ctx context.Context, f func(filler) error) error // a change of any length
	of(hub.TenantID) scope                                // what a tenant reaches of it
	close() error
	dialect() dialect
}

// filler takes in many rows of one table; next gives nil after the last one.
type filler interface {
	tx
	fill(ctx context.Context, t table, next func() ([]any, error)) error
}

// dialect holds the words that differ.
type dialect struct {
	name       string
	columns    string // all tables' columns with their types
	skipLocked string // appended to a SELECT that hands out work
	forUpdate  string // appended to a SELECT whose rows are changed next
	forShare   string
}

// sqliteDB: one writer, many readers. WAL with synchronous=FULL: a commit is on disk when it returns.
type sqliteDB struct {
	writing sync.Mutex
	writer  *writer
	reader  *prepared
	readers *sql.DB
	closers []func() error
}

func (d *sqliteDB) dialect() dialect {
	return dialect{name: "sqlite", columns: `
		SELECT m.name, c.name, LOWER(c.type) FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`}
}

func (d *sqliteDB) query(ctx context.Context, q string, args ...any) (rows, error) {
	return d.reader.query(ctx, q, args...)
}

func (d *sqliteDB) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = d.change(ctx, func(t tx) error { n, err = t.exec(ctx, q, args...); return err })
	return n, err
}

func (d *sqliteDB) each(ctx context.Context, q string, args [][]any) (n []int64, err error) {
	err = d.change(ctx, func(t tx) error { n, err = t.each(ctx, q, args); return err })
	return n, err
}

func (d *sqliteDB) change(ctx context.Context, f func(tx) error) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	whole := context.WithoutCancel(ctx) // what was begun is ended, whoever leaves
	if _, err := d.writer.exec(whole, `BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := f(d.writer); err != nil {
		_, undo := d.writer.exec(whole, `ROLLBACK`)
		return errors.Join(err, undo)
	}
	if _, err := d.writer.exec(whole, `COMMIT`); err != nil {
		_, undo := d.writer.exec(whole, `ROLLBACK`)
		return fmt.Errorf("commit: %w", errors.Join(err, undo))
	}
	return nil
}

// snapshot reads on a connection of its own: in WAL mode a reader keeps the moment at which it began,
// and holds up nobody.
func (d *sqliteDB) snapshot(ctx context.Context, f func(tx) error) (err error) {
	conn, err := d.readers.Conn(ctx)
	if err != nil {
		return err
	}
	p := newWriter(conn)
	defer func() { err = errors.Join(err, p.close()) }()
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	err = f(p)
	_, end := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	return errors.Join(err, end)
}

func (d *sqliteDB) fill(ctx context.Context, f func(filler) error) error {
	return d.change(ctx, func(tx) error { return f(d.writer) })
}

func (d *sqliteDB) close() error {
	var errs []error
	for _, c := range d.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// prepared runs statements on one connection, or one pool, and compiles each text once.
type prepared struct {
	db interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
	}
	mu    sync.Mutex
	known map[string]*sql.Stmt
}

func (p *prepared) statement(ctx context.Context, q string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if st := p.known[q]; st != nil {
		return st, nil
	}
	st, err := p.db.PrepareContext(ctx, q)
	if err == nil {
		p.known[q] = st // the texts are constants and filters' few combinations: the map stays small
	}
	return st, err
}

type sqlRows struct{ *sql.Rows }

func (r sqlRows) Close() { _ = r.Rows.Close() } // what could fail is told by Err

func (p *prepared) query(ctx context.Context, q string, args ...any) (rows, error) {
	st, err := p.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	r, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return sqlRows{r}, nil
}

func (p *prepared) close() error {
	var errs []error
	for _, st := range p.known {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}

// writer is the connection that changes a SQLite file. What it runs over and over it hands to the driver
// itself: database/sql would add a fifth to each row.
type writer struct {
	prepared
	conn   *sql.Conn
	direct map[string]driver.Stmt
	args   []driver.NamedValue
}

func newWriter(conn *sql.Conn) *writer {
	return &writer{prepared: prepared{db: conn, known: map[string]*sql.Stmt{}}, conn: conn, direct: map[string]driver.Stmt{}}
}

func (w *writer) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = w.conn.Raw(func(c any) error {
		n, err = w.run(ctx, c, q, args)
		return err
	})
	return n, err
}

func (w *writer) each(ctx context.Context, q string, args [][]any) ([]int64, error) {
	if len(args) == 0 {
		return nil, nil
	}
	counts := make([]int64, len(args))
	err := w.conn.Raw(func(c any) (err error) {
		for i, a := range args {
			if counts[i], err = w.run(ctx, c, q, a); err != nil {
				return err
			}
		}
		return nil
	})
	return counts, err
}

func (w *writer) run(ctx context.Context, conn any, q string, args []any) (int64, error) {
	st := w.direct[q]
	if st == nil {
		var err error
		if st, err = conn.(driver.ConnPrepareContext).PrepareContext(ctx, q); err != nil {
			return 0, err
		}
		w.direct[q] = st
	}
	w.args = w.args[:0]
	for i, a := range args {
		v, err := plain(a)
		if err != nil {
			return 0, err
		}
		w.args = append(w.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	r, err := st.(driver.StmtExecContext).ExecContext(ctx, w.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// plain is a value as drivers take it.
func plain(v any) (driver.Value, error) {
	switch v := v.(type) {
	case string, int64, []byte, nil:
		return v, nil
	case int:
		return int64(v), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(v)
}

func (w *writer) fill(ctx context.Context, t table, next func() ([]any, error)) error {
	names := t.names()
	q := "INSERT INTO " + t.Name + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
	for {
		row, err := next()
		if err != nil || row == nil {
			return err
		}
		if _, err := w.exec(ctx, q, row...); err != nil {
			return err
		}
	}
}

// close closes what nobody else would: left open, statements keep the database from being folded into its one file.
func (w *writer) close() error {
	errs := []error{w.prepared.close()}
	for _, st := range w.direct {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

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
// look a row up by an index that holds a tenant's every row. A process that starts on a ledger of which the
// planner knows more rows than it has changed yet has nothing to teach: who claims would wait for it, and the
// lease with it.
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

// silence is after how long the server gives up a transaction whose process says no more: one that was stopped
// or cut off in the midst of it would hold its rows for as long as that lasts, and no other node could renew its
// lease. Between two statements of ours nothing is waited for but the machine.
const silence = 2 * time.Second

// quiet lets a transaction be silent for longer, 0: for ever. A login is made in it, or its rows go to or come from
// a file.
func quiet(ctx context.Context, t pgx.Tx, limit time.Duration) error {
	_, err := t.Exec(ctx, fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", limit.Milliseconds()))
	return err
}

// changeLimit ends a change whose database has gone silent, so that the node can say so.
const changeLimit = 30 * time.Second

func (d *postgresDB) change(ctx context.Context, f func(tx) error) error {
	d.changes.Add(1)
	return d.within(ctx, changeLimit, f)
}

func (d *postgresDB) within(ctx context.Context, limit time.Duration, f func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return pgx.BeginFunc(ctx, d.pool, func(t pgx.Tx) error {
		if limit > changeLimit {
			if err := quiet(ctx, t, limit); err != nil {
				return err
			}
		}
		return f(pgTx{t})
	})
}

func (d *postgresDB) snapshot(ctx context.Context, f func(tx) error) error {
	return pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(t pgx.Tx) error {
		if err := quiet(ctx, t, 0); err != nil {
			return err
		}
		return f(pgTx{t})
	})
}

func (d *postgresDB) fill(ctx context.Context, f func(filler) error) error {
	return pgx.BeginFunc(ctx, d.pool, func(t pgx.Tx) error {
		if err := quiet(ctx, t, 0); err != nil {
			return err
		}
		return f(pgTx{t})
	})
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
