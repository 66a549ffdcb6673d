package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"throughline/internal/store"
	"throughline/internal/store/storetest"
)

func open(t *testing.T, url string, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), url, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.Store {
		return open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
	})
}

// TestPostgres runs where TEST_POSTGRES_URL names a server; each case has a schema of its own.
func TestPostgres(t *testing.T) {
	url := os.Getenv("TEST_POSTGRES_URL")
	if url == "" {
		t.Skip("TEST_POSTGRES_URL is not set: the PostgreSQL half of the suite does not run (make test sets it)")
	}
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.Store {
		return open(t, freshSchema(t, url), now)
	})
}

func freshSchema(t *testing.T, url string) string {
	t.Helper()
	ctx := context.Background()
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	if _, err := db.Exec(ctx, "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec(ctx, "DROP SCHEMA "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
		if err := db.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	return url + sep + "search_path=" + name
}
