package storetest

import (
	"errors"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

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
