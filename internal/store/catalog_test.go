package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shared are the tables that belong to no tenant.
var shared = map[string]string{
	"node":             "a node serves all tenants",
	"ledger":           "what the whole knows of itself",
	"goose_db_version": "the migrations' own table",
}

// TestEveryKeyStartsWithTheTenant reads the schema that the migrations make. What is shared by all
// tenants on purpose is named here, with its reason.
func TestEveryKeyStartsWithTheTenant(t *testing.T) {
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

// faults reads PostgreSQL's catalogue and names what the second wall does not cover.
func faults(t *testing.T, in tx, role string) (list []string) {
	t.Helper()
	for _, look := range []struct{ what, query string }{
		{"a table that tenants share without a reason", `
			SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
			AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped)`},
		{"a table without a forced wall", `
			SELECT c.relname || ' ' FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`},
		{"a policy that opens a table to others", `
			SELECT p.tablename || ' ' || p.policyname FROM pg_policies p WHERE p.schemaname = current_schema()
			AND NOT (p.policyname = 'everything' AND p.qual = 'true' AND p.roles = ARRAY[(SELECT t.tableowner FROM pg_tables t WHERE t.schemaname = p.schemaname AND t.tablename = p.tablename)]
				OR p.policyname = 'of_tenant' AND p.roles = ARRAY['` + role + `'::name] AND p.qual LIKE '(tenant = NULLIF(current_setting(%')`},
		{"a view that shows what its owner sees", `
			SELECT c.relname || ' ' FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
			AND (c.relkind = 'm' OR c.relkind = 'v' AND NOT COALESCE('security_invoker=true' = ANY (c.reloptions), FALSE))`},
		{"a function that runs as its owner", `SELECT p.proname || ' ' FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace AND p.prosecdef`},
		{"a unique index that does not begin with the tenant", `
			SELECT c.relname || ' of ' || i.indrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE c.relnamespace = current_schema()::regnamespace AND i.indisunique AND a.attname IS DISTINCT FROM 'tenant'`},
		{"a foreign key that does not begin with the tenant", `
			SELECT k.conname || ' of ' || k.conrelid::regclass FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
			WHERE k.connamespace = current_schema()::regnamespace AND k.contype = 'f' AND a.attname <> 'tenant'`},
		{"a right that the tenants' role should not have", `
			SELECT c.relname || ' ' FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND (
				has_table_privilege('` + role + `', c.oid, 'TRUNCATE') OR pg_has_role('` + role + `', c.relowner, 'MEMBER')
				OR has_table_privilege('` + role + `', c.oid, 'SELECT') AND c.relname IN ('node', 'ledger', 'goose_db_version'))`},
		{"a role that is no wall", `SELECT rolname::text FROM pg_roles WHERE rolname = '` + role + `' AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb)`},
	} {
		r, err := in.query(t.Context(), look.query)
		found, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
		if err != nil {
			t.Fatalf("%s: %v", look.what, err)
		}
		for _, f := range found {
			name, of, _ := strings.Cut(f, " of ")
			if shared[name] == "" && shared[of] == "" {
				list = append(list, look.what+": "+strings.TrimSpace(f))
			}
		}
	}
	return list
}

// TestTheWallHasNoHoles reads what the migrations made, and then makes each kind of hole in it.
func TestTheWallHasNoHoles(t *testing.T) {
	s := twoTenants(t, FreshSchema(t, server(t)))
	role := s.db.(*postgresDB).wall.role
	if list := faults(t, s.db, role); len(list) > 0 {
		t.Fatal(list)
	}
	for _, hole := range []struct{ make, want string }{
		{`CREATE TABLE everybody (id BIGINT)`, "a table that tenants share without a reason: everybody"},
		{`CREATE TABLE later (tenant TEXT, id TEXT)`, "a table without a forced wall: later"},
		{`ALTER TABLE run NO FORCE ROW LEVEL SECURITY`, "a table without a forced wall: run"},
		{`CREATE POLICY kind ON run USING (true)`, "a policy that opens a table to others: run kind"},
		{`ALTER POLICY of_tenant ON run USING (true)`, "a policy that opens a table to others: run of_tenant"},
		{`CREATE VIEW runs AS SELECT * FROM run`, "a view that shows what its owner sees: runs"},
		{`CREATE FUNCTION runs() RETURNS SETOF run LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM run'`, "a function that runs as its owner: runs"},
		{`CREATE UNIQUE INDEX run_id ON run (id)`, "a unique index that does not begin with the tenant: run_id of run"},
		{`ALTER TABLE record ADD UNIQUE (id); ALTER TABLE xref ADD FOREIGN KEY (record) REFERENCES record (id)`, "a foreign key that does not begin with the tenant: xref_record_fkey of xref"},
		{`GRANT TRUNCATE ON run TO ` + role, "a right that the tenants' role should not have: run"},
	} {
		ctx := t.Context()
		undo := errors.New("undone")
		err := s.db.change(ctx, func(x tx) error {
			for _, q := range strings.Split(hole.make, "; ") {
				if _, err := x.exec(ctx, q); err != nil {
					return err
				}
			}
			if list := faults(t, x, role); !slices.Contains(list, hole.want) {
				t.Errorf("%s: found %q, want %q", hole.make, list, hole.want)
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Errorf("%s: %v", hole.make, err)
		}
	}
}
