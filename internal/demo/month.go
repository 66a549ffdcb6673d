package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/simulator"
)

// month is what the customers' people do in the weeks after their deals were won, and the words in
// which the far sides keep it. It is data: demo/month.json.
type month struct {
	First   string // a Monday; weeks are counted from it, the one before it is week 0
	Tracker trackerWords
	ERP     erpWords
	Flows   struct{ Hours, Expenses string }
	Kinds   struct{ Entry, Expense string } // as the tracker's connector calls them
	Stories []story
}

// story is the month of one customer.
type story struct {
	Customer string
	Round    int64          // hours are rounded to so many seconds, as the customer's flow declares
	Account  map[string]any // fields of every row that people make in its time tracker
	Deals    []int          // of the arrivals, won before the month begins
	Rounds   []round
}

// round is what people do until they look what has come of it.
type round struct {
	Title  string
	Acts   []act
	Expect map[string]int // what is open then: exceptions by code, and "waiting"
}

// trackerWords are the fields of the time tracker.
type trackerWords struct {
	Person, Project, Task, Category named
	Entry                           entryWords
	Expense                         expenseWords
	Request                         requestWords
}

// named is an entity whose rows people call by a field.
type named struct{ Entity, Name, Of string }

type entryWords struct {
	Entity, Person, Project, Task, Note, Start, End, Request string
	Fields                                                   map[string]any
}

type expenseWords struct {
	Entity, Person, Project, Task, Category, Note, Date, Total, Currency, Request string
	Fields                                                                        map[string]any
}

type requestWords struct {
	Entity, Person, Start, State, Approved, Withdrawn string
}

// erpWords are the fields of the ERP.
type erpWords struct {
	Person      struct{ Entity, Number, Contact, Email string }
	Project     struct{ Entity, Number string }
	Entry       struct{ Entity, Person, Project, Category, Spent, Billable, State, Released, Note, Marker string }
	Transaction struct{ Entity, Note, Lines, Quantity, Unit, Hour, Item, Rate, Project, Marker, Billed, State, Released, Amount string }
	Receipt     struct{ Entity, Details, Amount, Currency, Project, Note, State, Released string }
}

// Month lets the month pass: customer by customer at the same time, round by round.
func (s *Stage) Month(ctx context.Context) error {
	for _, st := range s.month.Stories {
		for _, n := range st.Deals {
			if err := s.arrive(s.customer(st.Customer), n); err != nil {
				return err
			}
		}
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	ended := make(chan error, len(s.month.Stories))
	for _, st := range s.month.Stories {
		go func() { ended <- s.newTeller(st).tell(ctx) }()
	}
	var failed error
	for range s.month.Stories {
		if err := <-ended; err != nil && failed == nil {
			failed = err
		}
	}
	s.monthOver = failed == nil
	return failed
}

func (s *Stage) customer(name string) customer {
	i := slices.IndexFunc(s.cast.Customers, func(c customer) bool { return c.Name == name })
	return s.cast.Customers[i]
}

// teller carries out one customer's story.
type teller struct {
	*Stage
	story
	customer customer
	wrote    map[string]map[int]bool // person → weeks in which there is work of theirs
}

func (s *Stage) newTeller(st story) *teller {
	return &teller{Stage: s, story: st, customer: s.customer(st.Customer), wrote: map[string]map[int]bool{}}
}

func (t *teller) tell(ctx context.Context) error {
	for _, r := range t.Rounds {
		if err := t.round(ctx, r); err != nil {
			return fmt.Errorf("%s, %q: %w", t.Customer, r.Title, err)
		}
	}
	return nil
}

// round carries out the acts between two looks of the flows, so that they see the change and never half of
// it, waits until everything has come to rest, and compares what is open with what should be.
func (t *teller) round(ctx context.Context, r round) error {
	if err := t.between(ctx); err != nil {
		return err
	}
	for i, a := range r.Acts {
		if err := t.act(ctx, a); err != nil {
			return fmt.Errorf("act %d: %w", i+1, err)
		}
	}
	if err := t.rest(ctx); err != nil {
		return err
	}
	open, err := t.open(ctx)
	if err != nil {
		return err
	}
	t.said(r, open)
	for code := range open {
		t.met(code)
		if open[code] != r.Expect[code] {
			return t.unlike(ctx, r, open)
		}
	}
	for code, n := range r.Expect {
		if open[code] != n {
			return t.unlike(ctx, r, open)
		}
	}
	return nil
}

// met remembers the classes of exceptions that occurred.
func (t *teller) met(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.classes == nil {
		t.classes = map[string]bool{}
	}
	t.classes[code] = true
}

func (t *teller) said(r round, open map[string]int) {
	if t.Tell == nil {
		return
	}
	var list []string
	for code, n := range open {
		list = append(list, fmt.Sprintf("%d %s", n, code))
	}
	slices.Sort(list)
	detail := "everything is posted"
	if len(list) > 0 {
		detail = "waiting for people: " + strings.Join(list, ", ")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Tell(Event{time.Now(), t.Customer, r.Title, "month", detail})
}

// day is the date of a week's day; weeks are counted from 1, days from 0.
func (m *month) day(week, day int) (exact.Date, error) {
	first, err := exact.ParseDate(m.First)
	return first.AddDays(7*(week-1) + day), err
}

// weekOf is the week in which a day lies.
func (m *month) weekOf(d string) (int, error) {
	first, err := time.Parse(time.DateOnly, m.First)
	if err != nil {
		return 0, err
	}
	day, err := time.Parse(time.DateOnly, d)
	if err != nil {
		return 0, err
	}
	return (int(day.Sub(first).Hours())/24+700)/7 - 99, nil
}

// wait looks again and again until something is so.
func wait(ctx context.Context, so func() (bool, error)) error {
	for {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		if err := simulator.Sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("the month did not come to rest in time: %w", err)
		}
	}
}

// seconds lie between two instants.
func seconds(from, to string) (int64, error) {
	a, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return 0, err
	}
	b, err := time.Parse(time.RFC3339, to)
	return int64(b.Sub(a) / time.Second), err
}

// HoursOf is one customer's month.
type HoursOf struct {
	Customer string `json:"customer"`
	Hours
}

// CountHours compares the ledgers of all customers whose people log hours.
func (s *Stage) CountHours(ctx context.Context) (all Hours, each []HoursOf, err error) {
	all = newHours()
	for _, st := range s.month.Stories {
		h, err := s.newTeller(st).hours(ctx)
		if err != nil {
			return all, nil, fmt.Errorf("count the hours of %s: %w", st.Customer, err)
		}
		all.add(h)
		each = append(each, HoursOf{st.Customer, h})
	}
	return all, each, nil
}
