package engine_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// newListed is a house whose tracker tells of several entries in one delivery.
func newListed(t *testing.T) *bookHouse {
	h := newBooks(t)
	conns := maps.Clone(bookFiles)
	text := strings.Replace(trackerYAML, "events: [{record: entry, id: =body.id, carries: =body}]", "events: [{when: '=e.kind != \"note\"', record: entry, id: =e.id, carries: =e}]", 1)
	if text == trackerYAML {
		t.Fatal("the tracker's deliveries are described in another way now")
	}
	conns["tracker/connector.yaml"] = &fstest.MapFile{Data: []byte(text)}
	h.conns = conns
	h.start()
	return h
}

func (h *bookHouse) deliver(body string) error {
	_, err := h.ingest.Accept(context.Background(), "t1", "time", connector.Delivery{Method: "POST", Body: []byte(body)})
	return err
}

// TestOneEventThatCannotBeReadTakesNothingFromTheOthers: it waits for a person, once however often it comes.
func TestOneEventThatCannotBeReadTakesNothingFromTheOthers(t *testing.T) {
	const good = `{"id":"e1","user":"u1","project":"p1","day":"2026-03-02","seconds":3600,"approval":"approved"}`
	h := newListed(t)
	delivery := `[` + good + `,{"user":"u1","seconds":60},{"kind":"note"},` + strings.ReplaceAll(good, "e1", "e2") + `]`
	for range 2 {
		if err := h.deliver(delivery); err != nil {
			t.Fatal(err)
		}
		h.drain()
	}
	h.stands("P1 2026-03-02 3600 completed", "P1 2026-03-02 3600 completed")
	e := h.parked("event.unreadable")
	if e.Class != "validation" || !strings.Contains(e.Message, "the event names no record") || !strings.Contains(e.Hint, "ignore this one") {
		t.Errorf("parked as %+v", e)
	}
	event, err := h.store.Tenant("t1").Work(context.Background(), store.Filter{Key: e.Key})
	if err != nil || len(event) != 1 {
		t.Fatalf("its row: %v, %v", event, err)
	}
	kept, err := h.store.Tenant("t1").Event(context.Background(), event[0].Event)
	if err != nil || !strings.Contains(string(kept.Payload), `"event":{"seconds":60,"user":"u1"}`) {
		t.Errorf("kept is %s, %v", kept.Payload, err)
	}
	for _, none := range []string{`{"user":"u1"}`, `[{"user":"u1"},{"user":"u2"}]`} {
		if e := hub.AsError(h.deliver(none)); e == nil || e.Code != "hook.event" || e.Kind != hub.Invalid {
			t.Errorf("%s, of which nothing can be read, was answered %v", none, e)
		}
	}
	h.drain()
	h.parked("event.unreadable")
}

// TestOneRowThatCannotBeReadTakesNothingFromTheOthers: nor from the next poll. Where no row of a page can be read, it is not
// the rows, and the cursor stays.
func TestOneRowThatCannotBeReadTakesNothingFromTheOthers(t *testing.T) {
	list := listings["counted by rows, in the order of ids"]
	h, f := newMoving(t, "poll", list.list, list.order)
	for n := range 3 {
		f.add(n, h.clock.Now().Add(-time.Minute))
	}
	f.entries["e00001"].ID = ""
	h.cycle()
	h.parked("event.unreadable")
	f.add(3, h.clock.Now())
	h.cycle()
	if arrived, twice := f.arrived(); len(arrived) != 3 || len(twice) != 0 {
		t.Errorf("arrived %v, twice %v; want the three that can be read", arrived, twice)
	}
	h.parked("event.unreadable")

	h, f = newMoving(t, "poll", list.list, list.order)
	for n := range 3 {
		f.add(n, h.clock.Now())
		f.entries[map[int]string{0: "e00000", 1: "e00001", 2: "e00002"}[n]].ID = ""
	}
	claims, err := h.engine.Claim(t.Context(), 1)
	if err != nil || len(claims) != 1 {
		t.Fatalf("claimed %v, %v", claims, err)
	}
	h.engine.Carry(t.Context(), claims[0])
	v, err := h.store.Tenant("t1").CursorValue(t.Context(), "hours", "poll")
	events, err2 := h.store.Tenant("t1").Work(t.Context(), store.Filter{Limit: 10})
	if err != nil || err2 != nil || v != "" || len(events) != 2 { // the two that tick
		t.Errorf("the cursor stands at %q with %d rows of work, %v %v", v, len(events), err, err2)
	}
}
