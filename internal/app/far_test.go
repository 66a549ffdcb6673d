package app_test

import (
	"context"
	"testing"

	"throughline/internal/demo"
	"throughline/internal/simulator"
)

// TestFarSidesThatAnswerBadly lets a deal come while its ERP or time tracker misbehaves: it arrives all the
// same, once, when its time has come.
func TestFarSidesThatAnswerBadly(t *testing.T) {
	for _, c := range []struct {
		name  string
		far   string
		fault simulator.Fault
		match simulator.Match
		times int
		n     int // of the deal that arrives: whose CRM, and whether its company is new there
	}{
		{"the ERP shows a login page where it was asked to write", "erp", simulator.HTML, simulator.Match{Entity: "customer", Writes: true}, 2, 0},
		{"the ERP has no time: 429 with whatever Retry-After", "erp", simulator.Throttle, simulator.Match{Entity: "sales_order", Writes: true}, 2, 2},
		{"the ERP fails before it has done anything", "erp", simulator.ErrorBefore, simulator.Match{Entity: "project", Writes: true}, 2, 15},
		{"the ERP fails when it is done", "erp", simulator.ErrorAfter, simulator.Match{Entity: "sales_order", Writes: true}, 1, 17},
		{"the ERP sends half an answer", "erp", simulator.Truncate, simulator.Match{Entity: "project", Writes: true}, 1, 26},
		{"the ERP sends nothing at all", "erp", simulator.Empty, simulator.Match{Entity: "customer", Writes: true}, 1, 30},
		{"the connection to the time tracker breaks", "time", simulator.DropAnswer, simulator.Match{Entity: "project", Writes: true}, 1, 5},
		{"the time tracker's answer is another page", "time", simulator.HTML, simulator.Match{Entity: "task", Writes: true}, 2, 18},
		{"the CRM shows a login page where it was asked for a deal", "crm", simulator.HTML, simulator.Match{Method: "GET", Entity: "deal"}, 2, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			far := map[string]*demo.Far{"crm": h.CRM, "erp": h.ERP, "time": h.Time}[c.far]
			if err := far.FailNext(c.times, c.fault, c.match); err != nil {
				t.Fatal(err)
			}
			if err := h.Arrive(c.n); err != nil {
				t.Fatal(err)
			}
			h.settle()
			r, err := h.Count(context.Background())
			if err != nil || !r.Good() {
				t.Errorf("the far sides hold %+v, %v", r, err)
			}
			for deal, why := range h.parked {
				t.Errorf("%s is parked: %s", deal, why)
			}
		})
	}
}
