package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"throughline/internal/store"
)

// schema reads and changes the version that a SQLite ledger says it has.
func schema(t *testing.T, path, change string) (version int64) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	if change != "" {
		_, err = db.ExecContext(t.Context(), change)
		must(t, err)
	}
	must(t, db.QueryRowContext(t.Context(), `SELECT MAX(version_id) FROM goose_db_version`).Scan(&version))
	return version
}

// TestAnotherVersionsLedger: one that a newer version has made is refused; who only wants to look at what is there
// neither makes a ledger nor changes one under the feet of the version that serves it.
func TestAnotherVersionsLedger(t *testing.T) {
	const older, newer = `DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)`, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`
	for name, c := range map[string]struct {
		change string
		open   func(context.Context, string, func() time.Time) (*store.Store, error)
		code   string
	}{
		"a newer one":              {newer, store.Open, "store.version"},
		"a newer one, to look at":  {newer, store.OpenExisting, "store.version"},
		"an older one, to look at": {older, store.OpenExisting, "store.version"},
		"the same one, to look at": {"", store.OpenExisting, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			s, err := store.Open(t.Context(), path, time.Now)
			must(t, err)
			must(t, s.Close())
			before := schema(t, path, c.change)
			s, err = c.open(t.Context(), path, time.Now)
			if err == nil {
				must(t, s.Close())
			}
			if code(err) != c.code {
				t.Errorf("opened with %v; want %q", err, c.code)
			}
			if after := schema(t, path, ""); after != before {
				t.Errorf("it was at %d, and is at %d", before, after)
			}
		})
	}
}

func TestWhereNoLedgerIsNoneIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if _, err := store.OpenExisting(t.Context(), path, time.Now); code(err) != "store.none" {
		t.Errorf("opened with %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made")
	}
	url := os.Getenv("TEST_POSTGRES_URL")
	if url == "" {
		return
	}
	empty := store.FreshSchema(t, url)
	for range 2 {
		if _, err := store.OpenExisting(t.Context(), empty, time.Now); code(err) != "store.none" {
			t.Errorf("opened with %v", err)
		}
	}
}
