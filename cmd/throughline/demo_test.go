package main

import (
	"os"
	"testing"
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
