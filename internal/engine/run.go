package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/crashpoint"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/store"
)

// run is one execution of a deployment for one record.
type run struct {
	e       *Engine
	ctx     context.Context
	work    hub.Work
	tenant  *store.Tenant
	flow    *Flow
	event   *hub.Event
	started time.Time
	resumed bool  // an earlier attempt of this run may have read something: set aside, given back, or died with its process
	wanted  bool  // by the template's trigger
	version int64 // of the record, as this run goes by it; the row may know of a newer one. 0: it has none
	asked   bool  // when the row was claimed, how the event's record is known: found, or not at all
	found   *store.Link

	inputs  map[string]any     // vendor's records read by this run, by key
	results map[string]*result // of the trigger and of steps, by name
	vars    map[string]any     // the same, as expressions see them
	pending store.Step         // what goes along with the next durable point
	seen    []store.Record     // records as they were seen, kept when the run ends or pauses
	fresh   bool               // the ledger knows nothing of the record yet, and so of none that is derived from it

	class  hub.WriteClass   // of the write under way
	halted []halt           // the roles at which this run can do no more for now
	books  books            // what the record has brought into the books, where the template posts
	about  hub.RecordID     // the line of the books, or the record, that a person is asked about
	sought hub.ConnectionID // where that record is looked for
	warns  []string         // what people are told without the run being stopped
	label  string
	calls  atomic.Int32
	writes int

	called  atomic.Int64  // nanoseconds that its calls took
	reached atomic.Bool   // a far side was called, and not only waited for
	ended   bool          // it has an outcome
	waits   time.Duration // for a limit, or a far side that is down
}

// result is a canonical record in a run.
type result struct {
	record  canonical.Record
	links   map[string]*store.Link // by role; what they point to never changes
	derived bool                   // from the triggering record, by this template
}

// The ends of a run that are no failure.
var (
	errFiltered = errors.New("filtered") // the flow does not want the record
	errDone     = errors.New("done")     // there is nothing left to do

	errUnanswered = errors.New("the question was not answered")
	errUnlinked   = errors.New("no record of ours is known by this id")
)

// pause ends a run for now: it goes on at a time, when something comes, or at whichever is first.
type pause struct {
	until  time.Time
	on     string
	reason string
}

func (p *pause) Error() string { return p.reason }

func (r *run) carry() error {
	flow, err := r.e.Flows.Flow(r.ctx, r.work.Tenant, r.work.Deployment, r.work.Revision)
	if err != nil {
		return err
	}
	r.flow, r.work.Revision = flow, flow.Revision // R9: the run ends on the version it begins with
	if r.work.Event == "" {
		return r.tick()
	}
	if err := r.load(); err != nil {
		return err
	}
	if err := r.trigger(); err != nil {
		return err
	}
	if post := flow.Template.Post; post != nil {
		if err := r.reconsider(post); err != nil {
			return err
		}
	}
	return r.kept(flow.Template.Post, r.steps())
}

func (r *run) steps() error {
	for i := range r.flow.Template.Steps {
		if err := r.step(&r.flow.Template.Steps[i]); err != nil {
			return err
		}
	}
	return r.halts()
}

// unread tells a person of an event that names no record.
func unread(payload []byte) error {
	var u hub.Unread
	if err := json.Unmarshal(payload, &u); err != nil {
		return err
	}
	return &hub.Error{Kind: hub.Invalid, Code: "event.unreadable", Message: "Something came that cannot be read: " + u.Says + ".",
		Hint: "Look at what came. If the connector reads it wrong, correct it, then let its system send again, or backfill; ignore this one."}
}

func (r *run) tick() error {
	step, err := r.e.Ticker.Tick(r.ctx, r.flow, r.work)
	if err != nil {
		return err
	}
	step.Epoch, step.Tenant = r.work.Epoch, r.work.Tenant
	crashpoint.At("cursor.store")
	_, err = r.e.Journal.Record(r.ctx, step)
	crashpoint.At("cursor.stored")
	r.work.Epoch = 0 // recorded: nothing is left to end
	return err
}

// load reads the event, and what an earlier attempt of this run has read: a run goes by the same
// input to its end.
func (r *run) load() error {
	r.inputs, r.results, r.vars = map[string]any{}, map[string]*result{}, r.flow.Template.Blank()
	r.vars["today"] = r.flow.Today(r.started)
	for name, v := range r.flow.Answers {
		r.vars[name] = v
	}
	if r.event == nil {
		return fmt.Errorf("event %s of %s is gone", r.work.Event, r.work.Key)
	}
	if r.event.Source == hub.Unreadable {
		return unread(r.event.Payload)
	}
	if !r.resumed {
		return nil
	}
	list, err := r.tenant.Inputs(r.ctx, r.work.Run)
	if err != nil {
		return err
	}
	for _, in := range list {
		if r.inputs[in.Key], err = exact.DecodeJSON(in.Payload); err != nil {
			return fmt.Errorf("input %s of %s: %w", in.Key, in.Run, err)
		}
	}
	return nil
}

// trigger reads the record that the event is about, and says whether the flow wants it.
func (r *run) trigger() error {
	t := r.flow.Template
	rec, err := r.triggering(r.flow.Roles[t.File.Trigger.From])
	if err != nil {
		return err
	}
	r.fresh = !r.resumed && len(r.pending.Links) > 0
	if err := r.edit(rec); err != nil {
		return err
	}
	r.label = r.flow.Schemas.Schema(rec.record.Type).LabelOf(rec.record)
	r.keep("record", rec)
	r.keep(rec.record.Type, rec)
	r.wanted = !r.event.Gone
	if t.When != nil && r.wanted {
		r.wanted, err = t.When.TrueAt(r.flow.Place, r.vars)
	}
	if err == nil && !r.wanted && t.Post == nil {
		return errFiltered
	}
	return err
}

// end records how the run ended: an outcome, or a pause.
func (r *run) end(err error) error {
	if r.work.Epoch == 0 || errors.Is(err, store.ErrFenced) {
		return err
	}
	var p *pause
	var missing *mapping.Missing
	switch {
	case (err == nil || errors.Is(err, errDone)) && r.writes > 0:
		return r.finish(hub.Written, nil)
	case err == nil || errors.Is(err, errDone):
		return r.finish(hub.Unchanged, nil)
	case errors.Is(err, errFiltered):
		return r.finish(hub.Filtered, nil)
	case errors.As(err, &p):
		return r.setAside(*p)
	case errors.As(err, &missing):
		r.work.Cause = r.nameOf(missing.Ref) + " in " + string(missing.Connection)
		return r.setAside(pause{on: store.WaitsOn(missing.Connection, missing.Ref.ID), reason: "Waits: " + missing.Error() + "."})
	}
	return r.failed(err)
}

func (r *run) failed(err error) error {
	e := hub.AsError(err)
	if e == nil {
		e = &hub.Error{Kind: hub.Internal, Code: "engine.defect", Message: "Something went wrong on our side.", Hint: "Tell support.", Err: err}
	}
	r.e.Log.Debug("run failed", "run", r.work.Run, "key", r.work.Key, "kind", e.Kind, "error", err)
	v := next(e, r.work.Attempts, r.class, r.e.jitter())
	if e.Kind == hub.Throttled {
		r.waits = v.wait
	}
	if v.do == park {
		if e.Kind == hub.Internal {
			r.e.Log.Error("parked a defect", "run", r.work.Run, "key", r.work.Key, "error", err)
		}
		return r.finish(hub.Parked, e)
	}
	if v.counts {
		r.work.Attempts++
	}
	return r.setAside(pause{until: r.e.Now().Add(v.wait), reason: e.Message})
}

func (r *run) setAside(p pause) error {
	w := r.work
	w.Reason, w.WaitsOn, w.Due = p.reason, p.on, p.until
	w.Seconds, w.Amount = r.risk()
	switch now := r.e.Now(); {
	case p.on != "" && p.until.IsZero():
		w.State, w.Due = hub.Waiting, now
	case p.until.After(now):
		w.State = hub.Later
	default:
		w.State, w.Due = hub.Ready, now
	}
	r.pending.Defer, r.pending.Records = &store.Defer{Work: w}, r.seen
	_, err := r.commit()
	return err
}

func (r *run) finish(o hub.Outcome, e *hub.Error) error {
	now := r.e.Now()
	f := &store.Finish{Work: r.work, Run: store.Run{Tenant: r.work.Tenant, ID: r.work.Run, Deployment: r.work.Deployment, Key: r.work.Key,
		Event: r.work.Event, Revision: r.work.Revision, Outcome: o, Label: r.label, Calls: int(r.calls.Load()), Accepted: r.started, Ended: now}}
	if r.event != nil {
		f.Run.Accepted = r.event.Received
	}
	if len(r.warns) > 0 && o != hub.Parked {
		f.Run.Code, f.Run.Message = "warned", strings.Join(r.warns, " ")
	}
	if e != nil {
		f.Run.Code, f.Run.Message = e.Code, e.Message
		f.Exception = &store.Exception{ID: hub.ExceptionID(r.e.NewID("exc")), Class: e.Kind.Class(), Code: e.Code, Message: e.Message, Hint: e.Hint, Field: e.Field,
			Value: cmp.Or(e.Value, r.valueOf(e.Field)), About: r.about, Connection: r.sought, Label: r.label, Opened: now}
		f.Exception.Seconds, f.Exception.Amount = r.risk()
	}
	r.pending.Finish, r.pending.Records, r.ended = f, r.seen, true
	crashpoint.At("outcome.store")
	_, err := r.commit()
	crashpoint.At("outcome.stored")
	return err
}

// risk is the work and the money that the record is about: what is not billed while it waits.
func (r *run) risk() (seconds int64, amount string) {
	rec := r.results["record"]
	if rec == nil {
		return 0, ""
	}
	if s, ok := rec.record.Fields["seconds"].(exact.Seconds); ok {
		seconds = int64(s)
	}
	if r.flow.Template.Worth == nil {
		return seconds, ""
	}
	v, err := r.flow.Template.Worth.EvalAt(r.flow.Place, r.vars)
	if m, ok := v.(exact.Money); ok && err == nil { // what cannot be told yet is not told
		amount = m.String()
	}
	return seconds, amount
}

// valueOf is what stands in a field of the triggering record, for people.
func (r *run) valueOf(field string) string {
	rec := r.results["record"]
	if rec == nil || field == "" {
		return ""
	}
	switch v := rec.record.Fields[field].(type) {
	case nil:
		return ""
	case canonical.Ref:
		return r.nameOf(v)
	default:
		return fmt.Sprint(v)
	}
}

// nameOf is what people call a referenced record.
func (r *run) nameOf(ref canonical.Ref) string {
	for _, seen := range r.seen {
		if seen.ID == ref.ID && seen.Label != "" {
			return strings.ReplaceAll(ref.Type, "_", " ") + " " + seen.Label
		}
	}
	if known, err := r.tenant.Record(r.ctx, ref.ID); err == nil && known != nil && known.Label != "" { // only a name: without it, the id does
		return strings.ReplaceAll(ref.Type, "_", " ") + " " + known.Label
	}
	return strings.ReplaceAll(ref.Type, "_", " ") + " " + cmp.Or(ref.Key.ID, string(ref.ID))
}

// commit is a durable point: everything pending is recorded together.
func (r *run) commit() (busy []string, err error) {
	st := r.pending
	st.Epoch, st.Tenant = r.work.Epoch, r.work.Tenant
	r.pending = store.Step{}
	return r.e.Journal.Record(r.ctx, st)
}
