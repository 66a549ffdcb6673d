package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"throughline/internal/api"
	"throughline/internal/app"
	"throughline/internal/control"
)

type statusCmd struct{ server }

func (c *statusCmd) Run(ctx context.Context) error {
	var st api.Status
	if err := c.client().Do(ctx, "GET", "/v1/status", "", nil, &st); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(st)
	}
	for _, line := range standing(st) {
		fmt.Println(line)
	}
	return nil
}

// standing is a status in sentences.
func standing(st api.Status) []string {
	at := func(t *time.Time) string {
		if t == nil {
			return "the beginning"
		}
		return t.Format(time.RFC3339)
	}
	var lines []string
	if st.State == "held" {
		lines = append(lines, fmt.Sprintf("HELD since %s. %s", at(st.Since), st.Reason), st.Do,
			fmt.Sprintf("What was written since %s is not known here.", at(st.LostFrom)))
		return append(lines, "ledger "+st.Ledger)
	}
	lines = append(lines, "working")
	if st.LostUntil != nil {
		lines = append(lines, fmt.Sprintf("What was written from %s to %s is not known here: creates look first.", at(st.LostFrom), at(st.LostUntil)),
			"Once all of it is known again, say so: throughline resume --trust.")
	}
	return append(lines, "ledger "+st.Ledger)
}

type holdCmd struct {
	place
	Reason string `arg:"" help:"Why, for those who see it held."`
}

func (c *holdCmd) Run(ctx context.Context) error { return app.Hold(ctx, c.config(), c.Reason) }

type resumeCmd struct {
	server
	Trust bool `help:"After a resumption: say that the ledger knows everything again, so that creates no longer look first."`
}

func (c *resumeCmd) Run(ctx context.Context) error {
	if c.Trust {
		return c.client().Do(ctx, "POST", "/v1/trust", "", nil, &struct{}{})
	}
	var out api.List[control.Caught]
	if err := c.client().Do(ctx, "POST", "/v1/resume", "", nil, &out); err != nil {
		return err
	}
	return show(c.JSON, out.Items, "CUSTOMER\tFLOW\tDOES", func(f control.Caught) string { return f.Customer + "\t" + f.Flow + "\t" + f.Does })
}
