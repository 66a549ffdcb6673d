package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"throughline/internal/api"
	"throughline/internal/control"
)

// server is how a command reaches the service.
type server struct {
	Server string `help:"Where the service listens." default:"http://127.0.0.1:8080" env:"THROUGHLINE_SERVER"`
	Key    string `help:"API key; without it the one in the data folder." env:"THROUGHLINE_KEY"`
	Data   string `help:"Data folder, for its key." default:"data" env:"THROUGHLINE_DATA" type:"path"`
	JSON   bool   `help:"Print JSON."`
}

func (s server) client() *api.Client {
	key := s.Key
	if data, err := os.ReadFile(filepath.Join(s.Data, "admin.key")); key == "" && err == nil {
		key = strings.TrimSpace(string(data))
	}
	return &api.Client{Server: s.Server, Key: key, HTTP: &http.Client{Timeout: time.Minute}}
}

// showFirst prints a list of at most so many, and says where it may not be all.
func showFirst[T any](asJSON bool, list []T, limit int, head string, row func(T) string) error {
	if err := show(asJSON, list, head, row); err != nil || len(list) < limit {
		return err
	}
	fmt.Fprintf(os.Stderr, "These are the first %d; there may be more: --limit.\n", limit)
	return nil
}

// when is an instant where the command runs, with its zone.
func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// show prints a list as JSON or as a table.
func show[T any](asJSON bool, list []T, head string, row func(T) string) error {
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, t := range list {
		fmt.Fprintln(w, row(t))
	}
	return w.Flush()
}

type applyCmd struct {
	server
	File   string `arg:"" help:"The customer's file." type:"existingfile"`
	DryRun bool   `help:"Only show what would change."`
	Moved  bool   `help:"Connections with another address lead to the same accounts as before, which have moved."`
}

func (c *applyCmd) Run(ctx context.Context) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var out api.List[control.Change]
	path := fmt.Sprintf("/v1/apply?name=%s&dry_run=%t&moved=%t", url.QueryEscape(c.File), c.DryRun, c.Moved)
	if err := c.client().Do(ctx, "POST", path, "application/yaml", data, &out); err != nil {
		return err
	}
	return show(c.JSON, out.Items, "WHAT\tDOES", func(ch control.Change) string { return ch.What + "\t" + ch.Does })
}

type runsCmd struct {
	server
	Customer string `arg:""`
	Flow     string `help:"Only this flow."`
	Outcome  string `help:"Only these: written, unchanged, filtered, superseded or parked."`
	Limit    int    `default:"50"`
}

func (c *runsCmd) Run(ctx context.Context) error {
	var out api.List[api.Run]
	path := fmt.Sprintf("/v1/customers/%s/runs?flow=%s&state=%s&limit=%d", url.PathEscape(c.Customer), url.QueryEscape(c.Flow), url.QueryEscape(c.Outcome), c.Limit)
	if err := c.client().Do(ctx, "GET", path, "", nil, &out); err != nil {
		return err
	}
	return showFirst(c.JSON, out.Items, c.Limit, "ENDED\tFLOW\tRECORD\tLABEL\tOUTCOME\tCALLS\tMESSAGE", func(r api.Run) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%s", when(r.Ended), r.Flow, r.Record, r.Label, r.Outcome, r.Calls, r.Message)
	})
}

type recordsCmd struct {
	server
	Customer string `arg:""`
	Text     string `arg:"" optional:"" help:"A name, an id or a number in any system."`
	Type     string `help:"Only this type."`
	Limit    int    `default:"20"`
}

func (c *recordsCmd) Run(ctx context.Context) error {
	var out api.List[api.Record]
	path := fmt.Sprintf("/v1/customers/%s/records?type=%s&text=%s&limit=%d", url.PathEscape(c.Customer), url.QueryEscape(c.Type), url.QueryEscape(c.Text), c.Limit)
	if err := c.client().Do(ctx, "GET", path, "", nil, &out); err != nil {
		return err
	}
	return showFirst(c.JSON, out.Items, c.Limit, "ID\tTYPE\tLABEL\tKNOWN AS", func(r api.Record) string {
		var known []string
		for _, k := range r.Known {
			known = append(known, k.Connection+"/"+k.Kind+"/"+k.ID)
		}
		return strings.Join([]string{r.ID, r.Type, r.Label, strings.Join(known, " ")}, "\t")
	})
}

type explainCmd struct {
	server
	Customer    string   `arg:"" help:"A customer; or alone: a template (deal-to-project@1), or a kind of file (connector)."`
	Record      string   `arg:"" optional:"" help:"The record's id: rec_…"`
	Definitions []string `help:"Folders with templates/ of your own." env:"THROUGHLINE_DEFINITIONS" type:"existingdir"`
}

func (c *explainCmd) Run(ctx context.Context) error {
	if c.Record == "" {
		return explainDefinition(c.Customer, c.Definitions)
	}
	var out api.List[api.Write]
	if err := c.client().Do(ctx, "GET", fmt.Sprintf("/v1/customers/%s/records/%s/writes", url.PathEscape(c.Customer), url.PathEscape(c.Record)), "", nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return show(true, out.Items, "", nil)
	}
	for _, w := range out.Items {
		fmt.Printf("%s  %s in %s (class %s, %s, run %s)\n", when(w.Started), w.Operation, w.Connection, w.Class, w.State, w.Run)
		for _, e := range w.Edits {
			fmt.Printf("  changed by %s on %s: %s  %s\n", e.Who, when(e.Made), changes(e.Fields), e.Reason)
		}
		for _, r := range w.Rules {
			fmt.Printf("  %-28s %-40v by %s\n      %s\n", r.Field, sent(w.Sent, r.Field), r.Rule, r.Source)
		}
	}
	return nil
}

// sent finds a field's value at its dotted path.
func sent(v map[string]any, path string) any {
	head, rest, deeper := strings.Cut(path, ".")
	if inner, ok := v[head].(map[string]any); deeper && ok {
		return sent(inner, rest)
	}
	return v[head]
}
