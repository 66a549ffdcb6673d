package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"throughline/internal/farside"
	"throughline/internal/oracle"
	"throughline/internal/trial"
)

type benchFloorCmd struct {
	measured
	Workers int `help:"Records in hand at once." default:"64"`
}

// Run serves the bare loop, or measures it in a process of its own.
func (c *benchFloorCmd) Run(ctx context.Context) error {
	if c.ServeOnly {
		return c.serve(ctx)
	}
	return withStage(ctx, c.measured, "", "sqlite", func(s *trial.Stage) error {
		return show1(measureFloor(ctx, c.measured, s))
	})
}

func measureFloor(ctx context.Context, m measured, s *trial.Stage) (trial.Figures, error) {
	loop, err := trial.Start(ctx, s.Program, nil, "bench", "floor", "--serve-only", "--far", s.Far)
	if err != nil {
		return trial.Figures{}, err
	}
	defer loop.Kill()
	load := m.load(s)
	load.Store, load.Databases = "none", nil
	return trial.Measure(ctx, "floor", []*trial.Process{loop}, load)
}

// serve takes {"id":"X"} at /won, says yes, and makes the five calls from memory.
func (c *benchFloorCmd) serve(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.Workers}}
	waiting := make(chan string, 1<<20)
	for range c.Workers {
		go func() {
			for id := range waiting {
				if err := trial.Carry(ctx, client, c.Far, id); err != nil && ctx.Err() == nil {
					os.Stderr.WriteString(err.Error() + "\n")
				}
			}
		}()
	}
	return listen(ctx, c.Addr, "/won", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var won struct{ ID string }
		if err := json.NewDecoder(r.Body).Decode(&won); err != nil || won.ID == "" {
			http.Error(w, "id missing", http.StatusBadRequest)
			return
		}
		waiting <- won.ID
		w.WriteHeader(http.StatusAccepted)
	}))
}

// listen serves until the context ends and says first where.
func listen(ctx context.Context, addr, hook string, h http.Handler) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	if err := json.NewEncoder(os.Stdout).Encode(trial.Ready{URL: url, Webhook: url + hook, PIDs: []int{os.Getpid()}}); err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // what is under way here may be cut off
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type benchFarCmd struct {
	Addr    string        `help:"Address to listen on." default:"127.0.0.1:0"`
	Latency time.Duration `help:"What each call takes." default:"5ms"`
	Ledger  string        `help:"File to keep what really happened in, each line on disk before it is answered." type:"path"`
}

// Run serves until the context ends.
func (c *benchFarCmd) Run(ctx context.Context) (err error) {
	var ledger *oracle.Ledger
	if c.Ledger != "" {
		if ledger, err = oracle.OpenLedger(c.Ledger); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ledger.Close()) }()
	}
	return listen(ctx, c.Addr, "", farside.New(c.Latency, ledger))
}
