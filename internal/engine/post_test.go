package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
)

func TestAnApprovedEntryIsPostedOnce(t *testing.T) {
	h := newBooks(t)
	h.log("e1 u1 p1 2026-03-02 3600 submitted")
	h.drain()
	h.stands()
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.stands("P1 2026-03-02 3600 completed")
	h.log("e1 u1 p1 2026-03-02 3600 approved") // told again
	h.drain()
	h.stands("P1 2026-03-02 3600 completed")
	if runs := h.runs(); runs[0].Outcome != hub.Unchanged || runs[0].Calls != 0 {
		t.Errorf("told again, the run ended %s with %d calls", runs[0].Outcome, runs[0].Calls)
	}
	for i := range 20 {
		h.log(fmt.Sprintf("x%d u1 p1 2026-03-%02d 3600 approved", i, i+3))
	}
	h.drain()
	for _, path := range []string{"GET /time/users", "GET /erp/employees", "GET /erp/projects/P1"} {
		if n := h.books.asked[path]; n != 1 {
			t.Errorf("%s was asked %d times for 21 entries, want once", path, n)
		}
	}
}

func TestWhatChangesAfterwardsIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		state string // of the line, when the change comes
		then  string
		want  []string
	}{
		"edited":                     {"completed", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
		"edited, open there":         {"open", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
		"moved":                      {"completed", "e1 u1 p2 2026-03-02 3600 approved", []string{"P2 2026-03-02 3600 completed"}},
		"unapproved":                 {"completed", "e1 u1 p1 2026-03-02 3600 open", nil},
		"deleted":                    {"completed", "", nil},
		"edited after posting":       {"posted", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 posted"}},
		"deleted after posting":      {"posted", "", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 3600 posted"}},
		"edited so that a rule says": {"completed", "e1 u1 p1 2026-03-02 0 approved", nil},
		"deleted there":              {"gone", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			h.books.projects["P2"] = map[string]any{"id": "P2", "name": "Beta", "budget": 1000}
			h.knows("p2", "P2")
			h.log("e1 u1 p1 2026-03-02 3600 approved")
			h.drain()
			for id, l := range h.books.lines {
				l.State = c.state
				if c.state == "gone" {
					delete(h.books.lines, id)
				}
			}
			if c.then == "" {
				h.gone("e1")
			} else {
				h.log(c.then)
			}
			h.drain()
			h.stands(c.want...)
			sum := 0
			for _, l := range c.want {
				var project, day, state string
				var seconds int
				_, _ = fmt.Sscan(l, &project, &day, &seconds, &state)
				sum += seconds
			}
			day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02")
			if day.Seconds != int64(sum) {
				t.Errorf("the day's tally is %d s, what stands is %d s", day.Seconds, sum)
			}
		})
	}
}

func TestAnEntryWaitsForItsProject(t *testing.T) {
	h := newBooks(t)
	for i := range 5 {
		h.log(fmt.Sprintf("e%d u1 new 2026-03-0%d 3600 approved", i, i+1))
	}
	h.drain()
	h.stands()
	work, err := h.store.Tenant("t1").Work(context.Background(), store.Filter{State: "waiting"})
	if err != nil || len(work) != 5 {
		t.Fatalf("%d rows wait: %v", len(work), err)
	}
	if w := work[0]; w.Cause != "project new in erp" || w.Seconds != 3600 || w.Amount != "60.00 EUR" {
		t.Errorf("waits for %q with %d s and %s", w.Cause, w.Seconds, w.Amount)
	}
	h.books.projects["P9"] = map[string]any{"id": "P9", "name": "New", "budget": 1000}
	h.knows("new", "P9")
	h.drain()
	if got := h.books.standing(); len(got) != 5 {
		t.Errorf("after the project came there stand %q", got)
	}
	if n := h.books.asked["GET /erp/projects/P9"]; n != 1 {
		t.Errorf("the project was asked %d times, want once", n)
	}
}

func TestLimitsHoldWhoeverComesTogether(t *testing.T) {
	h := newBooks(t)
	h.books.projects["P1"]["budget"] = 5000
	for i := range 4 {
		h.log(fmt.Sprintf("e%d u1 p1 2026-03-02 28800 approved", i)) // 8 hours each: three make a day
	}
	h.together()
	if got := h.books.standing(); len(got) != 3 {
		t.Errorf("stand there %q, want three of 8 hours", got)
	}
	if e := h.parked("over.day"); e.Message != "More than a day." || e.Field != "seconds" {
		t.Errorf("parked as %+v", e)
	}
	h = newBooks(t)
	for i := range 4 {
		h.log(fmt.Sprintf("e%d u1 p1 2026-03-0%d 21600 approved", i, i+1)) // 360 EUR each, of 1000
	}
	h.together()
	if got := h.books.standing(); len(got) != 2 {
		t.Errorf("stand there %q, want two of 360 EUR", got)
	}
	if sum := h.tally("cap", string(hub.RecordIDFor("t1", "time", "project", "p1"))+" EUR"); sum.Amount.String() != "720" {
		t.Errorf("the project's tally is %s, want 720", sum.Amount)
	}
}

// TestBadInputIsWrittenExactlyOrParked sends what nobody should: it arrives as it is, or waits for a person with the
// field at fault, and nothing is cut or rounded in silence.
func TestBadInputIsWrittenExactlyOrParked(t *testing.T) {
	const good = `{"id":"e1","user":"u1","project":"p1","day":"2026-03-02","seconds":3600,"approval":"approved","note":"Build"}`
	for name, c := range map[string]struct{ from, to, code, field string }{
		"emoji and right-to-left notes": {`"Build"`, `"Zählung ✅ 👩‍💻 مرحبا \u202eabc"`, "", ""},
		"an id above 2^53":              {`"e1"`, `9007199254740993`, "", ""},
		"hours in words":                {`3600`, `"90 minutes"`, "expression.failed", "seconds"},
		"a fraction of a second":        {`3600`, `3600.5`, "expression.failed", "seconds"},
		"a number of thirty digits":     {`3600`, `123456789012345678901234567890`, "expression.failed", "seconds"},
		"a number without end":          {`3600`, `1e400`, "expression.failed", "seconds"},
		"negative hours":                {`3600`, `-3600`, "rule.hours_positive", "seconds"},
		"a day of 25 hours":             {`3600`, `90000`, "over.day", "seconds"},
		"a day that is none":            {`2026-03-02`, `2026-02-30`, "expression.failed", "date"},
		"a state that nobody knows":     {`"approved"`, `"blessed"`, "record.invalid", "approval"},
		"a NUL in a note":               {`"Build"`, `"a\u0000b"`, "record.invalid", "note"},
		"nobody's work":                 {`"u1"`, `null`, "record.invalid", "employee"},
		"no project":                    {`"p1"`, `null`, "record.reference_missing", "project"},
		"two people with one e-mail":    {`"u1"`, `"twin"`, "match.ambiguous", "email"},
		"somebody who is gone":          {`"u1"`, `"u99"`, "record.gone", ""},
		"a currency that is none":       {`"p1"`, `"pq"`, "expression.failed", "budget"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			h.books.projects["PQ"] = map[string]any{"id": "PQ", "name": "Odd", "budget": 1000, "currency": "XXQ"}
			h.knows("pq", "PQ")
			body := strings.Replace(good, c.from, c.to, 1)
			if _, err := h.ingest.Accept(context.Background(), "t1", "time", connector.Delivery{Method: "POST", Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
			h.drain()
			if c.code == "" {
				h.stands("P1 2026-03-02 3600 completed")
				var sent struct{ Note string }
				if err := json.Unmarshal([]byte(body), &sent); err != nil {
					t.Fatal(err)
				}
				for _, l := range h.books.lines {
					if l.Note != sent.Note {
						t.Errorf("the note arrived as %q, was %q", l.Note, sent.Note)
					}
				}
				return
			}
			h.stands()
			if e := h.parked(c.code); e.Field != c.field || e.Hint == "" {
				t.Errorf("parked with the field %q and the fix %q, want %q and a fix; it says %s", e.Field, e.Hint, c.field, e.Message)
			}
		})
	}
}
