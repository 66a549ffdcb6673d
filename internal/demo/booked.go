package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"throughline/internal/exact"
	"throughline/internal/simulator"
)

func (t *teller) far(role string) *Far {
	return map[string]*Far{"crm": t.CRM, "erp": t.ERP, "time": t.Time}[role]
}

// at does what somebody does in a far side, to every row that is meant.
func (t *teller) at(a *atFarSide) error {
	far := t.far(a.In)
	if a.Insert != "" {
		fields := maps.Clone(a.Fields)
		if far == t.Time {
			fields = t.with(fields)
		}
		_, err := far.Insert(t.Customer, a.Insert, fields)
		return err
	}
	entity := a.Update + a.Remove + a.Move
	rows, err := t.meant(far, entity, a.Where)
	if err != nil {
		return err
	}
	for _, r := range rows {
		switch {
		case a.Update != "":
			err = far.Update(t.Customer, entity, r.ID, a.Fields)
		case a.Remove != "":
			err = far.Remove(t.Customer, entity, r.ID)
		default:
			err = far.Move(t.Customer, entity, r.ID, a.Press)
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", entity, far.URL, err)
		}
	}
	return nil
}

// meant are the rows with these fields; there is at least one.
func (t *teller) meant(far *Far, entity string, where map[string]any) ([]simulator.Row, error) {
	rows, err := far.Rows(t.Customer, entity)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r simulator.Row) bool {
		for field, v := range where {
			if inside(r.Fields, field) != fmt.Sprint(v) {
				return true
			}
		}
		return false
	})
	if len(rows) == 0 {
		return nil, fmt.Errorf("there is no %s with %v", entity, where)
	}
	return rows, nil
}

// inside reads a field, or one of a nested object: "Contact.Email".
func inside(fields map[string]any, path string) string {
	first, rest, deep := strings.Cut(path, ".")
	if !deep {
		return fmt.Sprint(fields[first])
	}
	nested, _ := fields[first].(map[string]any)
	return inside(nested, rest)
}

// release is what a person does on a form of the ERP: from then on the work is in its books.
func (t *teller) release(notes []string) error {
	for _, k := range []struct{ entity, note, state, released string }{
		{t.month.ERP.Entry.Entity, t.month.ERP.Entry.Note, t.month.ERP.Entry.State, t.month.ERP.Entry.Released},
		{t.month.ERP.Receipt.Entity, t.month.ERP.Receipt.Note, t.month.ERP.Receipt.State, t.month.ERP.Receipt.Released},
	} {
		rows, err := t.ERP.Rows(t.Customer, k.entity)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Fields[k.state] == k.released || notes[0] != "*" && !slices.Contains(notes, inside(r.Fields, k.note)) {
				continue
			}
			if err := t.ERP.Update(t.Customer, k.entity, r.ID, map[string]any{k.state: k.released}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines are the transactions that came of work, with their one line.
func (t *teller) lines(note string) ([]simulator.Row, error) {
	w := t.month.ERP.Transaction
	return t.meant(t.ERP, w.Entity, map[string]any{w.Note: note})
}

func (t *teller) bill(notes []string) error {
	w := t.month.ERP.Transaction
	for _, note := range notes {
		rows, err := t.lines(note)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := t.ERP.Update(t.Customer, w.Entity, r.ID, map[string]any{w.Lines: changed(r.Fields[w.Lines], map[string]any{w.Billed: true})}); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed are lines with some fields changed.
func changed(lines any, fields map[string]any) []any {
	var out []any
	list, _ := lines.([]any)
	for _, l := range list {
		line, _ := l.(map[string]any)
		line = maps.Clone(line)
		maps.Copy(line, fields)
		out = append(out, line)
	}
	return out
}

// credit is what a person does who has told us to leave it to them.
func (t *teller) credit(note string) error {
	w := t.month.ERP.Transaction
	rows, err := t.lines(note)
	if err != nil {
		return err
	}
	for _, r := range rows {
		list, _ := r.Fields[w.Lines].([]any)
		for _, l := range list {
			line, _ := l.(map[string]any)
			q, err := exact.ParseDecimal(fmt.Sprint(line[w.Quantity]))
			if err != nil {
				return err
			}
			back := changed([]any{line}, map[string]any{w.Quantity: q.Neg().String(), w.Marker: nil})
			delete(back[0].(map[string]any), "TransactionID")
			if _, err := t.ERP.Insert(t.Customer, w.Entity, map[string]any{w.Note: "Credit: " + note, w.Lines: back, w.State: w.Released}); err != nil {
				return err
			}
		}
	}
	return nil
}
