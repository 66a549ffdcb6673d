package store

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"throughline/internal/hub"
)

// asked runs statements at a server, and more of them when the test is over.
func asked(t *testing.T, url string, now, after []string) {
	t.Helper()
	run := func(list []string) {
		ctx := context.Background()
		db, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Error(err)
			return
		}
		defer db.Close(ctx)
		for _, q := range list {
			if _, err := db.Exec(ctx, q); err != nil {
				t.Errorf("%s: %v", q, err)
			}
		}
	}
	run(now)
	if len(after) > 0 {
		t.Cleanup(func() { run(after) })
	}
}

// FreshSchema makes an empty schema and says how to reach it.
func FreshSchema(t *testing.T, url string) string {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	asked(t, url, []string{"CREATE SCHEMA " + name}, []string{"DROP SCHEMA " + name + " CASCADE"})
	return with(url, "search_path="+name)
}

// with adds a setting to the URL of a database.
func with(url, setting string) string {
	if strings.Contains(url, "?") {
		return url + "&" + setting
	}
	return url + "?" + setting
}

// OwnDatabase makes a database and the login that owns it, with further rights such as CREATEROLE.
func OwnDatabase(t *testing.T, server, rights string) string {
	t.Helper()
	name := fmt.Sprintf("o%d", time.Now().UnixNano())
	asked(t, server, []string{"CREATE ROLE " + name + " LOGIN PASSWORD 'x' " + rights, "CREATE DATABASE " + name + " OWNER " + name}, nil)
	asked(t, server, nil, []string{"DROP DATABASE " + name, "DROP ROLE IF EXISTS " + tenantsRole(t, server, name), "DROP ROLE " + name})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword(name, "x"), "/"+name
	return u.String()
}

// tenantsRole is what the role is called as which a database's tenants are reached.
func tenantsRole(t *testing.T, server, database string) (name string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if err := db.QueryRow(t.Context(), `SELECT 'throughline_app_' || oid FROM pg_database WHERE datname = $1`, database).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestAFullLedgerIsNotCountedAnew: the planner learns as often as the changes have doubled, but not what it knows.
func TestAFullLedgerIsNotCountedAnew(t *testing.T) {
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		t.Skip("TEST_POSTGRES_URL is not set (make test sets it)")
	}
	url := FreshSchema(t, server)
	s, err := Open(t.Context(), url, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := s.db.(*postgresDB)
	next := func(changes int64) int64 {
		t.Helper()
		d.changes.Store(changes)
		if err := s.Learn(t.Context()); err != nil {
			t.Fatal(err)
		}
		return d.next.Load()
	}
	if n := next(30); n != 60 {
		t.Errorf("of a new ledger the next lesson is at %d changes, want 60", n)
	}
	asked(t, url, []string{`INSERT INTO work (tenant, deployment, record_key, state, lane, due_at, event) SELECT 't', 'd', 'k' || n, 'idle', 1, 0, 'e' FROM generate_series(1, 500) n`, `ANALYZE work`}, nil)
	if n := next(70); n != 500 {
		t.Errorf("of a ledger that is known to have 500 rows the next lesson is at %d changes, want 500", n)
	}
	if n := next(500); n != 1000 {
		t.Errorf("once so much has changed the lesson after is at %d, want 1000", n)
	}
}

// TestNothingIsPlannedAnew: a claim's statement was planned at each claim, for another limit, and a commit's for its
// many rows; that took several times what carrying them out does.
func TestNothingIsPlannedAnew(t *testing.T) {
	s := twoTenants(t, FreshSchema(t, server(t)))
	epoch, err := s.Join(t.Context(), "n", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	turn := &Turn{}
	for range 2 {
		if _, err := s.Journal().Claim(t.Context(), epoch, 1, turn, func() hub.RunID { return "run_" }); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.db.query(t.Context(), `SELECT statement FROM pg_prepared_statements WHERE custom_plans > 0`)
	anew, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
	if err != nil || len(anew) > 0 {
		t.Errorf("planned for their values: %q, %v", anew, err)
	}
}

// TestTheQueueIsNotLookedThrough: the planner has seen the queue empty. It must not think that all of it may as well
// be read to find the first one: a claim took a quarter of a second where 300,000 waited.
func TestTheQueueIsNotLookedThrough(t *testing.T) {
	s := onPostgres(t)
	if _, err := s.db.exec(t.Context(), `ANALYZE work`); err != nil {
		t.Fatal(err)
	}
	for q, args := range map[string][]any{readyTenants: {1, "", 1, 16}, readyFlows: {1, "t1", 1, "t1"}} {
		r, err := s.db.query(t.Context(), `EXPLAIN `+q, args...)
		plan, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
		if text := strings.Join(plan, "\n"); err != nil || strings.Contains(text, "Aggregate") || strings.Contains(text, "Sort") {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// TestARowIsEndedByItsKey: whatever the planner has seen in hand when it counted, it does not look for the row that has
// ended among all that a node has in hand: with some counts entries took twice as long.
func TestARowIsEndedByItsKey(t *testing.T) {
	s := onPostgres(t)
	const fill = `INSERT INTO work (tenant, deployment, record_key, state, lane, due_at, event, epoch, run)
		SELECT 't', 'd', 'k' || n, CASE WHEN n <= ? THEN 'running' ELSE 'idle' END, 1, 0, 'e', CASE WHEN n <= ? THEN 7 ELSE 0 END, 'r' || n FROM generate_series(1, 5000) n`
	for _, inHand := range []int{0, 1, 30, 1000} {
		for _, q := range []struct {
			text string
			args []any
		}{{`DELETE FROM work`, nil}, {fill, []any{inHand, inHand}}, {`ANALYZE work`, nil}} {
			if _, err := s.db.exec(t.Context(), q.text, q.args...); err != nil {
				t.Fatal(err)
			}
		}
		many := manyOf(endWork, kindsOf([]any{hub.Idle, 0, 0, 1, 0, "t", "d", "k", 7, "r"}))
		for q, values := range map[string]string{
			endWork:   `'idle', 0, 0, 1, 0, 't', 'd', 'k', 7, 'r'`,
			many.told: `'{idle}', '{0}', '{0}', '{1}', '{0}', '{t}', '{d}', '{k}', '{7}', '{r}'`,
		} {
			if text := plannedOnce(t, s, q, values); !strings.Contains(text, "work_pkey") {
				t.Errorf("%d in hand:\n%s", inHand, text)
			}
		}
	}
}

// plannedOnce is the plan that is kept of a statement, whatever its values.
func plannedOnce(t *testing.T, s *Store, q, values string) (text string) {
	t.Helper()
	err := s.db.change(t.Context(), func(x tx) error {
		for _, step := range []string{`PREPARE kept AS ` + q, `EXPLAIN EXECUTE kept (` + values + `)`, `DEALLOCATE kept`} {
			r, err := x.query(t.Context(), step)
			lines, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
			if err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
			text += strings.Join(lines, "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestNothingIsCompiled: a lease that has run out is looked for in a table of few rows, from end to end. It took longer
// to compile that than to record a hundred runs.
func TestNothingIsCompiled(t *testing.T) {
	s := onPostgres(t)
	r, err := s.db.query(t.Context(), `EXPLAIN ANALYZE DELETE FROM node WHERE lease_until < 0`)
	plan, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(plan, "\n"), "JIT") {
		t.Errorf("the server has compiled it:\n%s", strings.Join(plan, "\n"))
	}
}

// TestARowIsChangedWhereItLies: PostgreSQL writes a changed row anew. Pages have room for that, so that no further one is
// begun and the log holds only what differs.
func TestARowIsChangedWhereItLies(t *testing.T) {
	s := onPostgres(t)
	for table, q := range map[string]string{
		"work":    `INSERT INTO work (tenant, deployment, record_key, state, lane, due_at, event) SELECT 't', 'd', 'k' || n, 'ready', 1, 0, 'e' FROM generate_series(1, 1000) n`,
		"write":   `INSERT INTO write (tenant, op_key, run, deployment, record_key, step, record, connection, operation, class, hash, body, state, started_at) SELECT 't', n::text, '', '', '', '', n::text, 'erp', '', '', '', '', 'open', 0 FROM generate_series(1, 1000) n`,
		"posting": `INSERT INTO posting (tenant, record, entry, deployment, connection, n, type, date, content, fields, state, updated_at) SELECT 't', n::text, 'e', 'd', 'erp', 1, '', '', '', '', 'sending', 0 FROM generate_series(1, 1000) n`,
	} {
		for _, q := range []string{q, `UPDATE ` + table + ` SET state = 'done'`} {
			if _, err := s.db.exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.db.query(t.Context(), `SELECT pg_relation_size('`+table+`') / 8192 - COUNT(DISTINCT (ctid::text::point)[0]) FROM `+table)
		left, err := all(r, err, func(r rows, v *int64) error { return r.Scan(v) })
		if err != nil || left[0] != 0 {
			t.Errorf("%s: %v pages hold nothing but rows as they were (%v)", table, left, err)
		}
	}
}

// TestAWrittenLineLeavesItsSumAlone: what it counts was counted with its intent. Who records that it was written waits for
// nobody who posts to the same sum.
func TestAWrittenLineLeavesItsSumAlone(t *testing.T) {
	s := onPostgres(t)
	ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
	defer end()
	record := func(st Step) error {
		return s.db.change(ctx, func(x tx) error { return s.record(ctx, x, []*entry{{step: &st}}, &giving{}) })
	}
	line := func(id hub.RecordID) *Posting {
		return &Posting{Record: id, Entry: "e", Connection: "erp", N: 1, State: Sending, Counts: []Count{{Name: "day", Item: "ann", Seconds: 60}}}
	}
	open := Step{Tenant: "t"}
	for _, id := range []hub.RecordID{"l1", "l2"} {
		open.Open = append(open.Open, Write{OpKey: string(id), Record: id, Connection: "erp", Posting: line(id)})
	}
	if err := record(open); err != nil {
		t.Fatal(err)
	}
	err := s.db.change(ctx, func(x tx) error {
		if _, err := x.exec(ctx, `UPDATE tally SET seconds = seconds + 1`); err != nil {
			return err
		}
		return record(Step{Tenant: "t", Close: []WriteDone{{OpKey: "l1", Record: "l1", Connection: "erp", State: "done", Link: Link{Record: "l1", Connection: "erp", ExternalID: "1"}, Posting: line("l1")}}})
	})
	if err != nil {
		t.Fatalf("while another one holds the sum: %v", err)
	}
	if err := record(Step{Tenant: "t", Close: []WriteDone{{OpKey: "l2", Record: "l2", Connection: "erp", State: "refused", Posting: line("l2")}}}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Tenant("t").Tally(ctx, "day", "ann"); err != nil || v.Seconds != 61 {
		t.Errorf("the sum is %d after one line was refused (%v), want 61", v.Seconds, err)
	}
}

// TestAStoppedNodeHoldsNobodyUp: it was stopped in the midst of a transaction that has the ledger's row. The others
// renew their leases all the same, and when it goes on, it finds that it recorded nothing.
func TestAStoppedNodeHoldsNobodyUp(t *testing.T) {
	s := onPostgres(t)
	epoch, err := s.Join(t.Context(), "lively", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	asleep, wakes, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.db.change(context.Background(), func(t tx) error {
			if _, err := t.exec(context.Background(), `UPDATE ledger SET mark = mark + 1000`); err != nil {
				return err
			}
			close(asleep)
			<-wakes
			return nil
		})
	}()
	<-asleep
	begun := time.Now()
	if err := s.Renew(t.Context(), epoch, time.Minute); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 4*silence {
		t.Errorf("a lease was renewed after %s", took)
	}
	close(wakes)
	if err := <-ended; err == nil {
		t.Error("the transaction of the node that was stopped came about")
	}
}

// onPostgres is a ledger in a schema of its own, where TEST_POSTGRES_URL names a server.
func onPostgres(t *testing.T) *Store {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		t.Skip("TEST_POSTGRES_URL is not set (make test sets it)")
	}
	s, err := Open(t.Context(), FreshSchema(t, server), time.Now)
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
