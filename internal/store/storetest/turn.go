package storetest

import (
	"fmt"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

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
