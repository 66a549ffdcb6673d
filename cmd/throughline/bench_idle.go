package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"throughline/bench"
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/trial"
)

type benchIdleCmd struct {
	Tenants   int           `help:"Customers, each with a flow." default:"10"`
	Outcomes  int           `help:"Ended runs that the ledger holds, spread over the customers." default:"0"`
	Poll      time.Duration `help:"How often each flow asks the CRM; 0: it waits for webhooks."`
	Span      time.Duration `help:"How long it is watched." default:"60s"`
	Data      string        `help:"Folder of the embedded store and the master key; without it a temporary one." type:"path"`
	Store     string        `help:"sqlite, or a PostgreSQL URL (measured in a schema of its own)." default:"sqlite"`
	ServeOnly bool          `help:"Only serve."`
	Verbose   bool          `help:"Log more." short:"v"`
}

// Run serves, or fills a ledger and measures a process of its own on it.
func (c *benchIdleCmd) Run(ctx context.Context) error {
	if c.ServeOnly {
		return c.serve(ctx)
	}
	return withStage(ctx, measured{}, c.Data, c.Store, func(s *trial.Stage) error {
		c.Data, c.Store = s.Ledger()
		key, names, err := c.fill(ctx, s.Far)
		if err != nil {
			return err
		}
		figures, err := trial.MeasureIdle(ctx, s, trial.Idle{Tenants: c.Tenants, Outcomes: c.Outcomes, Poll: c.Poll, Span: c.Span, Key: key, Names: names,
			Start: func(ctx context.Context) (*trial.Process, error) {
				return trial.Start(ctx, s.Program, nil, "bench", "idle", "--serve-only", "--data", c.Data, "--store", c.Store)
			}})
		return show1(figures, err)
	})
}

func (c *benchIdleCmd) open(ctx context.Context) (*app.App, error) {
	p := place{Data: c.Data, Store: c.Store, Workers: 256, Verbose: c.Verbose}
	cfg := p.config()
	cfg.Addr, cfg.NewKey = "127.0.0.1:0", true
	cfg.Allow, cfg.Definitions = append(cfg.Allow, "127.0.0.1/32"), append(cfg.Definitions, bench.Files)
	return app.New(ctx, cfg)
}

func (c *benchIdleCmd) serve(ctx context.Context) error {
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(trial.Ready{URL: a.URL(), PIDs: []int{os.Getpid()}}); err != nil {
		return err
	}
	return a.Run(ctx)
}

// fill makes the customers, and the outcomes as ended runs leave them.
func (c *benchIdleCmd) fill(ctx context.Context, far string) (key string, names []string, err error) {
	a, err := c.open(ctx)
	if err != nil {
		return "", nil, err
	}
	path, err := adminKey(ctx, a)
	if err != nil {
		return "", nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	poll := ""
	if c.Poll > 0 {
		poll = fmt.Sprintf("    poll: %s\n", c.Poll)
	}
	by := access.Principal{Name: "bench", Role: "admin", Tenant: access.Everyone}
	shown := newProgress(os.Stderr, "customers")
	for i := range c.Tenants {
		name := fmt.Sprintf("bench-%05d", i)
		names = append(names, name)
		if _, err := a.Control.Apply(ctx, by, filepath.Base(name)+".yaml", fmt.Appendf(nil, benchCustomer, name, far+"/"+name, poll, "far-erp", "far-time")); err != nil {
			return "", nil, err
		}
		shown.reached(i+1, c.Tenants)
	}
	shown.end()
	if c.Outcomes > 0 {
		shown := newProgress(os.Stderr, "outcomes")
		f := trial.Filler{Store: a.Store, Journal: a.Store.Journal(), Flow: "deals"}
		if err := f.Ended(ctx, c.Outcomes, shown.reached, names...); err != nil {
			return "", nil, err
		}
		shown.end()
	}
	return strings.TrimSpace(string(data)), names, a.Store.Close()
}
