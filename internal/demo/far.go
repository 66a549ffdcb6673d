package demo

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"throughline/connectors"
	"throughline/internal/simulator"
)

// Far is one simulated far side, listening.
type Far struct {
	*simulator.Simulator
	URL string
}

// openFars starts the far sides, each with an account per customer and a ledger file in dir.
func (s *Stage) openFars(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		name, connection string
		far              **Far
	}{{s.cast.CRM, "crm", &s.CRM}, {s.cast.ERP, "erp", &s.ERP}, {s.cast.Time, "time", &s.Time}} {
		var accounts []simulator.Account
		for _, c := range s.cast.Customers {
			if c.Secrets[f.connection] != nil {
				accounts = append(accounts, simulator.Account{Name: c.Name, Secrets: c.Secrets[f.connection]})
			}
		}
		var err error
		if *f.far, err = openFar(ctx, f.name, filepath.Join(dir, f.name+".jsonl"), accounts); err != nil {
			return fmt.Errorf("simulator %s: %w", f.name, err)
		}
	}
	return nil
}

func openFar(ctx context.Context, name, ledger string, accounts []simulator.Account) (*Far, error) {
	file := name + "/simulator.yaml"
	data, err := fs.ReadFile(connectors.Files, file)
	if err != nil {
		return nil, err
	}
	d, err := simulator.Parse(file, data)
	if err != nil {
		return nil, err
	}
	out, err := simulator.OpenLedger(ledger)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	far := &Far{URL: "http://" + l.Addr().String()}
	// The product keeps to the vendors' limits by itself; without the far sides' own the first minute is as quick as the rest.
	far.Simulator, err = simulator.New(d, simulator.Options{Now: time.Now, Rand: rand.New(rand.NewPCG(7, 7)), Sleep: simulator.Sleep, Ledger: out, Accounts: accounts, Only: true,
		Deliver: simulator.Post(&http.Client{Timeout: 10 * time.Second}), BaseURL: far.URL, Lag: lag, Unlimited: true})
	if err != nil {
		return nil, err
	}
	far.serve(ctx, l, out)
	return far, nil
}

// lag of the search indices is shorter here than in life, so that nobody has to sit and wait.
func lag(*rand.Rand) time.Duration { return 500 * time.Millisecond }

// serve answers until ctx ends.
func (f *Far) serve(ctx context.Context, l net.Listener, ledger *os.File) {
	server := &http.Server{Handler: f.Simulator, ReadHeaderTimeout: 10 * time.Second}
	var run sync.WaitGroup
	run.Go(func() { _ = server.Serve(l) })      // ends with Close below
	run.Go(func() { _ = f.Simulator.Run(ctx) }) // ends with ctx
	go func() {
		<-ctx.Done()
		_ = server.Close()
		run.Wait()
		_ = ledger.Close()
	}()
}
