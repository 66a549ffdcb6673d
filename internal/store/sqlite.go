package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", for migrations

	"throughline/internal/hub"
	"throughline/internal/sqlite"
)

// sqliteDB: one writer, many readers. A commit stands in the write-ahead log when SQLite returns, and on the
// disk when disk says so.
type sqliteDB struct {
	writing sync.Mutex
	writer  *conn
	readers chan *conn // free ones; nil: one that may be opened
	path    string
	pragmas []string
	disk    *disk // nil: nobody waits for it
}

// openSQLite opens a file.
func openSQLite(ctx context.Context, path string, synced bool, ready readying) (database, error) {
	// Of its own accord SQLite syncs only what a checkpoint moves (NORMAL): the log is synced by disk.
	synchronous := "synchronous=NORMAL"
	if !synced {
		synchronous = "synchronous=OFF"
	}
	if err := readySQLite(ctx, path, ready); err != nil {
		return nil, err
	}
	d := &sqliteDB{path: path, pragmas: []string{"journal_mode=WAL", "temp_store=MEMORY", "cache_size=-16000", "wal_autocheckpoint=8000", synchronous},
		readers: make(chan *conn, 4)}
	for range cap(d.readers) {
		d.readers <- nil
	}
	if err := d.open(ctx, synced); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func readySQLite(ctx context.Context, path string, ready readying) (err error) {
	files, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	return ready(ctx, files, goose.DialectSQLite3)
}

func (d *sqliteDB) open(ctx context.Context, synced bool) (err error) {
	if d.writer, err = d.connect(); err != nil || !synced {
		return err
	}
	if _, err := d.commit(ctx, func(tx) error { return nil }); err != nil { // from now on there is a log, for as long as the writer lives
		return err
	}
	d.disk, err = openDisk(d.path + "-wal")
	return err
}

func (d *sqliteDB) connect() (*conn, error) {
	c, err := sqlite.Open(d.path, d.pragmas...)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, statements: map[string]*statement{}}, nil
}

func (d *sqliteDB) dialect() dialect {
	return dialect{name: "sqlite", columns: `
		SELECT m.name, c.name, LOWER(c.type) FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`}
}

// borrowed are rows whose connection goes back when they are closed.
type borrowed struct {
	rows
	back func()
}

func (b borrowed) Close() {
	b.rows.Close()
	b.back()
}

func (d *sqliteDB) query(ctx context.Context, q string, args ...any) (rows, error) {
	var c *conn
	select {
	case c = <-d.readers:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	back := func() { d.readers <- c }
	var err error
	if c == nil {
		if c, err = d.connect(); err != nil {
			back()
			return nil, err
		}
	}
	r, err := c.query(ctx, q, args...)
	if err != nil {
		back()
		return nil, err
	}
	return borrowed{r, sync.OnceFunc(back)}, nil
}

func (d *sqliteDB) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = d.change(ctx, func(t tx) error { n, err = t.exec(ctx, q, args...); return err })
	return n, err
}

func (d *sqliteDB) each(ctx context.Context, q string, args [][]any) (n []int64, err error) {
	err = d.change(ctx, func(t tx) error { n, err = t.each(ctx, q, args); return err })
	return n, err
}

func (d *sqliteDB) put(ctx context.Context, q string, args [][]any, explain func(error) error) error {
	return d.change(ctx, func(t tx) error { return t.put(ctx, q, args, explain) })
}

func (d *sqliteDB) change(ctx context.Context, f func(tx) error) error {
	settle, err := d.commit(ctx, f)
	if err != nil || settle == nil {
		return err
	}
	return settle()
}

func (d *sqliteDB) commit(ctx context.Context, f func(tx) error) (settle func() error, err error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := errors.Join(ctx.Err(), d.disk.failed()); err != nil {
		return nil, err
	}
	whole := context.WithoutCancel(ctx) // what was begun is ended, whoever leaves
	if _, err := d.writer.exec(whole, `BEGIN IMMEDIATE`); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if err := f(d.writer); err != nil {
		_, undo := d.writer.exec(whole, `ROLLBACK`)
		return nil, errors.Join(err, undo)
	}
	if _, err := d.writer.exec(whole, `COMMIT`); err != nil {
		_, undo := d.writer.exec(whole, `ROLLBACK`)
		return nil, fmt.Errorf("commit: %w", errors.Join(err, undo))
	}
	if d.disk == nil {
		return nil, nil
	}
	return d.disk.sync, nil
}

// snapshot reads on a connection of its own: in WAL mode a reader keeps the moment at which it began,
// and holds up nobody.
func (d *sqliteDB) snapshot(ctx context.Context, f func(tx) error) (err error) {
	c, err := d.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, err := c.exec(ctx, `BEGIN`); err != nil {
		return err
	}
	err = f(c)
	_, end := c.exec(context.WithoutCancel(ctx), `ROLLBACK`)
	return errors.Join(err, end)
}

func (d *sqliteDB) fill(ctx context.Context, f func(filler) error) error {
	return d.change(ctx, func(tx) error { return f(sqliteFiller{d.writer, d}) })
}

// sqliteFiller is the writer: who has begun to write keeps out all others anyway.
type sqliteFiller struct {
	*conn
	db *sqliteDB
}

func (sqliteFiller) seize(context.Context, []table) error { return nil }

// copyAside copies the file as it stood before the change, which a reader still sees.
func (f sqliteFiller) copyAside(ctx context.Context, _ []table, stamp string) (to string, err error) {
	c, err := f.db.connect()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	to = f.db.path + before + stamp
	if _, err := c.exec(ctx, `VACUUM INTO ?`, to); err != nil {
		return "", err
	}
	return to, syncFile(to)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (c *conn) fill(ctx context.Context, t table, next func() ([]any, error)) error {
	names := t.names()
	q := "INSERT INTO " + t.Name + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
	for {
		row, err := next()
		if err != nil || row == nil {
			return err
		}
		if _, err := c.exec(ctx, q, row...); err != nil {
			return err
		}
	}
}

// close waits for who reads and writes.
func (d *sqliteDB) close() error {
	var errs []error
	for range cap(d.readers) {
		if c := <-d.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	if d.writer != nil {
		errs = append(errs, d.writer.close())
	}
	return errors.Join(append(errs, d.disk.close())...)
}

// of is the whole file: on SQLite there is no second wall, and no other process.
func (d *sqliteDB) of(hub.TenantID) scope { return d }
