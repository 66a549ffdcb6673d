package engine

import (
	"fmt"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

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
		Hint: "See to it that the field which holds the marker can be searched there (the connection's settings name it), then retry."}
}
