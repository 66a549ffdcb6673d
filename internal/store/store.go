package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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
	var db database
	var err error
	if isPostgres(url) {
		db, err = openPostgres(ctx, url)
	} else {
		db, err = openSQLite(ctx, url, true)
	}
	return opened(ctx, db, err, now)
}

// OpenUnsynced opens a SQLite file whose commits are not on disk when they return: for simulations,
// in which a crash ends the process and never the machine.
func OpenUnsynced(ctx context.Context, path string, now func() time.Time) (*Store, error) {
	db, err := openSQLite(ctx, path, false)
	return opened(ctx, db, err, now)
}

func opened(ctx context.Context, db database, err error, now func() time.Time) (*Store, error) {
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

func openPostgres(ctx context.Context, url string) (database, error) {
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
	if err := migrate(ctx, std, goose.DialectPostgres); err != nil {
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

func migrate(ctx context.Context, db *sql.DB, d goose.Dialect) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d, db, formed{dir, forms[d]})
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
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
