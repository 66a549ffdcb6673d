package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"throughline/internal/api"
	"throughline/internal/control"
	"throughline/internal/exact"
	"throughline/internal/hub"
)

type exceptionsCmd struct {
	server
	Customer string `arg:""`
	All      bool   `help:"List every exception, not their causes."`
	Cause    string `help:"List those that this cause holds up."`
	Flow     string `help:"Only this flow."`
	State    string `help:"open, resolved, ignored or approved; all but open lists every exception." default:"open"`
	Retry    string `help:"Retry this exception." xor:"how"`
	Ignore   string `help:"Leave this exception as it is; needs --reason." xor:"how"`
	Approve  string `help:"Say yes to this exception." xor:"how"`
	Reason   string
	Limit    int `default:"50"`
}

func (c *exceptionsCmd) Run(ctx context.Context) error {
	for how, id := range map[string]string{control.Retry: c.Retry, control.Ignore: c.Ignore, control.Approve: c.Approve} {
		if id != "" {
			return c.resolve(ctx, how, id)
		}
	}
	switch {
	case c.Cause != "":
		return c.members(ctx)
	case c.All || c.State != "open":
		return c.each(ctx)
	}
	var out api.List[api.Cause]
	if err := c.client().Do(ctx, "GET", fmt.Sprintf("%s/causes?flow=%s&limit=%d", c.path(), url.QueryEscape(c.Flow), c.Limit), "", nil, &out); err != nil {
		return err
	}
	return showFirst(c.JSON, out.Items, c.Limit, "CAUSE\tFLOW\tRECORDS\tHOURS\tMONEY\tSINCE\tVALUE\tWHAT IS WRONG\tWHAT TO DO", func(v api.Cause) string {
		return strings.Join([]string{v.ID, v.Flow, fmt.Sprint(v.Count), worked(v.Seconds), money(v.Amounts), since(v.Oldest), cmp.Or(v.Value, "-"), v.Message, v.Hint}, "\t")
	})
}

func (c *exceptionsCmd) path() string {
	return fmt.Sprintf("/v1/customers/%s/exceptions", url.PathEscape(c.Customer))
}

func worked(seconds int64) string {
	if seconds == 0 {
		return "-"
	}
	return exact.Seconds(seconds).Clock()
}

func money(amounts []string) string { return cmp.Or(strings.Join(amounts, ", "), "-") }

// since is how long ago an instant was, in its largest unit.
func since(at time.Time) string {
	d := time.Since(at)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}

func (c *exceptionsCmd) each(ctx context.Context) error {
	var out api.List[api.Exception]
	path := fmt.Sprintf("%s?flow=%s&state=%s&limit=%d", c.path(), url.QueryEscape(c.Flow), url.QueryEscape(c.State), c.Limit)
	if err := c.client().Do(ctx, "GET", path, "", nil, &out); err != nil {
		return err
	}
	return c.list(out.Items)
}

// members reads page after page until the limit is reached.
func (c *exceptionsCmd) members(ctx context.Context) error {
	var all []api.Exception
	for after := ""; len(all) < c.Limit; {
		var out api.Page[api.Exception]
		path := fmt.Sprintf("%s/causes/%s?after=%s&limit=%d", c.path(), url.PathEscape(c.Cause), url.QueryEscape(after), min(c.Limit-len(all), 1000))
		if err := c.client().Do(ctx, "GET", path, "", nil, &out); err != nil {
			return err
		}
		all = append(all, out.Items...)
		if after = out.After; after == "" {
			break
		}
	}
	return c.list(all)
}

func (c *exceptionsCmd) list(items []api.Exception) error {
	return showFirst(c.JSON, items, c.Limit, "ID\tRECORD\tLABEL\tCLASS\tWHAT IS WRONG\tWHAT TO DO", func(e api.Exception) string {
		return strings.Join([]string{cmp.Or(e.ID, e.State), e.Record, e.Label, e.Class, e.Message, e.Hint}, "\t")
	})
}

func (c *exceptionsCmd) resolve(ctx context.Context, how, id string) error {
	body, err := json.Marshal(map[string]string{"reason": c.Reason})
	if err != nil {
		return err
	}
	return c.client().Do(ctx, "POST", fmt.Sprintf("%s/%s/%s", c.path(), url.PathEscape(id), how), "application/json", body, &struct{}{})
}

type resolveCmd struct {
	server
	Customer string            `arg:""`
	What     []string          `arg:"" help:"Causes (cause_…) or exceptions (exc_…)."`
	Retry    bool              `help:"Run them again." xor:"how" required:""`
	Ignore   string            `help:"Leave them as they are, for this reason." placeholder:"REASON" xor:"how" required:""`
	Approve  bool              `help:"Say yes to what was asked." xor:"how" required:""`
	Map      string            `help:"What the value means; they run again." placeholder:"TO" xor:"how" required:""`
	Link     string            `help:"The id over there of the record that is meant." placeholder:"ID" xor:"how" required:""`
	Set      map[string]string `help:"Change a field of the records as they are read; they run again." placeholder:"FIELD=VALUE" xor:"how" required:"" mapsep:"none"`
	Choose   string            `help:"credit, next_invoice or leave." enum:"credit,next_invoice,leave," xor:"how" required:""`
	Reopen   bool              `help:"Open them again." xor:"how" required:""`
	Until    string            `help:"With --ignore: the day on which they run again."`
	Reason   string            `help:"Why, for the audit."`
	Yes      bool              `help:"Do it; without it only what would happen is said."`
}

func (c *resolveCmd) Run(ctx context.Context) error {
	var body struct {
		Select  api.Select `json:"select"`
		Action  api.Action `json:"action"`
		Preview bool       `json:"preview"`
		After   string     `json:"after,omitempty"`
	}
	for _, id := range c.What {
		if strings.HasPrefix(id, "cause_") {
			body.Select.Causes = append(body.Select.Causes, hub.CauseID(id))
		} else {
			body.Select.Exceptions = append(body.Select.Exceptions, hub.ExceptionID(id))
		}
	}
	body.Action, body.Preview = c.action(), true
	ask := func() (out api.Resolved, err error) {
		data, err := json.Marshal(body)
		if err != nil {
			return out, err
		}
		path := fmt.Sprintf("/v1/customers/%s/exceptions/resolve", url.PathEscape(c.Customer))
		return out, c.client().Do(ctx, "POST", path, "application/json", data, &out)
	}
	out, err := ask()
	if err != nil {
		return err
	}
	if !c.Yes {
		return c.told(out, "Nothing was changed. Add --yes to do it.")
	}
	before, done := out, 0
	body.Preview = false
	bar := newProgress(os.Stderr, c.action().How)
	defer bar.end()
	for first := true; first || out.After != ""; first = false {
		body.After = out.After
		if out, err = ask(); err != nil {
			return err
		}
		done += out.Done
		bar.reached(done, int(before.Count))
	}
	bar.end()
	before.Done = done
	return c.told(before, fmt.Sprintf("Done with %d.", done))
}

func (c *resolveCmd) action() api.Action {
	a := api.Action{Reason: c.Reason, Until: c.Until}
	switch {
	case c.Retry:
		a.How = control.Retry
	case c.Ignore != "":
		a.How, a.Reason = control.Ignore, c.Ignore
	case c.Approve:
		a.How = control.Approve
	case c.Map != "":
		a.How, a.To = control.Map, c.Map
	case c.Link != "":
		a.How, a.To = control.Link, c.Link
	case len(c.Set) > 0:
		a.How, a.Fields = control.Set, c.Set
	case c.Reopen:
		a.How = control.Reopen
	default:
		a.How = c.Choose
	}
	return a
}

func (c *resolveCmd) told(r api.Resolved, end string) error {
	if c.JSON {
		return show(true, []api.Resolved{r}, "", nil)
	}
	for _, s := range r.Does {
		fmt.Println(s)
	}
	fmt.Printf("%s, %s hours, %s. %s\n", records(r.Count), worked(r.Seconds), money(r.Amounts), end)
	return nil
}

type editsCmd struct {
	server
	Customer string `arg:""`
	Flow     string `arg:""`
	End      string `help:"Read this record as it comes again." placeholder:"RECORD"`
	After    string `help:"Go on after this record."`
	Limit    int    `default:"50"`
}

func (c *editsCmd) Run(ctx context.Context) error {
	path := fmt.Sprintf("/v1/customers/%s/flows/%s/edits", url.PathEscape(c.Customer), url.PathEscape(c.Flow))
	if c.End != "" {
		body, err := json.Marshal(map[string]string{"record": c.End})
		if err != nil {
			return err
		}
		return c.client().Do(ctx, "POST", path+"/end", "application/json", body, &struct{}{})
	}
	var out api.List[api.Edit]
	if err := c.client().Do(ctx, "GET", fmt.Sprintf("%s?after=%s&limit=%d", path, url.QueryEscape(c.After), c.Limit), "", nil, &out); err != nil {
		return err
	}
	return showFirst(c.JSON, out.Items, c.Limit, "RECORD\tCHANGED TO\tBY\tWHEN\tWHY", func(e api.Edit) string {
		return strings.Join([]string{e.Record, changes(e.Fields), e.Who, when(e.Made), e.Reason}, "\t")
	})
}

// changes are the fields that an edit sets, in order.
func changes(fields map[string]any) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		out = append(out, name+"="+changedTo(fields[name]))
	}
	return strings.Join(out, " ")
}

// changedTo is a field of an edit as a person would have written it.
func changedTo(v any) string {
	switch v := v.(type) {
	case nil:
		return "(taken away)"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case map[string]any:
		if v["key"] != nil {
			return fmt.Sprint(v["key"])
		}
		if v["amount"] != nil && v["currency"] != nil {
			return fmt.Sprintf("%v %v", v["amount"], v["currency"])
		}
	}
	return fmt.Sprint(v)
}

// records says how many in words.
func records(n int64) string {
	if n == 1 {
		return "One record"
	}
	return fmt.Sprintf("%d records", n)
}
