package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestTamperedAuditIsFound changes the chain as somebody with the database in hand could.
func TestTamperedAuditIsFound(t *testing.T) {
	for name, sql := range map[string][]string{
		"an entry is edited":     {`UPDATE audit SET entries = REPLACE(entries, 'change 2', 'change 9') WHERE seq = 2`},
		"a block is deleted":     {`DELETE FROM audit WHERE seq = 2`},
		"a block is put between": {`INSERT INTO audit SELECT tenant, 5, entries, prev, hash FROM audit WHERE seq = 2`},
		"two blocks change places": {`UPDATE audit SET seq = 9 WHERE seq = 1`, `UPDATE audit SET seq = 1 WHERE seq = 2`,
			`UPDATE audit SET seq = 2 WHERE seq = 9`},
		"the tail is cut off":         {`DELETE FROM audit WHERE seq = 4`},
		"the tail goes with the head": {`DELETE FROM audit WHERE seq = 4`, `DELETE FROM audit_head`},
		"all blocks are deleted":      {`DELETE FROM audit`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s, err := Open(ctx, filepath.Join(t.TempDir(), "ledger.db"), time.Now)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range 5 {
				c := Setup{Customer: Customer{ID: "t1", Name: "T"}, Audit: []AuditEntry{{At: time.Now(), Who: "ana", Action: "customer.apply", Object: fmt.Sprintf("change %d", i)}}}
				if err := s.Apply(ctx, c); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := s.Tenant("t1").VerifyAudit(ctx); err != nil || n != 5 {
				t.Fatalf("before: %d entries, %v; want 5 that hold", n, err)
			}
			for _, q := range sql {
				if _, err := s.db.exec(ctx, q); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := s.Tenant("t1").VerifyAudit(ctx); err == nil {
				t.Errorf("%d entries, and nothing was noticed", n)
			}
		})
	}
}

// TestNoTableIsForgotten: a backup holds every table that there is.
func TestNoTableIsForgotten(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := s.db.query(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version' ORDER BY name`)
	there, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
	if err != nil {
		t.Fatal(err)
	}
	list, err := tables(ctx, s.db, s.db.dialect())
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for _, x := range list {
		held = append(held, x.Name)
	}
	if !slices.Equal(there, held) {
		t.Errorf("there are %v, a backup holds %v", there, held)
	}
}
