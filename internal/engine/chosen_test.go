package engine_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/engine"
	"throughline/internal/store"
)

// changedAfterInvoice is an entry of 3600 s that was invoiced, and says 1800 since.
func changedAfterInvoice(t *testing.T) *bookHouse {
	t.Helper()
	h := newBooks(t)
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.books.lines["l1"].State = "invoiced"
	h.log("e1 u1 p1 2026-03-02 1800 approved")
	h.drain()
	return h
}

// TestAFurtherChangeOfWhatWasLeftIsAskedAbout: a person has said that 3600 s stay invoiced though the entry says 1800.
// That it says 28800 later, nobody has decided.
func TestAFurtherChangeOfWhatWasLeftIsAskedAbout(t *testing.T) {
	h := changedAfterInvoice(t)
	h.choose(h.parked("posting.fixed"), engine.Leave)
	h.drain()
	h.clock.Add(time.Second)
	h.log("e1 u1 p1 2026-03-02 28800 approved")
	h.drain()
	h.stands("P1 2026-03-02 3600 invoiced")
	h.choose(h.parked("posting.fixed"), engine.Credit)
	h.drain()
	h.stands("P1 2026-03-02 28800 completed", "P1 2026-03-02 3600 invoiced")
}

// TestWhatWasLeftIsDecidedAnew: a person thinks again, opens the question once more, and credits after all.
func TestWhatWasLeftIsDecidedAnew(t *testing.T) {
	h := changedAfterInvoice(t)
	e := h.parked("posting.fixed")
	h.choose(e, engine.Leave)
	h.drain()
	h.stands("P1 2026-03-02 3600 invoiced")
	n, err := h.store.Tenant("t1").Reopen(context.Background(), []store.Member{e}, func(store.Member) store.AuditEntry { return store.AuditEntry{At: h.clock.Now()} })
	if err != nil || n != 1 {
		t.Fatalf("reopened %d: %v", n, err)
	}
	h.clock.Add(time.Second)
	h.choose(h.parked("posting.fixed"), engine.Credit)
	h.drain()
	h.stands("P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 invoiced")
}

// TestWhatIsCreditedIsTakenBackThoughItChangesBack: a person says that it is credited over there; before that is noted,
// the entry is again as it was posted. What was credited must be billed anew.
func TestWhatIsCreditedIsTakenBackThoughItChangesBack(t *testing.T) {
	h := changedAfterInvoice(t)
	h.choose(h.parked("posting.fixed"), engine.Credit)
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.stands("P1 2026-03-02 3600 completed", "P1 2026-03-02 3600 invoiced")
}

// TestAnApprovalIsForWhatWasAskedAbout: four hours were approved; eight were not.
func TestAnApprovalIsForWhatWasAskedAbout(t *testing.T) {
	h := newBooks(t)
	forms := maps.Clone(bookFiles)
	asks := "  - check: entry\n  - {approve: '=record.seconds > seconds(7200)', asks: So much?}\n"
	forms["hours/v1.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(hoursYAML, "  - check: entry\n", asks, 1))}
	h.forms = forms
	h.start()
	h.log("e1 u1 p1 2026-03-02 14400 approved")
	h.drain()
	h.choose(h.parked("approval.wanted"), "approved")
	h.drain()
	h.stands("P1 2026-03-02 14400 completed")
	h.log("e1 u1 p1 2026-03-02 28800 approved")
	h.drain()
	h.stands()
	h.choose(h.parked("approval.wanted"), "approved")
	h.drain()
	h.stands("P1 2026-03-02 28800 completed")
}
