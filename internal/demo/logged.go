package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
)

func (t *teller) log(s *sheet) error {
	who, err := t.person(s.Who)
	if err != nil {
		return err
	}
	w, n := t.month.Tracker.Entry, 0
	for _, week := range s.Weeks {
		for _, day := range s.Days {
			fields := t.with(w.Fields, map[string]any{w.Person: who, w.Note: s.Notes[n%len(s.Notes)]})
			if err := t.locate(fields, s.On, w.Project, w.Task); err != nil {
				return err
			}
			if err := t.span(fields, week, day, s.Hours[n%len(s.Hours)]); err != nil {
				return err
			}
			if _, err := t.Time.Insert(t.Customer, w.Entity, fields); err != nil {
				return fmt.Errorf("log %v: %w", fields, err)
			}
			t.mark(who, week)
			n++
		}
	}
	return nil
}

// span sets beginning and end of an entry: in the morning of the day, for so long.
func (t *teller) span(fields map[string]any, week, day int, hours string) error {
	d, err := t.month.day(week, day)
	if err != nil {
		return err
	}
	fields[t.month.Tracker.Entry.Start] = d.String() + "T08:00:00Z"
	return t.lasting(fields, hours)
}

func (t *teller) lasting(fields map[string]any, hours string) error {
	w := t.month.Tracker.Entry
	n, err := exact.ParseClock(hours)
	if err != nil {
		return err
	}
	begin, err := time.Parse(time.RFC3339, fmt.Sprint(fields[w.Start]))
	fields[w.End] = begin.Add(time.Duration(n) * time.Second).Format(time.RFC3339)
	return err
}

func (t *teller) mark(who string, week int) {
	if t.wrote[who] == nil {
		t.wrote[who] = map[int]bool{}
	}
	t.wrote[who][week] = true
}

func (t *teller) spend(s *spending) error {
	w := t.month.Tracker.Expense
	who, err := t.person(s.Who)
	if err != nil {
		return err
	}
	category, err := t.find(t.Time, t.month.Tracker.Category, s.Category, "")
	if err != nil {
		return err
	}
	d, err := t.month.day(s.Week, s.Day)
	if err != nil {
		return err
	}
	fields := t.with(w.Fields, map[string]any{w.Person: who, w.Category: category, w.Note: s.Note, w.Date: d.String(), w.Total: s.Total})
	if s.Currency != "" {
		fields[w.Currency] = s.Currency
	}
	if err := t.locate(fields, s.On, w.Project, w.Task); err != nil {
		return err
	}
	t.mark(who, s.Week)
	_, err = t.Time.Insert(t.Customer, w.Entity, fields)
	return err
}

// each does something with the weeks of a person, or of everybody who has worked in them.
func (t *teller) each(s *span, do func(who string, week int) error) error {
	people := slices.Sorted(maps.Keys(t.wrote))
	if s.Who != "*" {
		who, err := t.person(s.Who)
		if err != nil {
			return err
		}
		people = []string{who}
	}
	for _, week := range s.Weeks {
		for _, who := range people {
			if !t.wrote[who][week] {
				continue
			}
			if err := do(who, week); err != nil {
				return err
			}
		}
	}
	return nil
}

// approved is the request under which a person's week is approved; empty: none.
func (t *teller) approved(who string, week int) (string, error) {
	w := t.month.Tracker.Request
	monday, err := t.month.day(week, 0)
	if err != nil {
		return "", err
	}
	rows, err := t.Time.Rows(t.Customer, w.Entity)
	for _, r := range rows {
		if r.Fields[w.Person] == who && r.Fields[w.State] == w.Approved && strings.HasPrefix(instantText(r.Fields[w.Start]), monday.String()) {
			return r.ID, err
		}
	}
	return "", err
}

func instantText(v any) string {
	if at, ok := v.(time.Time); ok {
		return at.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

func (t *teller) submit(who string, week int) error {
	w := t.month.Tracker.Request
	monday, err := t.month.day(week, 0)
	if err != nil {
		return err
	}
	id, err := t.approved(who, week)
	if err != nil || id != "" {
		return err
	}
	if id, err = t.Time.Insert(t.Customer, w.Entity, t.with(map[string]any{w.Person: who, w.Start: monday.String() + "T00:00:00Z"})); err != nil {
		return fmt.Errorf("hand in week %d of %s: %w", week, who, err)
	}
	return t.Time.Update(t.Customer, w.Entity, id, map[string]any{w.State: w.Approved})
}

func (t *teller) reopen(who string, week int) error {
	w := t.month.Tracker.Request
	id, err := t.approved(who, week)
	if err != nil || id == "" {
		return err
	}
	return t.Time.Update(t.Customer, w.Entity, id, map[string]any{w.State: w.Withdrawn})
}
