package books

import (
	"errors"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/store"
)

// second looks once more at the far sides' records of what is not explained: by their ids, or in the list once more
// where the vendor reads none alone. Only what stands in both looks is a difference: somebody may be at work there.
func (r *reading) second() error {
	before := map[hub.RecordID]*Entry{}
	for _, c := range r.open() {
		before[c.ID] = c.Entry
	}
	if err := r.listsAnew(); err != nil {
		return err
	}
	for _, c := range r.open() {
		entry, known := before[c.ID]
		if c.Moved = !known; known { // else it has come to light only now
			if err := r.anew(c, entry); err != nil {
				return err
			}
		}
		c.Hidden = r.sourceKind().Get == nil && len(r.tracked.nameless) > 0
		v, err := r.verdict(c)
		if err == nil {
			err = r.tell(c, v)
		}
		if err != nil {
			return err
		}
	}
	return r.aliensAnew()
}

// listsAnew reads once more the lists whose records cannot be read alone.
func (r *reading) listsAnew() error {
	entries, rows := false, len(r.aliens) > 0
	for _, c := range r.open() {
		entries = entries || c.Entry != nil || c.Broken != ""
		rows = rows || len(c.Extra) > 0
		for _, l := range c.Lines {
			rows = rows || l.Found != nil
		}
	}
	if entries && r.sourceKind().Get == nil || len(r.tracked.nameless) > 0 {
		if err := r.rest(r.tracked); err != nil {
			return err
		}
	}
	if m := r.target.Mappings[r.flow.Template.Post.Record]; r.booked != nil && (rows && !readAlone(m.Kind) || len(r.booked.nameless) > 0) {
		return r.rest(r.booked)
	}
	return nil
}

// readAlone reports whether a vendor gives one record by itself.
func readAlone(kind *connector.Kind) bool { return kind.Get != nil || kind.Find["marker"] != nil }

// anew looks once more at what a case rests on; before is what its entry was.
func (r *reading) anew(c *Case, before *Entry) error {
	if kind := r.sourceKind(); kind.Get != nil && (before != nil || c.Broken != "") {
		if err := r.entryAlone(kind, c); err != nil {
			return err
		}
	}
	if before != nil && c.Broken == "" {
		c.Moved = c.Entry == nil || c.Entry.Content != before.Content || c.Entry.Approved != before.Approved || r.sourceKind().Get == nil && !r.tracked.shows(before.Vendor)
	}
	for i := range c.Lines {
		l := &c.Lines[i]
		if m := r.target.Mappings[l.Type]; l.Found != nil && r.lines[thereKey{l.Type, l.There}] != nil && m != nil && readAlone(m.Kind) {
			l.Found = nil // to be read alone with the ledger's lines
		}
	}
	return r.extraAnew(c)
}

// extraAnew keeps the further records of a case that are still there.
func (r *reading) extraAnew(c *Case) error {
	var still []Row
	for _, row := range c.Extra {
		now, err := r.rowAnew(r.target.Mappings[row.Type], row)
		if err != nil {
			return err
		}
		if now != nil {
			still = append(still, *now)
		}
	}
	c.Extra = still
	return nil
}

// rowAnew is a record of the ERP as it is by now; nil where it is not there any more, or not with the same marker.
func (r *reading) rowAnew(m *mapping.Mapping, row Row) (*Row, error) {
	if !readAlone(m.Kind) {
		if !r.booked.shows(row.ID) {
			return nil, nil
		}
		return &row, nil
	}
	x, err := r.single(r.target, m.Kind, row.ID, row.Marker)
	if err != nil || x == nil {
		return nil, err
	}
	now, err := r.row(m, row.Type, x)
	if odd := (nameless{}); errors.As(err, &odd) {
		return &row, nil // it was asked for by its id: it is there
	}
	if err != nil || now.Marker != row.Marker {
		return nil, err
	}
	return &now, nil
}

// aliensAnew tells of the records that still belong to nothing in the period.
func (r *reading) aliensAnew() error {
	for _, a := range r.aliens {
		now, err := r.rowAnew(a.m, a.row)
		if err != nil {
			return err
		}
		if now == nil || now.Unreadable == "" && !r.period.Has(now.Date) {
			continue
		}
		link, err := r.tenant.LinkOf(r.ctx, r.target.Conn.ID, a.m.Kind.Name, now.ID)
		if err != nil {
			return err
		}
		if a.what == Unknown && link != nil {
			continue // it is known by now
		}
		if a.what == Unknown {
			if sent, err := r.underWay(*now); err != nil {
				return err
			} else if sent {
				continue
			}
		}
		a.row = *now
		r.tellAlien(a)
	}
	return nil
}

// underWay reports whether a record is a line that was sent since the ledger was read, and that the ERP has taken but, as
// far as we have heard, not answered for.
func (r *reading) underWay(row Row) (bool, error) {
	for after := hub.RecordID(""); ; {
		lines, err := r.tenant.LinesBetween(r.ctx, row.Date, row.Date, after, page)
		if err != nil || len(lines) == 0 {
			return false, err
		}
		for _, l := range lines {
			after = l.Record
			if l.Record.Marker() == row.Marker && l.Connection == r.target.Conn.ID && (l.State == store.Sending || l.There == row.ID) {
				return true, nil
			}
		}
	}
}
