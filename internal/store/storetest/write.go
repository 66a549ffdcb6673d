package storetest

import (
	"fmt"
	"sync"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

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
