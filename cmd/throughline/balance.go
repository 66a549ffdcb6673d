package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"throughline/internal/api"
	"throughline/internal/hub"
)

type balanceCmd struct {
	server
	Customer string `help:"The customer." required:""`
	Period   string `help:"A month (2026-11), or two days (2026-11-02..2026-11-08)." required:""`
	Entries  bool   `help:"Name every entry."`
}

// patience is how long the service may read far sides for a statement.
const patience = 15 * time.Minute

// Run prints the statement; one that does not balance is an error.
func (c *balanceCmd) Run(ctx context.Context) error {
	client := c.client()
	client.HTTP.Timeout = patience
	path := fmt.Sprintf("/v1/customers/%s/balance?period=%s&entries=%t", url.PathEscape(c.Customer), url.QueryEscape(c.Period), c.Entries)
	var s api.Statement
	if err := client.Do(ctx, "GET", path, "", nil, &s); err != nil {
		return err
	}
	if err := c.print(os.Stdout, s); err != nil {
		return err
	}
	return balanced(s)
}

func (c *balanceCmd) print(out io.Writer, s api.Statement) error {
	if !c.JSON {
		return printStatement(out, s)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// most are named in the error; the statement above it names all.
const most = 20

// balanced names the entries that nobody has explained.
func balanced(s api.Statement) error {
	if s.Balanced {
		return nil
	}
	var list []string
	for _, d := range s.Unexplained {
		if len(list) == most {
			list = append(list, fmt.Sprintf("and %d more", len(s.Unexplained)-most))
			break
		}
		list = append(list, strings.TrimSpace(d.Entry+" "+d.ERP)+" ("+d.What+")")
	}
	return &hub.Error{Kind: hub.Conflict, Code: "books.unexplained", Message: fmt.Sprintf("%d unexplained in %s to %s: %s.", len(s.Unexplained), s.From, s.To, strings.Join(list, ", ")),
		Hint: "Look at each of them in both systems; what has been put right, or is explained by an exception, is not told again."}
}

// printStatement is the statement for people: a line of hours and one of money per project and currency.
func printStatement(out io.Writer, s api.Statement) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	p := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") } //nolint:errcheck // Flush tells
	p("PROJECT", "", "APPROVED", "IN ERP", "WAITING", "EXCEPTION", "REFUSED", "DECIDED", "ROUNDING", "UNEXPLAINED", "NOT OURS")
	for _, b := range s.Projects {
		printBalance(p, named(b), b)
	}
	for _, b := range s.Totals {
		printBalance(p, "Total", b)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printMore(out, s)
}

func named(b api.Balance) string {
	switch {
	case b.Project == "":
		return "(no project)"
	case b.Number == "" || b.Number == b.Name:
		return b.Name
	}
	return b.Number + " " + b.Name
}

func printBalance(p func(...string), name string, b api.Balance) {
	columns := []api.Amount{b.Approved, b.InERP, b.Waiting, b.InException, b.Refused, b.Decided, b.Rounding, b.Unexplained, b.NotOurs}
	hours, money := []string{name, "h"}, []string{"", b.Currency}
	for _, a := range columns {
		hours, money = append(hours, hoursOf(a.Seconds)), append(money, a.Amount)
	}
	timed := b.Currency == "" || slices.ContainsFunc(columns, func(a api.Amount) bool { return a.Seconds != 0 })
	if timed {
		p(hours...)
	} else {
		money[0] = name
	}
	if b.Currency != "" {
		p(money...)
	}
}

// hoursOf shows hours and minutes, and seconds where there are some.
func hoursOf(seconds int64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	text := fmt.Sprintf("%s%d:%02d", sign, seconds/3600, seconds/60%60)
	if seconds%60 != 0 {
		text += fmt.Sprintf(":%02d", seconds%60)
	}
	return text
}

// printMore tells the reasons, what is unexplained, and the entries that were asked for.
func printMore(out io.Writer, s api.Statement) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) } //nolint:errcheck // Flush tells
	for _, b := range s.Totals {
		for _, code := range slices.Sorted(maps.Keys(b.Exceptions)) {
			p("in exception: %s\t%d\t%s h\t%s", code, b.Exceptions[code].Entries, hoursOf(b.Exceptions[code].Seconds), moneyOf(b.Exceptions[code].Amount, b.Currency))
		}
		for _, why := range slices.Sorted(maps.Keys(b.Refusals)) {
			p("refused: %s\t%d\t%s h\t%s", why, b.Refusals[why].Entries, hoursOf(b.Refusals[why].Seconds), moneyOf(b.Refusals[why].Amount, b.Currency))
		}
	}
	if len(s.Entries) > 0 {
		p("\nENTRY\tDAY\tPROJECT\tWHO\tERP\tCOUNTS AS")
	}
	for _, e := range s.Entries {
		p("%s\t%s\t%s\t%s\t%s\t%s", e.Entry, e.Date, e.Project, e.Employee, e.ERP, partsOf(e.Parts))
	}
	printUnexplained(p, s)
	for _, list := range s.NotAtRest {
		p("\nNot at rest: %s moved each time that it was read. What is told of it may be older than now, or not all. Ask again when nobody is at work there.", list)
	}
	return w.Flush()
}

func printUnexplained(p func(string, ...any), s api.Statement) {
	if s.Balanced {
		p("\nBalanced: nothing is unexplained.")
		return
	}
	p("\nUNEXPLAINED\tENTRY\tERP\tDAY\tPROJECT\tHOURS\tMONEY\tWHY")
	for _, d := range s.Unexplained {
		p("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", d.What, d.Entry, d.ERP, d.Date, d.Project, hoursOf(d.Seconds), moneyOf(d.Amount, d.Currency), d.Says)
	}
}

func moneyOf(amount, currency string) string {
	if currency == "" {
		return ""
	}
	return amount + " " + currency
}

func partsOf(parts []api.BalancePart) string {
	var list []string
	for _, p := range parts {
		text := p.Column
		if p.Why != "" {
			text += " (" + p.Why + ")"
		}
		if p.Seconds != 0 {
			text += " " + hoursOf(p.Seconds) + " h"
		}
		if p.Currency != "" {
			text += " " + moneyOf(p.Amount, p.Currency)
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}
