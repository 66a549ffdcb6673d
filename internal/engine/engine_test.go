package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

func TestAWonDealBecomesCustomerAndProject(t *testing.T) {
	h := newHouse(t)
	h.win()
	h.drain()
	h.once()
	h.win() // told again: nothing new
	h.drain()
	if runs := h.runs(); len(runs) != 2 || runs[0].Outcome != hub.Unchanged {
		t.Errorf("the second time: %+v", runs)
	}
	if n, err := h.store.Tenant("t1").VerifyAudit(context.Background()); err != nil || n != 4 {
		t.Errorf("audit: %d entries, %v", n, err)
	}
}

// TestStoppedAtEveryPoint kills the process before and after each call to the far side and each
// durable point in turn and starts it again: nothing is lost, nothing is there twice (N5).
func TestStoppedAtEveryPoint(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for n := 1; n <= 4; n++ {
			t.Run(fmt.Sprintf("killed %s durable point %d", when, n), func(t *testing.T) {
				h := newHouse(t)
				reached := false
				h.commit = func(commit int, at string) bool {
					stop := commit == n && at == when
					reached = reached || stop
					return stop
				}
				h.win()
				h.drain()
				if !reached {
					t.Fatal("there are fewer durable points than this")
				}
				h.commit = nil
				h.start()
				h.drain()
				h.once()
			})
		}
		for n := 1; n <= 5; n++ {
			t.Run(fmt.Sprintf("killed %s call %d", when, n), func(t *testing.T) {
				h := newHouse(t)
				h.far.on(func(call int, at string) (int, bool) { return 0, call == n && at == when })
				h.win()
				h.drain()
				h.far.on(nil)
				h.start()
				h.drain()
				h.once()
			})
		}
	}
}

// TestLostAnswers: the far side does what it is asked and the answer never arrives, or it refuses.
func TestLostAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		when   string
	}{
		{"the answer is lost after the effect", -1, "after"},
		{"the request is lost before the effect", -1, "before"},
		{"a gateway gives up after the effect", 502, "after"},
		{"the far side is throttled", 429, "before"},
	} {
		for n := 1; n <= 5; n++ {
			t.Run(fmt.Sprintf("%s, call %d", c.name, n), func(t *testing.T) {
				h := newHouse(t)
				h.far.on(func(call int, at string) (int, bool) { return c.status, call == n && at == c.when })
				h.win()
				h.drain()
				h.once()
			})
		}
	}
}

// TestWaitingReadsNothingAgain: a run that waits for a limit goes by what it has read. Otherwise runs
// that wait for each other's reads use up the very limit they wait for.
func TestWaitingReadsNothingAgain(t *testing.T) {
	h := newHouse(t)
	h.far.on(func(call int, at string) (int, bool) { return 429, call == 2 && at == "before" })
	h.win()
	h.drain()
	h.once()
	if h.far.calls != 6 {
		t.Errorf("%d calls, want the five and the one that was refused", h.far.calls)
	}
}

func TestADealWithoutAmountIsParkedAndRunsAfterTheFix(t *testing.T) {
	h := newHouse(t)
	h.far.deal["amount"] = nil
	h.win()
	h.drain()
	tenant := h.store.Tenant("t1")
	open, err := tenant.Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil || len(open) != 1 {
		t.Fatalf("exceptions %+v, %v", open, err)
	}
	if e := open[0]; e.Class != "blocked_by_rule" || e.Field != "amount" || e.Hint != "Enter the amount in the CRM." {
		t.Errorf("exception %+v", e)
	}
	h.far.deal["amount"] = 99
	if _, err := tenant.CloseException(context.Background(), open[0].ID, "resolved", "retried", true, store.AuditEntry{At: h.clock.Now(), Who: "ana", Action: "exception.retry"}); err != nil {
		t.Fatal(err)
	}
	h.drain()
	h.once()
}

func TestALostDealIsFiltered(t *testing.T) {
	h := newHouse(t)
	h.far.deal["stage"] = "Closed Lost"
	h.win()
	h.drain()
	if runs := h.runs(); len(runs) != 1 || runs[0].Outcome != hub.Filtered {
		t.Errorf("runs %+v", runs)
	}
}

// TestOneIDForTwoRecordsIsToldNotLooped: whichever durable point it befalls, the run ends with a person.
func TestOneIDForTwoRecordsIsToldNotLooped(t *testing.T) {
	for _, path := range []string{"/erp/customers", "/time/projects"} {
		t.Run(path, func(t *testing.T) {
			h := newHouse(t)
			h.far.same = path
			h.wins(2)
			open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
			if err != nil || len(open) != 1 || open[0].Code != "link.taken" || open[0].Class != "conflict" {
				t.Errorf("exceptions %+v, %v", open, err)
			}
		})
	}
}

// TestASleeperSendsNothing: a node that sleeps past its lease in the midst of a run joins anew, and leaves the
// rest to whoever took the row over: here, itself.
func TestASleeperSendsNothing(t *testing.T) {
	h := newHouse(t)
	h.win()
	list, err := h.engine.Claim(t.Context(), 1)
	if err != nil || len(list) != 1 {
		t.Fatalf("claimed %v, %v", list, err)
	}
	slept := -1
	h.commit = func(n int, when string) bool { // the intents are kept, the calls not yet made
		if n == 1 && when == "after" {
			slept = h.far.calls
			h.clock.Add(2 * time.Hour)
			if err := h.engine.Join(context.Background()); err != nil {
				t.Error(err)
			}
		}
		return false
	}
	h.engine.Carry(t.Context(), list[0])
	if slept < 0 || h.far.calls != slept {
		t.Errorf("%d calls were made after the lease had ended, having made %d", h.far.calls-slept, slept)
	}
	if runs := h.runs(); len(runs) != 0 {
		t.Errorf("it has recorded %+v", runs)
	}
	h.commit = nil
	h.drain()
	if runs := h.runs(); len(runs) != 1 || runs[0].Outcome != hub.Written {
		t.Errorf("afterwards the runs are %+v", runs)
	}
}
