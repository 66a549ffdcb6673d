package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"throughline/internal/access"
	"throughline/internal/hub"
	"throughline/internal/trial"
)

type benchFairCmd struct {
	Waiting int           `help:"Records of one customer that wait." default:"1000000"`
	Dead    bool          `help:"That customer's far side takes every call and never answers."`
	UsedUp  string        `help:"The far side of that customer whose calls of the day are used up: crm, erp." enum:",crm,erp" default:""`
	Lane    int           `help:"In which lane they wait: 0 as if a person looked at it, 1 as a poll finds them, 2 as a backfill does." default:"1"`
	Others  int           `help:"Customers beside it." default:"10"`
	Rate    float64       `help:"Deals a second of the others together." default:"20"`
	Latency time.Duration `help:"What each call of the far side takes." default:"100ms"`
	Span    time.Duration `help:"How long deals are sent." default:"40s"`
	Data    string        `help:"Folder of the embedded store and the master key; without it a temporary one." type:"path"`
	Store   string        `help:"sqlite, or a PostgreSQL URL (measured in a schema of its own)." default:"sqlite"`
}

// Run measures a process of its own, twice.
func (c *benchFairCmd) Run(ctx context.Context) error {
	return withStage(ctx, measured{Far: "http://127.0.0.1:1"}, c.Data, c.Store, func(s *trial.Stage) error {
		idle := &benchIdleCmd{}
		idle.Data, idle.Store = s.Ledger()
		figures, err := trial.MeasureFair(ctx, s, trial.Fair{Waiting: c.Waiting, Others: c.Others, PerSecond: c.Rate, Span: c.Span, Latency: c.Latency, Dead: c.Dead, UsedUp: c.UsedUp,
			Fill: func(ctx context.Context, far map[string]string) error {
				return idle.apart(ctx, far, map[string]string{trial.Heavy: c.UsedUp})
			},
			Queue: func(ctx context.Context, tenant string, n int) error {
				return idle.queue(ctx, tenant, n, hub.Lane(c.Lane))
			},
			Start: func(ctx context.Context) (*trial.Process, error) {
				return trial.Start(ctx, s.Program, nil, "bench", "idle", "--serve-only", "--data", idle.Data, "--store", idle.Store)
			}})
		return show1(figures, err)
	})
}

// apart makes customers, each with the address of its far side. Of those that are limited one side, crm or erp, has
// a limit of calls a day.
func (c *benchIdleCmd) apart(ctx context.Context, far, limited map[string]string) error {
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	by := access.Principal{Name: "bench", Role: "admin", Tenant: access.Everyone}
	for name, url := range far {
		file := fmt.Sprintf(benchCustomer, name, url, "", "far-erp", "far-time")
		if side := limited[name]; side != "" {
			file = strings.Replace(file, "connector: far-"+side, "connector: far-"+side+"-day", 1)
		}
		if _, err := a.Control.Apply(ctx, by, name+".yaml", []byte(file)); err != nil {
			return err
		}
	}
	return a.Store.Close()
}

// queue lets records wait.
func (c *benchIdleCmd) queue(ctx context.Context, tenant string, n int, lane hub.Lane) error {
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	f := trial.Filler{Store: a.Store, Journal: a.Store.Journal(), Flow: "deals"}
	return errors.Join(f.Waiting(ctx, n, lane, tenant), a.Store.Close())
}
