package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	files "throughline/demo"
	"throughline/internal/demo"
)

type demoCmd struct {
	Once    bool   `help:"Run the story to its end, compare the far sides' ledgers with what was sold, and stop."`
	JSON    bool   `help:"With --once: print one JSON object."`
	Store   string `help:"PostgreSQL URL; without it SQLite in a folder of its own."`
	Verbose bool   `help:"Log more." short:"v"`
	Data    string `help:"Folder to keep; without it a temporary one." type:"path"`
}

// Run starts product, simulators and sample data.
func (c *demoCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := place{Data: c.Data, Store: c.Store, Workers: 16, Verbose: c.Verbose}
	if p.Data == "" {
		dir, err := os.MkdirTemp("", "demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		p.Data = dir
	}
	cfg := p.config()
	cfg.Addr, cfg.NewKey = "127.0.0.1:0", true
	stage, err := demo.Open(ctx, cfg, files.Files)
	if err != nil {
		return err
	}
	if _, err := adminKey(ctx, stage.App); err != nil {
		return err
	}
	ran := make(chan error, 1)
	go func() { ran <- stage.App.Run(ctx) }()
	if !c.JSON {
		stage.Seen = progress()
	}
	if err := stage.Win(); err != nil {
		return err
	}
	limit, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()
	if err := stage.Settle(limit); err != nil {
		return err
	}
	if err := c.tell(ctx, stage); err != nil {
		return err
	}
	if !c.Once {
		fmt.Printf("\nLook inside, from another terminal (end with Ctrl-C):\n  export THROUGHLINE_SERVER=%s THROUGHLINE_DATA=%s\n  throughline runs northwind\n  throughline exceptions northwind\n  throughline records northwind\n  tail -f %s/far-sides/*.jsonl\n", stage.App.URL(), p.Data, p.Data)
		return <-ran
	}
	cancel()
	return <-ran
}

// progress tells how far it is, each time that changes.
func progress() func(done, all int) {
	last := -1
	return func(done, all int) {
		if done != last {
			last = done
			fmt.Fprintf(os.Stderr, "%d of %d deals carried through\n", done, all)
		}
	}
}

// tell prints what the far sides' ledgers say, and fails on any difference.
func (c *demoCmd) tell(ctx context.Context, stage *demo.Stage) error {
	r, err := stage.Count(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(r)
	} else {
		err = table(r)
	}
	if err == nil && !r.Good() {
		err = errors.New("what was sold and what the far sides hold differ")
	}
	return err
}

func table(r demo.Result) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, line := range []struct {
		what string
		n    int
	}{{"deals won", r.DealsWon}, {"customers", r.Customers}, {"contracts", r.Contracts}, {"projects", r.Projects}, {"tasks", r.Tasks},
		{"time-tracker projects", r.TimeProjects}, {"written back", r.WrittenBack}, {"parked with reason", r.Parked}, {"lost", r.Lost}, {"repeated", r.Repeated}} {
		fmt.Fprintf(w, "%s\t%d\t\n", line.what, line.n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, why := range r.Why {
		fmt.Println("parked:", why)
	}
	return nil
}
