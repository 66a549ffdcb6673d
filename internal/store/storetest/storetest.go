// Package storetest is the one suite that every store must pass, on whatever database it stands.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// Opener opens an empty store whose clock is now.
type Opener func(t *testing.T, now func() time.Time) *store.Store

// Clock is a clock that tests set.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock starts at a fixed instant.
func NewClock() *Clock { return &Clock{t: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

// Now reads it.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

// Add moves it.
func (c *Clock) Add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

type bench struct {
	*testing.T
	ctx   context.Context
	clock *Clock
	store *store.Store
	log   *store.Journal
	epoch int64
	turn  store.Turn
	ids   int
}

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*bench){
		"an event is stored once, however often it arrives":            repeats,
		"events on a waiting record join, the older is superseded":     joins,
		"an outcome that is told twice does not end the next run":      toldTwice,
		"an event on a running record runs next":                       remembered,
		"an older version never takes a newer one's place":             stale,
		"tenants take turns, however much one of them has waiting":     fair,
		"a tenant's flows take turns":                                  flowsTakeTurns,
		"a tenant is handed no more than it has room for":              roomIsKept,
		"a flow that can only wait is handed out slowly":               paceIsKept,
		"a lane goes before the next":                                  lanes,
		"a retry is due when its time comes, and keeps its run":        retries,
		"a record that waits for another goes on when that one comes":  releases,
		"a record that waits for what came meanwhile goes on at once":  cameMeanwhile,
		"a record that waits for a write goes on when it is refused":   refusedReleases,
		"who waits for a write that was refused meanwhile goes on":     refusedMeanwhile,
		"a refused write belongs to who takes it up":                   takenUp,
		"a record that is known is not created again":                  knownNotCreated,
		"work of a dead node goes on elsewhere and counts the crash":   recovers,
		"who was there at two crashes is carried alone":                suspects,
		"of those that were in hand at a crash few are at once":        shakenAreFew,
		"a row that its node does not carry is given back":             givesBack,
		"a node without a lease records nothing":                       fenced,
		"one write at a time per record and far side":                  oneWrite,
		"a write's outcome and its link are kept together":             outcome,
		"an id that stands for another record is told as such":         takenID,
		"a parked run opens an exception, a retry runs it again, once": parks,
		"what many record at once is all kept":                         together,
		"what is used of a limit is counted once by all":               limits,
		"the audit chain shows a change":                               audit,
		"a tenant does not see another's rows":                         isolation,
		"a tenant's first key stays until it is wrapped anew":          firstKey,
		"a paused flow's rows wait until it is resumed":                paused,
		"a newer revision pauses and resumes too":                      pausedByFile,
		"lines are read by their days, with how they are known there":  linesByDay,
		"what has one cause is one line, with exact sums":              causes,
		"what is done with a cause is done once with each":             resolves,
		"who is held up later is not of an action":                     cameLater,
		"what is ignored stays until its day, or is opened again":      ignores,
		"a cause is gone when nobody is held up by it":                 mendsItself,
		"a choice is answered until it is opened again":                chooses,
		"an edit stands beside what came until it is ended":            editing,
		"a person says who a record is over there":                     linking,
	} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			s := open(t, clock.Now)
			b := &bench{T: t, ctx: context.Background(), clock: clock, store: s, log: s.Journal()}
			b.epoch = b.join("a")
			test(b)
		})
	}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) join(name string) int64 {
	b.Helper()
	e, err := b.store.Join(b.ctx, name, 30*time.Second)
	b.must(err)
	return e
}

func (b *bench) runID() hub.RunID {
	b.ids++
	return hub.RunID(fmt.Sprintf("run_%d", b.ids))
}

func (b *bench) arrival(tenant, id, dedupe string, version int64, lane hub.Lane) store.Arrival {
	return store.Arrival{
		Event: hub.Event{ID: hub.EventID("evt_" + dedupe), Tenant: hub.TenantID(tenant), Key: hub.RecordKey{Connection: "crm", Kind: "deal", ID: id},
			Version: version, Payload: []byte(`{}`), Source: "webhook", Received: b.clock.Now()},
		Deployments: []hub.DeploymentID{"deals"}, Lane: lane, RunID: b.runID,
	}
}

func (b *bench) accept(tenant, id, dedupe string, version int64) bool {
	b.Helper()
	fresh, err := b.log.Accept(b.ctx, b.arrival(tenant, id, dedupe, version, hub.Normal))
	b.must(err)
	return fresh[0]
}

func (b *bench) claim(n int) []store.Claim {
	b.Helper()
	list, err := b.log.Claim(b.ctx, b.epoch, n, &b.turn, b.runID)
	b.must(err)
	return list
}

func (b *bench) one() hub.Work {
	b.Helper()
	list := b.claim(10)
	if len(list) != 1 {
		b.Fatalf("claimed %d rows, want 1", len(list))
	}
	return list[0].Work
}

func (b *bench) finish(w hub.Work, o hub.Outcome, closed ...store.WriteDone) {
	b.Helper()
	_, err := b.log.Record(b.ctx, b.ending(w, o, closed...))
	b.must(err)
}

func (b *bench) ending(w hub.Work, o hub.Outcome, closed ...store.WriteDone) store.Step {
	f := &store.Finish{Work: w, Run: store.Run{Tenant: w.Tenant, ID: w.Run, Deployment: w.Deployment, Key: w.Key, Event: w.Event,
		Outcome: o, Accepted: b.clock.Now(), Ended: b.clock.Now()}}
	if o == hub.Parked {
		f.Exception = &store.Exception{ID: hub.ExceptionID("exc_" + string(w.Run)), Class: "validation", Code: "x", Message: "No amount.", Opened: b.clock.Now()}
	}
	return store.Step{Epoch: w.Epoch, Tenant: w.Tenant, Finish: f, Close: closed}
}

func (b *bench) outcomes(tenant string) map[hub.Outcome]int {
	b.Helper()
	runs, err := b.store.Tenant(hub.TenantID(tenant)).Runs(b.ctx, store.Filter{})
	b.must(err)
	n := map[hub.Outcome]int{}
	for _, r := range runs {
		n[r.Outcome]++
	}
	return n
}

func repeats(b *bench) {
	if !b.accept("t1", "1", "e1", 0) {
		b.Error("the first delivery was not new")
	}
	if b.accept("t1", "1", "e1", 0) {
		b.Error("the second delivery was taken for new")
	}
	if !b.accept("t2", "1", "e1", 0) {
		b.Error("another tenant's event with the same key was dropped")
	}
	if n := len(b.claim(10)); n != 2 {
		b.Errorf("%d rows of work, want 2", n)
	}
}

func joins(b *bench) {
	b.accept("t1", "1", "e1", 0)
	b.accept("t1", "1", "e2", 0)
	w := b.one()
	if w.Event != "evt_e2" {
		b.Errorf("runs %s, want the newest", w.Event)
	}
	b.finish(w, hub.Written)
	if n := b.outcomes("t1"); n[hub.Superseded] != 1 || n[hub.Written] != 1 {
		b.Errorf("outcomes %v, want one superseded and one written", n)
	}
}

func remembered(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	b.accept("t1", "1", "e2", 0)
	b.accept("t1", "1", "e3", 0)
	if n := len(b.claim(10)); n != 0 {
		b.Errorf("%d rows claimed while the record runs", n)
	}
	b.finish(w, hub.Written)
	if w = b.one(); w.Event != "evt_e3" {
		b.Errorf("then runs %s, want e3", w.Event)
	}
	if n := b.outcomes("t1"); n[hub.Superseded] != 1 {
		b.Errorf("outcomes %v, want e2 superseded", n)
	}
}

// toldTwice: a node that did not hear of its commit records the outcome once more. Meanwhile the row may
// be in its hand for the next run, under the same lease.
func toldTwice(b *bench) {
	b.accept("t1", "1", "e1", 0)
	first := b.one()
	b.accept("t1", "1", "e2", 0)
	b.finish(first, hub.Written)
	next := b.one()
	if _, err := b.log.Record(b.ctx, b.ending(first, hub.Written)); !errors.Is(err, store.ErrFenced) {
		b.Errorf("told again: %v, want it refused", err)
	}
	b.finish(next, hub.Written)
	if n := b.outcomes("t1"); n[hub.Written] != 2 {
		b.Errorf("outcomes %v, want both events' own", n)
	}
}

func stale(b *bench) {
	b.accept("t1", "1", "e2", 20)
	b.accept("t1", "1", "e1", 10)
	w := b.one()
	if w.Event != "evt_e2" {
		b.Errorf("runs %s, want the newer version", w.Event)
	}
	b.finish(w, hub.Written)
	b.accept("t1", "1", "e0", 5)
	if n := len(b.claim(10)); n != 0 {
		b.Error("an older version ran after a newer one")
	}
}

func fair(b *bench) {
	for i := range 50 {
		b.accept("big", fmt.Sprint(i), fmt.Sprintf("b%d", i), 0)
	}
	b.accept("small", "1", "s1", 0)
	seen := false
	for range 2 {
		for _, w := range b.claim(8) {
			seen = seen || w.Tenant == "small"
		}
	}
	if !seen {
		b.Error("the small tenant waited behind the big one")
	}
}

func lanes(b *bench) {
	for lane, id := range []string{"i", "n", "k"} {
		_, err := b.log.Accept(b.ctx, b.arrival("t1", id, id, 0, hub.Lane(2-lane)))
		b.must(err)
	}
	if w := b.claim(1); w[0].Key != "crm/deal/k" {
		b.Errorf("first %s, want the interactive one", w[0].Key)
	}
}

func retries(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	again := w
	again.State, again.Due, again.Attempts, again.Revision = hub.Later, b.clock.Now().Add(time.Minute), 1, 7
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: again}})
	b.must(err)
	if n := len(b.claim(10)); n != 0 {
		b.Error("it ran before its time")
	}
	if due, err := b.store.NextDue(b.ctx); err != nil || !due.Equal(again.Due) {
		b.Errorf("next due %v %v, want %v", due, err, again.Due)
	}
	b.clock.Add(time.Minute)
	b.must(b.store.Renew(b.ctx, b.renewed(), 30*time.Second))
	got := b.one()
	if got.Run != w.Run || got.Attempts != 1 || got.Revision != 7 {
		b.Errorf("run %s attempts %d revision %d, want those of the run under way", got.Run, got.Attempts, got.Revision)
	}
}

// renewed makes sure of a live lease after the clock was moved.
func (b *bench) renewed() int64 {
	b.epoch = b.join("a")
	return b.epoch
}

func releases(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	w.State, w.Reason, w.WaitsOn = hub.Waiting, "waits for its customer", "erp/rec_1"
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
	b.accept("t1", "2", "e2", 0)
	parent := b.one()
	b.finish(parent, hub.Written, closed("op_1", "rec_1"))
	if got := b.one(); got.Key != "crm/deal/1" {
		b.Errorf("released %s, want the child", got.Key)
	}
}

// waiting claims the only row and sets it aside until rec_1 is known in the ERP.
func (b *bench) waiting() {
	b.Helper()
	w := b.one()
	w.State, w.Reason, w.WaitsOn = hub.Waiting, "waits for its customer", store.WaitsOn("erp", "rec_1")
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
}

func cameMeanwhile(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{closed("op1", "rec_1")}})
	b.must(err)
	b.accept("t1", "1", "e1", 0)
	b.waiting()
	b.one()
}

func refusedReleases(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	b.accept("t1", "1", "e1", 0)
	b.waiting()
	if n := len(b.claim(10)); n != 0 {
		b.Fatal("it did not wait for the write under way")
	}
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}})
	b.must(err)
	b.one()
}

func refusedMeanwhile(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}})
	b.must(err)
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	w.State, w.Reason, w.WaitsOn = hub.Waiting, "another flow is writing", store.WaitsOnWrite("erp", "rec_1")
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
	b.one()
}

func takenUp(b *bench) {
	in := intent("op1", "rec_1")
	for _, flow := range []hub.DeploymentID{"first", "second"} {
		in.Deployment = flow
		busy, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
		b.must(err)
		open, err := b.store.Tenant("t1").OpenWrite(b.ctx, "rec_1", "erp")
		b.must(err)
		if len(busy) != 0 || open == nil || open.Deployment != flow {
			b.Fatalf("busy %v, open %+v; want it opened by the %s flow", busy, open, flow)
		}
		_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}})
		b.must(err)
	}
}

func knownNotCreated(b *bench) {
	in := intent("op1", "rec_1")
	in.Creates = true
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Links: []store.Link{{Record: "rec_1", Connection: "erp", Kind: "customer", ExternalID: "C-1"}}, Open: []store.Write{in}})
	b.must(err)
	busy, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
	b.must(err)
	if len(busy) != 1 {
		b.Error("a record that was matched meanwhile is created all the same")
	}
	in.Creates = false
	busy, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
	b.must(err)
	if len(busy) != 0 {
		b.Error("a record that is known cannot be updated")
	}
}

func recovers(b *bench) {
	b.accept("t1", "1", "e1", 0)
	dead := b.one()
	b.epoch = b.join("b")
	before, err := b.store.Nodes(b.ctx)
	b.must(err)
	freed, err := b.store.Recover(b.ctx, b.epoch, true)
	b.must(err)
	if freed != 1 {
		b.Fatalf("freed %d rows, want 1", freed)
	}
	after, err := b.store.Nodes(b.ctx)
	b.must(err)
	if len(before) != 2 || before[0].Epoch != dead.Epoch || len(after) != 1 || after[0].Name != "b" || after[0].Epoch != b.epoch {
		b.Errorf("nodes %v, after the takeover %v; want the dead one gone", before, after)
	}
	got := b.one()
	if got.Run != dead.Run || got.Crashes != 1 {
		b.Errorf("run %s crashes %d, want %s and 1", got.Run, got.Crashes, dead.Run)
	}
	if _, err := b.log.Record(b.ctx, b.ending(dead, hub.Written)); !errors.Is(err, store.ErrFenced) {
		b.Errorf("the dead node's outcome: %v, want it fenced", err)
	}
}

func suspects(b *bench) {
	b.accept("t1", "1", "e1", 0)
	for range 2 {
		b.one()
		b.epoch = b.join("again")
		_, err := b.store.Recover(b.ctx, b.epoch, true)
		b.must(err)
	}
	b.accept("t1", "2", "e2", 0)
	if got := b.one(); got.Key != "crm/deal/2" {
		b.Errorf("claimed %s among others", got.Key)
	}
	waits, err := b.store.Suspects(b.ctx)
	b.must(err)
	got, err := b.log.ClaimSuspect(b.ctx, b.epoch, b.runID)
	b.must(err)
	if !waits || len(got) != 1 || got[0].Key != "crm/deal/1" || got[0].Crashes != 2 {
		b.Fatalf("a suspect waits: %v; claimed %+v, want deal 1 alone", waits, got)
	}
	b.finish(got[0].Work, hub.Written)
	b.accept("t1", "1", "e3", 0)
	if again := b.one(); again.Crashes != 0 {
		b.Errorf("%d crashes after a run that ended, want none", again.Crashes)
	}
}

func givesBack(b *bench) {
	b.accept("t1", "1", "e1", 0)
	b.accept("t1", "2", "e2", 0)
	claimed := b.claim(10)
	kept := claimed[0]
	n, err := b.store.GiveBack(b.ctx, b.epoch, func(w hub.Work) bool { return w.Key == kept.Key })
	b.must(err)
	got := b.claim(10)
	if n != 1 || len(got) != 1 || got[0].Run != claimed[1].Run || got[0].Crashes != 0 || !got[0].Again || claimed[1].Again {
		b.Errorf("gave back %d, then claimed %+v; want the row that is not carried, its run kept and known as begun, no crash counted", n, got)
	}
}

func fenced(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	other := b.join("b")
	_, err := b.store.Recover(b.ctx, other, true)
	b.must(err)
	if err := b.store.Renew(b.ctx, b.epoch, time.Minute); !errors.Is(err, store.ErrFenced) {
		b.Errorf("renewing a lost lease: %v", err)
	}
	if _, err := b.log.Record(b.ctx, store.Step{Epoch: w.Epoch, Tenant: "t1", Records: []store.Record{{ID: "r", Type: "account", Fields: []byte("{}")}}}); !errors.Is(err, store.ErrFenced) {
		b.Errorf("recording under a lost lease: %v", err)
	}
	if _, err := b.log.Claim(b.ctx, b.epoch, 1, &b.turn, b.runID); !errors.Is(err, store.ErrFenced) {
		b.Errorf("claiming under a lost lease: %v", err)
	}
}

func closed(op, record string) store.WriteDone {
	link := store.Link{Record: hub.RecordID(record), Connection: "erp", Kind: "customer", ExternalID: "C-" + record, Writes: 1}
	return store.WriteDone{OpKey: op, Record: link.Record, Connection: link.Connection, State: "done", Link: link, Ended: time.Unix(2, 0)}
}

func intent(op, record string) store.Write {
	return store.Write{OpKey: op, Run: "run_x", Record: hub.RecordID(record), Connection: "erp", Operation: "customer.create", Class: hub.ClassS, Body: []byte("{}"), Started: time.Unix(1, 0)}
}

func oneWrite(b *bench) {
	first, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	second, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op2", "rec_1"), intent("op3", "rec_2")}})
	b.must(err)
	if len(first) != 0 || len(second) != 1 || second[0] != "op2" {
		b.Errorf("busy %v then %v, want none then op2", first, second)
	}
	again, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	if len(again) != 1 {
		b.Error("an intent whose outcome is unknown was opened again")
	}
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}, Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	open, err := b.store.Tenant("t1").OpenWrite(b.ctx, "rec_1", "erp")
	b.must(err)
	if open == nil {
		b.Error("a refused write cannot be taken up again")
	}
}

func outcome(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	link := store.Link{Record: "rec_1", Connection: "erp", Kind: "customer", ExternalID: "C-1", Number: "C-1", Hash: "h", Writes: 1, Updated: b.clock.Now()}
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "done", Link: link, Ended: b.clock.Now()}}})
	b.must(err)
	t := b.store.Tenant("t1")
	got, err := t.LinkOf(b.ctx, "erp", "customer", "C-1")
	b.must(err)
	if got == nil || got.Record != "rec_1" || got.Hash != "h" {
		b.Errorf("link %+v", got)
	}
	open, err := t.OpenWrite(b.ctx, "rec_1", "erp")
	b.must(err)
	if open != nil {
		b.Error("the write is still open")
	}
	busy, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	if len(busy) != 1 {
		b.Error("a write that is done may be sent again")
	}
}

func takenID(b *bench) {
	for i, record := range []string{"rec_1", "rec_2"} {
		op := fmt.Sprint("op", i)
		_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent(op, record)}})
		b.must(err)
		done := closed(op, record)
		done.Link.ExternalID = "C-1"
		_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{done}})
		if e := hub.AsError(err); i == 1 && (e == nil || e.Code != "link.taken") || i == 0 && err != nil {
			b.Errorf("%s: %v", record, err)
		}
	}
}

func parks(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	b.finish(w, hub.Parked)
	t := b.store.Tenant("t1")
	open, err := t.Exceptions(b.ctx, store.Filter{State: "open"})
	b.must(err)
	if len(open) != 1 {
		b.Fatalf("%d open exceptions, want 1", len(open))
	}
	entry := store.AuditEntry{At: b.clock.Now(), Who: "ana", Action: "exception.retry", Object: string(open[0].ID)}
	for i, want := range []bool{true, false} {
		done, err := t.CloseException(b.ctx, open[0].ID, "resolved", "retried", true, entry)
		b.must(err)
		if done != want {
			b.Errorf("close %d: %v, want %v", i+1, done, want)
		}
	}
	got := b.one()
	if got.Run == w.Run {
		b.Error("a retry by a person is a new run")
	}
	b.finish(got, hub.Written)
}

func together(b *bench) {
	const n = 200
	var wait sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		a := b.arrival("t1", fmt.Sprint(i), fmt.Sprint(i), 0, hub.Normal)
		wait.Go(func() {
			if _, err := b.log.Accept(b.ctx, a); err != nil {
				errs <- err
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		b.Error(err)
	}
	if got := len(b.claim(n + 1)); got != n {
		b.Errorf("%d rows, want %d", got, n)
	}
}

func limits(b *bench) {
	const hands, each = 4, 25
	var wait sync.WaitGroup
	errs := make(chan error, hands*each)
	for range hands {
		wait.Go(func() {
			for range each {
				errs <- b.store.Tenant("t1").ChangeLimit(b.ctx, "crm", "calls", func(kept string, _ time.Time) (string, error) { return kept + "x", nil })
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		b.must(err)
	}
	b.must(b.store.Tenant("t2").ChangeLimit(b.ctx, "crm", "calls", func(kept string, _ time.Time) (string, error) {
		if kept != "" {
			b.Error("one tenant sees another's use")
		}
		return kept, nil
	}))
	b.must(b.store.Tenant("t1").ChangeLimit(b.ctx, "crm", "calls", func(kept string, _ time.Time) (string, error) {
		if len(kept) != hands*each {
			b.Errorf("%d counted, want %d", len(kept), hands*each)
		}
		return kept, nil
	}))
}

func audit(b *bench) {
	for i := range 3 {
		_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Audit: []store.AuditEntry{{At: b.clock.Now(), Who: "flow", Action: "record.written", Object: fmt.Sprint(i)}}})
		b.must(err)
	}
	n, err := b.store.Tenant("t1").VerifyAudit(b.ctx)
	b.must(err)
	if n != 3 {
		b.Errorf("verified %d entries, want 3", n)
	}
}

func isolation(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Records: []store.Record{{ID: "rec_1", Type: "account", Label: "Acme", Fields: []byte(`{}`), Updated: b.clock.Now()}}})
	b.must(err)
	other, err := b.store.Tenant("t2").Record(b.ctx, "rec_1")
	b.must(err)
	mine, err := b.store.Tenant("t1").Records(b.ctx, "account", "acm", 10)
	b.must(err)
	if other != nil || len(mine) != 1 {
		b.Errorf("other %v mine %v", other, mine)
	}
}
