package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// Lost time: a ledger that was restored does not know what was written between the backup and the
// moment at which it was held. While it is held nothing is claimed. Afterwards, until a person trusts
// the ledger again, what it does not know is not taken for undone:
//
//   - a record that it does not know at a far side is searched there by its marker before it is
//     created; where nothing can be searched, class U is sent, for it may be repeated, and all others
//     are a person's;
//   - a record that it knows is written again even if it believes that it stands there already, for
//     it may have been changed in between; class X again is a person's;
//   - what an event has carried, or a run had read, before it was held is read again.

// look reads how the ledger stands.
func (e *Engine) look(ctx context.Context) error {
	st, err := e.Store.Standing(ctx)
	if err != nil {
		return fmt.Errorf("read how the ledger stands: %w", err)
	}
	e.mu.Lock()
	before := e.ledger
	e.ledger = st
	e.mu.Unlock()
	switch {
	case before.Held.IsZero() && !st.Held.IsZero():
		e.Log.Error("HELD: what arrives is kept, nothing is sent", "since", st.Held, "reason", st.Reason)
	case !before.Held.IsZero() && st.Held.IsZero():
		e.Log.Info("resumed: creates look first", "lost_from", st.LostFrom, "lost_until", st.LostUntil)
	}
	return nil
}

// Standing is how the ledger stood when this node last looked.
func (e *Engine) Standing() store.Standing {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ledger
}

// held reports whether nothing may be begun. While that is so it looks each time, so that work goes on
// as soon as somebody says so, on whichever node.
func (e *Engine) held(ctx context.Context) (bool, error) {
	if e.Standing().Held.IsZero() {
		return false, nil
	}
	err := e.look(ctx)
	return !e.Standing().Held.IsZero(), err
}

// lost reports whether what the ledger has noted at an instant may be out of date.
func (r *run) lost(noted time.Time) bool {
	until := r.e.Standing().LostUntil
	return !until.IsZero() && noted.Before(until)
}

// unknown reports whether a write may have been made in the lost time: of a record that is not linked,
// or was not written since.
func (w *write) unknown() bool {
	return w.link == nil && w.run.lost(time.Time{}) || w.link != nil && w.run.lost(w.link.Updated)
}

// searchFirst looks for what the lost time may have created; found says that it stands there, and is
// known from now on.
func (w *write) searchFirst() {
	defer func() {
		if p := recover(); p != nil { // as in alone
			w.err = stumbled(p)
		}
	}()
	r := w.run
	switch {
	case !w.unknown():
	case w.intent.Class == hub.ClassX && w.link != nil, w.unprotected():
		w.err = w.askPerson(w.op.Name)
	case w.link == nil && w.m.Kind.Find["marker"] != nil:
		if w.err = r.shown(w.op); w.err == nil {
			w.found, w.err = w.find()
		}
	}
}

// unprotected reports whether a create may make a second record of what the lost time has made: nothing can be
// searched, and a key is that of its content, which may be another by now.
func (w *write) unprotected() bool {
	return w.link == nil && w.m.Kind.Find["marker"] == nil && w.intent.Class != hub.ClassU
}

// unsureOf asks a person before a follow-up that the lost time may have sent already, where neither the
// ledger nor the far side can tell.
func (f *followUp) unsureOf() error {
	if f.link == nil || f.op.When != nil || f.intent.Class != hub.ClassX || !f.run.lost(time.Time{}) {
		return nil
	}
	return f.askPerson(f.op.Name)
}

// adopt notes a record that the lost time has made. Which form of it stands there nobody knows, so it
// is written again at once.
func (w *write) adopt() error {
	w.intent.Hash = ""
	if err := w.done(w.found); err != nil {
		return err
	}
	return &pause{until: w.run.e.Now(), reason: "It was made before the ledger was held; now it is brought up to date."}
}

// askPerson asks whether a write that nothing protects is to be sent, unless that was answered. The answer is for this
// operation of this record: who has looked for one write has not looked for the run's others.
func (w *write) askPerson(operation string) error {
	r, rec := w.run, w.res.record
	wanted := &hub.Error{Kind: hub.Blocked, Code: "write.lost_time", Field: string(w.end.Conn.ID) + " " + operation,
		Message: fmt.Sprintf("The ledger was restored, and nobody knows whether %s has been sent to %s before, for the %s %s.", operation, w.end.Conn.ID, strings.ReplaceAll(rec.Type, "_", " "), rec.ID),
		Hint:    "Look there: if it stands there, ignore this; if not, approve it, and it is sent."}
	until := r.e.Standing().LostUntil
	given, err := r.tenant.Exceptions(r.ctx, store.Filter{Deployment: r.work.Deployment, Key: r.work.Key, State: "approved", Limit: 100})
	if err != nil {
		return err
	}
	for _, x := range given {
		if x.Code == codeLost && x.Field == wanted.Field && x.Message == wanted.Message && x.Opened.After(until) {
			return nil
		}
	}
	return wanted
}

const codeLost = "write.lost_time"
