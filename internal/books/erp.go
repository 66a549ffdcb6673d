package books

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/store"
)

// erp reads what stands in the ERP: all of the period where the vendor lists it, and of the rest what
// our ledger says should be there, one by one.
func (r *reading) erp() error {
	record := r.flow.Template.Post.Record
	m := r.target.Mappings[record]
	if m == nil {
		return r.cannot("read", record)
	}
	take := func(x any) (string, error) { return r.take(m, record, x) }
	switch {
	case m.Kind.Sweep != nil && m.Kind.Sweep.Spec.Whole:
		r.booked = r.listOf(r.target, m.Kind, m.Kind.Sweep, time.Time{}, r.days(), take)
	case m.Kind.List != nil && len(m.Kind.With) == 0:
		r.booked = r.listOf(r.target, m.Kind, m.Kind.List, r.flow.From, nil, take)
	}
	if r.booked != nil {
		if err := r.rest(r.booked); err != nil {
			return err
		}
	}
	hidden := false
	for _, c := range r.cases {
		slipped, err := r.alone(c)
		if err != nil {
			return err
		}
		hidden = hidden || slipped
	}
	if hidden {
		return r.rest(r.booked)
	}
	return nil
}

// take takes a row of a list in.
func (r *reading) take(m *mapping.Mapping, recordType string, x any) (string, error) {
	row, err := r.row(m, recordType, x)
	if err != nil {
		return "", err
	}
	return row.ID, r.place(m, row)
}

// row reads a record of the ERP. One that cannot be read is there all the same.
func (r *reading) row(m *mapping.Mapping, recordType string, x any) (Row, error) {
	row := Row{Type: recordType}
	var err error
	if row.ID, err = idOf(r.target, m.Kind, x); err != nil {
		return row, err
	}
	if row.Marker, err = m.Kind.MarkerOf(x, r.target.Conn.Settings); err != nil {
		row.Unreadable = err.Error()
		return row, nil
	}
	rec, err := r.canonical(r.target, m, x)
	if e := hub.AsError(err); e != nil && e.Kind == hub.Invalid {
		row.Unreadable = e.Message
		return row, nil
	}
	if err != nil {
		return row, err
	}
	row.Facts = r.facts(rec.Fields)
	return row, nil
}

// meet holds a record of the ERP against its line.
func (l *Line) meet(row Row) {
	if row.Unreadable == "" && len(differ(&l.Sent, &row.Facts)) == 0 {
		l.Met, l.Found = true, nil
		return
	}
	l.Met, l.Found = false, &row
}

// place finds the line that a record stands for: by its id, or by our marker.
func (r *reading) place(m *mapping.Mapping, row Row) error {
	if line := r.lines[thereKey{row.Type, row.ID}]; line != nil {
		line.meet(row)
		return nil
	}
	if !r.period.Has(row.Date) && row.Unreadable == "" {
		return nil // the list holds other periods too
	}
	if c := r.markers[row.Marker]; c != nil {
		if !slices.ContainsFunc(c.Extra, func(e Row) bool { return e.ID == row.ID }) { // pages may show a row twice
			c.Extra = append(c.Extra, row)
		}
		return nil
	}
	link, err := r.tenant.LinkOf(r.ctx, r.target.Conn.ID, m.Kind.Name, row.ID)
	if err != nil {
		return err
	}
	var line *store.Posting
	if link != nil {
		if line, err = r.tenant.Posting(r.ctx, link.Record); err != nil {
			return err
		}
	}
	return r.elsewhere(m, line, row)
}

// elsewhere is a record that stands for none of the period's lines.
func (r *reading) elsewhere(m *mapping.Mapping, line *store.Posting, row Row) error {
	key := string(r.target.Conn.ID) + "/" + row.Type + "/" + row.ID
	switch {
	case line != nil && line.Deployment != r.flow.ID && slices.Contains(r.flows, line.Deployment):
		return nil // that flow's business
	case line != nil && line.Deployment == r.flow.ID && r.posted(line):
		r.caseOf(line.Entry)
		r.late[line.Entry] = append(r.late[line.Entry], row)
		return nil
	case r.strangers[key]:
		return nil
	case line != nil && line.Deployment == r.flow.ID:
		entry, err := r.keyOf(&Case{ID: line.Entry})
		if err != nil {
			return err
		}
		r.aliens = append(r.aliens, alien{m, Stray, row, fmt.Sprintf("It was sent for %s, and stands on %s in the ERP.", line.Date, row.Date), entry})
	case line == nil && looksOurs.MatchString(row.Marker):
		r.aliens = append(r.aliens, alien{m, Unknown, row, "It bears a marker like ours, but our ledger knows nothing of it.", ""})
	default:
		p := Part{Column: NotOurs, Project: row.Project, Entries: 1, Seconds: row.Seconds, Amount: row.Amount}
		r.statement.add([]Part{p})
	}
	r.strangers[key] = true
	return nil
}

// looksOurs is the form of our markers (hub.RecordID.Marker).
var looksOurs = regexp.MustCompile(`^k[a-z2-7]{15}$`)

// posted reports whether a line lies in the period: it came to be after the ledger was read.
func (r *reading) posted(l *store.Posting) bool {
	return l.Date >= r.period.From.String() && l.Date <= r.period.To.String()
}

// alien is a record of ours that belongs to nothing in the period.
type alien struct {
	m     *mapping.Mapping
	what  string
	row   Row
	says  string
	entry string
}

func (r *reading) tellAlien(a alien) {
	row := a.row
	p := Part{Column: InERP, Project: row.Project, Entries: 1, Seconds: row.Seconds, Amount: row.Amount}
	rest := less(p)
	rest.Column, rest.Entries, rest.Why = Unexplained, 0, a.what
	r.statement.add([]Part{p, rest})
	r.statement.Findings = append(r.statement.Findings, Finding{Flow: r.flow.ID, Entry: a.entry, There: row.ID, What: a.what, Says: a.says, Project: row.Project, Date: row.Date, Seconds: row.Seconds, Amount: row.Amount})
}

// alone reads the records of a case's lines that no list has shown; one may have slipped from a list that should
// have shown it.
func (r *reading) alone(c *Case) (slipped bool, err error) {
	for i := range c.Lines {
		l := &c.Lines[i]
		if l.Met || l.Found != nil || !c.expects(l) || l.There == "" {
			continue
		}
		m := r.target.Mappings[l.Type]
		if m == nil {
			return false, r.cannot("read", l.Type)
		}
		x, err := r.single(r.target, m.Kind, l.There, l.ID.Marker())
		if err != nil {
			return false, err
		}
		if x == nil {
			continue
		}
		row, err := r.row(m, l.Type, x)
		if odd := (nameless{}); errors.As(err, &odd) {
			row, err = Row{Type: l.Type, ID: l.There, Unreadable: odd.Error()}, nil
		}
		if err != nil {
			return false, err
		}
		l.meet(row)
		if r.booked != nil && l.Type == r.flow.Template.Post.Record && r.period.Has(row.Date) {
			r.booked.saw(row.ID, 0, time.Time{})
			slipped = true
		}
	}
	return slipped, nil
}
