package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"throughline/internal/api"
)

// unbalanced is a statement with something of everything in it.
func unbalanced() api.Statement {
	alder := api.Balance{Project: "rec_1", Number: "PR000101", Name: "Alder automation", Currency: "EUR", Approved: api.Amount{Entries: 3, Seconds: 64830, Amount: "1800.00"},
		InERP: api.Amount{Entries: 1, Seconds: 28800, Amount: "800.00"}, Waiting: api.Amount{Amount: "0.00"}, InException: api.Amount{Entries: 1, Seconds: 28800, Amount: "800.00"},
		Exceptions: map[string]api.Amount{"rule.rate_found": {Entries: 1, Seconds: 28800, Amount: "800.00"}}, Refused: api.Amount{Amount: "0.00"}, Refusals: map[string]api.Amount{},
		Decided: api.Amount{Amount: "0.00"}, Rounding: api.Amount{Entries: 1, Seconds: 30, Amount: "0.00"}, Unexplained: api.Amount{Seconds: 7200, Amount: "200.00"}, NotOurs: api.Amount{Amount: "0.00"}}
	total := alder
	total.Project, total.Number, total.Name = "", "", ""
	return api.Statement{Customer: "northwind", NotAtRest: []string{"time/entry"}, From: "2026-11-01", To: "2026-11-30", Flows: []string{"hours"}, Projects: []api.Balance{alder}, Totals: []api.Balance{total},
		Unexplained: []api.Discrepancy{{What: "missing", Says: "It was posted, but the ERP does not have it any more.", Flow: "hours", Entry: "time/entry/7", ERP: "t7", Project: "Alder automation", Date: "2026-11-03", Seconds: 7200, Amount: "200.00", Currency: "EUR"}},
		Entries:     []api.BalanceEntry{{Flow: "hours", Entry: "time/entry/8", Date: "2026-11-04", Project: "Alder automation", Employee: "Ana Ruiz", Parts: []api.BalancePart{{Column: "approved", Seconds: 28800, Amount: "800.00", Currency: "EUR"}, {Column: "in_exception", Why: "rule.rate_found", Seconds: 28800, Amount: "800.00", Currency: "EUR"}}}}}
}

func TestAStatementForPeople(t *testing.T) {
	var out bytes.Buffer
	if err := printStatement(&out, unbalanced()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{
		"PROJECT APPROVED IN ERP WAITING EXCEPTION REFUSED DECIDED ROUNDING UNEXPLAINED NOT OURS",
		"PR000101 Alder automation h 18:00:30 8:00 0:00 8:00 0:00 0:00 0:00:30 2:00 0:00",
		"EUR 1800.00 800.00 0.00 800.00 0.00 0.00 0.00 200.00 0.00",
		"Total h 18:00:30 8:00 0:00 8:00 0:00 0:00 0:00:30 2:00 0:00",
		"EUR 1800.00 800.00 0.00 800.00 0.00 0.00 0.00 200.00 0.00",
		"in exception: rule.rate_found 1 8:00 h 800.00 EUR",
		"",
		"ENTRY DAY PROJECT WHO ERP COUNTS AS",
		"time/entry/8 2026-11-04 Alder automation Ana Ruiz approved 8:00 h 800.00 EUR; in_exception (rule.rate_found) 8:00 h 800.00 EUR",
		"",
		"UNEXPLAINED ENTRY ERP DAY PROJECT HOURS MONEY WHY",
		"missing time/entry/7 t7 2026-11-03 Alder automation 2:00 200.00 EUR It was posted, but the ERP does not have it any more.",
		"",
		"Not at rest: time/entry moved each time that it was read. What is told of it may be older than now, or not all. Ask again when nobody is at work there.",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is\n%s\nwant\n%s", i+1, got, want)
		}
	}
}

func TestHours(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0:00", 60: "0:01", 3661: "1:01:01", -5400: "-1:30", 360000: "100:00"} {
		if got := hoursOf(seconds); got != want {
			t.Errorf("%d s are %s, want %s", seconds, got, want)
		}
	}
}

// TestWhatDoesNotBalanceIsAnError asks a service that answers with a statement.
func TestWhatDoesNotBalanceIsAnError(t *testing.T) {
	s := unbalanced()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/v1/customers/northwind/balance?period=2026-11&entries=true" {
			t.Errorf("asked for %s", r.URL)
		}
		if err := json.NewEncoder(w).Encode(s); err != nil {
			t.Error(err)
		}
	}))
	defer service.Close()
	c := balanceCmd{server: server{Server: service.URL, Key: "tl_x", JSON: true}, Customer: "northwind", Period: "2026-11", Entries: true}
	if err := c.Run(t.Context()); err == nil || forPeople(err) != "1 unexplained in 2026-11-01 to 2026-11-30: time/entry/7 t7 (missing). Look at each of them in both systems; what has been put right, or is explained by an exception, is not told again." {
		t.Errorf("gives %v", err)
	}
	s.Balanced, s.Unexplained = true, nil
	if err := c.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTheKeysOfAStatementStay: who reads the JSON depends on them.
func TestTheKeysOfAStatementStay(t *testing.T) {
	var out bytes.Buffer
	c := balanceCmd{server: server{JSON: true}}
	if err := c.print(&out, unbalanced()); err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(out.Bytes(), &top); err != nil {
		t.Fatal(err)
	}
	project := top["projects"].([]any)[0].(map[string]any)
	for _, key := range []string{"approved", "in_erp", "waiting", "in_exception", "refused", "decided", "rounding", "unexplained", "not_ours"} {
		sum, ok := project[key].(map[string]any)
		if !ok || sum["seconds"] == nil || sum["amount"] == nil || sum["entries"] == nil {
			t.Errorf("%s is %v", key, project[key])
		}
	}
	for _, key := range []string{"customer", "from", "to", "flows", "read", "balanced", "not_at_rest", "projects", "totals", "unexplained", "entries"} {
		if _, ok := top[key]; !ok {
			t.Errorf("there is no %s", key)
		}
	}
	if x, ok := project["exceptions"].(map[string]any)["rule.rate_found"].(map[string]any); !ok || x["amount"] != "800.00" {
		t.Errorf("the exceptions are %v", project["exceptions"])
	}
}
