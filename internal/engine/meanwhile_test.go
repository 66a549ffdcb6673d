package engine_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// TestAnEntryChangesWhileItsWriteIsUnderWay lets each call of an entry that is posted or edited fail once, and the entry
// change before it is tried again: over there stands in the end what the entry says last, completed, and no row is stuck.
func TestAnEntryChangesWhileItsWriteIsUnderWay(t *testing.T) {
	const posted, edited, moved, withdrawn = "e1 u1 p1 2026-03-02 3600 approved", "e1 u1 p1 2026-03-02 1800 approved", "e1 u1 p2 2026-03-02 3600 approved", "e1 u1 p1 2026-03-02 3600 open"
	for name, story := range map[string]struct {
		before, under string
		then          []string
		want          string
	}{
		"posted, told again":         {"", posted, []string{posted}, "P1 2026-03-02 3600 completed"},
		"posted, edited":             {"", posted, []string{edited}, "P1 2026-03-02 1800 completed"},
		"posted, withdrawn":          {"", posted, []string{withdrawn}, ""},
		"posted, withdrawn and back": {"", posted, []string{withdrawn, posted}, "P1 2026-03-02 3600 completed"},
		"edited and back":            {posted, edited, []string{posted}, "P1 2026-03-02 3600 completed"},
		"edited, moved":              {posted, edited, []string{moved}, "P2 2026-03-02 3600 completed"},
		"withdrawn and back":         {posted, withdrawn, []string{posted}, "P1 2026-03-02 3600 completed"},
	} {
		for n := 1; n <= 8; n++ {
			for _, fail := range []struct {
				status int
				when   string
			}{{-1, "after"}, {503, "before"}} {
				t.Run(fmt.Sprintf("%s/%d/%d", name, n, fail.status), func(t *testing.T) {
					h := newBooks(t)
					h.books.projects["P2"] = map[string]any{"id": "P2", "name": "Beta", "budget": 1000}
					h.knows("p2", "P2")
					if story.before != "" {
						h.log(story.before)
						h.drain()
						h.clock.Add(time.Second)
					}
					from, done := 0, false
					h.far.on(func(_ int, at string) (int, bool) {
						if at == "before" {
							from++
						}
						if done || from != n || at != fail.when {
							return 0, false
						}
						done = true
						return fail.status, true
					})
					h.log(story.under)
					h.round()
					h.far.on(nil)
					for _, next := range story.then {
						h.log(next)
					}
					h.drain()
					h.settled(story.want)
				})
			}
		}
	}
}

// settled checks what stands there in the end, that the day's sum is the same, and that nothing is held up.
func (h *bookHouse) settled(want string) {
	h.Helper()
	var all []string
	sum, project, day, state := 0, "", "", ""
	if want != "" {
		all = append(all, want)
		_, _ = fmt.Sscan(want, &project, &day, &sum, &state)
	}
	h.stands(all...)
	if day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02"); day.Seconds != int64(sum) {
		h.Errorf("the day's tally is %d s, want %d", day.Seconds, sum)
	}
	work, err := h.store.Tenant("t1").Work(context.Background(), store.Filter{Deployment: "hours"})
	if err != nil {
		h.Fatal(err)
	}
	for _, w := range work {
		if w.State != hub.Idle {
			h.Errorf("%s is %s: %s", w.Key, w.State, w.Reason)
		}
	}
}

// TestEachOfThreeFormsHasAnOutcome: the second one comes while the first is under way, the third while the first waits to
// be tried again (R2).
func TestEachOfThreeFormsHasAnOutcome(t *testing.T) {
	h := newBooks(t)
	done := false
	h.far.on(func(_ int, when string) (int, bool) {
		if done || when != "before" {
			return 0, false
		}
		done = true
		h.log("e1 u1 p1 2026-03-02 1800 approved")
		return 503, true
	})
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.round()
	h.far.on(nil)
	h.log("e1 u1 p1 2026-03-02 7200 approved")
	h.drain()
	h.stands("P1 2026-03-02 7200 completed")
	if runs := h.runs(); len(runs) != 3 {
		t.Errorf("of three events %d have an outcome: %+v", len(runs), runs)
	}
}

// TestWhatOneSystemRefusesAnotherTakes: the flow has another ERP when a line that the first one refused is sent again; it
// stands in the books of the second, and is taken back there.
func TestWhatOneSystemRefusesAnotherTakes(t *testing.T) {
	h := newBooks(t)
	h.far.on(func(call int, when string) (int, bool) { return 400, call == 4 && when == "before" })
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.stands()
	list, err := h.store.Tenant("t1").Exceptions(t.Context(), store.Filter{State: "open"})
	if err != nil || len(list) != 1 {
		t.Fatalf("open are %+v, %v", list, err)
	}
	h.has("erp2")
	h.choose(list[0], "resolved")
	h.drain()
	h.stands("P1 2026-03-02 3600 completed")
	h.log("e1 u1 p1 2026-03-02 1800 approved")
	h.drain()
	h.settled("P1 2026-03-02 1800 completed")
}

// TestWhatOneSystemMayHaveIsNotSentToAnother: the first ERP has the line, its answer was lost.
func TestWhatOneSystemMayHaveIsNotSentToAnother(t *testing.T) {
	h := newBooks(t)
	h.far.on(func(call int, when string) (int, bool) { return -1, call == 4 && when == "after" })
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.round()
	h.far.on(nil)
	h.has("erp2")
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.parked("posting.elsewhere")
	h.stands("P1 2026-03-02 3600 open")
}

// has gives the flow another ERP, which knows the same project.
func (h *bookHouse) has(erp hub.ConnectionID) {
	h.Helper()
	s := h.hours()
	s.Connections = []store.Connection{{Tenant: "t1", ID: erp, Connector: "ledger", Settings: `{"url":"http://far.example"}`, State: "active", Updated: h.clock.Now()}}
	s.Deployments[0].Revision, s.Deployments[0].Spec = 2, fmt.Sprintf(`{"template":"hours","version":1,"roles":{"time":"time","erp":%q}}`, erp)
	if err := h.store.Apply(context.Background(), s); err != nil {
		h.Fatal(err)
	}
	link := store.Link{Record: hub.RecordIDFor("t1", "time", "project", "p1"), Connection: erp, Kind: "project", ExternalID: "P1"}
	if _, err := h.store.Journal().Record(context.Background(), store.Step{Tenant: "t1", Links: []store.Link{link}}); err != nil {
		h.Fatal(err)
	}
	h.start()
}

// TestAPriceThatChangesBeforeALineIsSentAgain: nobody knows whether the line went through, and its search shows that it did
// not; it is sent again at the price that holds by then. The sums are those of what stands.
func TestAPriceThatChangesBeforeALineIsSentAgain(t *testing.T) {
	h := newBooks(t)
	sum := func(want string) {
		h.Helper()
		if got := h.tally("cap", string(hub.RecordIDFor("t1", "time", "project", "p1"))+" EUR"); got.Amount.String() != want {
			t.Errorf("the project's tally is %s, want %s", got.Amount, want)
		}
	}
	h.far.on(func(call int, when string) (int, bool) { return -1, call == 4 && when == "before" })
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.round()
	h.far.on(nil)
	forms := maps.Clone(bookFiles)
	forms["hours/v1.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(hoursYAML, `money("60", "EUR")`, `money("90", "EUR")`))}
	h.forms = forms
	h.start()
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.settled("P1 2026-03-02 3600 completed")
	sum("90")
	h.log("e1 u1 p1 2026-03-02 3600 open")
	h.drain()
	h.settled("")
	sum("0")
}
