package engine

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

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
