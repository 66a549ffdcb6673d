package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throughline/internal/hub"
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

// TestSQLite holds the statements that each case has run against their plans, too.
func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.Store {
		s := open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
		t.Cleanup(func() { store.CheckPlans(t, s) })
		return s
	})
}

// TestAnyPath: the file is where it was said, whatever its name means to those who read addresses.
func TestAnyPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my ledger? 100%20#1.db")
	open(t, path, time.Now)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if list, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(list) > 3 { // with its log
		t.Errorf("there are %q, %v", list, err)
	}
}

// TestPostgres runs where TEST_POSTGRES_URL names a server; each case has a schema of its own.
func TestPostgres(t *testing.T) {
	url := os.Getenv("TEST_POSTGRES_URL")
	if url == "" {
		t.Skip("TEST_POSTGRES_URL is not set: the PostgreSQL half of the suite does not run (make test sets it)")
	}
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.Store {
		return open(t, store.FreshSchema(t, url), now)
	})
}

// TestPostgresOfAPlainOwner runs as a login that owns its database and may do nothing else: even it stands before
// the wall.
func TestPostgresOfAPlainOwner(t *testing.T) {
	url := os.Getenv("TEST_POSTGRES_URL")
	if url == "" {
		t.Skip("TEST_POSTGRES_URL is not set: the PostgreSQL half of the suite does not run (make test sets it)")
	}
	url = store.OwnDatabase(t, url, "")
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.Store {
		return open(t, store.FreshSchema(t, url), now)
	})
}

// TestOneNodeLogsInAtATime: a refresh token that two nodes show at once may cost the whole consent (F6).
func TestOneNodeLogsInAtATime(t *testing.T) {
	url := os.Getenv("TEST_POSTGRES_URL")
	if url == "" {
		t.Skip("TEST_POSTGRES_URL is not set: nodes that share a store are not tested (make test sets it)")
	}
	url = store.FreshSchema(t, url)
	ctx := t.Context()
	nodes := []*store.Store{open(t, url, time.Now), open(t, url, time.Now)}
	err := nodes[0].Apply(ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "T"},
		Connections: []store.Connection{{Tenant: "t1", ID: "crm", Connector: "acme", Settings: "{}", State: "active"}}})
	if err != nil {
		t.Fatal(err)
	}
	var logins atomic.Int32
	var hands sync.WaitGroup
	for i := range 8 {
		hands.Go(func() {
			session, version, err := nodes[i%2].Tenant("t1").RenewSession(ctx, "crm", 0, func(before []byte) ([]byte, error) {
				logins.Add(1)
				return append(before, 'x'), nil
			})
			if err != nil || string(session) != "x" || version != 1 {
				t.Errorf("session %q version %d, %v; want what the one login gave", session, version, err)
			}
		})
	}
	hands.Wait()
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins, want one", n)
	}
}

// TestALoginThatAnEditOvertakes: what the old credentials gave is not kept for the new ones. (On PostgreSQL the edit waits
// for the login.)
func TestALoginThatAnEditOvertakes(t *testing.T) {
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "ledger.db"), time.Now)
	apply := func(secret string) {
		t.Helper()
		err := s.Apply(ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR"}, Connections: []store.Connection{
			{Tenant: "t1", ID: "crm", Connector: "c", Settings: "{}", Secret: []byte(secret), State: "active", Updated: time.Now()}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	apply("old")
	_, _, err := s.Tenant("t1").RenewSession(ctx, "crm", 0, func([]byte) ([]byte, error) {
		apply("new")
		return []byte("of the old account"), nil
	})
	c, readErr := s.Tenant("t1").Connection(ctx, "crm")
	if hub.KindOf(err) != hub.Unavailable || readErr != nil || c.Session != nil {
		t.Errorf("the login ended with %v; the session is %q, %v", err, c.Session, readErr)
	}
}
