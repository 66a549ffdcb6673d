package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"throughline/bench"
	"throughline/internal/access"
	"throughline/internal/app"
)

type benchCmd struct {
	Deals benchDealsCmd `cmd:"" help:"Won deals through the five calls of the comparison."`
}

type benchDealsCmd struct {
	place
	Far       string `help:"Where the far side listens." default:"http://127.0.0.1:9900"`
	Addr      string `help:"Address to listen on." default:"127.0.0.1:0"`
	ServeOnly bool   `help:"Only serve, for a load driver of your own; prints one JSON line when ready." required:""`
}

const benchCustomer = `
customer: bench
name: Bench
connections:
  crm:  {connector: far-crm, settings: {url: %[1]q}}
  erp:  {connector: far-erp, settings: {url: %[1]q}}
  time: {connector: far-time, settings: {url: %[1]q}}
flows:
  deals:
    template: won-deal@1
    roles: {crm: crm, erp: erp, time: time}
`

func (c *benchDealsCmd) Run(ctx context.Context) error {
	cfg := c.config()
	cfg.Addr, cfg.Allow, cfg.Definitions = c.Addr, append(cfg.Allow, "127.0.0.1/32"), append(cfg.Definitions, bench.Files)
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	by := access.Principal{Name: "bench", Role: "admin", Tenant: access.Everyone}
	if _, err := a.Control.Apply(ctx, by, "bench.yaml", fmt.Appendf(nil, benchCustomer, c.Far)); err != nil {
		return err
	}
	ready := map[string]any{"webhook": a.URL() + "/hooks/bench/crm", "pids": []int{os.Getpid()}}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	return a.Run(ctx)
}
