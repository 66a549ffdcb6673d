package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// A template that posts brings its record into a far side's books. What was posted is never changed:
// it is taken back, and posted anew where the record still counts. The ledger keeps the lines, so that
// what stands is their sum, and every run sees what earlier ones have brought about.

// books is what a record has in the books.
type books struct {
	lines   []store.Posting
	stands  *store.Posting // the line that is not taken back; nil: none
	content string         // by which it stands; a person's decision may have changed it
	kept    *store.Posting // the last such decision
	sending *store.Posting // the line whose outcome is not known
	next    int64          // the number of the next line
	trace   *trace         // the line that stands, where the lost time has brought it there
}

// readBooks sorts out an entry's lines.
func readBooks(lines []store.Posting) books {
	b := books{lines: lines, next: 1}
	for i := range lines {
		l := &lines[i]
		if l.State != store.Void {
			b.next = l.N + 1
		}
		switch {
		case l.State == store.Sending:
			b.sending = l
		case l.State == store.Kept:
			b.kept, b.content = l, l.Content
		case l.State == store.Posted && l.Reverses == "":
			b.stands, b.content = l, l.Content
		case l.State == store.Posted && b.stands != nil && l.Reverses == b.stands.Record:
			b.stands = nil
		}
	}
	return b
}

// same reports whether what stands is what the record says now.
func (b *books) same(content string) bool {
	return b.stands != nil && (b.content == content || b.stands.Content == content)
}

// content is the hash of the fields by which a posting stands.
func (r *run) content(p *workflow.Plan) (string, error) {
	if !r.wanted {
		return workflow.Withdrawn, nil
	}
	return p.Content(r.results["record"].record.Fields)
}

// reconsider compares the record with what it has in the books already, before anything else is looked
// at: what stands and is the same needs nothing, whatever rules say today; what has changed, or does not
// count any more, is taken back.
func (r *run) reconsider(p *workflow.Plan) error {
	if err := r.openBooks(); err != nil {
		return err
	}
	content, err := r.content(p)
	if err != nil {
		return err
	}
	b := &r.books
	if err := r.overtaken(p); err != nil {
		return err
	}
	if l := b.sending; l != nil && (l.Content != content || l.Reverses != "" || l.Connection != r.flow.Roles[p.To[0]].Conn.ID) {
		return r.settleLine(l)
	}
	if err := r.recall(p); err != nil {
		return err
	}
	switch {
	case b.trace != nil && !r.wanted:
		return r.recalled(p, nil, canonical.Record{})
	case b.trace != nil:
		return nil // whether it says what the record does shows when that is to be posted
	case b.stands == nil && !r.wanted:
		return errFiltered
	case b.stands == nil:
		return nil
	case b.same(content):
		goes, err := r.goes(b.stands)
		if err != nil {
			return err
		}
		if !goes {
			return r.complete(b.stands)
		}
	}
	if err := r.takeBack(p, content); err != nil {
		return err
	}
	if b.stands == nil {
		if err := r.recall(p); err != nil { // a person who had it credited let another one be posted
			return err
		}
	}
	switch {
	case b.trace != nil && !r.wanted:
		return r.recalled(p, nil, canonical.Record{})
	case b.trace == nil && (!r.wanted || b.same(content)):
		return errDone
	}
	return nil
}

// goes reports whether a person has chosen that a line is taken back though it is the same by now: it was asked about
// again, or has changed back meanwhile.
func (r *run) goes(line *store.Posting) (bool, error) {
	if !r.work.Parked {
		return false, nil
	}
	choice, err := r.choice(line)
	return choice == Credit || choice == NextInvoice, err
}

// complete sends what belongs to a posted record and an earlier attempt has not come to, or has undone on its way to
// taking it back, and ends the run.
func (r *run) complete(line *store.Posting) error {
	end := r.flow.end(line.Connection)
	if end == nil || end.Mappings[line.Type] == nil || len(end.Mappings[line.Type].Kind.After) == 0 {
		return errDone
	}
	res := &result{record: canonical.Record{ID: line.Record, Type: line.Type}, links: map[string]*store.Link{}}
	w := &write{run: r, end: end, m: end.Mappings[line.Type], res: res, fields: map[string]any{}}
	earlier, _, err := w.history()
	if err != nil || !w.unfinished(earlier) && !r.resumed && !r.work.Parked {
		return cmp.Or(err, errDone)
	}
	if w.link, err = r.tenant.Link(r.ctx, line.Record, end.Conn.ID); err != nil || w.link == nil {
		return cmp.Or(err, errDone)
	}
	res.links[end.Role] = w.link
	if res.record.Fields, err = r.flow.Schemas.Schema(line.Type).Decode(line.Fields); err != nil {
		return err
	}
	for i := range w.m.Kind.After {
		op := &w.m.Kind.After[i]
		if err := w.carry(op, earlier, op.When != nil); err != nil {
			return err
		}
	}
	return errDone
}

// unfinished reports whether something was done to a record there since what makes it complete, or whether that was
// never done.
func (w *write) unfinished(earlier map[string]*store.Write) bool {
	var completed time.Time
	for _, was := range earlier {
		if was.State == "done" && was.Started.After(completed) && slices.ContainsFunc(w.m.Kind.After, func(op connector.FollowOp) bool { return op.Name == was.Operation }) {
			completed = was.Started
		}
	}
	for _, was := range earlier {
		if was.Started.After(completed) {
			return true
		}
	}
	return false
}

func (r *run) openBooks() error {
	r.books = books{next: 1}
	if r.fresh {
		return nil // nobody has heard of the record before
	}
	lines, err := r.tenant.Postings(r.ctx, r.results["record"].record.ID)
	if err != nil {
		return err
	}
	r.books = readBooks(slices.DeleteFunc(lines, func(l store.Posting) bool { return l.Deployment != r.work.Deployment }))
	return nil
}

// lineID is the id of the entry's nth line in this flow.
func (r *run) lineID(n int64) hub.RecordID {
	return r.results["record"].record.ID.Line(r.work.Tenant, r.work.Deployment, n)
}

// post brings the record into the books.
func (r *run) post(p *workflow.Plan) error {
	if r.lacks(p.To) {
		return nil
	}
	end := r.flow.Roles[p.To[0]]
	n := r.books.next
	if r.books.sending != nil {
		n = r.books.sending.N // an earlier attempt's, with the same content
	}
	if r.books.trace != nil {
		n = r.books.trace.N
	}
	res := &result{links: map[string]*store.Link{}, derived: true, record: canonical.Record{ID: r.lineID(n), Type: p.Record, Fields: map[string]any{}}}
	if err := r.fill(p, res); err != nil {
		return err
	}
	content, err := r.content(p)
	if err != nil {
		return err
	}
	line, err := r.line(end, res, n)
	if err != nil {
		return err
	}
	line.Content = content
	if line.Counts, err = r.counts(p, line); err != nil {
		return err
	}
	if r.books.trace != nil {
		return r.recalled(p, line, res.record)
	}
	w, err := r.prepare(p, end, res)
	if err != nil {
		return err
	}
	if w.op == nil {
		return fmt.Errorf("line %d of %s is known in %s, but not in the books", n, line.Entry, end.Conn.ID)
	}
	w.intent.Posting = line
	return r.enter(p, w)
}

// enter carries out a write that makes a line.
func (r *run) enter(p *workflow.Plan, w *write) error {
	if err := r.open([]*write{w}); err != nil {
		return err
	}
	if w.busy {
		if err := r.overLimit(p, w); err != nil {
			return err
		}
	}
	transmit([]*write{w})
	return w.conclude()
}

// line is the row of the books for a record that is about to be sent.
func (r *run) line(end *End, res *result, n int64) (*store.Posting, error) {
	fields, err := canonical.Encode(res.record.Fields)
	if err != nil {
		return nil, err
	}
	l := &store.Posting{Record: res.record.ID, Entry: r.results["record"].record.ID, Deployment: r.work.Deployment, Connection: end.Conn.ID, N: n, Type: res.record.Type,
		Fields: fields, State: store.Sending, Updated: r.e.Now()}
	if d, ok := res.record.Fields["date"].(exact.Date); ok {
		l.Date = d.String()
	}
	if s, ok := res.record.Fields["seconds"].(exact.Seconds); ok {
		l.Seconds = int64(s)
	}
	if m, ok := res.record.Fields["amount"].(exact.Money); ok {
		l.Amount = m.String()
	}
	if project, ok := res.record.Fields["project"].(canonical.Ref); ok {
		l.Project = project.ID
	}
	return l, nil
}

// counts are the sums that a line adds to, with how far each may go.
func (r *run) counts(p *workflow.Plan, l *store.Posting) ([]store.Count, error) {
	var out []store.Count
	for i := range p.Limits {
		c, err := r.count(&p.Limits[i], l)
		if err != nil {
			return nil, err
		}
		if c != nil {
			out = append(out, *c)
		}
	}
	return out, nil
}

func (r *run) count(limit *workflow.PlanLimit, l *store.Posting) (*store.Count, error) {
	per, err := limit.Per.EvalAt(r.flow.Place, r.vars)
	if err != nil || per == nil || per == "" {
		return nil, err
	}
	c := &store.Count{Name: limit.Limit.Limit, Item: fmt.Sprint(per)}
	if limit.Seconds != nil {
		most, err := limit.Seconds.EvalAt(r.flow.Place, r.vars)
		if s, ok := most.(exact.Seconds); ok {
			c.Seconds, c.Longest = l.Seconds, int64(s)
		}
		return c, err
	}
	most, err := limit.Amount.EvalAt(r.flow.Place, r.vars)
	if err != nil {
		return nil, err
	}
	amount, ok := r.amountOf(l)
	if !ok {
		return nil, nil
	}
	c.Item, c.Amount = c.Item+" "+amount.Currency, amount.Amount
	if m, ok := most.(exact.Money); ok {
		if m.Currency != amount.Currency {
			return nil, &hub.Error{Kind: hub.Blocked, Code: "over." + c.Name, Field: limit.Field, Value: amount.Currency,
				Message: fmt.Sprintf("The limit is in %s, the work is priced in %s.", m.Currency, amount.Currency), Hint: "Price the work in the currency of its contract."}
		}
		c.Most = &m.Amount
	}
	return c, r.warn(limit, c)
}

func (r *run) amountOf(l *store.Posting) (exact.Money, bool) {
	m, err := exact.ParseMoney(l.Amount)
	return m, err == nil
}

// sumFor is how long a sum may serve for warnings: a week that is approved at once is to be warned of.
const sumFor = time.Second

// warn tells people that a sum comes near its limit. It goes by what was known a moment ago: only the
// limit itself is exact.
func (r *run) warn(limit *workflow.PlanLimit, c *store.Count) error {
	if limit.Warn == nil || c.Most == nil {
		return nil
	}
	share, err := limit.Warn.EvalAt(r.flow.Place, r.vars)
	percent, ok := share.(int64)
	if err != nil || !ok {
		return err
	}
	name := fmt.Sprintf("tally/%s/%s/%s", r.work.Tenant, c.Name, c.Item)
	sum, err := r.known(name, sumFor, func() (any, error) { return r.tenant.Tally(r.ctx, c.Name, c.Item) })
	if err != nil {
		return err
	}
	reached := sum.(store.Tally).Amount.Add(c.Amount).Mul(exact.NewDecimal(100))
	if reached.Cmp(c.Most.Mul(exact.NewDecimal(percent))) >= 0 {
		r.warns = append(r.warns, fmt.Sprintf("%s: %d %% of %s are reached.", limit.Limit.Limit, percent, c.Most))
	}
	return nil
}

// overLimit finds out whether a write could not be opened because of a limit, and of which.
func (r *run) overLimit(p *workflow.Plan, w *write) error {
	open, err := r.tenant.OpenWrite(r.ctx, w.res.record.ID, w.end.Conn.ID)
	if err != nil || open != nil {
		return err
	}
	for _, c := range w.intent.Posting.Counts {
		sum, err := r.tenant.Tally(r.ctx, c.Name, c.Item)
		if err != nil {
			return err
		}
		limit := p.LimitNamed(c.Name)
		if limit == nil || !sum.Past(c) {
			continue
		}
		return &hub.Error{Kind: hub.Blocked, Code: "over." + c.Name, Field: limit.Field, Value: c.Item, Message: limit.Says, Hint: limit.Fix}
	}
	return nil
}

// settleLine finds out what became of a line that an earlier attempt has sent, by its own content and
// write class, before the record's newer form follows.
func (r *run) settleLine(l *store.Posting) error {
	end, target := r.flow.end(l.Connection), l.Record
	if end == nil {
		return elsewhere(l)
	}
	recordType := l.Type
	if line := r.books.line(l.Reverses); line != nil && l.How == byDeleting {
		target, recordType = line.Record, line.Type
	}
	open, err := r.tenant.OpenWrite(r.ctx, target, end.Conn.ID)
	if err != nil {
		return err
	}
	if open == nil {
		return &pause{until: r.e.Now(), reason: "It has just been written."}
	}
	w, err := r.again(end, recordType, target, open)
	if err != nil {
		return err
	}
	w.intent.Posting = l
	if err := w.conclude(); err != nil {
		return err
	}
	return &pause{until: r.e.Now(), reason: "An earlier write of this record was settled first."}
}

// elsewhere asks a person about a line in the books of a system that the flow had before.
func elsewhere(l *store.Posting) error {
	return &hub.Error{Kind: hub.Blocked, Code: "posting.elsewhere", Value: string(l.Connection), Message: fmt.Sprintf("It was sent to %s, which the flow does not have any more.", l.Connection),
		Hint: "Give the flow that connection back until this is settled; or take it back there, and ignore this."}
}

// again is a write whose outcome is not known, as it was sent.
func (r *run) again(end *End, recordType string, id hub.RecordID, open *store.Write) (*write, error) {
	m := end.Mappings[recordType]
	if m == nil {
		return nil, r.flow.carries(end.Role, recordType, "written")
	}
	body, err := SentBody(open.Body)
	if err != nil {
		return nil, err
	}
	res := &result{record: canonical.Record{ID: id, Type: recordType, Fields: map[string]any{}}, links: map[string]*store.Link{}}
	w := &write{run: r, end: end, m: m, res: res, op: m.Kind.Create, intent: *open, busy: true, fields: end.Conn.Connector.Fields(body)}
	if w.link, err = r.tenant.Link(r.ctx, id, end.Conn.ID); err != nil {
		return nil, err
	}
	if w.link != nil {
		res.links[end.Role] = w.link
	}
	if m.Kind.Delete != nil && open.Operation == m.Kind.Delete.Name {
		w.op, w.gone = m.Kind.Delete, true
	}
	return w, nil
}

// line finds one of the entry's lines.
func (b *books) line(id hub.RecordID) *store.Posting {
	for i := range b.lines {
		if b.lines[i].Record == id {
			return &b.lines[i]
		}
	}
	return nil
}
