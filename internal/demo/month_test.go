package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	files "throughline/demo"
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/demo"
	"throughline/internal/exact"
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
	swapped(t, stage)
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

// swapped lets two mistakes make up for each other: work of two projects, and expenses of two customers. Each is seen.
func swapped(t *testing.T, stage *demo.Stage) {
	t.Helper()
	set := func(account, entity, id string, fields map[string]any) {
		t.Helper()
		if err := stage.ERP.Update(account, entity, id, fields); err != nil {
			t.Fatal(err)
		}
	}
	seen := func(what string) {
		t.Helper()
		if r, err := stage.Count(t.Context()); err != nil || r.Hours.Good() {
			t.Errorf("%s goes unseen: %+v, %v", what, r.Hours, err)
		}
	}
	rows, err := stage.ERP.Rows("northwind", "time_entry")
	if err != nil {
		t.Fatal(err)
	}
	one, other := pair(rows)
	if other == nil {
		t.Fatal("no two projects have had the same hours of different work")
	}
	for _, items := range [][2]any{{other.Fields["LaborItem"], one.Fields["LaborItem"]}, {one.Fields["LaborItem"], other.Fields["LaborItem"]}} {
		set("northwind", "time_entry", one.ID, map[string]any{"ApprovalStatus": "Open", "LaborItem": items[0]})
		set("northwind", "time_entry", other.ID, map[string]any{"ApprovalStatus": "Open", "LaborItem": items[1]})
		if items[0] != one.Fields["LaborItem"] {
			seen("work of two projects at each other's price")
		}
	}
	more := func(customer string, by int64) {
		t.Helper()
		list, err := stage.ERP.Rows(customer, "expense_receipt")
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		details := maps.Clone(list[0].Fields["ReceiptDetails"].(map[string]any))
		amount, err := exact.ParseDecimal(fmt.Sprint(details["Amount"]))
		if err != nil {
			t.Fatal(err)
		}
		details["Amount"] = json.Number(amount.Add(exact.NewDecimal(by)).String())
		set(customer, "expense_receipt", list[0].ID, map[string]any{"Status": "On Hold", "ReceiptDetails": details})
	}
	more("northwind", 1)
	more("meridian", -1)
	seen("too much at one customer and too little at another")
	more("northwind", -1)
	more("meridian", 1)
	if r, err := stage.Count(t.Context()); err != nil || !r.Hours.Good() {
		t.Errorf("put right, the ledgers differ: %+v, %v", r.Hours, err)
	}
}

// pair finds two billable entries of two projects with the same hours of different work.
func pair(rows []simulator.Row) (one, other *simulator.Row) {
	for i, a := range rows {
		for j, b := range rows[i+1:] {
			f, g := a.Fields, b.Fields
			if f["BillableTime"] == g["BillableTime"] && f["TimeSpent"] == g["TimeSpent"] && f["Billable"] == true && g["Billable"] == true && f["LaborItem"] != g["LaborItem"] && f["ProjectID"] != g["ProjectID"] {
				return &rows[i], &rows[i+1+j]
			}
		}
	}
	return nil, nil
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
