package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"throughline/internal/hub"
	"throughline/internal/simulator"
	"throughline/internal/store"
)

// Event is something that happened to a deal.
type Event struct {
	At       time.Time
	Customer string
	Deal     string // its name
	What     string // won, written or parked
	Detail   string
}

// deal is one that was won, until it is carried through or waits for a person.
type deal struct {
	customer customer
	id, name string
	settled  bool
}

func (d *deal) key() string {
	return hub.RecordKey{Connection: "crm", Kind: "deal", ID: d.id}.String()
}

func (s *Stage) tell(d *deal, what, detail string) {
	if s.Tell != nil {
		s.Tell(Event{time.Now(), d.customer.Name, d.name, what, detail})
	}
}

// Win closes every deal of the CRM's sample data as won, as its people would.
func (s *Stage) Win() error {
	for _, c := range s.cast.Customers {
		rows, err := s.CRM.Rows(c.Name, "deal")
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := s.win(c, r.ID, fmt.Sprint(r.Fields["dealname"]), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Stage) win(c customer, id, name, detail string) error {
	d := &deal{customer: c, id: id, name: name}
	s.tell(d, "won", detail)
	if err := s.CRM.Update(c.Name, "deal", id, maps.Clone(s.cast.Won)); err != nil {
		return fmt.Errorf("win %s: %w", name, err)
	}
	s.deals = append(s.deals, d)
	return nil
}

// arrival is a deal that comes while the demo runs, in the CRM's words.
type arrival struct {
	Deal    map[string]any
	Company map[string]any // a new one
	Known   string         // or the id of one that is there; or none
}

// Arrive lets the nth new deal come and be won, as if a person had entered it.
func (s *Stage) Arrive(n int) error {
	return s.arrive(s.cast.Customers[n%len(s.cast.Customers)], n)
}

// arrive lets the nth deal come to a customer.
func (s *Stage) arrive(c customer, n int) error {
	a := s.arrivals[n%len(s.arrivals)]
	fields := maps.Clone(a.Deal)
	if round := n / (len(s.cast.Customers) * len(s.arrivals)); round > 0 {
		fields["dealname"] = fmt.Sprintf("%v (%d)", fields["dealname"], round+1)
	}
	id, err := s.CRM.Insert(c.Name, "deal", fields)
	if err != nil {
		return fmt.Errorf("enter a deal: %w", err)
	}
	if err := s.name(c, a, id); err != nil {
		return err
	}
	return s.win(c, id, fmt.Sprint(fields["dealname"]), a.about())
}

// about is what a person would say of the deal.
func (a arrival) about() string {
	amount, named := a.Deal["amount"], ""
	if amount == nil {
		amount = "nothing yet"
	}
	switch {
	case a.Company != nil:
		named = fmt.Sprintf(" to %v", a.Company["name"])
	case a.Known == "":
		named = " to nobody named"
	}
	return fmt.Sprintf("%v for %v%s", a.Deal["service_package"], amount, named)
}

// name links a deal to its company.
func (s *Stage) name(c customer, a arrival, id string) error {
	company := a.Known
	if a.Company != nil {
		var err error
		if company, err = s.company(c, a.Company); err != nil {
			return fmt.Errorf("enter a company: %w", err)
		}
	}
	if company == "" {
		return nil
	}
	for _, l := range s.cast.Links {
		row := maps.Clone(l)
		row["from_id"], row["to_id"] = id, company
		if _, err := s.CRM.Insert(c.Name, "link", row); err != nil {
			return fmt.Errorf("link a deal to its company: %w", err)
		}
	}
	return nil
}

// company enters a company, unless an earlier round has done so: then its next deal is one of a
// customer that is there.
func (s *Stage) company(c customer, fields map[string]any) (string, error) {
	rows, err := s.CRM.Rows(c.Name, "company")
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.Fields["domain"] == fields["domain"] {
			return r.ID, nil
		}
	}
	return s.CRM.Insert(c.Name, "company", maps.Clone(fields))
}

// Open counts the won deals that are still under way.
func (s *Stage) Open() int {
	n := 0
	for _, d := range s.deals {
		if !d.settled {
			n++
		}
	}
	return n
}

// Look asks the ledger what became of the deals that are under way.
func (s *Stage) Look(ctx context.Context) error {
	for _, d := range s.deals {
		if d.settled {
			continue
		}
		if err := s.look(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stage) look(ctx context.Context, d *deal) error {
	t := s.App.Store.Tenant(d.customer.tenant())
	rows, err := t.Work(ctx, store.Filter{Key: d.key(), Limit: 1})
	if err != nil || len(rows) == 0 || rows[0].State != hub.Idle && rows[0].State != hub.Stopped {
		return err
	}
	runs, err := t.Runs(ctx, store.Filter{Key: d.key(), Limit: 1})
	if err != nil || len(runs) == 0 {
		return err
	}
	switch runs[0].Outcome {
	case hub.Written, hub.Unchanged:
		d.settled = true
		row, err := s.CRM.Row(d.customer.Name, "deal", d.id)
		if err != nil {
			return err
		}
		s.tell(d, "written", fmt.Sprintf("project %v", row.Fields["project_number"]))
	case hub.Parked:
		d.settled = true
		s.tell(d, "parked", runs[0].Message)
	}
	return nil // filtered: that was before it was won
}

// Settle waits until every won deal is carried through or waits for a person.
func (s *Stage) Settle(ctx context.Context) error {
	for {
		if err := s.Look(ctx); err != nil {
			return err
		}
		if s.Open() == 0 {
			return nil
		}
		if err := simulator.Sleep(ctx, 100*time.Millisecond); err != nil {
			return errors.New("the demo did not come to rest in time: " + s.underWay())
		}
	}
}

func (s *Stage) underWay() string {
	i := slices.IndexFunc(s.deals, func(d *deal) bool { return !d.settled })
	if i < 0 {
		return "nothing is under way"
	}
	return s.deals[i].customer.Name + " " + s.deals[i].name
}
