package demo_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	files "throughline/demo"
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/demo"
	"throughline/internal/hub"
	"throughline/internal/simulator"
)

// TestTheMonthBalances lets the month pass and compares what is approved in the time tracker with what
// stands in the ERP, to the second and to the cent.
func TestTheMonthBalances(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cfg := app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", NewKey: true, Workers: 16, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	stage, err := demo.Open(ctx, cfg, files.Files)
	if err != nil {
		t.Fatal(err)
	}
	stage.Tell = func(e demo.Event) { t.Log(e.At.Format("05.000"), e.Customer, e.Deal, e.What, e.Detail) }
	ran := make(chan error, 1)
	go func() { ran <- stage.App.Run(ctx) }()
	if err := stage.Win(); err != nil {
		t.Fatal(err)
	}
	limit, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()
	if err := stage.Settle(limit); err != nil {
		t.Fatal(err)
	}
	if err := stage.Month(limit); err != nil {
		t.Fatal(err)
	}
	r, err := stage.Count(ctx)
	if err != nil || !r.Good() || !r.Hours.Good() {
		t.Errorf("the ledgers differ: %+v, %v", r, err)
	}
	if r.EntriesApproved < 100 || r.SecondsPosted == 0 || r.Reversals == 0 || r.Deleted == 0 || r.ExpenseReversals == 0 || r.SecondsRefused == 0 || r.SecondsKept == 0 || r.SecondsRounded == 0 || r.Warnings == 0 {
		t.Errorf("the month shows too little: %+v", r.Hours)
	}
	for _, code := range []string{"rule.hours_positive", "rule.hours_plausible", "rule.project_named", "rule.period_open", "rule.employee_active", "rule.project_open", "rule.task_open", "rule.rate_found",
		"rule.rate_currency", "rule.amount_positive", "over.day", "over.cap", "match.ambiguous", "find.unknown", "mapping.value_unsaid", "approval.wanted", "posting.fixed", "waiting"} {
		if !slices.Contains(r.Exceptions, code) {
			t.Errorf("nobody had to deal with %s", code)
		}
	}
	agrees(t, stage)
	differs(t, stage)
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// agrees asks the product for its own statement of the month: it reads the same far sides by their
// public APIs, and comes to the same end.
func agrees(t *testing.T, stage *demo.Stage) {
	t.Helper()
	by := access.Principal{Name: "test", Role: "admin", Tenant: access.Everyone}
	for _, customer := range []hub.TenantID{"northwind", "meridian"} {
		s, err := stage.App.Control.Balance(t.Context(), by, customer, "2026-11", false)
		if err != nil {
			t.Fatal(err)
		}
		if s.Unexplained() != 0 {
			t.Errorf("the statement of %s does not explain %d: %+v", customer, s.Unexplained(), s.Findings)
		}
	}
}

// differs shows that the count sees what is not as it should be: an hour less in the ERP, and the same
// work under a dearer kind.
func differs(t *testing.T, stage *demo.Stage) {
	t.Helper()
	rows, err := stage.ERP.Rows("meridian", "time_entry")
	if err != nil || len(rows) < 3 {
		t.Fatal(rows, err)
	}
	open := slices.IndexFunc(rows, func(r simulator.Row) bool {
		return r.Fields["ApprovalStatus"] == "Completed" && r.Fields["LaborItem"] == "CONS-JR"
	})
	if err := stage.ERP.Update("meridian", "time_entry", rows[open].ID, map[string]any{"ApprovalStatus": "Open", "LaborItem": "CONS-SR"}); err != nil {
		t.Fatal(err)
	}
	if r, err := stage.Count(t.Context()); err != nil || r.UnexplainedSeconds != 0 || r.UnexplainedAmount.String() == "0" {
		t.Errorf("work at another price goes unseen: %+v, %v", r.Hours, err)
	}
	if err := stage.ERP.Remove("meridian", "time_entry", rows[open].ID); err != nil {
		t.Fatal(err)
	}
	if r, err := stage.Count(t.Context()); err != nil || r.UnexplainedSeconds == 0 || r.Hours.Good() {
		t.Errorf("work that is gone goes unseen: %+v, %v", r.Hours, err)
	}
}
