package books

import (
	"cmp"
	"fmt"
	"slices"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// page is how many lines of the ledger are read at once.
const page = 1000

// ledger reads the flow's lines of the period.
func (r *reading) ledger() error {
	for after := hub.RecordID(""); ; {
		list, err := r.tenant.LinesBetween(r.ctx, r.period.From, r.period.To, after, page)
		if err != nil {
			return err
		}
		for i := range list {
			if err := r.addLine(&list[i]); err != nil {
				return err
			}
		}
		if len(list) < page {
			break
		}
		after = list[len(list)-1].Record
	}
	for _, c := range r.cases {
		r.index(c)
	}
	return nil
}

func (r *reading) addLine(l *store.Line) error {
	if l.Deployment != r.flow.ID {
		return nil
	}
	line, err := r.line(l)
	if err == nil {
		c := r.caseOf(l.Entry)
		c.Lines = append(c.Lines, line)
	}
	return err
}

// line is a row of the ledger with what was sent.
func (r *reading) line(l *store.Line) (Line, error) {
	out := Line{ID: l.Record, Reverses: l.Reverses, N: l.N, State: store.PostingState(r.word(string(l.State))), Type: r.word(l.Type), There: l.There, Content: l.Content}
	schema := r.flow.Schemas.Schema(l.Type)
	if schema == nil {
		return out, fmt.Errorf("line %s is a %s, which nobody knows", l.Record, l.Type)
	}
	fields, err := schema.Decode(l.Fields)
	if err != nil {
		return out, fmt.Errorf("line %s: %w", l.Record, err)
	}
	out.Sent = r.facts(fields)
	if l.Connection != r.target.Conn.ID { // the flow has another ERP by now, and nobody looks into that one
		out.Found = &Row{Type: out.Type, ID: l.There, Unreadable: fmt.Sprintf("it stands in %s, which the flow does not have any more.", l.Connection)}
	}
	return out, nil
}

// index puts a case's lines in order and makes them findable by what the ERP has of them.
func (r *reading) index(c *Case) {
	slices.SortFunc(c.Lines, func(a, b Line) int { return cmp.Compare(a.N, b.N) })
	for i := range c.Lines {
		l := &c.Lines[i]
		r.markers[l.ID.Marker()] = c
		key := thereKey{l.Type, l.There}
		if known := r.lines[key] != nil; l.There != "" && (l.Found == nil || known) {
			r.lines[key] = l
		}
	}
}

// again reads a case's lines as they are by now, and why it is as it is: what was on its way while the
// far sides were read is not held against it.
func (r *reading) again(c *Case) error {
	list, err := r.tenant.Lines(r.ctx, c.ID)
	if err != nil {
		return err
	}

	old, whole := c.Lines, Case{Entry: c.Entry}
	c.Lines = nil
	for i := range list {
		l := &list[i]
		if l.Deployment != r.flow.ID {
			continue
		}
		line, err := r.line(l)
		if err != nil {
			return err
		}
		whole.Lines = append(whole.Lines, line)
		if d, err := exact.ParseDate(l.Date); err != nil || !r.period.Has(d) {
			continue // a line without a day lies in no period
		}
		if i := slices.IndexFunc(old, func(o Line) bool { return o.ID == line.ID && o.There == line.There }); i >= 0 {
			line.Met, line.Found = old[i].Met, old[i].Found
		}
		c.Lines = append(c.Lines, line)
	}
	if err := r.settled(c); err != nil {
		return err
	}
	r.index(c)
	if c.Why, err = r.why(c); err != nil {
		return err
	}
	line, left := whole.left()
	c.Why.Left = left && !slices.ContainsFunc(c.Lines, func(l Line) bool { return l.ID == line.ID })
	return nil
}

// settled finds the ERP's records of lines that came to be known meanwhile.
func (r *reading) settled(c *Case) error {
	for _, row := range r.late[c.ID] {
		for i := range c.Lines {
			if l := &c.Lines[i]; l.There == row.ID && l.Type == row.Type && !l.Met && l.Found == nil {
				l.meet(row)
			}
		}
	}
	c.Extra = slices.DeleteFunc(c.Extra, func(row Row) bool { // a second one no more: it is the line's own by now
		return slices.ContainsFunc(c.Lines, func(l Line) bool { return l.There == row.ID && l.Type == row.Type })
	})
	_, err := r.alone(c)
	return err
}

// why looks up what our ledger knows of an entry.
func (r *reading) why(c *Case) (*Why, error) {
	key, err := r.keyOf(c)
	if err != nil {
		return nil, err
	}
	f := store.Filter{Deployment: r.flow.ID, Key: key, Limit: 1}
	work, err := r.tenant.Work(r.ctx, f)
	if err != nil {
		return nil, err
	}
	exceptions, err := r.tenant.Exceptions(r.ctx, f)
	if err != nil {
		return nil, err
	}
	runs, err := r.tenant.Runs(r.ctx, f)
	if err != nil {
		return nil, err
	}
	w := &Why{Unseen: c.Moved, Early: len(work) == 0 && c.Entry != nil && !r.flow.From.IsZero() && c.Entry.Date.Compare(exact.DateOf(r.flow.From, r.flow.Zone)) < 0}
	amount := ""
	if len(work) > 0 {
		w.State, w.Reason, amount = work[0].State, work[0].Reason, work[0].Amount
	}
	if len(exceptions) > 0 {
		w.Exception = &exceptions[0]
		if w.State == hub.Stopped {
			amount = exceptions[0].Amount
		}
	}
	if m, err := exact.ParseMoney(amount); err == nil { // else nobody knows its price yet
		w.Amount = m
	}
	w.Ran = len(runs) > 0 && runs[0].Ended.After(r.began)
	if c.Entry != nil && !w.Unseen {
		w.Unseen, err = r.unseen(c.Entry)
	}
	return w, err
}

// unseen reports whether an entry changed after the flow's last poll, or after this reading began, as far
// as the vendor tells when.
func (r *reading) unseen(e *Entry) (bool, error) {
	if e.Version > r.began.UnixMicro() {
		return true, nil
	}
	if list := r.sourceKind().List; !r.flow.Poll.Set() || e.Version == 0 || list == nil || list.Changed == nil {
		return false, nil
	}
	value, err := r.tenant.CursorValue(r.ctx, r.flow.ID, ingest.PollKey)
	if err != nil || value == "" {
		return err == nil, err
	}
	reach, err := r.flow.Reach(value)
	return e.Version > reach.Seen().UnixMicro(), err
}
