package connectors_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/connectors"
	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/simulator"
)

// far is a connector that speaks to the vendor's stand-in.
type far struct {
	t        *testing.T
	s        *catalog.System
	sim      *simulator.Simulator
	settings map[string]any
	header   http.Header
	now      time.Time
}

func newFar(t *testing.T, name string, more map[string]any, header http.Header) *far {
	t.Helper()
	data, err := connectors.Files.ReadFile(name + "/simulator.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := simulator.Parse(name+"/simulator.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	f := &far{t: t, s: system(t, name), header: header, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	if f.sim, err = simulator.New(d, simulator.Options{Unlimited: true, Now: func() time.Time { return f.now }}); err != nil {
		t.Fatal(err)
	}
	f.settings = defaults(f.s)
	for k, v := range more {
		f.settings[k] = v
	}
	return f
}

// call makes one call of an operation.
func (f *far) call(op *connector.Op, vars map[string]any) (*connector.Answer, error) {
	f.t.Helper()
	all := map[string]any{"settings": f.settings}
	for k, v := range vars {
		all[k] = v
	}
	r, err := f.s.Connector.Request(op, all)
	if err != nil {
		return nil, err
	}
	return f.send(op, r, all)
}

func (f *far) send(op *connector.Op, r connector.Request, vars map[string]any) (*connector.Answer, error) {
	req, err := http.NewRequest(r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range f.header {
		req.Header[k] = v
	}
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	resp, err := f.sim.Transport().RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if f.header.Get("Cookie") == "" {
		for _, c := range resp.Cookies() {
			f.header.Set("Cookie", strings.TrimPrefix(f.header.Get("Cookie")+"; "+c.Name+"="+c.Value, "; "))
		}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return f.s.Connector.Read(op, vars, resp.StatusCode, resp.Header, body, f.now)
}

func (f *far) must(op *connector.Op, vars map[string]any) *connector.Answer {
	f.t.Helper()
	a, err := f.call(op, vars)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// changed reads a list as the product does: pages, what is fresh of each, the records in it.
func (f *far) changed(l *connector.ListOp, vars map[string]any, since time.Time) []any {
	f.t.Helper()
	var out []any
	for pager := l.Pager(); ; {
		all := map[string]any{"since": since, "page": pager.Vars()}
		for k, v := range vars {
			all[k] = v
		}
		a := f.must(l.Op, all)
		fresh, done := l.Fresh(a.Items(), since)
		records, err := l.Records(a, fresh)
		if err != nil {
			f.t.Fatal(err)
		}
		out = append(out, records...)
		if more, err := pager.Next(a, len(a.Items())); err != nil || done || !more {
			return out
		}
	}
}

// read makes canonical records of what was listed.
func (f *far) read(record string, rows []any) []canonical.Record {
	f.t.Helper()
	at := at(f.s, nil)
	at.Settings = f.settings
	var out []canonical.Record
	for _, x := range rows {
		r, err := f.s.Mappings[record].Read(at, x)
		if err != nil {
			f.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// create writes a new record and gives its id there.
func (f *far) create(record string, fields map[string]any, ids map[string]string) string {
	f.t.Helper()
	kind, at := f.s.Connector.KindAs(record), at(f.s, ids)
	at.Settings = f.settings
	made, err := f.s.Mappings[record].Write(at, canonical.Record{Type: record, ID: "rec_aaaaaaaaaaaaaaaaaaaa", Fields: fields}, true)
	if err != nil {
		f.t.Fatal(err)
	}
	a := f.must(kind.Create, map[string]any{"fields": f.s.Connector.Fields(made), "marker": "kaaaaaaaaaaaaaaa"})
	id, err := kind.IDOf(a.Result, f.settings)
	if err != nil || id == "" {
		f.t.Fatalf("no id in %v: %v", a.Result, err)
	}
	return id
}

// follow does a write beside create and update if there is something to do.
func (f *far) follow(op *connector.FollowOp, id string) (did bool) {
	f.t.Helper()
	found := map[string]any{}
	vars := map[string]any{"id": id, "found": found, "settings": f.settings}
	for _, w := range op.With {
		found[w.Name] = f.must(w.Op, vars).Result
	}
	if op.When != nil {
		todo, err := op.When.True(vars)
		if err != nil {
			f.t.Fatal(err)
		}
		if !todo {
			return false
		}
	}
	f.must(op.Op, vars)
	return true
}

func (f *far) row(entity, id string) map[string]any {
	f.t.Helper()
	r, err := f.sim.Row("", entity, id)
	if err != nil {
		f.t.Fatal(err)
	}
	return r.Fields
}

func TestApprovedWorkIsReadFromTheTimeTracker(t *testing.T) {
	const chloe, support = "5a0ab5acb07987125438b611", "64c777ddd3fcab07cfbb2201"
	f := newFar(t, "clockify", map[string]any{"workspace": "64a687e29ae1f428e7ebe303", "url": "https://far.example/api"}, http.Header{"X-Api-Key": {"demo-clockify-key"}})
	log := func(start, end string) string {
		t.Helper()
		id, err := f.sim.Insert("", "time_entry", map[string]any{"workspaceId": f.settings["workspace"], "userId": chloe, "projectId": support, "start": start, "end": end, "description": "Zählung ✅"})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second := log("2026-11-16T09:00:00Z", "2026-11-16T10:30:00Z"), log("2026-11-17T22:30:00Z", "2026-11-18T00:30:00Z")
	week, err := f.sim.Insert("", "approval_request", map[string]any{"workspaceId": f.settings["workspace"], "userId": chloe, "start": "2026-11-15T23:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	entry := f.s.Connector.KindAs("time_entry")
	start := f.now.Add(-time.Hour)
	submitted := f.read("time_entry", f.changed(entry.List, nil, start))
	if len(submitted) != 2 || submitted[0].Fields["approval"] != "submitted" {
		t.Fatalf("before the approval: %v", submitted)
	}
	f.now = f.now.Add(time.Hour)
	if err := f.sim.Update("", "approval_request", week, map[string]any{"state": "APPROVED"}); err != nil {
		t.Fatal(err)
	}
	approved := f.read("time_entry", f.changed(entry.List, nil, f.now))
	var seconds exact.Seconds
	for _, r := range approved {
		seconds += r.Fields["seconds"].(exact.Seconds)
	}
	if len(approved) != 2 || approved[0].Fields["approval"] != "approved" || seconds != 12600 {
		t.Errorf("after the approval: %v", approved)
	}
	if sheet := f.read("timesheet_approval", f.changed(f.s.Connector.KindAs("timesheet_approval").List, nil, f.now)); len(sheet) != 1 || sheet[0].Fields["approved_seconds"] != seconds || sheet[0].Fields["from"] != day("2026-11-16") {
		t.Errorf("the timesheet is %v", sheet)
	}
	if later := f.changed(entry.List, nil, f.now.Add(time.Second)); len(later) != 0 {
		t.Errorf("what is older than the cursor came again: %v", later)
	}
	f.must(entry.Actions["invoiced"].Op, map[string]any{"id": first})
	if f.row("time_entry", first)["invoiced"] != true {
		t.Error("the entry is not marked as invoiced")
	}

	// Withdrawn and deleted: the feed tells, and the sweep finds it missing.
	f.now = f.now.Add(time.Hour)
	if err := f.sim.Update("", "approval_request", week, map[string]any{"state": "WITHDRAWN_APPROVAL"}); err != nil {
		t.Fatal(err)
	}
	if err := f.sim.Remove("", "time_entry", second); err != nil {
		t.Fatal(err)
	}
	gone := f.changed(entry.Deleted, nil, start)
	if len(gone) != 1 {
		t.Fatalf("the feed of deletes tells %v", gone)
	}
	if id, err := entry.GoneOf(gone[0], f.settings); err != nil || id != second {
		t.Errorf("gone is %q, want %q (%v)", id, second, err)
	}
	var there []canonical.Record
	for _, user := range f.changed(entry.Sweep.Per.List, nil, time.Time{}) {
		there = append(there, f.read("time_entry", f.changed(entry.Sweep, map[string]any{"parent": user, "from": day("2026-11-16"), "to": day("2026-11-22")}, time.Time{}))...)
	}
	if len(there) != 1 || there[0].Fields["number"] != first || there[0].Fields["date"] != day("2026-11-16") || there[0].Fields["approval"] != "open" {
		t.Errorf("the sweep finds %v", there)
	}
}

func TestApprovedWorkIsWrittenToTheERP(t *testing.T) {
	f := newFar(t, "acumatica", map[string]any{"url": "https://far.example"}, http.Header{})
	login, err := http.NewRequest("POST", "https://far.example/entity/auth/login", strings.NewReader(`{"name":"integration","password":"demo-acumatica-password","tenant":"Northwind"}`))
	if err != nil {
		t.Fatal(err)
	}
	login.Header.Set("Content-Type", "application/json")
	resp, err := f.sim.Transport().RoundTrip(login)
	if err != nil || resp.StatusCode != 204 {
		t.Fatal(resp, err)
	}
	for _, c := range resp.Cookies() {
		f.header.Set("Cookie", strings.TrimPrefix(f.header.Get("Cookie")+"; "+c.Name+"="+c.Value, "; "))
	}
	ref := func(recordType string) canonical.Ref {
		return canonical.Ref{Type: recordType, ID: "rec_bbbbbbbbbbbbbbbbbbbb"}
	}
	ids := map[string]string{"employee": "EP00000003", "project": "PR000090", "task": "PR000090|01", "labour_category": "CONS-SR"}
	work := map[string]any{"employee": ref("employee"), "project": ref("project"), "task": ref("task"), "date": day("2026-11-20"), "seconds": exact.Seconds(5400), "note": "Zählung ✅ مرحبا"}

	kind := f.s.Connector.KindAs("time_entry")
	id := f.create("time_entry", work, ids)
	if found := f.must(kind.Find["marker"], map[string]any{"marker": "kaaaaaaaaaaaaaaa"}); len(found.Items()) != 1 {
		t.Errorf("found by its marker: %v", found.Items())
	}
	if !f.follow(kind.Follow("time_entry.complete"), id) || f.row("time_entry", id)["ApprovalStatus"] != "Completed" {
		t.Error("the entry is not completed")
	}
	if f.follow(kind.Follow("time_entry.complete"), id) {
		t.Error("it was completed twice")
	}
	there := f.read("time_entry", f.changed(kind.Sweep, map[string]any{"from": day("2026-11-20"), "to": day("2026-11-20")}, time.Time{}))
	if len(there) != 1 || there[0].Fields["seconds"] != exact.Seconds(5400) || there[0].Fields["date"] != day("2026-11-20") || there[0].Fields["note"] != work["note"] || there[0].Fields["approval"] != "approved" {
		t.Errorf("the day holds %v", there)
	}
	if other := f.changed(kind.Sweep, map[string]any{"from": day("2026-11-21"), "to": day("2026-11-30")}, time.Time{}); len(other) != 0 {
		t.Errorf("the days after hold %v", other)
	}

	// Not released yet: reopened and deleted.
	if !f.follow(kind.Actions["reopen"], id) {
		t.Error("the entry is not reopened")
	}
	f.must(kind.Delete, map[string]any{"id": id})
	if found := f.must(kind.Find["marker"], map[string]any{"marker": "kaaaaaaaaaaaaaaa"}); len(found.Items()) != 0 {
		t.Errorf("after the delete: %v", found.Items())
	}

	// Released: taken back by a transaction.
	id = f.create("time_entry", work, ids)
	f.follow(kind.Follow("time_entry.complete"), id)
	if err := f.sim.Update("", "time_entry", id, map[string]any{"ApprovalStatus": "Released"}); err != nil {
		t.Fatal(err)
	}
	if f.follow(kind.Actions["reopen"], id) {
		t.Error("a released entry was reopened")
	}
	if _, err := f.call(kind.Delete, map[string]any{"id": id}); err == nil {
		t.Error("a released entry was deleted")
	}
	back := f.s.Connector.KindAs("billable_item")
	taken := f.create("billable_item", map[string]any{"project": ref("project"), "task": ref("task"), "employee": ref("employee"), "labour_category": ref("labour_category"),
		"date": day("2026-11-20"), "seconds": exact.Seconds(-5400), "rate": money("165 EUR"), "billing": "unbilled"}, ids)
	if !f.follow(back.Follow("transaction.release"), taken) {
		t.Error("the transaction is not released")
	}
	f.now = f.now.Add(10 * time.Second)
	sum := exact.NewDecimal(0)
	for _, r := range f.read("billable_item", f.changed(back.List, nil, time.Time{})) {
		if r.Fields["billing"] != "posted" {
			t.Errorf("not posted: %v", r.Fields)
		}
		sum = sum.Add(r.Fields["amount"].(exact.Money).Amount)
	}
	if sum.Cmp(exact.NewDecimal(0)) != 0 {
		t.Errorf("what was posted and taken back leaves %s", sum)
	}

	receipt := f.s.Connector.KindAs("expense")
	f.settings["expense_item"] = "TRAVEL"
	paid := f.create("expense", map[string]any{"employee": ref("employee"), "project": ref("project"), "task": ref("task"), "date": day("2026-11-20"), "amount": money("84.50 EUR"), "note": "Train"}, ids)
	if !f.follow(receipt.Follow("receipt.submit"), paid) || !f.follow(receipt.Actions["claim"], paid) || f.follow(receipt.Actions["claim"], paid) {
		t.Error("the receipt is not submitted and claimed once")
	}
	if found := f.read("expense", f.must(receipt.Find["marker"], map[string]any{"marker": "kaaaaaaaaaaaaaaa"}).Items()); len(found) != 1 || found[0].Fields["amount"] != money("84.50 EUR") {
		t.Errorf("the receipt is %v", found)
	}
}
