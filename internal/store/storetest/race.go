package storetest

import (
	"fmt"
	"sync"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// cameAtThatMoment: a row is set aside until something comes, by one node, while another one records that it has
// come. Whichever is first, nobody waits for what is there.
func cameAtThatMoment(b *bench) {
	other := b.store.Journal()
	const n = 150
	for i := range n {
		b.accept("t1", fmt.Sprint(i), fmt.Sprintf("e%d", i), 0)
		record := hub.RecordID(fmt.Sprintf("rec_%d", i))
		op := fmt.Sprintf("op%d", i)
		_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent(op, string(record))}})
		b.must(err)
		w := b.one()
		w.State, w.Reason, w.WaitsOn = hub.Waiting, "waits for its customer", store.WaitsOn("erp", record)
		done := closed(op, string(record))
		done.Link.ExternalID = op
		var both sync.WaitGroup
		both.Go(func() {
			_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
			b.must(err)
		})
		both.Go(func() {
			_, err := other.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{done}})
			b.must(err)
		})
		both.Wait()
		got := b.claim(10)
		if len(got) != 1 {
			b.Fatalf("round %d: the row waits for a record that is there", i)
		}
		b.finish(got[0].Work, hub.Written)
	}
}

// resumedAtThatMoment: a claim finds that a flow is paused and lets its rows wait, while a person resumes it, by
// hand or by a newer revision of the file.
func resumedAtThatMoment(b *bench) {
	revision := int64(0)
	for i := range 150 {
		revision++
		b.deploy("paused", revision)
		b.accept("t1", fmt.Sprint(i), fmt.Sprintf("e%d", i), 0)
		var got []store.Claim
		var both sync.WaitGroup
		both.Go(func() { got = b.claim(10) })
		both.Go(func() {
			if i%2 == 0 {
				b.setFlow("active", true)
				return
			}
			revision++
			b.deploy("active", revision)
		})
		both.Wait()
		if len(got) == 0 {
			b.clock.Add(time.Second) // what was let go on is due at the next look
			got = b.claim(10)
		}
		if len(got) != 1 {
			b.Fatalf("round %d: the row waits for a flow that goes on", i)
		}
		b.finish(got[0].Work, hub.Written)
	}
}

// openedAtThatMoment: two nodes open a write of one record, each with another content. One of them may send.
func openedAtThatMoment(b *bench) {
	other := b.store.Journal()
	for i := range 150 {
		record := fmt.Sprintf("rec_%d", i)
		var both sync.WaitGroup
		var busy [2][]string
		for n, log := range []*store.Journal{b.log, other} {
			both.Go(func() {
				var err error
				busy[n], err = log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent(fmt.Sprintf("op%d of %d", i, n), record)}})
				b.must(err)
			})
		}
		both.Wait()
		if len(busy[0])+len(busy[1]) != 1 {
			b.Fatalf("round %d: busy %q and %q; one of the two may write the record", i, busy[0], busy[1])
		}
	}
}
