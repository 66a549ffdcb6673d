package engine

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// Books and the lost time: a ledger that was restored does not know what was posted and taken back since. What it
// believes to stand may be gone, and another line may stand under a later number: posted once more, the work would be
// billed twice. A line never changes over there and its marker follows from its number, so the far side is asked for
// those that the ledger does not know, one number after the other.

// untraced is how many numbers in a row may have no line there before nobody looks further: one that was deleted
// leaves none, nor does its deletion.
const untraced = 8

// trace is a line that the lost time has brought into the books, as it reads there.
type trace struct {
	store.Posting
	link   store.Link
	record canonical.Record
	x      any
}

// recall brings the books of this run up to what stands there. The line that stands in the end is taken in by whoever
// knows whether it still says what the record does.
func (r *run) recall(p *workflow.Plan) error {
	b := &r.books
	if b.sending != nil || !r.lost(time.Time{}) {
		return nil
	}
	end := r.flow.Roles[p.To[0]]
	m := end.Mappings[p.Record]
	if m == nil || m.Kind.Create == nil || b.stands != nil && b.stands.Connection != end.Conn.ID {
		return nil
	}
	if m.Kind.Find["marker"] == nil {
		if b.stands != nil || !r.wanted {
			return nil
		}
		return r.writeOf(end, p.Record, r.lineID(b.next)).askPerson(m.Kind.Create.Name)
	}
	if err := r.shown(m.Kind.Create); err != nil {
		return err
	}
	for {
		before := b.next
		var err error
		if b.stands == nil {
			err = r.further(p, end)
		} else {
			err = r.outlived(p, end)
		}
		if err != nil || b.next == before {
			return err
		}
	}
}

// overtaken ends a write whose line the lost time has made and taken back: it is not there, and a later one is.
func (r *run) overtaken(p *workflow.Plan) error {
	l := r.books.sending
	if l == nil || l.Reverses != "" || !r.lost(l.Updated) {
		return nil
	}
	end := r.flow.Roles[p.To[0]]
	m := end.Mappings[p.Record]
	if l.Connection != end.Conn.ID || m == nil || m.Kind.Create == nil || m.Kind.Find["marker"] == nil {
		return nil
	}
	if err := r.shown(m.Kind.Create); err != nil {
		return err
	}
	x, err := r.writeOf(end, l.Type, l.Record).find()
	if err != nil || x != nil {
		return err
	}
	later, err := r.traced(end, p.Record)
	if err != nil || later == nil {
		return err
	}
	open, err := r.tenant.OpenWrite(r.ctx, l.Record, end.Conn.ID)
	if err != nil || open == nil {
		return err
	}
	open.Posting = l
	r.pending.Close = append(r.pending.Close, r.outcome(*open, "refused", "it was made, and taken back, before the ledger was held", store.Link{}))
	return &pause{until: r.e.Now(), reason: "An earlier write of this record was settled first."}
}

// shown waits until a search shows what was sent before the ledger was held.
func (r *run) shown(create *connector.Op) error {
	if at := r.e.Standing().LostUntil.Add(create.Write.Lag.D); r.e.Now().Before(at) {
		return &pause{until: at, reason: "Waits until the far side's search would show what was sent before the ledger was held."}
	}
	return nil
}

// further looks for a line behind the last one that is known.
func (r *run) further(p *workflow.Plan, end *End) error {
	t, err := r.traced(end, p.Record)
	if err != nil || t == nil {
		return err
	}
	if err := r.readTrace(end, t); err != nil {
		return err
	}
	r.books.trace, r.books.stands, r.books.content, r.books.next = t, &t.Posting, "", t.N+1
	return nil
}

// outlived finds out whether the line that stands by the ledger was taken back in the lost time: it is gone there, or
// one with the opposite sign stands beside it.
func (r *run) outlived(p *workflow.Plan, end *End) error {
	line := r.books.stands
	x, err := r.still(end, line)
	if err != nil {
		return err
	}
	if x == nil {
		return r.note(line, wasGone)
	}
	m := end.Mappings[p.BackAs]
	if !reversible(p, end) || m.Kind.Find["marker"] == nil {
		return nil
	}
	if free, err := deletable(end, line, x); err != nil || free {
		return err // it would have been deleted
	}
	t, err := r.traced(end, p.BackAs)
	if err != nil || t == nil {
		return err
	}
	return r.takeInReversal(p, line, t)
}

// still is a line's record as it stands there; nil where it is gone.
func (r *run) still(end *End, line *store.Posting) (x any, err error) {
	if t := r.books.trace; t != nil && t.Record == line.Record {
		return t.x, nil
	}
	link, err := r.tenant.Link(r.ctx, line.Record, end.Conn.ID)
	if err != nil || link == nil {
		return nil, err
	}
	if end.Mappings[line.Type].Kind.Get != nil {
		x, _, err = r.standing(end, line, link)
	} else {
		x, err = r.writeOf(end, line.Type, line.Record).find()
	}
	if hub.KindOf(err) == hub.NotFound {
		return nil, nil
	}
	return x, err
}

// traced looks for the entry's next line of a type; nil: there is none.
func (r *run) traced(end *End, recordType string) (*trace, error) {
	for n := r.books.next; n < r.books.next+untraced; n++ {
		w := r.writeOf(end, recordType, r.lineID(n))
		x, err := w.find()
		if err != nil {
			return nil, err
		}
		if x == nil {
			continue
		}
		link, err := w.newLink(x)
		return &trace{link: link, x: x, Posting: store.Posting{Record: w.res.record.ID, N: n, Type: recordType}}, err
	}
	return nil, nil
}

// writeOf is what asks for one of the entry's lines by its marker.
func (r *run) writeOf(end *End, recordType string, id hub.RecordID) *write {
	return &write{run: r, end: end, m: end.Mappings[recordType], fields: map[string]any{},
		res: &result{record: canonical.Record{ID: id, Type: recordType, Fields: map[string]any{}}, links: map[string]*store.Link{}}}
}

// readTrace makes a line of what was found.
func (r *run) readTrace(end *End, t *trace) (err error) {
	m := end.Mappings[t.Type]
	if m.Kind.Get != nil {
		if t.x, err = r.fetch(end, hub.RecordKey{Connection: end.Conn.ID, Kind: t.link.Kind, ID: t.link.ExternalID}); err != nil {
			return err
		}
	}
	if t.record, err = m.Read(end.context(r.work.Tenant, nil), t.x); err != nil {
		return fmt.Errorf("read what stands in %s: %w", end.Conn.ID, err)
	}
	if err := r.identifyRefs(t.record); err != nil {
		return err
	}
	t.record.ID, t.record.Type = t.Record, t.Type
	line, err := r.line(end, &result{record: t.record}, t.N)
	if err != nil {
		return err
	}
	t.Posting = *line
	t.State, t.How = store.Posted, wasFound
	return nil
}

// takeIn notes a line that was found there.
func (r *run) takeIn(t *trace) {
	r.pending.Links = append(r.pending.Links, t.link)
	r.pending.Postings = append(r.pending.Postings, t.Posting)
	r.pending.Audit = append(r.pending.Audit, store.AuditEntry{At: r.e.Now(), Who: r.who(), Action: "record.found",
		Object: fmt.Sprintf("%s %s in %s as %s", t.Type, t.Record, t.Connection, t.link.ExternalID), Detail: string(t.Fields)})
	r.writes++
	if r.books.trace == t {
		r.books.trace = nil
	}
}

// takeInReversal notes that a line was taken back there, and by what.
func (r *run) takeInReversal(p *workflow.Plan, line *store.Posting, t *trace) error {
	if known := r.books.trace; known != nil {
		r.takeIn(known)
	}
	r.books.next = t.N
	back := r.opposite(line, byReversing)
	back.Type, back.State = p.BackAs, store.Posted
	rec, err := r.contrary(p, line, back.Record)
	if err != nil {
		return err
	}
	if back.Fields, err = canonical.Encode(rec.Fields); err != nil {
		return err
	}
	t.Posting = back
	r.takeIn(t)
	r.took()
	return nil
}

// recalled ends a run that found a line of the lost time: the next one goes by what stands. A line that says what
// this run would post is the record's own; nil: another one is taken back first.
func (r *run) recalled(p *workflow.Plan, own *store.Posting, rec canonical.Record) error {
	t := r.books.trace
	if own != nil && alike(p, r.flow.Roles[p.To[0]].Mappings[p.Record], rec, t.record) {
		t.Posting = *own
		t.State, t.How = store.Posted, wasFound
	}
	r.takeIn(t)
	return &pause{until: r.e.Now(), reason: "It was posted before the ledger was held; now it is brought up to date."}
}

// alike reports whether two forms of a posted record are the same in all by which it stands and that the far side
// tells. Texts do not count: they are cut and coded there.
func alike(p *workflow.Plan, m *mapping.Mapping, a, b canonical.Record) bool {
	for _, name := range p.StandBy {
		if m.Reads(name) && !equalFacts(a.Fields[name], b.Fields[name]) {
			return false
		}
	}
	return true
}

func equalFacts(a, b any) bool {
	for _, v := range []any{a, b} {
		if _, is := v.(string); is {
			return true
		}
	}
	switch a := a.(type) {
	case canonical.Ref:
		b, is := b.(canonical.Ref)
		return is && a.ID == b.ID
	case exact.Decimal:
		b, is := b.(exact.Decimal)
		return is && a.Cmp(b) == 0
	case exact.Money:
		b, is := b.(exact.Money)
		return is && a.Currency == b.Currency && a.Amount.Cmp(b.Amount) == 0
	}
	return reflect.DeepEqual(a, b)
}

// kept says what becomes of a line of the lost time where its record does not get as far as being posted: who waits
// for something else, or for a person, knows of the line by then.
func (r *run) kept(p *workflow.Plan, err error) error {
	var missing *mapping.Missing
	if r.books.trace == nil {
		return err
	}
	if e := hub.AsError(err); err != nil && !errors.As(err, &missing) && (e == nil || next(e, 0, r.class, 0).do != park) {
		return err // it tries again by itself, and looks again
	}
	return r.recalled(p, nil, canonical.Record{})
}
