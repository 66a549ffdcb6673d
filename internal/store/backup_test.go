package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"throughline/internal/hub"
	"throughline/internal/sqlite"
	"throughline/internal/store"
)

var seal = store.Sealer{Key: []byte("a key made of the master key"), Fingerprint: "f1"}

// places are stores of both kinds, each empty.
func places(t *testing.T) map[string]func() string {
	all := map[string]func() string{"SQLite": func() string { return filepath.Join(t.TempDir(), "ledger.db") }}
	if url := os.Getenv("TEST_POSTGRES_URL"); url != "" {
		all["PostgreSQL"] = func() string { return store.FreshSchema(t, url) }
	}
	return all
}

// lived opens a ledger in which something has happened: every kind of value, and a node.
func lived(t *testing.T, url string) *store.Store {
	t.Helper()
	s := open(t, url, time.Now)
	ctx := t.Context()
	must(t, s.SealedBy(ctx, seal.Fingerprint))
	must(t, s.Apply(ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "Zoë\nO'Brien \"&\" 事"}, Audit: []store.AuditEntry{{At: time.Now(), Who: "ana", Action: "customer.apply"}},
		Connections: []store.Connection{{Tenant: "t1", ID: "crm", Connector: "acme", Settings: "{}", State: "active", Secret: []byte{0, 1, 255, 10}, Updated: time.Now()}}}))
	if _, err := s.Join(ctx, "a", time.Hour); err != nil {
		t.Fatal(err)
	}
	arrive(t, s, "1")
	return s
}

func arrive(t *testing.T, s *store.Store, id string) {
	t.Helper()
	key := hub.RecordKey{Connection: "crm", Kind: "deal", ID: id}
	e := hub.Event{Tenant: "t1", ID: hub.EventID("evt_" + id), Key: key, Payload: []byte(`{"id":"` + id + `"}`), Source: "webhook", Received: time.Now()}
	_, err := s.Journal().Accept(t.Context(), store.Arrival{Event: e, Deployments: []hub.DeploymentID{"deals"}, RunID: func() hub.RunID { return "run_" }})
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func backup(t *testing.T, s *store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := s.Backup(t.Context(), &b, seal)
	must(t, err)
	return b.Bytes()
}

func restoring(t *testing.T, data []byte, to string) store.Restoring {
	t.Helper()
	from := filepath.Join(t.TempDir(), "backup")
	must(t, os.WriteFile(from, data, 0o600))
	return store.Restoring{From: from, To: to, Seal: seal, Now: time.Now}
}

func keys(t *testing.T, s *store.Store) (list []string) {
	t.Helper()
	rows, err := s.Tenant("t1").Work(t.Context(), store.Filter{Limit: 1000})
	must(t, err)
	for _, w := range rows {
		list = append(list, w.Key)
	}
	return list
}

// TestABackupMovesBetweenStores restores each store's backup into each: all is there, to the byte, and
// the ledger is held.
func TestABackupMovesBetweenStores(t *testing.T) {
	for from, newFrom := range places(t) {
		for to, newTo := range places(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				ctx := t.Context()
				old := lived(t, newFrom())
				url := newTo()
				m, aside, err := store.Restore(ctx, restoring(t, backup(t, old), url))
				if err != nil || aside != "" {
					t.Fatal(err, aside)
				}
				s := open(t, url, time.Now)
				st, err := s.Standing(ctx)
				if err != nil || st.Held.IsZero() || st.Reason == "" || st.Ledger != m.Ledger || st.LostFrom.IsZero() || !st.LostUntil.IsZero() {
					t.Errorf("stands %+v, %v; want it held, by its own name", st, err)
				}
				c, err := s.Tenant("t1").Connection(ctx, "crm")
				if err != nil || c == nil || !bytes.Equal(c.Secret, []byte{0, 1, 255, 10}) || c.Session != nil {
					t.Errorf("connection %+v, %v", c, err)
				}
				u, err := s.Tenant("t1").Customer(ctx)
				if err != nil || u == nil || u.Name != "Zoë\nO'Brien \"&\" 事" {
					t.Errorf("customer %+v, %v", u, err)
				}
				if n, err := s.Tenant("t1").VerifyAudit(ctx); err != nil || n != 1 {
					t.Errorf("%d audit entries, %v", n, err)
				}
				if got := keys(t, s); !slices.Equal(got, []string{"crm/deal/1"}) {
					t.Errorf("work %v", got)
				}
				if err := s.SealedBy(ctx, "another"); hub.AsError(err) == nil {
					t.Errorf("another master key was taken: %v", err)
				}
			})
		}
	}
}

// TestABackupIsOfOneMoment: what arrives while it is taken is not in it.
func TestABackupIsOfOneMoment(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			s := lived(t, place())
			w := &arriving{t: t, s: s}
			_, err := s.Backup(t.Context(), w, seal)
			must(t, err)
			to := filepath.Join(t.TempDir(), "ledger.db")
			if _, _, err := store.Restore(t.Context(), restoring(t, w.Bytes(), to)); err != nil {
				t.Fatal(err)
			}
			if got := keys(t, open(t, to, time.Now)); !w.came || !slices.Equal(got, []string{"crm/deal/1"}) {
				t.Errorf("work %v; want the one that was there when it began", got)
			}
		})
	}
}

// arriving lets an event arrive once the backup has begun.
type arriving struct {
	bytes.Buffer
	t    *testing.T
	s    *store.Store
	came bool
}

func (w *arriving) Write(p []byte) (int, error) {
	if !w.came {
		w.came = true
		arrive(w.t, w.s, "2")
	}
	return w.Buffer.Write(p)
}

// TestRestoreRefuses: nothing is touched by a file that is not as it was written, by another key, or
// where somebody's data stands.
func TestRestoreRefuses(t *testing.T) {
	whole := backup(t, lived(t, filepath.Join(t.TempDir(), "ledger.db")))
	altered := func(at int) []byte { b := bytes.Clone(whole); b[at] ^= 1; return b }
	for name, place := range places(t) {
		for what, c := range map[string]struct {
			data []byte
			code string
			do   func(*store.Restoring)
		}{
			"a torn file":                  {whole[:len(whole)-100], "backup.torn", nil},
			"a file without its last byte": {whole[:len(whole)-1], "backup.torn", nil},
			"a file with something behind": {append(bytes.Clone(whole), 'x'), "backup.torn", nil},
			"an altered body":              {altered(len(whole) / 2), "backup.torn", nil},
			"an altered manifest":          {bytes.Replace(whole, []byte(`"mark":`), []byte(`"mark":9`), 1), "backup.torn", nil},
			"an altered seal":              {altered(len(whole) - 1), "backup.torn", nil},
			"no backup at all":             {[]byte("SQLite format 3\x00 and so on\n"), "backup.unknown", nil},
			"an empty file":                {nil, "backup.unknown", nil},
			"another master key":           {whole, "ledger.master_key", func(r *store.Restoring) { r.Seal.Fingerprint = "f2" }},
		} {
			t.Run(name+": "+what, func(t *testing.T) {
				url := place()
				r := restoring(t, c.data, url)
				if c.do != nil {
					c.do(&r)
				}
				_, _, err := store.Restore(t.Context(), r)
				if e := hub.AsError(err); e == nil || e.Code != c.code {
					t.Errorf("%v; want %s", err, c.code)
				}
				if name == "SQLite" {
					if left, err := filepath.Glob(url + "*"); err != nil || len(left) > 0 {
						t.Errorf("left behind: %v %v", left, err)
					}
				}
			})
		}
	}
}

// TestRestoreSparesWhatStandsThere: only force moves it, and never while a node works on it.
func TestRestoreSparesWhatStandsThere(t *testing.T) {
	whole := backup(t, lived(t, filepath.Join(t.TempDir(), "ledger.db")))
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			ctx, url := context.Background(), place()
			s, err := store.Open(ctx, url, time.Now)
			must(t, err)
			must(t, s.Apply(ctx, store.Setup{Customer: store.Customer{ID: "other", Name: "Other"}}))
			epoch, err := s.Join(ctx, "a", time.Hour)
			must(t, err)
			r := restoring(t, whole, url)
			r.Force = true
			if _, _, err := store.Restore(ctx, r); code(err) != "restore.in_use" {
				t.Errorf("over a living node: %v", err)
			}
			must(t, s.Renew(ctx, epoch, 0)) // it has ended
			must(t, s.Close())
			r.Force = false
			if _, _, err := store.Restore(ctx, r); code(err) != "restore.not_empty" {
				t.Errorf("over somebody's data: %v", err)
			}
			if got := customers(t, url); !slices.Equal(got, []hub.TenantID{"other"}) {
				t.Errorf("customers %v; want them as they were", got)
			}
			r.Force = true
			_, aside, err := store.Restore(ctx, r)
			must(t, err)
			if got := customers(t, url); !slices.Equal(got, []hub.TenantID{"t1"}) {
				t.Errorf("customers %v; want the backup's", got)
			}
			if name == "SQLite" {
				if got := customers(t, aside); !slices.Equal(got, []hub.TenantID{"other"}) {
					t.Errorf("aside: customers %v; want those that stood there", got)
				}
			} else {
				if n := asideCount(t, url, aside); n != 1 {
					t.Errorf("aside: %d customers; want the one that stood there", n)
				}
			}
		})
	}
}

// TestWhoSleptWhileTheLedgerWasRestoredMeetsTheNewOne: a process that was stopped, and whose lease ran out, goes on after
// a restore. What it takes goes into the ledger that stands there now, and it sends nothing: that is held.
func TestWhoSleptWhileTheLedgerWasRestoredMeetsTheNewOne(t *testing.T) {
	whole := backup(t, lived(t, filepath.Join(t.TempDir(), "ledger.db")))
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			ctx, url := t.Context(), place()
			s := lived(t, url)
			epoch, err := s.Join(ctx, "asleep", 0)
			must(t, err)
			if _, err := s.Recover(ctx, epoch, true); err != nil {
				t.Fatal(err)
			}
			r := restoring(t, whole, url)
			r.Force = true
			if _, _, err := store.Restore(ctx, r); err != nil {
				t.Fatal(err)
			}
			if err := s.Renew(ctx, epoch, time.Hour); !errors.Is(err, store.ErrFenced) {
				t.Errorf("awake, its lease: %v", err)
			}
			if _, err := s.Join(ctx, "asleep", time.Hour); err != nil {
				t.Fatal(err)
			}
			if st, err := s.Standing(ctx); err != nil || st.Held.IsZero() {
				t.Errorf("awake, it works on a ledger that stands %+v, %v; want it held", st, err)
			}
			arrive(t, s, "3")
			if got := keys(t, open(t, url, time.Now)); !slices.Equal(got, []string{"crm/deal/1", "crm/deal/3"}) {
				t.Errorf("the restored ledger has %v; want what was acknowledged since, too", got)
			}
		})
	}
}

// TestAFileThatCannotBeReadIsMoved: a ledger that is damaged stands in nobody's way.
func TestAFileThatCannotBeReadIsMoved(t *testing.T) {
	url, what := filepath.Join(t.TempDir(), "ledger.db"), bytes.Repeat([]byte("no database at all "), 1000)
	must(t, os.WriteFile(url, what, 0o600))
	r := restoring(t, backup(t, lived(t, filepath.Join(t.TempDir(), "ledger.db"))), url)
	if _, _, err := store.Restore(t.Context(), r); code(err) != "store.open" {
		t.Errorf("%v; want it left alone", err)
	}
	r.Force = true
	_, aside, err := store.Restore(t.Context(), r)
	must(t, err)
	if got, err := os.ReadFile(aside); err != nil || !bytes.Equal(got, what) {
		t.Errorf("aside stand %d bytes, %v; want the file as it was", len(got), err)
	}
	if got := customers(t, url); !slices.Equal(got, []hub.TenantID{"t1"}) {
		t.Errorf("customers %v; want the backup's", got)
	}
}

// TestALedgerThatIsLockedIsNotMoved, however much force: somebody works on it.
func TestALedgerThatIsLockedIsNotMoved(t *testing.T) {
	t.Parallel() // it waits for a lock
	url := filepath.Join(t.TempDir(), "ledger.db")
	whole := backup(t, lived(t, url))
	c, err := sqlite.Open(url)
	must(t, err)
	st, err := c.Prepare(`BEGIN EXCLUSIVE`)
	must(t, err)
	_, err = st.Exec(t.Context())
	must(t, err)
	r := restoring(t, whole, url)
	r.Force = true
	if _, aside, err := store.Restore(t.Context(), r); code(err) != "store.open" || aside != "" {
		t.Errorf("it ended with %v, aside %q; want it refused", err, aside)
	}
	must(t, errors.Join(st.Close(), c.Close()))
}

// TestTwoRestoresAtOnce: one of them restores, the other one finds that somebody's data stands there, or works on it.
func TestTwoRestoresAtOnce(t *testing.T) {
	whole := backup(t, lived(t, filepath.Join(t.TempDir(), "ledger.db")))
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				url, errs := place(), make(chan error, 2)
				if name == "PostgreSQL" {
					must(t, open(t, url, time.Now).Close())
				}
				for range cap(errs) {
					r := restoring(t, whole, url)
					go func() {
						_, _, err := store.Restore(context.Background(), r)
						errs <- err
					}()
				}
				first, second := <-errs, <-errs
				refused := code(errors.Join(first, second))
				if first != nil && second != nil || refused != "restore.not_empty" && refused != "store.open" { // locked, while it is made
					t.Fatalf("they ended with %v and %v; want one that finds the other's", first, second)
				}
				if got := customers(t, url); !slices.Equal(got, []hub.TenantID{"t1"}) {
					t.Fatalf("customers %v; want the backup's", got)
				}
			}
		})
	}
}

// TestANodeThatBeginsDuringARestore is seen by it: nothing is taken from under its feet.
func TestANodeThatBeginsDuringARestore(t *testing.T) {
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		t.Skip("TEST_POSTGRES_URL is not set")
	}
	ctx, url := t.Context(), store.FreshSchema(t, server)
	s := lived(t, url)
	epoch, err := s.Join(ctx, "a", 0)
	must(t, err)
	if _, err := s.Recover(ctx, epoch, true); err != nil {
		t.Fatal(err)
	}
	r := restoring(t, backup(t, s), url)
	r.Force = true
	db, err := pgx.Connect(ctx, url)
	must(t, err)
	defer db.Close(context.Background())
	tx, err := db.Begin(ctx)
	must(t, err)
	_, err = tx.Exec(ctx, `LOCK TABLE audit IN ACCESS EXCLUSIVE MODE`)
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, _, err := store.Restore(context.Background(), r)
		ended <- err
	}()
	for waits := false; !waits; {
		must(t, tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'audit'::regclass)`).Scan(&waits))
	}
	if _, err := s.Join(ctx, "b", time.Hour); err != nil {
		t.Fatal(err)
	}
	must(t, tx.Commit(ctx))
	if err := <-ended; code(err) != "restore.in_use" {
		t.Errorf("it ended with %v; want it to see the node", err)
	}
}

func code(err error) string {
	if e := hub.AsError(err); e != nil {
		return e.Code
	}
	return ""
}

func customers(t *testing.T, url string) (list []hub.TenantID) {
	t.Helper()
	all, err := open(t, url, time.Now).Customers(t.Context())
	must(t, err)
	for _, c := range all {
		list = append(list, c.ID)
	}
	return list
}

// TestALedgerThatWentBackIsHeld copies a ledger back behind the product's back. The file beside it tells.
func TestALedgerThatWentBackIsHeld(t *testing.T) {
	dir := t.TempDir()
	path, copied, beside := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "copy"), filepath.Join(dir, "ledger.mark")
	ctx := t.Context()
	run := func(renewals int) (store.Standing, int64) {
		t.Helper()
		s, err := store.Open(ctx, path, time.Now)
		must(t, err)
		s.KeepMark(beside)
		epoch, err := s.Join(ctx, "a", time.Hour)
		must(t, err)
		for range renewals {
			must(t, s.Renew(ctx, epoch, time.Hour))
		}
		st, err := s.Standing(ctx)
		must(t, err)
		must(t, s.Close())
		return st, epoch
	}
	back := func() {
		t.Helper()
		data, err := os.ReadFile(copied)
		must(t, err)
		must(t, os.WriteFile(path, data, 0o600))
	}
	if st, _ := run(1); !st.Held.IsZero() {
		t.Fatalf("a new ledger is held: %+v", st)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(copied, data, 0o600))
	st, before := run(3)
	if !st.Held.IsZero() {
		t.Fatalf("a ledger that goes on is held: %+v", st)
	}
	back()
	st, after := run(0)
	if st.Held.IsZero() || st.LostFrom.IsZero() {
		t.Errorf("one that went back stands %+v; want it held", st)
	}
	if after <= before {
		t.Errorf("epoch %d after %d: one was used twice", after, before)
	}
	s, err := store.Open(ctx, path, time.Now)
	must(t, err)
	if done, err := s.Resume(ctx, nil, nil); err != nil || !done {
		t.Fatal(done, err)
	}
	must(t, s.Close())
	if st, _ := run(0); !st.Held.IsZero() || st.LostUntil.IsZero() {
		t.Errorf("resumed, it stands %+v; want it to work, and to know of its lost time", st)
	}
	back()
	if st, _ := run(0); st.Held.IsZero() {
		t.Errorf("one that went back again stands %+v", st)
	}
	must(t, os.Remove(path))
	if st, _ := run(0); st.Held.IsZero() {
		t.Errorf("an empty one in its place stands %+v; want it held", st)
	}
}

// TestResumeCatchesUp: sources that can be listed are read from the beginning of the lost time, and runs
// begin anew.
func TestResumeCatchesUp(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s := lived(t, place())
			must(t, s.Hold(ctx, "because"))
			st, err := s.Standing(ctx)
			must(t, err)
			poll := hub.Work{Tenant: "t1", Deployment: "deals", Key: "poll", Lane: hub.Normal, Due: time.Now()}
			entry := map[hub.TenantID]store.AuditEntry{"t1": {At: time.Now(), Who: "ana", Action: "ledger.resumed"}}
			for _, want := range []bool{true, false} { // a double click is harmless
				if done, err := s.Resume(ctx, []store.CatchUp{{Work: poll}}, entry); err != nil || done != want {
					t.Fatal(done, err)
				}
			}
			if got := keys(t, s); !slices.Equal(got, []string{"crm/deal/1", "poll"}) {
				t.Errorf("work %v; want the poll that catches up", got)
			}
			cursor, err := s.Tenant("t1").CursorValue(ctx, "deals", "poll")
			if err != nil || cursor != st.LostFrom.Format(time.RFC3339Nano) {
				t.Errorf("cursor %q, %v; want %s", cursor, err, st.LostFrom)
			}
			if n, err := s.Tenant("t1").VerifyAudit(ctx); err != nil || n != 2 {
				t.Errorf("%d audit entries, %v", n, err)
			}
			if done, err := s.Trust(ctx, nil); err != nil || !done {
				t.Error(done, err)
			}
			if st, err = s.Standing(ctx); err != nil || !st.LostUntil.IsZero() || !st.Held.IsZero() {
				t.Errorf("trusted, it stands %+v, %v", st, err)
			}
		})
	}
}

// TestWhatWasInHandBeginsAnewToo: a run that was under way when the backup was taken does not go by what it had read,
// whether its row was given back before the resumption or after it.
func TestWhatWasInHandBeginsAnewToo(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			ctx, old := t.Context(), lived(t, filepath.Join(t.TempDir(), "ledger.db"))
			epoch, err := old.Join(ctx, "b", time.Hour)
			must(t, err)
			runID := func() hub.RunID { return "run_" + hub.RunID(time.Now().Format(time.RFC3339Nano)) }
			list, err := old.Journal().Claim(ctx, epoch, 10, &store.Turn{}, runID)
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			url := place()
			if _, _, err := store.Restore(ctx, restoring(t, backup(t, old), url)); err != nil {
				t.Fatal(err)
			}
			s := open(t, url, time.Now)
			if done, err := s.Resume(ctx, nil, nil); err != nil || !done {
				t.Fatal(done, err)
			}
			if epoch, err = s.Join(ctx, "c", time.Hour); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recover(ctx, epoch, false); err != nil {
				t.Fatal(err)
			}
			again, err := s.Journal().Claim(ctx, epoch, 10, &store.Turn{}, runID)
			if err != nil || len(again) != 1 || again[0].Again || again[0].Run == list[0].Run {
				t.Errorf("claimed %+v, %v; want the row with another run", again, err)
			}
		})
	}
}

func asideCount(t *testing.T, url, schema string) (n int) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer db.Close(context.Background())
	must(t, db.QueryRow(t.Context(), `SELECT COUNT(*) FROM "`+schema+`".tenant`).Scan(&n))
	_, err = db.Exec(t.Context(), `DROP SCHEMA "`+schema+`" CASCADE`)
	must(t, err)
	return n
}

// TestATableOfSomebodyElse in the same schema is neither backed up nor emptied.
func TestATableOfSomebodyElse(t *testing.T) {
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		t.Skip("TEST_POSTGRES_URL is not set")
	}
	ctx, url := t.Context(), store.FreshSchema(t, server)
	s := lived(t, url)
	db, err := pgx.Connect(ctx, url)
	must(t, err)
	defer db.Close(context.Background())
	_, err = db.Exec(ctx, `CREATE TABLE invoice_of_another (number TEXT, issued DATE); INSERT INTO invoice_of_another VALUES ('R-1', '2026-11-27')`)
	must(t, err)
	whole := backup(t, s)
	for to, place := range places(t) {
		if _, _, err := store.Restore(ctx, restoring(t, whole, place())); err != nil {
			t.Errorf("to %s: %v", to, err)
		}
	}
	epoch, err := s.Join(ctx, "a", 0)
	must(t, err)
	if _, err := s.Recover(ctx, epoch, true); err != nil {
		t.Fatal(err)
	}
	r := restoring(t, whole, url)
	r.Force = true
	_, aside, err := store.Restore(ctx, r)
	must(t, err)
	var n int
	must(t, db.QueryRow(ctx, `SELECT COUNT(*) FROM invoice_of_another`).Scan(&n))
	if n != 1 || asideCount(t, url, aside) != 1 {
		t.Errorf("%d of the other's rows are left, want the one", n)
	}
}
