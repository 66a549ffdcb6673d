package engine

import (
	"cmp"
	"fmt"
	"strconv"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// A new record may be made by several calls: its members, its activation. Each is a follow-up with
// an intent of its own, sent once per record and item, whenever the item first appears.

// followUp is one follow-up of a record, prepared.
type followUp struct {
	*write
	op     *connector.FollowOp
	vars   remote.Vars
	intent store.Write
}

// follow sends the follow-ups that were not sent yet. They belong to records that we made: one that
// was there before has its members from somebody else.
func (w *write) follow(fresh bool) error {
	if len(w.m.Kind.After) == 0 {
		return nil
	}
	earlier, ours, err := w.history()
	if err != nil || !ours && !fresh {
		return err
	}
	for i := range w.m.Kind.After {
		if err := w.carry(&w.m.Kind.After[i], earlier, false); err != nil {
			return err
		}
	}
	return nil
}

// carry sends a follow-up for each of its items that was not sent yet, or once more where it is to be done again.
func (w *write) carry(op *connector.FollowOp, earlier map[string]*store.Write, again bool) error {
	items, err := w.items(op)
	if err != nil {
		return err
	}
	for _, item := range items {
		f, err := w.followUp(op, item, 0)
		for n := 1; again && err == nil && f.sent(earlier); n++ {
			f, err = w.followUp(op, item, n)
		}
		if err != nil {
			return err
		}
		if err := f.once(earlier[f.intent.OpKey]); err != nil {
			return err
		}
	}
	return nil
}

func (f *followUp) sent(earlier map[string]*store.Write) bool {
	was := earlier[f.intent.OpKey]
	return was != nil && was.State == "done"
}

// history is what was written to the record there before, by operation key, and whether its creation
// is among it.
func (w *write) history() (earlier map[string]*store.Write, ours bool, err error) {
	list, err := w.run.tenant.Writes(w.run.ctx, w.res.record.ID)
	if err != nil {
		return nil, false, err
	}
	earlier = map[string]*store.Write{}
	for i, old := range list {
		if old.Connection != w.end.Conn.ID {
			continue
		}
		earlier[old.OpKey] = &list[i]
		ours = ours || w.m.Kind.Create != nil && old.Operation == w.m.Kind.Create.Name && old.State == "done"
	}
	return earlier, ours, nil
}

// items are what each gives; a follow-up without it has one, which is nothing.
func (w *write) items(op *connector.FollowOp) ([]any, error) {
	if op.Each == nil {
		return []any{nil}, nil
	}
	v, err := op.Each.Eval(w.followVars(nil))
	if err != nil {
		return nil, fmt.Errorf("%s: each: %w", op.Name, err)
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "items.none", Field: op.Spec.Step, Message: op.Each.Source() + " is no list.", Hint: "Correct the connector: each: wants the items; list(…) makes one of a single thing."}
	}
	return list, nil
}

func (w *write) followVars(item any) remote.Vars {
	return remote.Vars{"id": w.res.in(w.end).ExternalID, "marker": w.res.record.ID.Marker(), "fields": w.fields, "record": w.res.record.Fields,
		"item": item, "settings": w.end.Conn.Settings}
}

// followUp prepares a follow-up, or an action that was done n times before.
func (w *write) followUp(op *connector.FollowOp, item any, n int) (*followUp, error) {
	body, hash, err := keptBody(map[string]any{"item": item})
	if err != nil {
		return nil, fmt.Errorf("%s: item: %w", op.Name, err)
	}
	r := w.run
	parts := []string{string(w.res.record.ID), string(w.end.Conn.ID), op.Name, hash}
	if n > 0 {
		parts = append(parts, strconv.Itoa(n))
	}
	key := hub.OpKeyFor(r.work.Tenant, parts...)
	return &followUp{write: w, op: op, vars: w.followVars(item), intent: store.Write{OpKey: key, Run: r.work.Run, Deployment: r.work.Deployment, Key: r.work.Key,
		Step: op.Spec.Step, Record: w.res.record.ID, Connection: w.end.Conn.ID, Operation: op.Name, Class: hub.WriteClass(op.Spec.Class), Hash: hash, Body: body, Started: r.e.Now()}}, nil
}

// once sends a follow-up that is needed, its intent first. Earlier is what became of it before.
func (f *followUp) once(earlier *store.Write) error {
	if earlier != nil && earlier.State == "done" {
		return nil
	}
	if earlier != nil && earlier.State != "refused" {
		if err := f.takeOver(earlier); err != nil {
			return err
		}
		return f.resume(earlier)
	}
	wanted, err := f.wanted()
	if err == nil && wanted && earlier == nil {
		err = f.unsureOf()
	}
	if err != nil || !wanted {
		return err
	}
	r := f.run
	f.intent.Started = r.e.Now()
	r.pending.Open = []store.Write{f.intent}
	busy, err := r.commit()
	if err != nil {
		return err
	}
	if len(busy) > 0 {
		return cmp.Or(f.settle(), f.settledFirst()) // this one is still to be sent
	}
	return f.send()
}

// resume settles a follow-up whose answer was lost.
func (f *followUp) resume(open *store.Write) error {
	f.intent = *open
	f.run.class = open.Class
	wanted, err := f.wanted()
	if err != nil {
		return err
	}
	f.run.class = ""
	if !wanted {
		f.done() // what it should have changed stands there
		return nil
	}
	return f.again(open)
}

// wanted reads what stands there and decides whether the follow-up is to be sent.
func (f *followUp) wanted() (bool, error) {
	if err := f.run.reads(f.end, f.op.With, f.vars); err != nil {
		return false, err
	}
	if f.op.Needs != nil {
		ok, err := f.op.Needs.True(f.vars)
		if err != nil {
			return false, fmt.Errorf("%s: needs: %w", f.op.Name, err)
		}
		if !ok {
			return false, &hub.Error{Kind: hub.NotFound, Code: "follow.missing", Field: f.op.Spec.Step, Message: f.says(), Hint: f.op.Spec.Fix}
		}
	}
	if f.op.When == nil {
		return true, nil
	}
	ok, err := f.op.When.True(f.vars)
	if err != nil {
		return false, fmt.Errorf("%s: when: %w", f.op.Name, err)
	}
	return ok, nil
}

func (f *followUp) says() string {
	if item, ok := f.vars["item"].(string); ok {
		return item + ": " + f.op.Spec.Says
	}
	return f.op.Spec.Says
}

func (f *followUp) send() error {
	r := f.run
	r.class = f.intent.Class
	_, err := r.call(f.end, f.op.Op, f.vars)
	if e := hub.AsError(err); err != nil && (e == nil || e.Kind != hub.Exists) {
		return f.refused(err)
	}
	r.class = ""
	f.done()
	return nil
}

// done notes a follow-up that stands there: sent just now, or by an attempt whose answer was lost.
func (f *followUp) done() {
	r, link := f.run, f.res.in(f.end)
	now := r.e.Now()
	r.pending.Close = append(r.pending.Close, r.outcome(f.intent, "done", "", link))
	r.pending.Audit = append(r.pending.Audit, store.AuditEntry{At: now, Who: r.who(), Action: "record." + f.op.Spec.Step,
		Object: fmt.Sprintf("%s %s in %s as %s", f.res.record.Type, f.res.record.ID, link.Connection, link.ExternalID), Detail: shown(f.intent.Body)})
	r.writes++
}

func (f *followUp) refused(err error) error {
	e := hub.AsError(err)
	if e == nil || e.Kind == hub.Uncertain && f.intent.Class != hub.ClassX {
		return err // still open: the next attempt settles it by its class
	}
	return f.run.left(f.intent, e, err)
}

// again repeats a follow-up whose answer was lost, if its class allows it. What it should have
// changed was read a moment ago: wanted says that it is still to be done.
func (f *followUp) again(open *store.Write) error {
	r := f.run
	switch open.Class {
	case hub.ClassK, hub.ClassU:
		return f.send()
	case hub.ClassS:
		if trusted := open.Started.Add(f.op.Spec.Lag.D); r.e.Now().Before(trusted) {
			return &pause{until: trusted, reason: "Waits until the far side would show what was sent."}
		}
		return f.send()
	}
	said, err := f.run.said(open)
	switch {
	case err != nil:
		return err
	case said == Leave:
		f.done()
		return nil
	case said == sendAgain:
		return f.send()
	}
	return f.run.uncertain(*open, false, nil)
}

// unsettled settles a follow-up that an earlier attempt left open before anything else is done to
// the record.
func (w *write) unsettled(op *connector.FollowOp, open *store.Write) error {
	body, err := SentBody(open.Body)
	if err != nil {
		return err
	}
	f, err := w.followUp(op, body["item"], 0)
	if err != nil {
		return err
	}
	if err := f.resume(open); err != nil {
		return err
	}
	return w.settledFirst()
}
