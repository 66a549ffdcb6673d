package demo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"throughline/internal/exact"
	"throughline/internal/simulator"
)

// work is an entry or an expense of the tracker.
type work struct {
	simulator.Row
	entity, who string
	week        int
}

// worked finds work by its note, or by its id.
func (t *teller) worked(note, id string) ([]work, error) {
	tr := t.month.Tracker
	var out []work
	for _, k := range []struct{ entity, person, note, date string }{
		{tr.Entry.Entity, tr.Entry.Person, tr.Entry.Note, tr.Entry.Start}, {tr.Expense.Entity, tr.Expense.Person, tr.Expense.Note, tr.Expense.Date},
	} {
		rows, err := t.Time.Rows(t.Customer, k.entity)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if id != "" && r.ID != id || id == "" && r.Fields[k.note] != note {
				continue
			}
			week, err := t.month.weekOf(instantText(r.Fields[k.date])[:10])
			if err != nil {
				return nil, err
			}
			out = append(out, work{r, k.entity, fmt.Sprint(r.Fields[k.person]), week})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no work %q %s", note, id)
	}
	return out, nil
}

func (t *teller) change(note string, p put) error {
	list, err := t.worked(note, "")
	if err != nil {
		return err
	}
	return t.changeAll(list, p)
}

// changeAll opens the weeks of pieces of work, changes them, and has the weeks approved again.
func (t *teller) changeAll(list []work, p put) error {
	weeks := map[string]map[int]bool{}
	for _, w := range list {
		for _, week := range []int{w.week, p.Week} {
			if week == 0 && p.Week == 0 && week != w.week {
				continue
			}
			if weeks[w.who] == nil {
				weeks[w.who] = map[int]bool{}
			}
			weeks[w.who][week] = true
		}
	}
	visit := func(do func(string, int) error) error {
		for _, who := range slices.Sorted(maps.Keys(weeks)) {
			for _, week := range slices.Sorted(maps.Keys(weeks[who])) {
				if err := do(who, week); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := visit(t.reopen); err != nil {
		return err
	}
	for _, w := range list {
		if err := t.put(w, p); err != nil {
			return fmt.Errorf("change %v: %w", w.Fields, err)
		}
	}
	return visit(func(who string, week int) error {
		t.mark(who, week)
		return t.submit(who, week)
	})
}

func (t *teller) put(w work, p put) error {
	e, x := t.month.Tracker.Entry, t.month.Tracker.Expense
	fields := map[string]any{}
	maps.Copy(fields, p.Fields)
	expense := w.entity == x.Entity
	if p.Text != "" {
		fields[e.Note] = p.Text
		if expense {
			delete(fields, e.Note)
			fields[x.Note] = p.Text
		}
	}
	if p.Total != "" {
		fields[x.Total] = p.Total
	}
	if err := t.locate(fields, p.On, e.Project, e.Task); err != nil {
		return err
	}
	if !expense && (p.Hours != "" || p.Week != 0) {
		if err := t.move(fields, w, p); err != nil {
			return err
		}
	}
	return t.Time.Update(t.Customer, w.entity, w.ID, fields)
}

// move changes how long an entry lasts, and on which day.
func (t *teller) move(fields map[string]any, w work, p put) error {
	e := t.month.Tracker.Entry
	begin, end := instantText(w.Fields[e.Start]), instantText(w.Fields[e.End])
	from, err := time.Parse(time.RFC3339, begin)
	if err != nil {
		return err
	}
	to, err := time.Parse(time.RFC3339, end)
	if err != nil {
		return err
	}
	hours := p.Hours
	if hours == "" {
		hours = exact.Seconds(to.Sub(from) / time.Second).Clock()
	}
	if p.Week != 0 {
		return t.span(fields, p.Week, p.Day, hours)
	}
	fields[e.Start] = begin
	return t.lasting(fields, hours)
}

// remove deletes work; its week is opened first and approved again.
func (t *teller) remove(note string) error {
	list, err := t.worked(note, "")
	if err != nil {
		return err
	}
	for _, w := range list {
		if err := t.reopen(w.who, w.week); err != nil {
			return err
		}
		if err := t.Time.Remove(t.Customer, w.entity, w.ID); err != nil {
			return err
		}
		if err := t.submit(w.who, w.week); err != nil {
			return err
		}
	}
	return nil
}
