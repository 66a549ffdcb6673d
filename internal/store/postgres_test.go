package store

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
