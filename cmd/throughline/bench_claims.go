package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"throughline/internal/store"
	"throughline/internal/trial"
)

type benchClaimsCmd struct {
	Rows    []int  `help:"Waiting rows, step by step." default:"1000,10000,100000,1000000"`
	Tenants []int  `help:"Customers with a hundred rows each, step by step." default:"10,100,1000,10000"`
	Store   string `help:"sqlite, or a PostgreSQL URL (measured in schemas of its own)." default:"sqlite"`
}

// Run measures in this process: there is nothing but the store.
func (c *benchClaimsCmd) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n := 0
	name := "sqlite"
	if c.Store != "sqlite" {
		name = "postgresql"
	}
	figures, err := trial.MeasureClaims(ctx, name, c.Rows, c.Tenants, func() (*store.Store, func() error, error) {
		n++
		if c.Store != "sqlite" {
			return trial.OpenApart(ctx, c.Store)
		}
		s, err := store.Open(ctx, filepath.Join(dir, fmt.Sprint(n, ".db")), time.Now)
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}, func(what string) { fmt.Fprintln(os.Stderr, what) })
	return show1(figures, err)
}
