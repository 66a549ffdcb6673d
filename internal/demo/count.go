package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"throughline/internal/hub"
	"throughline/internal/simulator"
	"throughline/internal/store"
)

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

	Month bool `json:"-"` // it has passed
	Hours
	ByCustomer []HoursOf `json:"by_customer"`
	Exceptions []string  `json:"exceptions_resolved"` // the classes of the month's, by code

	UnderWay int `json:"-"` // won, and not yet carried through
	toTrack  int // projects of those who have a time tracker
}

// Good reports whether everything that was sold has arrived or waits for a person, once.
func (r Result) Good() bool {
	return r.Lost == 0 && r.Repeated == 0 && r.WrittenBack+r.Parked+r.UnderWay == r.DealsWon && (r.Projects == r.Contracts && r.TimeProjects == r.toTrack || r.UnderWay > 0)
}

// Count compares what was sold with what the far sides hold.
func (s *Stage) Count(ctx context.Context) (Result, error) {
	r := Result{DealsWon: len(s.deals), Seconds: time.Since(s.begun).Seconds(), Why: []string{}, Hours: newHours(), ByCustomer: []HoursOf{}, Exceptions: slices.Sorted(maps.Keys(s.classes)), Month: s.monthOver}
	for _, far := range []*Far{s.ERP, s.Time} {
		n, err := s.repeats(far)
		if err != nil {
			return r, err
		}
		r.Repeated += n
	}
	for _, c := range s.cast.Customers {
		s.holdings(c, &r)
		if err := s.outcomes(ctx, c, &r); err != nil {
			return r, err
		}
	}
	if !s.monthOver {
		return r, nil
	}
	var err error
	r.Hours, r.ByCustomer, err = s.CountHours(ctx)
	return r, err
}

// holdings counts what we made in a customer's accounts.
func (s *Stage) holdings(c customer, r *Result) {
	erp, clock := map[string]int{}, map[string]int{}
	for made, far := range map[*map[string]int]*Far{&erp: s.ERP, &clock: s.Time} {
		for _, e := range created(far.Effects()) {
			if e.Account == c.Name {
				(*made)[e.Entity]++
			}
		}
	}
	r.Customers += erp["customer"]
	r.Contracts += erp["sales_order"]
	r.Projects += erp["project"]
	r.Tasks += erp["project_task"]
	r.TimeProjects += clock["project"]
	if c.tracks() {
		r.toTrack += erp["project"]
	}
}

// outcomes tells for each won deal of a customer whether the CRM has its project, a person has it,
// or nobody.
func (s *Stage) outcomes(ctx context.Context, c customer, r *Result) error {
	open, err := s.App.Store.Tenant(c.tenant()).Exceptions(ctx, store.Filter{Deployment: "deals", State: "open", Limit: 100_000})
	if err != nil {
		return err
	}
	parked := map[string]bool{}
	for _, e := range open {
		key, _ := hub.ParseRecordKey(e.Key)
		parked[key.ID] = true
		r.Why = append(r.Why, fmt.Sprintf("%s: %s: %s %s", c.Name, e.Label, e.Message, e.Hint))
	}
	for _, d := range s.deals {
		if d.customer.Name != c.Name {
			continue
		}
		row, err := s.CRM.Row(c.Name, "deal", d.id)
		if err != nil {
			return err
		}
		number, _ := row.Fields["project_number"].(string)
		switch {
		case number != "":
			r.WrittenBack++
		case parked[d.id]:
			r.Parked++
		case !d.settled:
			r.UnderWay++
		default:
			r.Lost++
		}
	}
	return nil
}

// created is what we made, and no person.
func created(effects []simulator.Effect) []simulator.Effect {
	var made []simulator.Effect
	for _, e := range effects {
		if e.Op == "create" && e.By != "person" {
			made = append(made, e)
		}
	}
	return made
}

// repeats counts what a far side holds twice: by our marker, or by the fields that tell rows apart.
func (s *Stage) repeats(far *Far) (n int, err error) {
	seen := map[string]bool{}
	for _, e := range created(far.Effects()) {
		key := e.Marker
		if key == "" {
			if key, err = s.rowKey(far, e); hub.KindOf(err) == hub.NotFound {
				continue // taken out again
			}
			if err != nil {
				return n, err
			}
		}
		key = e.Account + "/" + e.Entity + "/" + key
		if seen[key] {
			n++
		}
		seen[key] = true
	}
	return n, nil
}

func (s *Stage) rowKey(far *Far, e simulator.Effect) (string, error) {
	row, err := far.Row(e.Account, e.Entity, e.ID)
	if err != nil {
		return "", err
	}
	fields := s.cast.Unmarked[e.Entity]
	if len(fields) == 0 {
		return e.ID, nil
	}
	key := ""
	for _, f := range fields {
		key += inside(row.Fields, f) + "/"
	}
	return key, nil
}
