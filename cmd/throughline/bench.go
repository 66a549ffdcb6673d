package main

import (
	"context"
	"encoding/json"
	"errors"
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

type benchCmd struct {
	Deals  benchDealsCmd  `cmd:"" help:"Won deals through the five calls of the comparison: how many a second, at what cost."`
	Hours  benchHoursCmd  `cmd:"" help:"Approved hours through the rules to the ERP: how many a second, at what cost."`
	Idle   benchIdleCmd   `cmd:"" help:"What a product costs that has nothing to do: memory, CPU, start, lists of a full ledger."`
	Claims benchClaimsCmd `cmd:"" help:"What it takes to hand out work, of few rows and of a million, of few customers and of ten thousand."`
	Fair   benchFairCmd   `cmd:"" help:"What the others feel of one customer that has a million records waiting, or whose far side is dead."`
	Load   benchLoadCmd   `cmd:"" help:"A steady stream of webhooks of many customers, and a burst: how they are acknowledged, how old records get, at what cost."`
	Floor  benchFloorCmd  `cmd:"" help:"The same five calls with nothing around them: what a comparison starts from."`
	Far    benchFarCmd    `cmd:"" help:"Only the far side, with a set latency; prints one JSON line when ready."`
}

// errManyNodes refuses what SQLite cannot do.
var errManyNodes = errors.New("several nodes need a store that they can share: --store postgres://…")

// measured is what every measurement takes.
type measured struct {
	Records     int           `help:"Records to carry." default:"3000"`
	Concurrency int           `help:"Webhooks under way at once." default:"64"`
	Rate        float64       `help:"Webhooks a second; 0: as fast as they are taken."`
	Alone       int           `help:"Records to carry one at a time." default:"50"`
	Far         string        `help:"Where the far side listens; without it one of our own is started."`
	Latency     time.Duration `help:"What each call of our own far side takes." default:"5ms"`
	Limit       time.Duration `help:"Give up after this long." default:"10m"`
	Addr        string        `help:"With --serve-only: address to listen on." default:"127.0.0.1:0"`
	ServeOnly   bool          `help:"Only serve, for a load driver of your own; prints one JSON line when ready."`
}

type benchDealsCmd struct {
	measured
	Data        string        `help:"Folder of the embedded store and the master key; without it a temporary one." type:"path"`
	Store       string        `help:"sqlite, or a PostgreSQL URL (measured in a schema of its own)." default:"sqlite"`
	Workers     int           `help:"Records in hand at once." default:"256"`
	Tenants     []string      `help:"With --serve-only: the customers to make, each with the far side's account of its name; north:K has an ERP of write class K."`
	Poll        time.Duration `help:"With --serve-only: how often the CRM is asked what has changed; without it, never."`
	Logins      bool          `help:"With --serve-only: the time tracker asks for a login and takes several projects in one call."`
	Lease       time.Duration `help:"With --serve-only: how long the node's lease lasts." default:"25s"`
	Lag         time.Duration `help:"With --serve-only: how far the far side's searches lag behind, as its connectors say." default:"1s"`
	Nodes       int           `help:"Processes on one store; more than one needs PostgreSQL." default:"1"`
	BesideFloor bool          `help:"Measure the bare loop in the same run and print the ratios."`
	Verbose     bool          `help:"Log more." short:"v"`
}

// Run serves, or measures a process of its own.
func (c *benchDealsCmd) Run(ctx context.Context) error {
	if c.ServeOnly {
		return c.serve(ctx)
	}
	if c.Nodes > 1 && c.Store == "sqlite" {
		return errManyNodes
	}
	return withStage(ctx, c.measured, c.Data, c.Store, func(s *trial.Stage) error {
		s.Workers = c.Workers
		nodes, end, err := s.Products(ctx, c.Nodes)
		if err != nil {
			return err
		}
		load, shown := c.load(s), newProgress(os.Stderr, "records")
		load.Seen = shown.reached
		deals, err := trial.Measure(ctx, "deals", nodes, load)
		shown.end()
		end()
		if err != nil || !c.BesideFloor {
			return show1(deals, err)
		}
		bare, err := measureFloor(ctx, c.measured, s)
		return show1(trial.Beside(deals, bare), err)
	})
}

func (m measured) load(s *trial.Stage) trial.Load {
	return trial.Load{Records: m.Records, Concurrency: m.Concurrency, Rate: m.Rate, Alone: m.Alone, Far: s.Far, Databases: s.Databases(), Store: s.StoreName(), Limit: m.Limit}
}

// show1 prints one JSON line, unless something failed.
func show1(v any, err error) error {
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// withStage opens a stage for a measurement and closes it afterwards.
func withStage(ctx context.Context, m measured, dir, store string, do func(*trial.Stage) error) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	program, err := trial.OwnProgram()
	if err != nil {
		return err
	}
	s := &trial.Stage{Program: program, Dir: dir, Store: store, Far: m.Far, Latency: m.Latency}
	if err := s.Open(ctx); err != nil {
		return err
	}
	defer func() {
		if closed := s.Close(ctx); err == nil {
			err = closed
		}
	}()
	return do(s)
}

const benchCustomer = `
customer: %[1]q
name: %[1]q
connections:
  crm:  {connector: far-crm, settings: {url: %[2]q}}
  erp:  {connector: %[4]s, settings: {url: %[2]q}}
  time: {connector: %[5]s, settings: {url: %[2]q}}
flows:
  deals:
    template: won-deal@1
    roles: {crm: crm, erp: erp, time: time}
%[3]s`

// serve runs the product with the definitions of the measurements until the context ends.
func (c *benchDealsCmd) serve(ctx context.Context) error {
	if c.Data == "" {
		return fmt.Errorf("--serve-only needs --data: the folder whose work it goes on with")
	}
	if c.Far == "" {
		c.Far = "http://127.0.0.1:9900"
	}
	p := place{Data: c.Data, Store: c.Store, Workers: c.Workers, Verbose: c.Verbose}
	if c.Store == "sqlite" {
		p.Store = ""
	}
	cfg := p.config()
	cfg.Addr, cfg.NewKey, cfg.Lease = c.Addr, true, c.Lease
	cfg.Allow, cfg.Definitions = append(cfg.Allow, "127.0.0.1/32"), append(cfg.Definitions, bench.Late(c.Lag))
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	if err := c.customers(ctx, a); err != nil {
		return err
	}
	if _, err := adminKey(ctx, a); err != nil {
		return err
	}
	ready := trial.Ready{URL: a.URL(), Webhook: a.URL() + "/hooks/bench/crm", PIDs: []int{os.Getpid()}}
	if len(c.Tenants) > 0 {
		ready.Webhook = ""
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	return a.Run(ctx)
}

// customers makes the one customer of the measurements, or those that were asked for.
func (c *benchDealsCmd) customers(ctx context.Context, a *app.App) error {
	poll := ""
	if c.Poll > 0 {
		poll = fmt.Sprintf("    poll: %s\n", c.Poll)
	}
	by := access.Principal{Name: "bench", Role: "admin", Tenant: access.Everyone}
	if len(c.Tenants) == 0 {
		_, err := a.Control.Apply(ctx, by, "bench.yaml", fmt.Appendf(nil, benchCustomer, "bench", c.Far, poll, "far-erp", c.tracker()))
		return err
	}
	for _, t := range c.Tenants {
		tenant, class, _ := strings.Cut(t, ":")
		if _, err := a.Control.Apply(ctx, by, filepath.Base(tenant)+".yaml", fmt.Appendf(nil, benchCustomer, tenant, c.Far+"/"+tenant, poll, erpOf(class), c.tracker())); err != nil {
			return err
		}
	}
	return nil
}

// tracker is the connector of the time tracker.
func (c *benchDealsCmd) tracker() string {
	if c.Logins {
		return "far-time-many"
	}
	return "far-time"
}

// erpOf is the connector of an ERP whose creates have a write class; S where none is said.
func erpOf(class string) string {
	if class == "" || class == "S" {
		return "far-erp"
	}
	return "far-erp-" + strings.ToLower(class)
}
