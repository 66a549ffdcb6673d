package store

import (
	"context"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"throughline/internal/hub"
)

func server(t *testing.T) string {
	t.Helper()
	url := os.Getenv("TEST_POSTGRES_URL")
	if url == "" {
		t.Skip("TEST_POSTGRES_URL is not set: the second wall is not tested (make test sets it)")
	}
	return url
}

// twoTenants opens a store on one connection, so that what one transaction leaves behind meets the next, and gives
// each of two tenants a row of work.
func twoTenants(t *testing.T, at string) *Store {
	t.Helper()
	ctx := t.Context()
	s, err := Open(ctx, with(at, "pool_max_conns=1"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, id := range []hub.TenantID{"t1", "t2"} {
		key := hub.RecordKey{Connection: "crm", Kind: "deal", ID: "1"}
		e := hub.Event{Tenant: id, ID: "evt_1", Key: key, Source: "webhook", Received: time.Now()}
		if _, err := s.Journal().Accept(ctx, Arrival{Event: e, Deployments: []hub.DeploymentID{"deals"}, RunID: func() hub.RunID { return "run_" }}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// forgotten is a query whose author forgot whose rows are asked for.
func forgotten(ctx context.Context, in tx) ([]string, error) {
	r, err := in.query(ctx, `SELECT tenant FROM work ORDER BY tenant`)
	return all(r, err, func(r rows, v *string) error { return r.Scan(v) })
}

// logins are those that operators give us, with what is said of each.
var logins = []struct{ name, rights, said string }{
	{"a superuser", "SUPERUSER", ""},
	{"an owner who may make roles", "CREATEROLE", ""},
	{"a plain owner", "", "by a setting"},
}

func TestAForgottenTenantShowsNothingOfAnother(t *testing.T) {
	server := server(t)
	for _, login := range logins {
		t.Run(login.name, func(t *testing.T) {
			s, ctx := twoTenants(t, OwnDatabase(t, server, login.rights)), t.Context()
			if said := s.Walls(); (said == "") != (login.said == "") || !strings.Contains(said, login.said) {
				t.Errorf("said: %q, want %q", said, login.said)
			}
			for _, c := range []struct {
				who  string
				in   tx
				want []string
			}{
				{"the first tenant", s.Tenant("t1").db, []string{"t1"}},
				{"the second tenant", s.Tenant("t2").db, []string{"t2"}},
				{"one that is not there", s.Tenant("t3").db, nil},
				{"none", s.Tenant("").db, nil},
				{"what happens by itself", s.db, []string{"t1", "t2"}},
				{"a run", s.Unwalled("t1").db, []string{"t1", "t2"}},
			} {
				if got, err := forgotten(ctx, c.in); err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%s sees %v, %v; want %v", c.who, got, err, c.want)
				}
			}
			if role := s.db.(*postgresDB).wall.role; role != noRole {
				err := s.db.change(ctx, func(x tx) error {
					if _, err := x.exec(ctx, `SET LOCAL ROLE `+role); err != nil {
						return err
					}
					got, err := forgotten(ctx, x)
					if len(got) > 0 {
						t.Errorf("the role that has not said for whom it asks sees %v", got)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestAForgottenTenantChangesNothingOfAnother: neither by a change without its WHERE nor by a row with another's name.
func TestAForgottenTenantChangesNothingOfAnother(t *testing.T) {
	server := server(t)
	for _, login := range logins {
		t.Run(login.name, func(t *testing.T) {
			s, ctx := twoTenants(t, OwnDatabase(t, server, login.rights)), t.Context()
			t1 := s.Tenant("t1")
			if n, err := t1.db.exec(ctx, `UPDATE work SET reason = 'changed'`); err != nil || n != 1 {
				t.Errorf("changed %d rows, %v; want its own", n, err)
			}
			err := t1.db.change(ctx, func(x tx) error {
				n, err := x.exec(ctx, `DELETE FROM event`)
				if err == nil && n != 1 {
					t.Errorf("deleted %d events, want its own", n)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			var pg *pgconn.PgError
			err = s.Apply(ctx, Setup{Customer: Customer{ID: "t1", Name: "One"}, Connections: []Connection{{Tenant: "t2", ID: "crm", Connector: "acme", Settings: "{}", State: "active"}}})
			if !errors.As(err, &pg) || pg.Code != "42501" {
				t.Errorf("another's connection was set up: %v", err)
			}
			if list, err := s.Unwalled("t2").Connections(ctx); err != nil || len(list) != 0 {
				t.Errorf("the second tenant has %v, %v", list, err)
			}
			if e, err := s.Tenant("t2").Event(ctx, "evt_1"); err != nil || e == nil {
				t.Errorf("the second tenant's event: %v, %v", e, err)
			}
			if got, err := forgotten(ctx, s.db); err != nil || len(got) != 2 {
				t.Errorf("after a refused change the connection sees %v, %v", got, err)
			}
		})
	}
}

// TestNobodyEntersAnothersWall lets two tenants use the same connections at once.
func TestNobodyEntersAnothersWall(t *testing.T) {
	at := FreshSchema(t, server(t))
	twoTenants(t, at)
	s, err := Open(t.Context(), with(at, "pool_max_conns=3"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var hands sync.WaitGroup
	for i := range 6 {
		hands.Go(func() {
			id := []hub.TenantID{"t1", "t2"}[i%2]
			in := s.Tenant(id).db
			for range 50 {
				if got, err := forgotten(t.Context(), in); err != nil || !slices.Equal(got, []string{string(id)}) {
					t.Errorf("%s sees %v, %v", id, got, err)
				}
				err := in.change(t.Context(), func(x tx) error {
					if got, err := forgotten(t.Context(), x); err != nil || !slices.Equal(got, []string{string(id)}) {
						t.Errorf("%s sees %v, %v in a change", id, got, err)
					}
					return errors.New("undone")
				})
				if err == nil || err.Error() != "undone" {
					t.Error(err)
				}
			}
		})
	}
	hands.Wait()
}

// TestTheRoleComesLater: an operator does what the product may not, and starts it again.
func TestTheRoleComesLater(t *testing.T) {
	server := server(t)
	at := OwnDatabase(t, server, "")
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	s := twoTenants(t, at)
	role := tenantsRole(t, server, u.User.Username())
	if said := s.Walls(); !strings.Contains(said, "CREATE ROLE "+role+" NOLOGIN") {
		t.Fatalf("said: %q", said)
	}
	asked(t, server, []string{"CREATE ROLE " + role + " NOLOGIN", "GRANT " + role + " TO " + u.User.Username()}, nil)
	for range 2 { // the second finds the wall as the first has built it
		s, err := Open(t.Context(), at, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if said := s.Walls(); said != "" {
			t.Errorf("said: %q", said)
		}
		if list := faults(t, s.db, role); len(list) > 0 {
			t.Error(list)
		}
		if got, err := forgotten(t.Context(), s.Tenant("t2").db); err != nil || !slices.Equal(got, []string{"t2"}) {
			t.Errorf("sees %v, %v", got, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestALoginThatNoWallHolds is told so.
func TestALoginThatNoWallHolds(t *testing.T) {
	s := twoTenants(t, OwnDatabase(t, server(t), "BYPASSRLS"))
	if said := s.Walls(); !strings.Contains(said, "passes row-level security") {
		t.Errorf("said: %q", said)
	}
	if e, err := s.Tenant("t1").Event(t.Context(), "evt_1"); err != nil || e == nil {
		t.Errorf("event %v, %v", e, err)
	}
}

// TestAnothersTableIsNotWalled, though it has a tenant in each row, too.
func TestAnothersTableIsNotWalled(t *testing.T) {
	url := FreshSchema(t, server(t))
	asked(t, url, []string{`CREATE TABLE flat_of_another (tenant TEXT)`}, nil)
	s, err := Open(t.Context(), url, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := s.db.query(t.Context(), `SELECT CAST(relrowsecurity AS TEXT) FROM pg_class WHERE oid = CAST('flat_of_another' AS regclass)`)
	if walled, err := one(all(r, err, func(r rows, v *string) error { return r.Scan(v) })); err != nil || *walled != "false" {
		t.Errorf("it has row-level security by now: %v", err)
	}
}
