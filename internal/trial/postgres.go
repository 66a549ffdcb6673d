package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// schema is a schema of our own on a PostgreSQL server: nothing else there is touched.
type schema struct {
	server, name string
	URL          string
	roots        []int // the server's processes, where it runs on this machine
}

func isPostgres(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// openSchema makes the schema and finds out which processes serve it.
func openSchema(ctx context.Context, server string) (*schema, error) {
	s := &schema{server: server, name: fmt.Sprintf("trial%d", time.Now().UnixNano())}
	sep := "?"
	if strings.Contains(server, "?") {
		sep = "&"
	}
	s.URL = server + sep + "search_path=" + s.name
	db, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("reach the database: %w", err)
	}
	defer db.Close(ctx)
	if _, err := db.Exec(ctx, "CREATE SCHEMA "+s.name); err != nil {
		return nil, err
	}
	var backend int
	if err := db.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return nil, err
	}
	if main := parentOf(backend); main > 1 {
		s.roots = []int{main}
	}
	return s, nil
}

func (s *schema) drop(ctx context.Context) error {
	db, err := pgx.Connect(ctx, s.server)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	rows, err := db.Query(ctx, "SELECT nspname FROM pg_namespace WHERE nspname = $1 OR nspname LIKE $1 || '\\_before\\_%'", s.name)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string]) // ours, and what a restore has moved aside
	for _, name := range names {
		if _, dropped := db.Exec(ctx, `DROP SCHEMA "`+name+`" CASCADE`); dropped != nil {
			err = errors.Join(err, dropped)
		}
	}
	return err
}
