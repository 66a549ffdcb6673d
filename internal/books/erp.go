package books

import (
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
	all := func(page []any) error { return r.rows(m, record, page) }
	var err error
	switch {
	case m.Kind.Sweep != nil && m.Kind.Sweep.Spec.Whole:
		_, err = r.remote.List(r.ctx, r.target.Conn, m.Kind.Sweep, time.Time{}, r.days(), all)
	case m.Kind.List != nil && len(m.Kind.With) == 0:
		_, err = r.remote.List(r.ctx, r.target.Conn, m.Kind.List, r.flow.From, nil, all)
	}
	if err != nil {
		return err
	}
	for _, c := range r.cases {
		if err := r.alone(c); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) rows(m *mapping.Mapping, recordType string, page []any) error {
	for _, x := range page {
		row, err := r.row(m, recordType, x)
		if err != nil {
			return err
		}
		if err := r.place(m, row); err != nil {
			return err
		}
	}
	return nil
}

// row reads a record of the ERP. One that cannot be read is there all the same.
func (r *reading) row(m *mapping.Mapping, recordType string, x any) (Row, error) {
	row := Row{Type: recordType}
	var err error
	if row.ID, err = m.Kind.IDOf(x, r.target.Conn.Settings); err != nil {
		return row, err
	}
	if row.Marker, err = m.Kind.MarkerOf(x, r.target.Conn.Settings); err != nil {
		return row, err
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
	l.Found = &row
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
	return r.elsewhere(line, row)
}

// elsewhere is a record that stands for none of the period's lines.
func (r *reading) elsewhere(line *store.Posting, row Row) error {
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
		r.alien(Stray, row, fmt.Sprintf("It was sent for %s, and stands on %s in the ERP.", line.Date, row.Date), entry)
	case line == nil && looksOurs.MatchString(row.Marker):
		r.alien(Unknown, row, "It bears a marker like ours, but our ledger knows nothing of it.", "")
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
func (r *reading) alien(what string, row Row, says, entry string) {
	p := Part{Column: InERP, Project: row.Project, Entries: 1, Seconds: row.Seconds, Amount: row.Amount}
	rest := less(p)
	rest.Column, rest.Entries, rest.Why = Unexplained, 0, what
	r.statement.add([]Part{p, rest})
	r.statement.Findings = append(r.statement.Findings, Finding{Flow: r.flow.ID, Entry: entry, There: row.ID, What: what, Says: says, Project: row.Project, Date: row.Date, Seconds: row.Seconds, Amount: row.Amount})
}

// alone reads the records of a case's lines that no list has shown.
func (r *reading) alone(c *Case) error {
	for i := range c.Lines {
		l := &c.Lines[i]
		if l.Met || l.Found != nil || !c.expects(l) || l.There == "" {
			continue
		}
		m := r.target.Mappings[l.Type]
		if m == nil {
			return r.cannot("read", l.Type)
		}
		x, err := r.single(r.target, m.Kind, l.There, l.ID.Marker())
		if err != nil {
			return err
		}
		if x == nil {
			continue
		}
		row, err := r.row(m, l.Type, x)
		if err != nil {
			return err
		}
		l.meet(row)
	}
	return nil
}
