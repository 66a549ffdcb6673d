package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"throughline/internal/api"
	"throughline/internal/control"
)

type flowsCmd struct {
	List   flowsListCmd   `cmd:"" help:"List a customer's flows."`
	Pause  flowsPauseCmd  `cmd:"" help:"Keep what arrives, begin nothing."`
	Resume flowsResumeCmd `cmd:"" help:"Go on with what waits."`

	Backfill flowsBackfillCmd `cmd:"" help:"Read a span of business dates again."`
}

type flowsListCmd struct {
	server
	Customer string `arg:""`
}

func (c *flowsListCmd) Run(ctx context.Context) error {
	var out api.List[api.Flow]
	if err := c.client().Do(ctx, "GET", fmt.Sprintf("/v1/customers/%s/flows", url.PathEscape(c.Customer)), "", nil, &out); err != nil {
		return err
	}
	return show(c.JSON, out.Items, "FLOW\tREVISION\tSTATE\tTEMPLATE\tLOOKS A DAY\tSWEEPS A DAY", func(f api.Flow) string {
		return fmt.Sprintf("%s\t%d\t%s\t%v@%v\t%d\t%d", f.ID, f.Revision, f.State, f.Spec["template"], f.Spec["version"], f.Looks, f.Sweeps)
	})
}

// oneFlow names a flow.
type oneFlow struct {
	server
	Customer string `arg:""`
	Flow     string `arg:""`
}

func (c oneFlow) set(ctx context.Context, how string) error {
	path := fmt.Sprintf("/v1/customers/%s/flows/%s/%s", url.PathEscape(c.Customer), url.PathEscape(c.Flow), how)
	return c.client().Do(ctx, "POST", path, "", nil, &struct{}{})
}

type flowsPauseCmd struct{ oneFlow }

func (c *flowsPauseCmd) Run(ctx context.Context) error { return c.set(ctx, control.Pause) }

type flowsResumeCmd struct{ oneFlow }

func (c *flowsResumeCmd) Run(ctx context.Context) error { return c.set(ctx, control.Resume) }

type flowsBackfillCmd struct {
	oneFlow
	From string `required:"" help:"The first day, such as 2026-10-01."`
	To   string `required:"" help:"The last day, included."`
	Stop bool   `help:"End one that is under way; begun again, it does nothing twice."`
}

func (c *flowsBackfillCmd) Run(ctx context.Context) error {
	path := fmt.Sprintf("/v1/customers/%s/flows/%s/backfill", url.PathEscape(c.Customer), url.PathEscape(c.Flow))
	body, err := json.Marshal(map[string]any{"from": c.From, "to": c.To, "stop": c.Stop})
	if err != nil {
		return err
	}
	return c.client().Do(ctx, "POST", path, "application/json", body, &struct{}{})
}

type waitingCmd struct {
	server
	Customer string `arg:""`
	Flow     string `help:"Only this flow."`
	State    string `help:"ready, running, later or waiting." default:"waiting" enum:"ready,running,later,waiting"`
	Limit    int    `default:"50"`
}

func (c *waitingCmd) Run(ctx context.Context) error {
	var out api.List[api.Work]
	path := fmt.Sprintf("/v1/customers/%s/work?flow=%s&state=%s&limit=%d", url.PathEscape(c.Customer), url.QueryEscape(c.Flow), c.State, c.Limit)
	if err := c.client().Do(ctx, "GET", path, "", nil, &out); err != nil {
		return err
	}
	return showFirst(c.JSON, out.Items, c.Limit, "FLOW\tRECORD\tSTATE\tDUE\tWHY", func(w api.Work) string {
		return strings.Join([]string{w.Flow, w.Record, w.State, when(w.Due), w.Reason}, "\t")
	})
}
