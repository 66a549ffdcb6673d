package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"time"

	"throughline/internal/simulator"
)

type simulateCmd struct {
	Name        string   `arg:"" help:"A connector with a simulator.yaml, or its folder."`
	Addr        string   `help:"Address to listen on." default:"127.0.0.1:0"`
	Ledger      string   `help:"File for the ledger of effects, one JSON line each." type:"path"`
	Definitions []string `help:"Folders with connectors/ of your own." env:"THROUGHLINE_DEFINITIONS" type:"existingdir"`
}

// Run serves one far side alone, with its back door below /_sim/.
func (c *simulateCmd) Run(ctx context.Context) (err error) {
	d, err := c.description()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	o := simulator.Options{BaseURL: "http://" + l.Addr().String(), Deliver: simulator.Post(&http.Client{Timeout: 10 * time.Second})}
	if c.Ledger != "" {
		file, err := simulator.OpenLedger(c.Ledger)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		o.Ledger = file
	}
	sim, err := simulator.New(d, o)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	tellSimulator(d, sim, o.BaseURL)
	return serveSimulator(ctx, sim, l)
}

func (c *simulateCmd) description() (*simulator.Description, error) {
	dir, name, err := connectorFile(c.Name, "simulator.yaml", c.Definitions)
	if err != nil {
		return nil, err
	}
	file := path.Join(name, "simulator.yaml")
	data, err := fs.ReadFile(dir, file)
	if err != nil {
		return nil, err
	}
	return simulator.Parse(file, data)
}

// serveSimulator ends with ctx.
func serveSimulator(ctx context.Context, sim *simulator.Simulator, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/_sim/", sim.Control())
	mux.Handle("/", sim)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served, delivered := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	go func() { delivered <- sim.Run(ctx) }()
	select {
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	if err := errors.Join(server.Close(), <-delivered); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// tellSimulator prints what somebody needs to try it.
func tellSimulator(d *simulator.Description, sim *simulator.Simulator, url string) {
	fmt.Printf("%s is simulated at %s\n", d.Simulator, url)
	for _, a := range d.Accounts {
		fmt.Printf("account %s:\n", a.Key)
		for _, s := range a.Value.Entries {
			fmt.Printf("  %s: %s\n", s.Key, s.Value.Text)
		}
	}
	fmt.Printf("try it:\n  %s\n", curl(d, sim, url))
	fmt.Printf("look inside, and make it fail:\n  curl %s/_sim/effects\n  curl -X POST %s/_sim/faults -d '{\"next\":1,\"fault\":\"error_after\"}'\n", url, url)
}

// curl is a line that was seen to work: the first address that can be read with the first account's key.
func curl(d *simulator.Description, sim http.Handler, url string) string {
	if len(d.Accounts) > 0 {
		account := d.Accounts[0].Value.Entries
		secrets := map[string]string{}
		for _, s := range account {
			secrets[s.Key] = s.Value.Text
		}
		for _, key := range d.Auth.Keys {
			for _, r := range d.Routes {
				q := httptest.NewRequest(http.MethodGet, url+filled(r.Get, secrets), nil)
				q.Header.Set(key.Header, key.Prefix+secrets[key.Secret])
				w := httptest.NewRecorder()
				if r.Get == "" || secrets[key.Secret] == "" || strings.Contains(q.URL.Path, "{") {
					continue
				}
				if sim.ServeHTTP(w, q); w.Code == http.StatusOK {
					return fmt.Sprintf("curl -H '%s: %s%s' %s", key.Header, key.Prefix, secrets[key.Secret], q.URL)
				}
			}
		}
	}
	for _, c := range d.Collections {
		return fmt.Sprintf("curl %s/_sim/rows/%s", url, c.Key)
	}
	return "curl " + url
}

// filled puts an account's values into the places of an address: {workspace}.
func filled(route string, values map[string]string) string {
	for name, v := range values {
		route = strings.ReplaceAll(route, "{"+name+"}", v)
	}
	return route
}

func words(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), ", ") }
