package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"throughline/internal/hub"
)

// Behind Tenant stands a second wall on PostgreSQL: row-level security. What is asked for a tenant is asked as a
// role that sees its rows only, so that a query whose WHERE was forgotten shows nothing of another one. What
// happens by itself serves all tenants in one commit, and is carried out as the login, for which the wall has a
// gate (docs/decisions/0010).

// scope is the database as one tenant reaches it.
type scope interface {
	tx
	change(ctx context.Context, f func(tx) error) error
	dialect() dialect
}

func (d *postgresDB) of(id hub.TenantID) scope { return &walledDB{d, id} }

// walledDB is PostgreSQL within a tenant's wall. A read tells who asks in its own round trip, a change in one more.
type walledDB struct {
	db     *postgresDB
	tenant hub.TenantID
}

// enter holds until the end of the transaction, and never longer: the next one on the connection starts outside.
const enter = `SELECT set_config('role', ?, true), set_config('throughline.tenant', ?, true), set_config('throughline.walled', 'yes', true)`

func (d *walledDB) dialect() dialect { return d.db.dialect() }

// send asks within the wall; what was asked comes out of the answer second.
func (d *walledDB) send(ctx context.Context, q string, args []any) (pgx.BatchResults, error) {
	b := &pgx.Batch{}
	b.Queue(numbered(enter), d.db.wall.role, string(d.tenant))
	b.Queue(numbered(q), args...)
	res := d.db.pool.SendBatch(ctx, b)
	if _, err := res.Exec(); err != nil {
		return nil, errors.Join(err, res.Close())
	}
	return res, nil
}

func (d *walledDB) query(ctx context.Context, q string, args ...any) (rows, error) {
	res, err := d.send(ctx, q, args)
	if err != nil {
		return nil, err
	}
	return rowsNext(res)
}

func (d *walledDB) exec(ctx context.Context, q string, args ...any) (int64, error) {
	res, err := d.send(ctx, q, args)
	if err != nil {
		return 0, err
	}
	tag, err := res.Exec()
	return tag.RowsAffected(), errors.Join(err, res.Close())
}

func (d *walledDB) each(ctx context.Context, q string, args [][]any) (n []int64, err error) {
	err = d.change(ctx, func(t tx) error { n, err = t.each(ctx, q, args); return err })
	return n, err
}

func (d *walledDB) put(ctx context.Context, q string, args [][]any, explain func(error) error) error {
	return d.change(ctx, func(t tx) error { return t.put(ctx, q, args, explain) })
}

func (d *walledDB) change(ctx context.Context, f func(tx) error) error {
	d.db.changes.Add(1)
	return d.within(ctx, changeLimit, f)
}

func (d *walledDB) within(ctx context.Context, limit time.Duration, f func(tx) error) error {
	return d.db.within(ctx, limit, func(t tx) error {
		if err := t.put(ctx, enter, [][]any{{d.db.wall.role, string(d.tenant)}}, nil); err != nil {
			return err
		}
		return f(t)
	})
}

// wall is how the second wall stands in a database.
type wall struct {
	role string // as which tenants' rows are reached; "none": as the login itself
	name string // what the role is called, whether it is there or not
	open string // why there is no wall at all; empty: there is one
}

// policy lets those who act as a role reach the rows of a table for which the condition holds.
type policy struct{ name, role, condition string }

// policies are those of every table of tenants. A condition that is changed gets another name, by which the old
// one is known.
func (w wall) policies(owner string) []policy {
	if w.role != noRole {
		return []policy{
			{"everything", owner, `true`},
			{"of_tenant", w.role, `tenant = NULLIF(current_setting('throughline.tenant', true), '')`},
		}
	}
	// Who owns the tables is the only one there is: whether it asks for a tenant stands in a setting.
	return []policy{{"of_tenant_where_walled", owner, `COALESCE(current_setting('throughline.walled', true), '') <> 'yes' OR tenant = NULLIF(current_setting('throughline.tenant', true), '')`}}
}

const noRole = "none" // PostgreSQL's word for acting as the login

// raise builds the wall, or finds that it stands. Those that start together build it one after the other, and
// no table is locked where nothing is missing.
func raise(ctx context.Context, pool *pgxpool.Pool) (w wall, err error) {
	err = pgx.BeginFunc(ctx, pool, func(t pgx.Tx) error {
		if _, err := t.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('throughline.wall'))`); err != nil {
			return err
		}
		if w, err = findRole(ctx, t); err != nil {
			return err
		}
		list, err := walledTables(ctx, t, w)
		if err != nil {
			return err
		}
		for _, x := range list {
			if err := x.wallIn(ctx, t, w); err != nil {
				return fmt.Errorf("row-level security of %s: %w", x.name, err)
			}
		}
		return nil
	})
	return w, err
}

// findRole finds or makes the role of this database, and lets the login act as it.
func findRole(ctx context.Context, t pgx.Tx) (w wall, err error) {
	const q = `
		SELECT 'throughline_app_' || d.oid, EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'throughline_app_' || d.oid AND NOT rolsuper AND NOT rolbypassrls),
			u.rolsuper OR u.rolbypassrls
		FROM pg_database d, pg_roles u WHERE d.datname = current_database() AND u.rolname = current_user`
	var there, unbound bool
	if err := t.QueryRow(ctx, q).Scan(&w.name, &there, &unbound); err != nil {
		return w, err
	}
	may, err := actsAs(ctx, t, w.name, there)
	switch {
	case err != nil:
		return w, fmt.Errorf("the role of tenants: %w", err)
	case may:
		w.role = w.name
		return w, letIn(ctx, t, w.role)
	case unbound:
		w.open = "The database's login passes row-level security, and may not make a role that does not."
	}
	w.role = noRole
	return w, nil
}

// actsAs reports whether the login may act as the role. One that is missing is made, and the login let into it,
// where it may do so.
func actsAs(ctx context.Context, t pgx.Tx, role string, there bool) (may bool, err error) {
	act, create, grant := `SET LOCAL ROLE `+role, `CREATE ROLE `+role+` NOLOGIN`, `GRANT `+role+` TO CURRENT_USER`
	if there {
		if may, err = allowed(ctx, t, act, pgx.Tx.Rollback); may || err != nil {
			return may, err
		}
	} else if may, err = allowed(ctx, t, create, pgx.Tx.Commit); !may || err != nil {
		return false, err
	}
	if may, err = allowed(ctx, t, grant, pgx.Tx.Commit); !may || err != nil {
		return false, err
	}
	return allowed(ctx, t, act, pgx.Tx.Rollback)
}

// allowed runs a statement and answers false where this login may not. End says whether it is to stay.
func allowed(ctx context.Context, t pgx.Tx, q string, end func(pgx.Tx, context.Context) error) (bool, error) {
	try, err := t.Begin(ctx) // a savepoint
	if err != nil {
		return false, err
	}
	_, err = try.Exec(ctx, q)
	if err == nil {
		return true, end(try, ctx)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42501" || pg.Code == "42710") { // not allowed; another role has the name
		err = nil
	}
	return false, errors.Join(err, try.Rollback(ctx))
}

// letIn lets the role look into our schema. Where everybody may, as into "public", there is nothing to do, and the
// schema may be another's.
func letIn(ctx context.Context, t pgx.Tx, role string) error {
	var schema string
	var in bool
	if err := t.QueryRow(ctx, `SELECT current_schema(), has_schema_privilege($1, current_schema(), 'USAGE')`, role).Scan(&schema, &in); err != nil || in {
		return err
	}
	_, err := t.Exec(ctx, `GRANT USAGE ON SCHEMA `+pgx.Identifier{schema}.Sanitize()+` TO `+role)
	return err
}

// walledTable is a table of tenants as it stands.
type walledTable struct {
	name, owner string
	forced      bool
	granted     bool
	policies    []string // name and role of each
}

// walledTables are all of ours that have a tenant in each row: those that a later migration makes as well.
func walledTables(ctx context.Context, t pgx.Tx, w wall) ([]walledTable, error) {
	const q = `
		SELECT c.relname, pg_get_userbyid(c.relowner)::text, c.relrowsecurity AND c.relforcerowsecurity,
			CASE $1 WHEN 'none' THEN TRUE ELSE (SELECT bool_and(has_table_privilege($1, c.oid, p)) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p) END,
			ARRAY(SELECT p.policyname || ' ' || array_to_string(p.roles, ',') FROM pg_policies p
				WHERE p.schemaname = current_schema() AND p.tablename = c.relname ORDER BY p.policyname COLLATE "C")
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname`
	r, err := t.Query(ctx, q, w.role)
	list, err := all(rows(r), err, func(r rows, x *walledTable) error {
		return r.Scan(&x.name, &x.owner, &x.forced, &x.granted, &x.policies)
	})
	if err != nil {
		return nil, err
	}
	mine, err := ours()
	return slices.DeleteFunc(list, func(x walledTable) bool { return !mine[x.name] }), err
}

// wallIn gives a table what it lacks.
func (x walledTable) wallIn(ctx context.Context, t pgx.Tx, w wall) error {
	var want []string
	for _, p := range w.policies(x.owner) {
		want = append(want, p.name+" "+p.role)
	}
	if x.forced && x.granted && slices.Equal(want, x.policies) {
		return nil
	}
	table := pgx.Identifier{x.name}.Sanitize()
	var run []string
	for _, p := range x.policies {
		name, _, _ := strings.Cut(p, " ")
		run = append(run, `DROP POLICY `+pgx.Identifier{name}.Sanitize()+` ON `+table)
	}
	for _, p := range w.policies(x.owner) {
		run = append(run, `CREATE POLICY `+p.name+` ON `+table+` TO `+pgx.Identifier{p.role}.Sanitize()+` USING (`+p.condition+`)`)
	}
	run = append(run, `ALTER TABLE `+table+` ENABLE ROW LEVEL SECURITY`, `ALTER TABLE `+table+` FORCE ROW LEVEL SECURITY`)
	if w.role != noRole {
		run = append(run, `GRANT SELECT, INSERT, UPDATE, DELETE ON `+table+` TO `+w.role)
	}
	for _, q := range run {
		if _, err := t.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// Walls says what an operator has to know of the second wall; "" where all is as it should be.
func (s *Store) Walls() string {
	d, ok := s.db.(*postgresDB)
	switch {
	case !ok || d.wall.role != noRole:
		return ""
	case d.wall.open != "":
		return d.wall.open + " Without it only the product's own queries keep tenants apart. " + d.wall.remedy()
	}
	return "The database's login may make no roles: row-level security goes by a setting of each transaction. " + d.wall.remedy()
}

func (w wall) remedy() string {
	return "Let somebody who may run CREATE ROLE " + w.name + " NOLOGIN; GRANT " + w.name + " TO the login; then start again."
}
