package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	files "throughline/demo"
	"throughline/internal/demo"
	"throughline/internal/exact"
)

type demoCmd struct {
	Once    bool          `help:"Run the story to its end, compare the far sides' ledgers with what was sold, and stop."`
	JSON    bool          `help:"With --once: print one JSON object."`
	Every   time.Duration `help:"How often a new deal is won, while it runs." default:"5s"`
	Store   string        `help:"PostgreSQL URL; without it SQLite in a folder of its own."`
	Verbose bool          `help:"Log more." short:"v"`
	Data    string        `help:"Folder to keep; without it a temporary one." type:"path"`

	seen func(demo.Event) // for tests
	bar  *progress        // while the sample deals are carried through
}

// Run starts product, simulators and sample data.
func (c *demoCmd) Run(ctx context.Context) error {
	// Ctrl-C ends the arrivals; what is in hand then is carried through first.
	house, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	p := place{Data: c.Data, Store: c.Store, Workers: 16, Verbose: c.Verbose}
	if p.Data == "" {
		dir, err := os.MkdirTemp("", "demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		p.Data = dir
	}
	stage, err := c.open(house, p)
	if err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- stage.App.Run(house) }()
	err = c.play(ctx, house, stage, p.Data)
	shut()
	return errors.Join(err, <-ran)
}

func (c *demoCmd) open(ctx context.Context, p place) (*demo.Stage, error) {
	cfg := p.config()
	cfg.Addr, cfg.NewKey = "127.0.0.1:0", true
	stage, err := demo.Open(ctx, cfg, files.Files)
	if err != nil {
		return nil, err
	}
	if stage.Tell = c.seen; c.seen == nil && !c.JSON {
		stage.Tell = c.told(stage)
	}
	_, err = adminKey(ctx, stage.App)
	return stage, err
}

// told prints what happens, above a bar while the sample deals are carried through.
func (c *demoCmd) told(stage *demo.Stage) func(demo.Event) {
	c.bar = newProgress(os.Stdout, "deals")
	tell, won := tellOn(c.bar), 0
	return func(e demo.Event) {
		tell(e)
		if e.What == "won" {
			won++
		}
		c.bar.reached(won-stage.Open(), won)
	}
}

// play wins the sample deals, shows what came of them, and goes on with new ones until ctx ends.
func (c *demoCmd) play(ctx, house context.Context, stage *demo.Stage, data string) error {
	if err := stage.Win(); err != nil {
		return err
	}
	first, end := context.WithTimeout(ctx, 3*time.Minute)
	defer end()
	err := stage.Settle(first)
	if err == nil {
		err = stage.Month(first)
	}
	if c.bar != nil {
		c.bar.end()
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	if !c.Once && ctx.Err() == nil {
		if err := c.show(house, stage); err != nil {
			return err
		}
		look(stage, data)
		if err := c.goOn(ctx, house, stage); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		fmt.Println("\nFinishing what is in hand …")
		last, end := context.WithTimeout(house, 10*time.Second)
		defer end()
		_ = stage.Settle(last) // what is not done by then is told as under way
	}
	return c.show(house, stage)
}

// goOn lets deals arrive until ctx ends, and tells how they end.
func (c *demoCmd) goOn(ctx, house context.Context, stage *demo.Stage) error {
	next, glance := time.NewTicker(c.Every), time.NewTicker(200*time.Millisecond)
	defer next.Stop()
	defer glance.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-glance.C:
			if err := stage.Look(house); err != nil {
				return err
			}
		case <-next.C:
			if stage.Open() >= mostOpen {
				continue // the far sides' limits hold it up: let it catch up
			}
			if err := stage.Arrive(n); err != nil {
				return err
			}
			if n++; n%len(stage.Customers()) == 0 {
				if err := c.total(house, stage); err != nil {
					return err
				}
			}
		}
	}
}

// mostOpen is how many deals may be under way before the demo waits with the next.
const mostOpen = 12

// tellOn prints one plain line for each thing that happens.
func tellOn(w io.Writer) func(demo.Event) {
	return func(e demo.Event) {
		line := fmt.Sprintf("%s  %-10s %-8s %s", e.At.Format(time.TimeOnly), e.Customer, e.What, e.Deal)
		if e.Detail != "" {
			line += ": " + e.Detail
		}
		fmt.Fprintln(w, plain(line))
	}
}

// plain leaves out what a terminal would act upon: marks that turn the direction of writing, colours.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// total is one line of what has come about so far, from the far sides' ledgers.
func (c *demoCmd) total(ctx context.Context, stage *demo.Stage) error {
	r, err := stage.Count(ctx)
	if err == nil {
		fmt.Printf("so far: %d won, %d written back, %d parked, %d under way, %d lost, %d repeated; %d entries approved, %s h posted (%s), %d s unexplained\n",
			r.DealsWon, r.WrittenBack, r.Parked, r.UnderWay, r.Lost, r.Repeated, r.EntriesApproved, exact.Seconds(r.SecondsPosted).Clock(), r.AmountPosted, r.UnexplainedSeconds)
	}
	return err
}

// look says how to look inside while it runs.
func look(stage *demo.Stage, data string) {
	first, last := stage.Customers()[0], stage.Customers()[len(stage.Customers())-1]
	fmt.Printf("\nLook inside, from another terminal:\n  export THROUGHLINE_SERVER=%s THROUGHLINE_DATA=%s\n", stage.App.URL(), data)
	for _, way := range []string{"runs " + first, "records " + first, "flows list " + first, "flows pause " + first + " deals", "waiting " + first,
		"flows resume " + first + " deals", "exceptions " + last, "exceptions " + last + " --approve exc_…"} {
		fmt.Println("  throughline", way)
	}
	fmt.Printf("  tail -f %s/far-sides/*.jsonl\n\nNew deals arrive now; Ctrl-C ends it.\n\n", data)
}

// show prints what the far sides' ledgers say, and fails on any difference.
func (c *demoCmd) show(ctx context.Context, stage *demo.Stage) error {
	r, err := stage.Count(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(r)
	} else if err = table(os.Stdout, r); err == nil {
		err = hoursTable(os.Stdout, r)
	}
	if err == nil && r.Month && !r.Hours.Good() {
		err = fmt.Errorf("what is approved and what the ERP holds differ by %d seconds, %s and expenses of %s", r.UnexplainedSeconds, r.UnexplainedAmount, r.UnexplainedExpenses)
	}
	if err == nil && !r.Good() {
		err = errors.New("what was sold and what the far sides hold differ")
	}
	return err
}

func table(out io.Writer, r demo.Result) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, line := range []struct {
		what string
		n    int
	}{{"deals won", r.DealsWon}, {"customers", r.Customers}, {"contracts", r.Contracts}, {"projects", r.Projects}, {"tasks", r.Tasks},
		{"time-tracker projects", r.TimeProjects}, {"written back", r.WrittenBack}, {"parked with reason", r.Parked}, {"lost", r.Lost}, {"repeated", r.Repeated}} {
		fmt.Fprintf(w, "%s\t%d\t\n", line.what, line.n)
	}
	if r.UnderWay > 0 {
		fmt.Fprintf(w, "still under way\t%d\t\n", r.UnderWay)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, why := range r.Why {
		fmt.Fprintln(out, "parked:", plain(why))
	}
	return nil
}

// hoursTable is a line per customer whose people log hours, from the far sides' ledgers.
func hoursTable(out io.Writer, r demo.Result) error {
	if !r.Month {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "hours\tentries\tapproved\tposted\twaiting\tparked\trefused\trounded\tkept\tunexplained\tamount posted\treversals\t")
	for _, h := range r.ByCustomer {
		fmt.Fprintf(w, "%s\t%d", h.Customer, h.EntriesApproved)
		for _, n := range []int64{h.SecondsApproved, h.SecondsPosted, h.SecondsWaiting, h.SecondsParked, h.SecondsRefused, h.SecondsRounded, h.SecondsKept, h.UnexplainedSeconds} {
			fmt.Fprintf(w, "\t%s", exact.Seconds(n).Clock())
		}
		fmt.Fprintf(w, "\t%s\t%d\t\n", h.AmountPosted, h.Reversals)
	}
	fmt.Fprintln(w, "expenses\tclaims\tapproved\tposted\twaiting\tparked\trefused\t\tkept\tunexplained\t\treversals\t")
	for _, h := range r.ByCustomer {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\t%s\t%s\t\t%d\t\n", h.Customer, h.ExpensesApproved, h.ExpenseApproved, h.ExpensePosted, h.ExpenseWaiting, h.ExpenseParked,
			h.ExpenseRefused, h.ExpenseKept, h.UnexplainedExpenses, h.ExpenseReversals)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "exceptions that occurred and were resolved: %s\n", strings.Join(r.Exceptions, ", "))
	return nil
}
