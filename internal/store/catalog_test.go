package store

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEveryKeyStartsWithTheTenant reads the schema that the migrations make. What is shared by all
// tenants on purpose is named here, with its reason.
func TestEveryKeyStartsWithTheTenant(t *testing.T) {
	shared := map[string]string{
		"node":             "a node serves all tenants",
		"ledger":           "what the whole knows of itself",
		"goose_db_version": "the migrations' own table",
	}
	claimOrder := map[string]string{
		"work_ready": "claims go by lane before they go by tenant; it is not unique",
		"work_later": "what is due is woken for all tenants at once; it is not unique",
	}
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	type index struct{ table, name, first string }
	r, err := s.db.query(ctx, `
		SELECT m.name, i.name, (SELECT c.name FROM pragma_index_info(i.name) c WHERE c.seqno = 0)
		FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`)
	list, err := all(r, err, func(r rows, x *index) error { return r.Scan(&x.table, &x.name, &x.first) })
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, x := range list {
		seen[x.table] = true
		if shared[x.table] == "" && claimOrder[x.name] == "" && x.first != "tenant" {
			t.Errorf("index %s of %s begins with %s", x.name, x.table, x.first)
		}
	}
	r, err = s.db.query(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	tables, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
	if err != nil || len(tables) < 10 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		if shared[table] == "" && !seen[table] && !strings.HasPrefix(table, "sqlite_") {
			t.Errorf("table %s has no key", table)
		}
	}
}
