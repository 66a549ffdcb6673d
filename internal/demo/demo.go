// Package demo runs the product against simulated far sides with sample data, and proves from the
// simulators' own ledgers that what was sold has arrived, once.
package demo

import (
	"context"
	"encoding/json"
	"errors"
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
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/hub"
	"throughline/internal/simulator"
	"throughline/internal/store"
)

// Stage is the product with its three far sides.
type Stage struct {
	App      *app.App
	CRM      *Far
	ERP      *Far
	Time     *Far
	Seen     func(done, all int) // progress, may be nil
	begun    time.Time
	unmarked map[string][]string // entities that carry no marker: the fields that tell their rows apart
	won      map[string]bool
}

// Far is one simulated far side, listening.
type Far struct {
	*simulator.Simulator
	URL string
}

// customer is the tenant of the demo.
const customer = hub.TenantID("northwind")

// Open starts far sides and product in folder dir; everything ends with ctx.
func Open(ctx context.Context, cfg app.Config, definition fs.FS) (*Stage, error) {
	var c struct {
		CRM, ERP, Time string
		Unmarked       map[string][]string
	}
	data, err := fs.ReadFile(definition, "cast.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read the demo's cast: %w", err)
	}
	s := &Stage{won: map[string]bool{}, begun: time.Now(), unmarked: c.Unmarked}
	ledgers := filepath.Join(cfg.Data, "far-sides")
	if err := os.MkdirAll(ledgers, 0o700); err != nil {
		return nil, err
	}
	for name, far := range map[string]**Far{c.CRM: &s.CRM, c.ERP: &s.ERP, c.Time: &s.Time} {
		if *far, err = openFar(ctx, name, filepath.Join(ledgers, name+".jsonl")); err != nil {
			return nil, fmt.Errorf("simulator %s: %w", name, err)
		}
	}
	cfg.Allow = append(cfg.Allow, "127.0.0.1/32")
	if s.App, err = app.New(ctx, cfg); err != nil {
		return nil, err
	}
	return s, s.setUp(ctx, cfg.Data, definition)
}

func openFar(ctx context.Context, name, ledger string) (*Far, error) {
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
	far.Simulator, err = simulator.New(d, simulator.Options{Now: time.Now, Rand: rand.New(rand.NewPCG(7, 7)), Sleep: sleep, Ledger: out,
		Deliver: simulator.Post(&http.Client{Timeout: 10 * time.Second}), BaseURL: far.URL})
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: far.Simulator, ReadHeaderTimeout: 10 * time.Second}
	var run sync.WaitGroup
	run.Go(func() { _ = server.Serve(l) })        // ends with Close below
	run.Go(func() { _ = far.Simulator.Run(ctx) }) // ends with ctx
	go func() {
		<-ctx.Done()
		_ = server.Close()
		run.Wait()
		_ = out.Close()
	}()
	return far, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// setUp applies the demo's customer and subscribes to the CRM's webhooks.
func (s *Stage) setUp(ctx context.Context, dir string, definition fs.FS) error {
	for _, name := range []string{"crm", "erp", "time"} {
		data, err := fs.ReadFile(definition, "secrets/"+name+".json")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "demo-"+name+".json"), data, 0o600); err != nil {
			return err
		}
	}
	file, err := fs.ReadFile(definition, "customer.yaml")
	if err != nil {
		return err
	}
	text := os.Expand(string(file), func(name string) string {
		return map[string]string{"CRM_URL": s.CRM.URL, "ERP_URL": s.ERP.URL, "TIME_URL": s.Time.URL, "DATA": dir}[name]
	})
	by := access.Principal{Name: "demo", Role: "admin", Tenant: access.Everyone}
	if _, err := s.App.Control.Apply(ctx, by, "customer.yaml", []byte(text)); err != nil {
		return err
	}
	_, err = s.CRM.Insert("", "subscription", map[string]any{"url": s.App.URL() + "/hooks/northwind/crm", "types": "deal.propertyChange"})
	return err
}

// Win closes every deal of the CRM's sample data as won, as its people would.
func (s *Stage) Win() error {
	rows, err := s.CRM.Rows("", "deal")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := s.CRM.Update("", "deal", r.ID, map[string]any{"dealstage": "closedwon"}); err != nil {
			return err
		}
		s.won[r.ID] = true
	}
	return nil
}

// Settle waits until every won deal has reached its outcome and nothing is left to do.
func (s *Stage) Settle(ctx context.Context) error {
	t := s.App.Store.Tenant(customer)
	for {
		counts, err := t.Count(ctx)
		if err != nil {
			return err
		}
		done := counts[hub.Idle] + counts[hub.Stopped]
		if s.Seen != nil {
			s.Seen(done, len(s.won))
		}
		if done >= len(s.won) && counts[hub.Ready]+counts[hub.Running]+counts[hub.Later]+counts[hub.Waiting] == 0 {
			if _, more := s.CRM.NextDelivery(); !more {
				return nil
			}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return errors.New("the demo did not come to rest in time")
		}
	}
}

// Result is what the far sides' own ledgers say.
type Result struct {
	DealsWon     int      `json:"deals_won"`
	Customers    int      `json:"customers"`
	Contracts    int      `json:"contracts"`
	Projects     int      `json:"projects"`
	Tasks        int      `json:"tasks"`
	TimeProjects int      `json:"time_projects"`
	WrittenBack  int      `json:"written_back"`
	Parked       int      `json:"parked"`
	Lost         int      `json:"lost"`
	Repeated     int      `json:"repeated"`
	Seconds      float64  `json:"seconds"`
	Why          []string `json:"why"` // the parked deals, each with its reason
}

// Count compares what was sold with what the far sides hold.
func (s *Stage) Count(ctx context.Context) (Result, error) {
	r := Result{DealsWon: len(s.won), Seconds: time.Since(s.begun).Seconds(), Why: []string{}}
	erp, clock := created(s.ERP.Effects()), created(s.Time.Effects())
	r.Customers, r.Contracts, r.Projects, r.Tasks, r.TimeProjects = len(erp["customer"]), len(erp["sales_order"]), len(erp["project"]), len(erp["project_task"]), len(clock["project"])
	for _, far := range []struct {
		*Far
		made map[string][]simulator.Effect
	}{{s.ERP, erp}, {s.Time, clock}} {
		n, err := s.repeats(far.Far, far.made)
		if err != nil {
			return r, err
		}
		r.Repeated += n
	}
	rows, err := s.CRM.Rows("", "deal")
	if err != nil {
		return r, err
	}
	back := map[string]bool{}
	for _, row := range rows {
		if n, _ := row.Fields["project_number"].(string); n != "" {
			back[row.ID] = true
		}
	}
	r.WrittenBack = len(back)
	parked := map[string]bool{}
	open, err := s.App.Store.Tenant(customer).Exceptions(ctx, store.Filter{State: "open", Limit: 1000})
	if err != nil {
		return r, err
	}
	for _, e := range open {
		key, _ := hub.ParseRecordKey(e.Key)
		parked[key.ID] = true
		r.Why = append(r.Why, fmt.Sprintf("%s: %s %s", e.Label, e.Message, e.Hint))
	}
	for id := range s.won {
		switch {
		case parked[id]:
			r.Parked++
		case !back[id]:
			r.Lost++
		}
	}
	return r, nil
}

// created is what we made, by entity.
func created(effects []simulator.Effect) map[string][]simulator.Effect {
	made := map[string][]simulator.Effect{}
	for _, e := range effects {
		if e.Op == "create" && e.By != "person" {
			made[e.Entity] = append(made[e.Entity], e)
		}
	}
	return made
}

// repeats counts what a far side holds twice: by our marker, or by the fields that tell rows apart.
func (s *Stage) repeats(far *Far, made map[string][]simulator.Effect) (n int, err error) {
	for _, list := range made {
		seen := map[string]bool{}
		for _, e := range list {
			key := e.Marker
			if key == "" {
				if key, err = s.rowKey(far, e); err != nil {
					return n, err
				}
			}
			if seen[key] {
				n++
			}
			seen[key] = true
		}
	}
	return n, nil
}

func (s *Stage) rowKey(far *Far, e simulator.Effect) (string, error) {
	row, err := far.Row("", e.Entity, e.ID)
	if err != nil {
		return "", err
	}
	key := e.ID
	for i, f := range s.unmarked[e.Entity] {
		if i == 0 {
			key = ""
		}
		key += fmt.Sprint(row.Fields[f], "/")
	}
	return key, nil
}

// Good reports whether everything that was sold has arrived or waits for a person, once.
func (r Result) Good() bool {
	return r.Lost == 0 && r.Repeated == 0 && r.WrittenBack+r.Parked == r.DealsWon && r.Projects == r.TimeProjects
}
