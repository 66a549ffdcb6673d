// Package demo runs the product against simulated far sides with sample data, and proves from the
// simulators' own ledgers that what was sold has arrived, once.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"throughline/internal/app"
	"throughline/internal/control"
	"throughline/internal/hub"
)

// Stage is the product with its far sides and customers.
type Stage struct {
	App  *app.App
	CRM  *Far
	ERP  *Far
	Time *Far
	Tell func(Event) // what happens, as it happens; may be nil

	cast     cast
	arrivals []arrival
	month    month
	begun    time.Time
	deals    []*deal

	mu        sync.Mutex
	files     map[string]string // the customers' files, as they were applied last
	classes   map[string]bool   // of exceptions that occurred in the month
	monthOver bool
}

// cast says who plays which part, in the far sides' words; it is data, so that no vendor's name
// stands in the code.
type cast struct {
	CRM, ERP, Time string
	Customers      []customer
	Subscription   map[string]any      // what a customer with webhooks asks the CRM for, besides its address
	Won            map[string]any      // what a person changes in a deal that is won
	Links          []map[string]any    // how a deal names its company
	Unmarked       map[string][]string // entities that carry no marker: the fields that tell their rows apart
}

// customer is one tenant of the demo, with an account of its own in each system.
type customer struct {
	Name    string
	Hooks   bool                         // else its CRM is polled
	Secrets map[string]map[string]string // by connection: what opens the account, in the words of both sides
}

func (c customer) tenant() hub.TenantID { return hub.TenantID(c.Name) }

// tracks reports whether the customer has a time tracker.
func (c customer) tracks() bool { return c.Secrets["time"] != nil }

// Open starts far sides and product in folder dir; everything ends with ctx.
func Open(ctx context.Context, cfg app.Config, definition fs.FS) (*Stage, error) {
	s := &Stage{begun: time.Now(), files: map[string]string{}}
	for name, into := range map[string]any{"cast.json": &s.cast, "arrivals.json": &s.arrivals, "month.json": &s.month} {
		data, err := fs.ReadFile(definition, name)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // no amount goes through a float
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			return nil, fmt.Errorf("read the demo's %s: %w", name, err)
		}
	}
	if err := s.openFars(ctx, filepath.Join(cfg.Data, "far-sides")); err != nil {
		return nil, err
	}
	cfg.Allow = append(cfg.Allow, "127.0.0.1/32")
	var err error
	if s.App, err = app.New(ctx, cfg); err != nil {
		return nil, err
	}
	for _, c := range s.cast.Customers {
		if err := s.setUp(ctx, c, cfg.Data, definition); err != nil {
			return nil, fmt.Errorf("set up %s: %w", c.Name, err)
		}
	}
	return s, nil
}

// Customers are the tenants' names.
func (s *Stage) Customers() []string {
	var list []string
	for _, c := range s.cast.Customers {
		list = append(list, c.Name)
	}
	return list
}

// setUp applies a customer's file and subscribes to the CRM's webhooks where it wants them.
func (s *Stage) setUp(ctx context.Context, c customer, dir string, definition fs.FS) error {
	for connection, secret := range c.Secrets {
		data, err := json.Marshal(secret)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, c.Name+"-"+connection+".json"), data, 0o600); err != nil {
			return err
		}
	}
	name := "customers/" + c.Name + ".yaml"
	file, err := fs.ReadFile(definition, name)
	if err != nil {
		return err
	}
	text := os.Expand(string(file), func(name string) string {
		return map[string]string{"CRM_URL": s.CRM.URL, "ERP_URL": s.ERP.URL, "TIME_URL": s.Time.URL, "DATA": dir}[name]
	})
	s.files[c.Name] = text
	if _, err := s.App.Control.Apply(ctx, operator, name, []byte(text), control.Moved); err != nil || !c.Hooks {
		return err
	}
	hook := map[string]any{"url": s.App.URL() + "/hooks/" + c.Name + "/crm"}
	for k, v := range s.cast.Subscription {
		hook[k] = v
	}
	_, err = s.CRM.Insert(c.Name, "subscription", hook)
	return err
}
