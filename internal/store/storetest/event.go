package storetest

import (
	"errors"

	"throughline/internal/hub"
	"throughline/internal/store"
)

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

// lastCame: what came last of a record is what waits, or what waits behind what runs.
func lastCame(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	b.accept("t1", "1", "e2", 0)
	b.accept("t1", "2", "e3", 0)
	b.accept("t2", "3", "e4", 0)
	var keys []string
	for range 3 * store.Together { // more than one question asks for
		keys = append(keys, w.Key, "nobody's")
	}
	last, err := b.store.Tenant("t1").LastEvents(b.ctx, w.Deployment, append(keys, b.arrival("t1", "2", "", 0, 0).Event.Key.String(), b.arrival("t2", "3", "", 0, 0).Event.Key.String()))
	b.must(err)
	if len(last) != 2 || last[w.Key].ID != "evt_e2" || last[w.Key].Received.IsZero() {
		b.Errorf("last came %+v, want e2 and e3", last)
	}
	if none, err := b.store.Tenant("t1").LastEvents(b.ctx, w.Deployment, nil); err != nil || len(none) != 0 {
		b.Errorf("of nothing came %+v, %v", none, err)
	}
}
