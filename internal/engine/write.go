package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/crashpoint"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// write is one write of one record to one far side, prepared.
type write struct {
	run    *run
	end    *End
	m      *mapping.Mapping
	res    *result
	link   *store.Link // how the record is known there already; nil: not at all
	op     *connector.Op
	fields map[string]any // in the vendor's shape
	whole  string         // the hash of all that a creation sends
	later  string         // and of what a later form is compared with: fields that are sent at the creation only are not
	intent store.Write
	anew   *store.Posting    // the line as it is when it is sent again: its price may be another by now
	gone   bool              // the record is deleted there
	busy   bool              // the intent was not opened: another write is under way
	found  any               // what a search before a create has found (lost.go)
	repeat bool              // an earlier call of the same intent may have gone through
	answer *connector.Answer // what the call gave
	id     string            // or what a batch gave
	err    error
}

// open makes the intents durable before a call leaves us (R3). What stands over there already by
// the same hash has none; one that cannot be opened is settled later.
func (r *run) open(list []*write) error {
	for _, w := range list {
		if w.op != nil {
			r.pending.Open = append(r.pending.Open, w.intent)
		}
	}
	if len(r.pending.Open) == 0 {
		return nil
	}
	crashpoint.At("intent.store")
	busy, err := r.commit()
	crashpoint.At("intent.stored")
	for _, w := range list {
		w.busy = slices.Contains(busy, w.intent.OpKey)
	}
	return err
}

// transmit sends the writes that were opened, side by side.
func transmit(list []*write) {
	var calls sync.WaitGroup
	last := len(list) - 1
	for i, w := range list {
		switch {
		case w.op == nil || w.busy:
		case i == last:
			w.transmit() // the last one needs no goroutine of its own
		default:
			calls.Go(w.transmit)
		}
	}
	calls.Wait()
}

// conclude notes what came of a write, and sends what belongs to a new record there. One whose
// outcome is not known from an earlier attempt is settled first.
func (w *write) conclude() (err error) {
	switch {
	case w.op == nil:
	case w.busy:
		err = w.settle()
	default:
		err = w.received()
	}
	if err != nil || w.gone || w.outdated() { // an older form brings nothing along either
		return err
	}
	return w.follow(w.link == nil)
}

// prepare maps the record and decides between create and update; the write has no operation where
// there is nothing to do.
func (r *run) prepare(p *workflow.Plan, end *End, res *result) (*write, error) {
	m := end.Mappings[res.record.Type]
	if m == nil {
		return nil, r.flow.carries(end.Role, res.record.Type, "written")
	}
	link, err := r.linkIn(end, res)
	if err != nil {
		return nil, err
	}
	w := &write{run: r, end: end, m: m, res: res, link: link, op: m.Kind.Create}
	if link != nil {
		res.links[end.Role] = link
		w.op = m.Kind.Update // nil: it is there, and this far side lets nobody change it
	}
	if w.op == nil && len(m.Kind.After) == 0 {
		return w, nil
	}
	plain, err := m.Write(end.context(r.work.Tenant, r.resolve(end)), res.record, link == nil)
	if err != nil {
		return nil, err
	}
	body, hash, err := keptBody(plain)
	if err != nil {
		return nil, err
	}
	w.fields = end.Conn.Connector.Fields(plain)
	if w.op != nil && link != nil && link.Hash == hash && !w.unknown() {
		// Unchanged since we wrote it; unless another form was sent since, and nobody knows what became of that.
		open, err := r.tenant.OpenWrite(r.ctx, res.record.ID, end.Conn.ID)
		if err != nil {
			return nil, err
		}
		if open == nil || m.Kind.Follow(open.Operation) != nil { // what follows a write is looked after when that is settled
			w.op = nil
		}
	}
	if w.outdated() {
		w.op = nil
	}
	if w.op == nil {
		return w, nil
	}
	w.intent = r.intent(p, w, hash, body)
	w.intent.Version = w.version()
	if link == nil && m.CreatesMore() && p.Post == "" { // a line of the books has no later form
		w.whole = hash
		if plain, err = m.Write(end.context(r.work.Tenant, r.resolve(end)), res.record, false); err != nil {
			return nil, err
		}
		if _, w.later, err = keptBody(plain); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// version is that of the source's record from which alone this one follows; 0: there is none.
func (w *write) version() int64 {
	if !w.res.derived {
		return 0
	}
	return w.run.version
}

// outdated reports whether another flow has written a newer form: what is newer comes to this flow as well.
func (w *write) outdated() bool {
	return w.link != nil && w.version() != 0 && w.link.Version > w.version()
}

// linkIn is how the record is known in a far side: by this run's own doing, or by the ledger.
func (r *run) linkIn(end *End, res *result) (*store.Link, error) {
	if !r.fresh || !res.derived {
		link, err := r.tenant.Link(r.ctx, res.record.ID, end.Conn.ID)
		if err != nil || link != nil {
			return link, err
		}
	}
	if l := res.links[end.Role]; l != nil && l.ExternalID != "" {
		return l, nil
	}
	return nil, nil
}

func (r *run) resolve(end *End) mapping.Resolve {
	return func(ref canonical.Ref) (string, bool, error) {
		if l := r.linked(end, ref.ID); l != nil {
			return l.ExternalID, true, nil
		}
		link, err := r.tenant.Link(r.ctx, ref.ID, end.Conn.ID)
		if err != nil || link == nil {
			return "", false, err
		}
		return link.ExternalID, true, nil
	}
}

func (r *run) intent(p *workflow.Plan, w *write, hash string, body []byte) store.Write {
	writes := int64(0)
	if w.link != nil {
		writes = w.link.Writes
	}
	key := hub.OpKeyFor(r.work.Tenant, string(w.res.record.ID), string(w.end.Conn.ID), w.op.Name, hash, strconv.FormatInt(writes, 10))
	return store.Write{Creates: w.link == nil, OpKey: key, Run: r.work.Run, Deployment: r.work.Deployment, Key: r.work.Key, Step: p.Name, Record: w.res.record.ID,
		Connection: w.end.Conn.ID, Operation: w.op.Name, Class: hub.WriteClass(w.op.Write.Class), Hash: hash, Body: body, Started: r.e.Now()}
}

// send makes the call and notes what came of it. The outcome is recorded with the run's next
// durable point; a crash before it is a lost answer like any other.
func (w *write) send() error {
	w.alone()
	return w.received()
}

// transmit makes the call, together with other runs' where the far side takes many at once. It
// touches nothing but its own write, so that several can be under way.
func (w *write) transmit() {
	if w.searchFirst(); w.err != nil || w.found != nil {
		return
	}
	if w.op.Batch != nil && w.run.e.gather.wait > 0 {
		w.run.e.gather.add(w)
		return
	}
	w.alone()
}

// alone makes the call for this record only.
func (w *write) alone() {
	defer func() {
		if p := recover(); p != nil { // it may run in a goroutine of its own, where nobody else would catch it
			w.err = stumbled(p)
		}
	}()
	vars := remote.Vars{"fields": w.fields, "marker": w.res.record.ID.Marker(), "key": w.intent.OpKey, "record": w.res.record.Fields}
	if w.link != nil {
		vars["id"] = w.link.ExternalID
	}
	if w.err = w.run.reads(w.end, w.op.With, vars); w.err == nil {
		crashpoint.At("call.send")
		w.answer, w.err = w.run.call(w.end, w.op, vars)
		crashpoint.At("call.answered")
	}
}

func (w *write) received() error {
	r := w.run
	r.class = w.intent.Class
	if w.gone && hub.KindOf(w.err) == hub.NotFound {
		w.err = nil // it was gone already, or is since an attempt whose answer was lost
	}
	if w.err != nil {
		return w.refused(w.err)
	}
	r.class = ""
	if w.gone {
		return w.removed()
	}
	if w.found != nil {
		return w.adopt()
	}
	if w.id != "" {
		return w.made(nil, w.id)
	}
	return w.done(w.answer.Result)
}

// done notes a completed write. X is the vendor's record as it answered, as far as it did.
func (w *write) done(x any) error { return w.made(x, "") }

// made is done for a record of which a batch told the id only.
func (w *write) made(x any, id string) error {
	r := w.run
	link, err := w.newLink(x)
	if err != nil {
		return err
	}
	if id != "" && w.link == nil {
		link.ExternalID = id
	}
	if link.ExternalID == "" {
		return &hub.Error{Kind: hub.Uncertain, Code: "write.no_id", Message: fmt.Sprintf("%s answered without saying which record it made.", w.op.Name), Hint: "Look for it there before it is sent again."}
	}
	now := r.e.Now()
	r.pending.Close = append(r.pending.Close, r.outcome(w.intent, "done", "", link))
	r.pending.Audit = append(r.pending.Audit, store.AuditEntry{At: now, Who: r.who(), Action: "record.written",
		Object: fmt.Sprintf("%s %s in %s as %s", w.res.record.Type, w.res.record.ID, link.Connection, link.ExternalID), Detail: shown(w.intent.Body)})
	r.writes++
	w.res.links[w.end.Role] = &link
	return nil
}

// removed notes a record that is there no longer.
func (w *write) removed() error {
	r := w.run
	done := r.outcome(w.intent, "done", "", *w.link)
	done.Gone = true
	r.pending.Close = append(r.pending.Close, done)
	r.pending.Audit = append(r.pending.Audit, store.AuditEntry{At: r.e.Now(), Who: r.who(), Action: "record.deleted",
		Object: fmt.Sprintf("%s %s in %s as %s", w.res.record.Type, w.res.record.ID, w.link.Connection, w.link.ExternalID), Detail: shown(w.intent.Body)})
	r.writes++
	delete(w.res.links, w.end.Role)
	return nil
}

// who is what the audit calls this run's flow.
func (r *run) who() string {
	return "flow " + string(r.work.Deployment) + "@" + strconv.FormatInt(r.work.Revision, 10)
}

// outcome is what became of an intent.
func (r *run) outcome(in store.Write, state, message string, link store.Link) store.WriteDone {
	return store.WriteDone{OpKey: in.OpKey, Record: in.Record, Connection: in.Connection, State: state, Message: message, Link: link, Ended: r.e.Now(), Posting: in.Posting}
}

func (w *write) newLink(x any) (store.Link, error) {
	link := store.Link{Record: w.res.record.ID, Connection: w.end.Conn.ID, Kind: w.m.Kind.Name}
	if w.link != nil {
		link = *w.link
	}
	settings := w.end.Conn.Settings
	for _, f := range []struct {
		read func(any, any) (string, error)
		into *string
	}{{w.m.Kind.IDOf, &link.ExternalID}, {w.m.Kind.NumberOf, &link.Number}, {w.m.Kind.LinkOf, &link.URL}} {
		if x == nil {
			break
		}
		v, err := f.read(x, settings)
		if err != nil {
			return link, err
		}
		if v != "" && (f.into != &link.ExternalID || w.link == nil) {
			*f.into = v
		}
	}
	link.Hash, link.Version, link.Updated = w.intent.Hash, w.intent.Version, w.run.e.Now()
	if w.whole != "" && link.Hash == w.whole {
		link.Hash = w.later
	}
	link.Writes++
	return link, nil
}

// refused notes a write that did not go through. One whose answer is lost stays open: the next
// attempt settles it by its class.
func (w *write) refused(err error) error {
	r := w.run
	e := hub.AsError(err)
	switch {
	case e == nil:
		return err
	case e.Kind == hub.Exists && w.link == nil && w.m.Kind.Find["marker"] != nil:
		if found, findErr := w.find(); findErr != nil {
			return findErr
		} else if found != nil {
			return w.done(found) // it is ours: an earlier create went through after all
		}
	case e.Kind == hub.Uncertain && w.intent.Class != hub.ClassX:
		return err
	case w.repeat && slices.Contains(turnedAway, e.Kind):
		return err // this call did nothing; what the earlier one did is as unknown as before
	}
	return r.left(w.intent, e, err)
}

// turnedAway are the errors of a call that nobody over there has looked at: they say nothing of an earlier one.
var turnedAway = []hub.Kind{hub.Unavailable, hub.Throttled, hub.Expired, hub.Unauthenticated, hub.Forbidden}

// settle deals with a record that has a write of unknown outcome: another flow's is waited for, our
// own is settled by its class (R3).
func (w *write) settle() error {
	r := w.run
	open, err := r.tenant.OpenWrite(r.ctx, w.res.record.ID, w.end.Conn.ID)
	if err != nil {
		return err
	}
	if open == nil { // it was closed this moment: look again
		return &pause{until: r.e.Now(), reason: "Another flow has just written this record."}
	}
	if err := w.takeOver(open); err != nil {
		return err
	}
	if f := w.m.Kind.Follow(open.Operation); f != nil {
		return w.unsettled(f, open)
	}
	if w.anew = w.intent.Posting; w.anew != nil && r.books.sending != nil {
		w.intent.Posting = r.books.sending // what was counted for it
	}
	if w.op == nil { // there is nothing to write of our own, only to find out
		return w.aside(open)
	}
	if w.unknown() && open.Class == hub.ClassU && open.Hash != w.intent.Hash {
		return w.instead(open)
	}
	w.intent.OpKey, r.class, w.repeat = open.OpKey, open.Class, true
	switch open.Class {
	case hub.ClassK, hub.ClassU:
		if open.Hash != w.intent.Hash {
			return w.supersede(open)
		}
		return w.send()
	case hub.ClassS:
		if w.gone {
			return w.send() // what is gone is not there a second time
		}
		return w.search(open)
	}
	return w.undecided(open)
}

// aside settles a write of a record that is known over there, and of which this run has nothing to write: an update is
// sent once more; a create has nothing more to bring about, and is never repeated.
func (w *write) aside(open *store.Write) error {
	kind := w.m.Kind
	switch {
	case open.Class == hub.ClassX || w.link == nil:
		return w.undecided(open)
	case kind.Update != nil && open.Operation == kind.Update.Name:
		w.op = kind.Update
		return w.supersede(open)
	case kind.Create != nil && open.Operation == kind.Create.Name:
		w.run.pending.Close = append(w.run.pending.Close, w.run.outcome(w.earlier(open), "refused", "the record is known there by now", store.Link{}))
		return w.settledFirst()
	}
	return w.undecided(open)
}

// takeOver makes another flow's open write our own, where that flow leaves it; else it is waited for.
func (w *write) takeOver(open *store.Write) error {
	r := w.run
	if open.Deployment == r.work.Deployment && open.Key == r.work.Key {
		return nil
	}
	reason := fmt.Sprintf("Waits: %s is being written by %s (%s).", w.res.record.Type, open.Deployment, open.Key)
	if open.State == "uncertain" { // a person says what became of it
		return &pause{on: store.WaitsOnWrite(w.end.Conn.ID, w.res.record.ID), reason: reason}
	}
	entry := store.AuditEntry{At: r.e.Now(), Who: r.who(), Action: "write.taken_over", Object: fmt.Sprintf("%s %s in %s, opened by %s (%s)", w.res.record.Type, open.Record, open.Connection, open.Deployment, open.Key)}
	taken, err := r.tenant.TakeOver(r.ctx, *open, r.work, entry)
	if err != nil || taken {
		return err
	}
	return r.beside(w, reason)
}

// beside lets the run wait for another flow's write. How long that takes nobody knows, so that it looks again now and
// then: the longer it has waited, the more seldom.
func (r *run) beside(w *write, reason string) error {
	now := r.e.Now()
	wait := min(max(now.Sub(r.event.Received), 15*time.Second), time.Hour)
	return &pause{on: store.WaitsOnWrite(w.end.Conn.ID, w.res.record.ID), until: now.Add(wait), reason: reason}
}

// supersede repeats what the record's older form was sent with before the newer one follows: the
// key or id that protects the repeat belongs to the old body.
func (w *write) supersede(open *store.Write) error {
	old := *w
	old.intent = w.earlier(open)
	body, err := SentBody(open.Body)
	if err != nil {
		return err
	}
	old.fields = w.end.Conn.Connector.Fields(body)
	if err := old.send(); err != nil {
		return err
	}
	return w.settledFirst()
}

// settledFirst lets the run look again: the record's newer form is still to be written.
func (w *write) settledFirst() error {
	return &pause{until: w.run.e.Now(), reason: "An earlier write of this record was settled first."}
}

// search looks for what a create with a lost answer has left. Not found means not created only once
// the far side's search can be trusted to show it.
func (w *write) search(open *store.Write) error {
	r := w.run
	if w.link != nil && open.Hash != w.intent.Hash {
		return w.supersede(open) // which of the two is newer, another flow may know better than this one
	}
	if w.link != nil {
		return w.send() // an update sets the same again
	}
	found, err := w.find()
	if err != nil {
		return err
	}
	if found != nil && w.unknown() {
		w.found = found
		return w.adopt()
	}
	if found != nil && open.Hash == w.intent.Hash {
		return w.done(found)
	}
	if found != nil { // what stands there is the record's older form
		old := *w
		old.intent = w.earlier(open)
		if err := old.done(found); err != nil {
			return err
		}
		return w.settledFirst()
	}
	trusted := open.Started
	if until := r.e.Standing().LostUntil; until.After(trusted) {
		trusted = until
	}
	trusted = trusted.Add(w.op.Write.Lag.D)
	if now := r.e.Now(); now.Before(trusted) {
		return &pause{until: trusted, reason: "Waits until the far side's search would show what was sent."}
	}
	return w.resend()
}

// resend opens the intent anew, so that its age tells when it was last sent.
func (w *write) resend() error { return w.reopen(w.intent, "was never made") }

// instead sends the newer form in place of an open upsert whose own may be older than what stands there
// by now: the ledger has a lost time.
func (w *write) instead(open *store.Write) error {
	return w.reopen(w.earlier(open), "may have been made; a newer form is sent in its place")
}

func (w *write) reopen(old store.Write, why string) error {
	r := w.run
	w.intent.Started, w.intent.Posting, w.repeat = r.e.Now(), w.anew, false
	r.pending.Close = append(r.pending.Close, r.outcome(old, "refused", why, store.Link{}))
	r.pending.Open = []store.Write{w.intent}
	busy, err := r.commit()
	if err != nil {
		return err
	}
	if len(busy) > 0 {
		return &pause{until: r.e.Now().Add(time.Second), reason: "Another flow is writing this record."}
	}
	return w.send()
}

// earlier is the intent of an earlier attempt, with the line of the books that it is for.
func (w *write) earlier(open *store.Write) store.Write {
	old := *open
	old.Posting = w.intent.Posting
	return old
}

// find looks for the record by its marker; nil where there is none.
func (w *write) find() (any, error) {
	op := w.m.Kind.Find["marker"]
	marker := w.res.record.ID.Marker()
	answer, err := w.run.call(w.end, op, remote.Vars{"marker": marker, "value": marker, "record": w.res.record.Fields, "fields": w.fields})
	if hub.KindOf(err) == hub.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	items := answer.Items()
	if len(items) == 0 {
		return nil, nil
	}
	if w.m.Kind.Marker == nil {
		return items[0], nil
	}
	return w.bearing(marker, items)
}

// bearing is the record that bears our marker. Where none does, the far side has not searched by it: what it answered
// with is somebody else's, and ours may be there all the same.
func (w *write) bearing(marker string, items []any) (any, error) {
	for _, x := range items {
		theirs, err := w.m.Kind.MarkerOf(x, w.end.Conn.Settings)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(strings.TrimSpace(theirs), marker) {
			return x, nil
		}
	}
	return nil, &hub.Error{Kind: hub.Blocked, Code: "find.marker_ignored", Field: w.m.Kind.Name, Message: fmt.Sprintf("%s was asked for the %s with our marker, and answered with others.", w.end.Conn.ID, w.m.Kind.Name),
		Hint: "See to it that the field which holds the marker can be searched there (in Redmine: used as a filter), then retry."}
}
