package engine

import (
	"fmt"
	"slices"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// How a line was taken back.
const (
	byDeleting  = "deleted there"
	wasGone     = "was gone there"
	byReversing = "reversed there"
	byCredit    = "credited there by a person"
	byDecision  = "left as it is, as a person decided"
)

// wasFound is how a line came to be that the lost time has made.
const wasFound = "found there after the ledger was restored"

// The choices for what was invoiced before it changed.
const (
	Credit      = "credit"       // a person credits it there, and says so
	NextInvoice = "next_invoice" // the same with the opposite sign goes on the next invoice
	Leave       = "leave"        // what was invoiced stays
)

// Choices are all of them.
var Choices = []string{Credit, NextInvoice, Leave}

// takeBack takes back the line that stands, by what the far side allows at the point to which it has
// come there: deleted while it is nobody's yet; by a record with the opposite sign once it is posted;
// and by a person's word once it is invoiced.
func (r *run) takeBack(p *workflow.Plan, content string) error {
	line := r.books.stands
	end := r.flow.end(line.Connection)
	if end == nil || end.Mappings[line.Type] == nil {
		return elsewhere(line)
	}
	link, err := r.tenant.Link(r.ctx, line.Record, end.Conn.ID)
	if err != nil {
		return err
	}
	if link == nil {
		return r.note(line, wasGone)
	}
	x, billing, err := r.standing(end, line, link)
	if hub.KindOf(err) == hub.NotFound {
		return r.note(line, wasGone)
	}
	if err != nil {
		return err
	}
	if billing == "invoiced" || billing == "paid" {
		return r.decided(p, end, line, content, "The record was changed after it had been invoiced there.")
	}
	return r.takeOut(p, end, line, link, x, content)
}

// takeOut deletes what can be deleted, and reverses what cannot.
func (r *run) takeOut(p *workflow.Plan, end *End, line *store.Posting, link *store.Link, x any, content string) error {
	free, err := deletable(end, line, x)
	if err != nil {
		return err
	}
	if free {
		err := r.remove(p, end, line, link, x)
		if hub.KindOf(err) != hub.Blocked {
			return err
		}
		return r.decided(p, end, line, content, "The far side does not let go of it: "+hub.AsError(err).Message)
	}
	why := "It is in the books there and cannot be taken back from here."
	if reversible(p, end) {
		err := r.reverse(p, end, line)
		if !mapping.NotHeld(err) {
			return err
		}
		why = hub.AsError(err).Message
	}
	return r.decided(p, end, line, content, why)
}

// deletable reports whether the far side lets go of a line as it stands there.
func deletable(end *End, line *store.Posting, x any) (bool, error) {
	op := end.Mappings[line.Type].Kind.Delete
	if op == nil || op.When == nil {
		return op != nil, nil
	}
	return op.When.True(map[string]any{"x": x, "settings": end.Conn.Settings})
}

func reversible(p *workflow.Plan, end *End) bool {
	m := end.Mappings[p.BackAs]
	return p.BackAs != "" && m != nil && m.Kind.Create != nil
}

// standing reads a line's record as it stands there, and how far it has come.
func (r *run) standing(end *End, line *store.Posting, link *store.Link) (x any, billing string, err error) {
	m := end.Mappings[line.Type]
	if m.Kind.Get == nil {
		return nil, "", nil
	}
	if x, err = r.fetch(end, hub.RecordKey{Connection: end.Conn.ID, Kind: link.Kind, ID: link.ExternalID}); err != nil {
		return nil, "", err
	}
	theirs, err := m.Read(end.context(r.work.Tenant, nil), x)
	if err != nil {
		return nil, "", fmt.Errorf("read what stands in %s: %w", end.Conn.ID, err)
	}
	billing, _ = theirs.Fields["billing"].(string)
	return x, billing, nil
}

// note takes a line back without a call: what it stood for is gone there, or a person has seen to it.
func (r *run) note(line *store.Posting, how string) error {
	back := r.opposite(line, how)
	back.State = store.Posted
	r.pending.Postings = append(r.pending.Postings, back)
	r.pending.Audit = append(r.pending.Audit, store.AuditEntry{At: r.e.Now(), Who: r.who(), Action: "record.reversed",
		Object: fmt.Sprintf("%s %s in %s", line.Type, line.Record, line.Connection), Detail: how})
	r.writes++
	r.took()
	return nil
}

// took brings the books of this run up to date after a line was taken back.
func (r *run) took() {
	r.books.stands = nil
	r.books.next++
}

// opposite is the line that takes another one back.
func (r *run) opposite(line *store.Posting, how string) store.Posting {
	back := *line
	back.N, back.Record, back.Reverses = r.books.next, r.lineID(r.books.next), line.Record
	back.Seconds, back.Amount = -line.Seconds, negative(line.Amount)
	back.State, back.How, back.Updated = store.Sending, how, r.e.Now()
	back.Counts = nil
	for _, c := range line.Counts {
		c.Seconds, c.Amount = -c.Seconds, c.Amount.Neg()
		back.Counts = append(back.Counts, c)
	}
	return back
}

func negative(amount string) string {
	m, err := exact.ParseMoney(amount)
	if err != nil {
		return "" // it had none
	}
	return m.Neg().String()
}

// remove deletes the record there.
func (r *run) remove(p *workflow.Plan, end *End, line *store.Posting, link *store.Link, x any) error {
	m := end.Mappings[line.Type]
	res := &result{record: canonical.Record{ID: line.Record, Type: line.Type, Fields: map[string]any{}}, links: map[string]*store.Link{end.Role: link}}
	w := &write{run: r, end: end, m: m, res: res, link: link, op: m.Kind.Delete, gone: true, fields: map[string]any{}}
	for _, first := range w.op.First {
		if err := w.act(first); err != nil {
			return err
		}
	}
	body, err := canonical.Encode(map[string]any{"deleted": link.ExternalID})
	if err != nil {
		return err
	}
	back := r.opposite(line, byDeleting)
	w.intent = r.intent(p, w, canonical.Hash(body), body)
	w.intent.Posting = &back
	if err := r.enter(p, w); err != nil {
		return err
	}
	r.took()
	return nil
}

// act carries out an action on a record that is there. It looks first whether it is still to be done.
func (w *write) act(op *connector.FollowOp) error {
	earlier, _, err := w.history()
	if err != nil {
		return err
	}
	return w.carry(op, earlier, true)
}

// reverse writes a record with the opposite sign.
func (r *run) reverse(p *workflow.Plan, end *End, line *store.Posting) error {
	back := r.opposite(line, byReversing)
	back.Type = p.BackAs
	rec, err := r.contrary(p, line, back.Record)
	if err != nil {
		return err
	}
	if back.Fields, err = canonical.Encode(rec.Fields); err != nil {
		return err
	}
	res := &result{links: map[string]*store.Link{}, record: rec}
	w, err := r.prepare(p, end, res)
	if err != nil {
		return err
	}
	if w.op == nil {
		return fmt.Errorf("the reversal %s is known in %s, but not in the books", rec.ID, end.Conn.ID)
	}
	w.intent.Posting = &back
	if err := r.enter(p, w); err != nil {
		return err
	}
	r.took()
	return nil
}

// contrary is the record that takes a line's back: what both types have in common, amounts and work with
// the opposite sign, on the same business day, or on the first that is still open.
func (r *run) contrary(p *workflow.Plan, line *store.Posting, id hub.RecordID) (canonical.Record, error) {
	fields, err := r.flow.Schemas.Schema(line.Type).Decode(line.Fields)
	if err != nil {
		return canonical.Record{}, err
	}
	schema, out := r.flow.Schemas.Schema(p.BackAs), map[string]any{}
	for _, f := range schema.Fields {
		v, there := fields[f.Key]
		switch v := v.(type) {
		case exact.Seconds:
			out[f.Key] = -v
		case exact.Decimal:
			out[f.Key] = v.Neg()
		case exact.Money:
			if f.Key == "amount" {
				v = v.Neg() // a rate keeps its sign
			}
			out[f.Key] = v
		default:
			if there {
				out[f.Key] = v
			}
		}
		if f.Value.Type == "ref" && f.Value.To == r.flow.Template.File.Trigger.Record {
			out[f.Key] = canonical.Ref{Type: f.Value.To, ID: line.Entry}
		}
		if f.Key == "billing" {
			out[f.Key] = "unbilled"
		}
	}
	delete(out, "number")
	first, ok, err := r.flow.FirstOpen(r.flow.Today(r.started))
	if err != nil {
		return canonical.Record{}, err
	}
	if ok {
		if d, is := out["date"].(exact.Date); is && d.Compare(first) < 0 {
			out["date"] = first
		}
	}
	return schema.Normalise(canonical.Record{ID: id, Type: p.BackAs, Fields: out})
}

// decided does what a person has chosen for a line that cannot be taken back by itself, or asks.
func (r *run) decided(p *workflow.Plan, end *End, line *store.Posting, content, why string) error {
	choice, err := r.choice(line)
	if err != nil {
		return err
	}
	switch choice {
	case Credit:
		return r.note(line, byCredit)
	case Leave:
		return r.leave(line, content)
	case NextInvoice:
		if reversible(p, end) {
			if err := r.reverse(p, end, line); !mapping.NotHeld(err) {
				return err
			}
		}
		why = fmt.Sprintf("%s cannot put it on the next invoice.", end.Conn.ID)
	}
	r.about = line.Record
	return &hub.Error{Kind: hub.Blocked, Code: "posting.fixed", Message: why,
		Hint: "Choose: credit (you credit it there), next_invoice (the opposite goes on the next invoice), or leave (what stands there stays). Choices: " + strings.Join(Choices, ", ") + "."}
}

// choice is what a person has chosen for a line, and is not carried out yet; "" where there is none. What was left once
// was left as it was then: a further change is asked about anew.
func (r *run) choice(line *store.Posting) (string, error) {
	x, err := r.tenant.LastAsked(r.ctx, r.work.Deployment, r.work.Key, line.Record)
	if err != nil || x == nil || x.Code != "posting.fixed" || !slices.Contains(Choices, x.State) {
		return "", err
	}
	if kept := r.books.kept; kept != nil && !kept.Updated.Before(x.Closed) {
		return "", nil
	}
	return x.State, nil
}

// leave notes that what stands there stays, though the record says otherwise now.
func (r *run) leave(line *store.Posting, content string) error {
	kept := *line
	kept.N, kept.Record, kept.Content, kept.Counts = r.books.next, r.lineID(r.books.next), content, nil
	kept.Seconds, kept.Amount, kept.State, kept.How, kept.Updated = 0, "", store.Kept, byDecision, r.e.Now()
	r.pending.Postings = append(r.pending.Postings, kept)
	r.pending.Audit = append(r.pending.Audit, store.AuditEntry{At: r.e.Now(), Who: r.who(), Action: "record.left",
		Object: fmt.Sprintf("%s %s in %s", line.Type, line.Record, line.Connection), Detail: byDecision})
	r.books.content = content
	r.books.next++
	return nil
}
