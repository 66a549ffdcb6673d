package books

import (
	"fmt"

	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/ingest"
	"throughline/internal/mapping"
)

// idOf is a record's id in its far side. A row that tells none is nameless.
func idOf(end *engine.End, kind *connector.Kind, x any) (string, error) {
	id, err := kind.IDOf(x, end.Conn.Settings)
	if err == nil && id == "" {
		err = fmt.Errorf("it has no id (%s)", kind.Spec.ID.Source)
	}
	if err != nil {
		return "", nameless{error: err, x: x}
	}
	return id, nil
}

// tellNameless tells of the rows that do not say whose they are, as the last reading has shown them. They are in no
// sum: what they hold may be missing there, or may be read by its id as well.
func (r *reading) tellNameless() error {
	trigger := r.flow.Template.File.Trigger.Record
	if err := r.nameless(r.tracked, r.source, r.source.Mappings[trigger], "time tracker"); err != nil {
		return err
	}
	return r.nameless(r.booked, r.target, r.target.Mappings[r.flow.Template.Post.Record], "ERP")
}

func (r *reading) nameless(l *list, end *engine.End, m *mapping.Mapping, system string) error {
	if l == nil {
		return nil
	}
	times := map[string]int{}
	for _, odd := range l.nameless {
		at, err := ingest.UnreadKey(end.Conn.ID, m.Kind.Name, odd.x)
		if err != nil {
			return err
		}
		key := at.String()
		times[key]++
		told := fmt.Sprint(key, " ", times[key]) // two flows may read one list; two rows may be alike
		f := Finding{Flow: r.flow.ID, Entry: key, What: Unreadable}
		if rec, err := r.canonical(end, m, odd.x); err == nil { // else all that is known is what was there
			facts := r.facts(rec.Fields)
			f.Project, f.Date, f.Seconds, f.Amount = facts.Project, facts.Date, facts.Seconds, facts.Amount
		}
		if r.strangers[told] || !f.Date.IsZero() && !r.period.Has(f.Date) {
			continue
		}
		r.strangers[told] = true
		f.Says = fmt.Sprintf("Row %d of the %s's list %s does not say whose it is (%v), and may be what is missing here: %s. Correct it there; if the connector reads it wrong, correct that.", odd.at, system, l.name, odd.error, excerpt(odd.x))
		r.statement.Findings = append(r.statement.Findings, f)
	}
	return nil
}

// shown is how much of a row a finding shows.
const shown = 300

func excerpt(x any) string {
	text, err := exact.AppendJSON(nil, x)
	if err != nil {
		return fmt.Sprintf("it cannot be shown (%v)", err)
	}
	if list := []rune(string(text)); len(list) > shown {
		return string(list[:shown]) + "…"
	}
	return string(text)
}
