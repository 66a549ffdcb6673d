package engine_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/engine"
)

func TestWhatWasInvoicedIsAPersonsBusiness(t *testing.T) {
	for choice, want := range map[string][]string{
		engine.Credit:      {"P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 invoiced"},
		engine.NextInvoice: {"P1 2026-03-02 -3600 open", "P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 invoiced"},
		engine.Leave:       {"P1 2026-03-02 3600 invoiced"},
	} {
		t.Run(choice, func(t *testing.T) {
			h := changedAfterInvoice(t)
			h.stands("P1 2026-03-02 3600 invoiced")
			e := h.parked("posting.fixed")
			if e.Seconds != 1800 || e.Amount != "30.00 EUR" {
				t.Errorf("at risk are %d s and %s, want 1800 s and 30.00 EUR", e.Seconds, e.Amount)
			}
			h.choose(e, choice)
			h.drain()
			h.stands(want...)
			h.log("e1 u1 p1 2026-03-02 1800 approved") // told again: nothing is asked twice
			h.drain()
			h.stands(want...)
		})
	}
}

// TestWhatCannotBeReversedRightlyIsAPersonsBusiness: the far side's reversal has no room for it, so a person takes it back there, or leaves it.
func TestWhatCannotBeReversedRightlyIsAPersonsBusiness(t *testing.T) {
	for choice, want := range map[string][]string{
		engine.Credit: {"P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 posted"},
		engine.Leave:  {"P1 2026-03-02 3600 posted"},
	} {
		t.Run(choice, func(t *testing.T) {
			h := newBooks(t)
			conns := maps.Clone(bookFiles)
			conns["ledger/mapping/reversal.yaml"] = &fstest.MapFile{Data: append(slices.Clone(bookFiles["ledger/mapping/reversal.yaml"].Data),
				"\nholds: [{that: '=currency(record.amount) == \"USD\"', says: It has no field for the currency., fix: Take it back there., field: amount}]"...)}
			h.conns = conns
			h.start()
			h.log("e1 u1 p1 2026-03-02 3600 approved")
			h.drain()
			h.books.lines["l1"].State = "posted"
			h.log("e1 u1 p1 2026-03-02 1800 approved")
			h.drain()
			h.stands("P1 2026-03-02 3600 posted")
			e := h.parked("posting.fixed")
			if e.Message != "It has no field for the currency." {
				t.Errorf("it says %s", e.Message)
			}
			h.choose(e, engine.NextInvoice) // which has no room for it either
			h.drain()
			if e = h.parked("posting.fixed"); !strings.Contains(e.Message, "cannot put it on the next invoice") {
				t.Errorf("then it says %s", e.Message)
			}
			h.clock.Add(time.Second)
			h.choose(e, choice)
			h.drain()
			h.stands(want...)
		})
	}
}

// TestTwoOfOnePersonAreAPersonsBusiness: that the project is not there either must not hide it, for the
// entry would wait for what nobody is about to bring.
func TestTwoOfOnePersonAreAPersonsBusiness(t *testing.T) {
	h := newBooks(t)
	h.log("e1 u3 p9 2026-03-02 3600 approved")
	h.drain()
	h.parked("match.ambiguous")
	h.stands()
}
