package storetest

import (
	"errors"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// opened records an intent of a row.
func (b *bench) opened(w hub.Work, op string) store.Write {
	b.Helper()
	in := intent(op, "rec_1")
	in.Run, in.Deployment, in.Key = w.Run, w.Deployment, w.Key
	busy, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
	b.must(err)
	if len(busy) != 0 {
		b.Fatalf("busy %v", busy)
	}
	return in
}

func (b *bench) takes(open store.Write, by hub.Work) bool {
	b.Helper()
	taken, err := b.store.Unwalled("t1").TakeOver(b.ctx, open, by, store.AuditEntry{At: b.clock.Now(), Who: "flow", Action: "write.taken_over"})
	b.must(err)
	return taken
}

// leftWrite: who opened a write settles it, for as long as it goes on. Once it has come to rest it is the first
// one's who asks.
func leftWrite(b *bench) {
	b.accept("t1", "1", "e1", 0)
	first := b.one()
	open := b.opened(first, "op1")
	second, third := first, first
	second.Deployment, second.Run = "second", "run_second"
	third.Deployment, third.Run = "third", "run_third"
	if b.takes(open, second) {
		b.Error("taken over from one that is in hand")
	}
	b.finish(first, hub.Filtered)
	gone := second
	gone.Epoch = b.epoch + 100
	if _, err := b.store.Unwalled("t1").TakeOver(b.ctx, open, gone, store.AuditEntry{}); !errors.Is(err, store.ErrFenced) {
		b.Errorf("a node without a lease: %v", err)
	}
	if !b.takes(open, second) || b.takes(open, third) {
		b.Error("want it taken over by the second, and by nobody else")
	}
	now, err := b.store.Tenant("t1").OpenWrite(b.ctx, "rec_1", "erp")
	b.must(err)
	if now == nil || now.Deployment != "second" || now.Run != "run_second" {
		b.Errorf("the write is of %+v", now)
	}
	if n, err := b.store.Tenant("t1").VerifyAudit(b.ctx); err != nil || n != 1 {
		b.Errorf("audit: %d entries, %v", n, err)
	}
}

// leftByParked: a person who looks at the first flow's row need not be waited for.
func leftByParked(b *bench) {
	b.accept("t1", "1", "e1", 0)
	first := b.one()
	open := b.opened(first, "op1")
	b.finish(first, hub.Parked)
	second := first
	second.Deployment, second.Run = "second", "run_second"
	if !b.takes(open, second) {
		b.Error("not taken over from one that is parked")
	}
}

// leftByPaused: nor one whose flow somebody has paused, for as long as it is. Its row may have come to rest in any way.
func leftByPaused(b *bench) {
	b.must(b.store.Apply(b.ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "T"}, Deployments: []store.Deployment{{Tenant: "t1", ID: "deals", Revision: 1, State: "active", Spec: "{}"}}}))
	b.accept("t1", "1", "e1", 0)
	first := b.one()
	open := b.opened(first, "op1")
	waits := first
	waits.State, waits.Due = hub.Later, b.clock.Now().Add(time.Hour)
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: waits}})
	b.must(err)
	second := first
	second.Deployment, second.Run = "second", "run_second"
	if b.takes(open, second) {
		b.Error("taken over from one that goes on in an hour")
	}
	for _, state := range []string{"paused", "active", "paused"} {
		done, err := b.store.Tenant("t1").SetFlowState(b.ctx, "deals", state, store.AuditEntry{At: b.clock.Now()})
		b.must(err)
		if !done {
			b.Fatalf("it was %s already", state)
		}
		if state == "active" && b.takes(open, second) {
			b.Error("taken over from one that goes on again")
		}
	}
	if !b.takes(open, second) {
		b.Error("not taken over from one that is paused")
	}
}

// untilATime: a row that waits for a write no longer than until a time.
func untilATime(b *bench) {
	wait := func() {
		b.Helper()
		w := b.one()
		w.State, w.Due, w.Reason, w.WaitsOn = hub.Later, b.clock.Now().Add(10*time.Second), "another flow is writing", store.WaitsOnWrite("erp", "rec_1")
		_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
		b.must(err)
		if n := len(b.claim(10)); n != 0 {
			b.Fatal("it did not wait")
		}
	}
	other := hub.Work{Run: "run_other", Deployment: "other", Key: "crm/deal/1"}
	b.opened(other, "op1")
	b.accept("t1", "1", "e1", 0)
	wait()
	b.clock.Add(10 * time.Second)
	wait() // its time has come, and it waits again
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{closed("op1", "rec_1")}})
	b.must(err)
	if w := b.one(); w.WaitsOn != "" || w.Reason != "" {
		b.Errorf("it goes on, and still waits for %q: %s", w.WaitsOn, w.Reason)
	}
}

// newerStays: what another flow has written from a newer version is not written over.
func newerStays(b *bench) {
	write := func(op string, version int64) (busy bool) {
		b.Helper()
		in := intent(op, "rec_1")
		in.Version = version
		list, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
		b.must(err)
		if len(list) > 0 {
			return true
		}
		done := closed(op, "rec_1")
		done.Link.Version = version
		_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{done}})
		b.must(err)
		return false
	}
	for _, c := range []struct {
		op      string
		version int64
		busy    bool
	}{{"op1", 2, false}, {"op2", 1, true}, {"op3", 2, false}, {"op4", 3, false}, {"op5", 2, true}, {"op6", 0, false}, {"op7", 2, true}} {
		if busy := write(c.op, c.version); busy != c.busy {
			b.Errorf("%s, version %d: busy %v", c.op, c.version, busy)
		}
	}
	l, err := b.store.Tenant("t1").Link(b.ctx, "rec_1", "erp")
	b.must(err)
	if l == nil || l.Version != 3 {
		b.Errorf("the link is %+v, want version 3", l)
	}
}
