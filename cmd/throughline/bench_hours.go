package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"throughline/bench"
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/store"
	"throughline/internal/trial"
)

type benchHoursCmd struct {
	Entries   int           `help:"Approved entries to carry." default:"100000"`
	Poison    int           `help:"Each so manieth entry cannot be posted, and waits for a person; 0: none."`
	Far       string        `help:"Where the far side listens; without it one of our own is started, which takes no time for a call."`
	Limit     time.Duration `help:"Give up after this long." default:"30m"`
	Data      string        `help:"Folder of the embedded store and the master key; without it a temporary one." type:"path"`
	Store     string        `help:"sqlite, or a PostgreSQL URL (measured in a schema of its own)." default:"sqlite"`
	Workers   int           `help:"Entries in hand at once." default:"512"`
	ServeOnly bool          `help:"Only serve."`
	Verbose   bool          `help:"Log more." short:"v"`
}

// Run serves, or measures a process of its own.
func (c *benchHoursCmd) Run(ctx context.Context) error {
	if c.ServeOnly {
		return c.serve(ctx)
	}
	return withStage(ctx, measured{Far: c.Far}, c.Data, c.Store, func(s *trial.Stage) error {
		s.Workers = c.Workers
		shown := newProgress(os.Stderr, "entries")
		figures, err := trial.MeasureHours(ctx, s, c.Entries, c.Poison, c.Limit, shown.reached)
		shown.end()
		return errors.Join(show1(figures, err), check(figures, err))
	})
}

// check holds what was measured against what was planted; what could not be measured has told so.
func check(f trial.HoursFigures, measured error) error {
	if measured != nil {
		return nil
	}
	return f.Check()
}

const hoursCustomer = `
customer: bench
name: Bench
connections:
  time: {connector: far-tracker, settings: {url: %[1]q, entries: "%[2]d-%[3]d"}}
  erp:  {connector: far-ledger, settings: {url: %[1]q}}
rates:
  cards: [{code: STD, rates: [{labour_category: CONS, rate: 125.50 EUR}]}]
flows:
  hours:
    template: time-to-billing@1
    roles: {time: time, erp: erp}
    without: [erp/period]
    poll: 1h
    from: "2020-01-01"
`

// serve runs the product with one customer whose hours wait to be billed.
func (c *benchHoursCmd) serve(ctx context.Context) error {
	p := place{Data: c.Data, Store: c.Store, Workers: c.Workers, Verbose: c.Verbose}
	if c.Store == "sqlite" {
		p.Store = ""
	}
	cfg := p.config()
	cfg.Addr, cfg.NewKey = "127.0.0.1:0", true
	cfg.Allow, cfg.Definitions = append(cfg.Allow, "127.0.0.1/32"), append(cfg.Definitions, bench.Files)
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	if err := c.projects(ctx, a); err != nil {
		return err
	}
	by := access.Principal{Name: "bench", Role: "admin", Tenant: access.Everyone}
	if _, err := a.Control.Apply(ctx, by, "bench.yaml", fmt.Appendf(nil, hoursCustomer, c.Far, c.Entries, c.Poison)); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(trial.Ready{URL: a.URL(), PIDs: []int{os.Getpid()}}); err != nil {
		return err
	}
	return a.Run(ctx)
}

// projects are known in both systems, as a won deal leaves them.
func (c *benchHoursCmd) projects(ctx context.Context, a *app.App) error {
	var links []store.Link
	for i := range farside.Projects {
		for kind, erp := range map[string]string{"project": "P", "task": "T"} {
			theirs := fmt.Sprint(kind[:1], i)
			id := hub.RecordIDFor("bench", "time", kind, theirs)
			links = append(links, store.Link{Record: id, Connection: "time", Kind: kind, ExternalID: theirs}, store.Link{Record: id, Connection: "erp", Kind: kind, ExternalID: fmt.Sprint(erp, i)})
		}
	}
	_, err := a.Store.Journal().Record(ctx, store.Step{Tenant: "bench", Links: links})
	return err
}
