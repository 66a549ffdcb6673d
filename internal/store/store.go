package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"throughline/internal/crashpoint"
	"throughline/internal/hub"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the ledger.
type Store struct {
	db     database
	now    func() time.Time
	marked *markFile
}

// Open opens (and where needed makes or migrates) the store at url: "postgres://…", or the path of
// a SQLite file. Now is the process's clock; on PostgreSQL leases go by the database's clock
// instead, so that nodes need not agree on the time (T2).
func Open(ctx context.Context, url string, now func() time.Time) (*Store, error) {
	return openAs(ctx, url, now, migrate)
}

// OpenExisting opens a store for those who want to know or to say something about it: there is one, and it is of this
// version. It makes none, and changes none under the feet of another version that serves it.
func OpenExisting(ctx context.Context, url string, now func() time.Time) (*Store, error) {
	if _, err := os.Stat(url); !isPostgres(url) && errors.Is(err, fs.ErrNotExist) {
		return nil, noLedger(err)
	}
	return openAs(ctx, url, now, current)
}

func openAs(ctx context.Context, url string, now func() time.Time, ready readying) (*Store, error) {
	var db database
	var err error
	if isPostgres(url) {
		db, err = openPostgres(ctx, url, ready)
	} else {
		db, err = openSQLite(ctx, url, true, ready)
	}
	return opened(ctx, db, err, now)
}

// OpenUnsynced opens a SQLite file whose commits are not on disk when they return: for simulations,
// in which a crash ends the process and never the machine.
func OpenUnsynced(ctx context.Context, path string, now func() time.Time) (*Store, error) {
	db, err := openSQLite(ctx, path, false, migrate)
	return opened(ctx, db, err, now)
}

func opened(ctx context.Context, db database, err error, now func() time.Time) (*Store, error) {
	if hub.AsError(err) != nil {
		return nil, err
	}
	if err != nil {
		return nil, &hub.Error{Kind: hub.Unavailable, Code: "store.open", Message: "The store cannot be opened.",
			Hint: "Check the path or URL of the store, and that it may be written.", Err: err}
	}
	s := &Store{db: db, now: now, marked: &markFile{}}
	crashpoint.At("ledger.migrated")
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, db.close())
	}
	crashpoint.At("ledger.begun")
	return s, nil
}

func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// Learn lets the database find out how large its tables have become, where it does not do so in time by itself.
func (s *Store) Learn(ctx context.Context) error {
	if d, ok := s.db.(*postgresDB); ok {
		return d.learn(ctx)
	}
	return nil
}

// Close waits for what is being written and closes.
func (s *Store) Close() error { return s.db.close() }

func openPostgres(ctx context.Context, url string, ready readying) (database, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if cfg.MaxConns < 8 && !strings.Contains(url, "pool_max_conns=") { // who says how many gets so many
		cfg.MaxConns = 8
	}
	// What is asked while work goes on is always asked by key. A plan that was made while the tables were small, and is
	// kept, must not read them from end to end when they have grown, also not to join them with a few rows. A table that
	// can be read in no other way looks so dear then that the server would compile the statement.
	for _, unwanted := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"} {
		cfg.ConnConfig.RuntimeParams[unwanted] = "off"
	}
	// A plan is made once and kept. For a statement with a limit or with lists of values the server would rather plan
	// anew each time, which costs several times what it does to carry it out.
	cfg.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(silence.Milliseconds())
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, quickly)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	std := stdlib.OpenDBFromPool(pool)
	defer std.Close()
	if err := ready(ctx, std, goose.DialectPostgres); err != nil {
		pool.Close()
		return nil, err
	}
	w, err := raise(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	d := &postgresDB{pool: pool, wall: w}
	d.asks = newCrowd(askedAtMost, askPace, d.answer)
	return d, nil
}

// quickly lets long values be packed by the quicker of the two ways, where the server has it.
const quickly = `SELECT set_config(name, 'lz4', false) FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)`

// readying is what is done with a database's tables before it is used.
type readying func(context.Context, *sql.DB, goose.Dialect) error

// migrate makes the tables, or brings them up to this version.
func migrate(ctx context.Context, db *sql.DB, d goose.Dialect) error {
	p, err := steps(db, d)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return current(ctx, db, d)
}

// current refuses tables of another version, and a place without any.
func current(ctx context.Context, db *sql.DB, d goose.Dialect) error {
	p, err := steps(db, d)
	if err != nil {
		return err
	}
	list := p.ListSources()
	ours, theirs := list[len(list)-1].Version, int64(0)
	if err := db.QueryRowContext(ctx, `SELECT MAX(version_id) FROM goose_db_version`).Scan(&theirs); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42P01" || strings.Contains(err.Error(), "no such table") {
			return noLedger(err)
		}
		return fmt.Errorf("read the ledger's version: %w", err)
	}
	if theirs == ours {
		return nil
	}
	return &hub.Error{Kind: hub.Conflict, Code: "store.version", Message: fmt.Sprintf("The ledger is of another version (schema %d, this one has %d).", theirs, ours),
		Hint: "Use the version that serves it; a service of a newer one brings it up when it starts."}
}

func noLedger(err error) error {
	return &hub.Error{Kind: hub.NotFound, Code: "store.none", Message: "There is no ledger there.", Hint: "Check --data and --store.", Err: err}
}

func steps(db *sql.DB, d goose.Dialect) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(d, db, formed{dir, forms[d]})
}

// forms make a database's own migration of the one text: lines for it alone, and on PostgreSQL the order of bytes, which is
// SQLite's. That of a language costs more at each look into an index, and depends on the machine.
var forms = map[goose.Dialect]*strings.Replacer{
	goose.DialectSQLite3:  strings.NewReplacer("\n-- sqlite: ", "\n"),
	goose.DialectPostgres: strings.NewReplacer("\n-- postgres: ", "\n", " TEXT", ` TEXT COLLATE "C"`),
}

// formed gives migrations in a database's form.
type formed struct {
	fs.FS
	form *strings.Replacer
}

func (m formed) Open(name string) (fs.File, error) {
	f, err := m.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := io.ReadAll(f)
	return &migration{f, strings.NewReader(m.form.Replace("\n" + string(text)))}, err
}

type migration struct {
	fs.File
	text *strings.Reader
}

func (m *migration) Read(into []byte) (int, error) { return m.text.Read(into) }

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
