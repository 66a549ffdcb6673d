package main

import (
	"context"
	"os"
	"testing"
	"time"

	"throughline/internal/demo"
)

// TestDemo tells the whole story: won deals through three simulated systems; the command itself
// fails where the far sides' ledgers differ from what was sold.
func TestDemo(t *testing.T) {
	for name, store := range map[string]string{"on SQLite": "", "on PostgreSQL": os.Getenv("TEST_POSTGRES_URL")} {
		t.Run(name, func(t *testing.T) {
			if name != "on SQLite" && store == "" {
				t.Skip("TEST_POSTGRES_URL is not set (make test sets it)")
			}
			demo := demoCmd{Once: true, JSON: true, Store: store, Data: t.TempDir()}
			if err := demo.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestDemoGoesOnUntilItIsStopped stops it, as Ctrl-C does, when the first new deal has come and the
// second is under way: what is in hand is carried through, and the table balances.
func TestDemoGoesOnUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	fresh := map[string]bool{}
	d := demoCmd{Every: 50 * time.Millisecond, Data: t.TempDir(), seen: func(e demo.Event) {
		if e.What == "won" && e.Detail != "" {
			fresh[e.Deal] = true
		}
		if e.What != "won" && fresh[e.Deal] {
			stop()
		}
	}}
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(fresh) == 0 {
		t.Error("no new deal arrived")
	}
}
