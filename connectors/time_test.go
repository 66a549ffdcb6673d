package connectors_test

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/mapping"
)

// defaults are the settings of a connector that nobody changed, and some that every test needs.
func defaults(s *catalog.System) map[string]any {
	out := maps.Clone(settings)
	for _, one := range s.Connector.File.Settings {
		if one.Value.Default != "" {
			out[one.Key] = one.Value.Default
		}
	}
	out["company"], out["expense_totals"] = "1", "cents"
	return out
}

// at is where a mapping is used: every record is known there under the id that ids says, or 7.
func at(s *catalog.System, ids map[string]string) mapping.Context {
	known := func(r canonical.Ref) (string, bool, error) {
		if id := ids[r.Type]; id != "" {
			return id, true, nil
		}
		return "7", true, nil
	}
	return mapping.Context{Tenant: "acme", Connection: "far", Settings: defaults(s), Kinds: s.Connector.KindAs, Resolve: known}
}

// readOne decodes a list's answer, takes its first record out and reads it.
func readOne(t *testing.T, s *catalog.System, record, body string) (canonical.Record, error) {
	t.Helper()
	l := s.Connector.KindAs(record).List
	a, err := s.Connector.Read(l.Op, map[string]any{"settings": defaults(s)}, 200, http.Header{}, []byte(body), time.Now())
	if err != nil {
		return canonical.Record{}, err
	}
	rows, err := l.Records(a, a.Items())
	if err != nil || len(rows) == 0 {
		t.Fatalf("no record in %s: %v", body, err)
	}
	return s.Mappings[record].Read(at(s, nil), rows[0])
}

func instantAt(text string) time.Time { return must(time.Parse(time.RFC3339, text)) }

// request is a Clockify approval request around one entry.
func request(zone, start, end, duration, more string) string {
	return `[{"approvalRequest":{"id":"r1","owner":{"userId":"u1","timeZone":"` + zone + `"},"status":{"state":"APPROVED","updatedAt":"2026-11-24T08:00:00Z"}},
	"entries":[{"id":"e1","billable":true,"project":{"id":"p1"},"task":{"id":"t1"},"timeInterval":{"start":"` + start + `","end":"` + end + `","duration":"` + duration + `"}` + more + `}]}]`
}

func tracked(hours, more string) string {
	return `{"time_entries":[{"id":9007199254740993,"project":{"id":3},"issue":{"id":12},"user":{"id":5},"hours":` + hours + `,"spent_on":"2026-03-29","updated_on":"2026-03-30T08:00:00Z","custom_fields":[` + more + `]}]}`
}

func TestWorkIsRead(t *testing.T) {
	for _, c := range []struct {
		name, system, record, body string
		want                       map[string]any
	}{
		{"an approved entry tells its rate, its approval and its request", "clockify", "time_entry",
			request("Europe/Berlin", "2026-11-16T09:00:00Z", "2026-11-16T10:30:00Z", "PT1H30M", `,"hourlyRate":{"amount":16550,"currency":"EUR"},"description":"Zählung ✅ مرحبا"`),
			map[string]any{"seconds": exact.Seconds(5400), "date": day("2026-11-16"), "approval": "approved", "rate": money("165.50 EUR"), "note": "Zählung ✅ مرحبا",
				"approved_at": instantAt("2026-11-24T08:00:00Z"), "started": instantAt("2026-11-16T09:00:00Z")}},
		{"an entry without a task or a rate is an entry all the same", "clockify", "time_entry",
			`[{"approvalRequest":{"id":"r1","owner":{"userId":"u1","timeZone":"Europe/Berlin"},"status":{"state":"REJECTED","updatedAt":"2026-11-24T08:00:00Z"}},
			"entries":[{"id":"e1","timeInterval":{"start":"2026-11-16T09:00:00Z","end":"2026-11-16T10:00:00Z","duration":"PT1H"}}]}]`,
			map[string]any{"seconds": exact.Seconds(3600), "approval": "rejected", "task": nil, "project": nil, "rate": nil}},
		{"an entry over midnight belongs to the day on which it began", "clockify", "time_entry",
			request("Europe/Berlin", "2026-11-16T22:30:00Z", "2026-11-17T00:30:00Z", "PT2H", ""), map[string]any{"seconds": exact.Seconds(7200), "date": day("2026-11-16")}},
		{"its day is that of its owner's zone, fourteen hours ahead", "clockify", "time_entry",
			request("Pacific/Kiritimati", "2026-11-16T10:30:00Z", "2026-11-16T11:30:00Z", "PT1H", ""), map[string]any{"date": day("2026-11-17")}},
		{"or eleven behind", "clockify", "time_entry",
			request("Pacific/Pago_Pago", "2026-11-16T10:30:00Z", "2026-11-16T11:30:00Z", "PT1H", ""), map[string]any{"date": day("2026-11-15")}},
		{"or a quarter of an hour off", "clockify", "time_entry",
			request("Asia/Kathmandu", "2026-11-16T18:20:00Z", "2026-11-16T19:20:00Z", "PT1H", ""), map[string]any{"date": day("2026-11-17")}},
		{"a night on which the clock goes forward counts the hours worked", "clockify", "time_entry",
			request("Europe/London", "2026-03-28T23:30:00Z", "2026-03-29T05:30:00Z", "PT6H", ""), map[string]any{"seconds": exact.Seconds(21600), "date": day("2026-03-28")}},
		{"the hour that comes twice is the same day", "clockify", "time_entry",
			request("America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z", "PT1H", ""), map[string]any{"date": day("2026-11-01"), "seconds": exact.Seconds(3600)}},
		{"a day without a midnight begins later", "clockify", "time_entry",
			request("Africa/Cairo", "2026-04-23T22:10:00Z", "2026-04-23T23:10:00Z", "PT1H", ""), map[string]any{"date": day("2026-04-24")}},
		{"a zone whose clock moves by half an hour", "clockify", "time_entry",
			request("Australia/Lord_Howe", "2026-04-04T15:30:00Z", "2026-04-04T16:30:00Z", "PT1H", ""), map[string]any{"date": day("2026-04-05")}},
		{"twenty-five hours are read as they are", "clockify", "time_entry",
			request("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "PT25H", ""), map[string]any{"seconds": exact.Seconds(90000), "date": day("2026-10-25")}},
		{"no time at all is read as none", "clockify", "time_entry",
			request("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z", "PT0S", ""), map[string]any{"seconds": exact.Seconds(0)}},
		{"start and end never make the duration", "clockify", "time_entry",
			request("Europe/Berlin", "2026-11-16T09:00:00Z", "2026-11-16T17:00:00Z", "PT7H30M", ""), map[string]any{"seconds": exact.Seconds(27000)}},
		{"an expense's total is hundredths where the customer says so", "clockify", "expense",
			`[{"approvalRequest":{"id":"r1","owner":{"userId":"u1"},"status":{"state":"PENDING","updatedAt":"2026-11-24T08:00:00Z"}},
			"expenses":[{"id":"x1","userId":"u1","date":"2026-11-17","project":{"id":"p1"},"category":{"name":"Kilometres","hasUnitPrice":true,"unit":"km"},"quantity":120.5,"total":2771.5,"currency":"EUR","notes":"to Řím"}]}]`,
			map[string]any{"amount": money("27.715 EUR"), "quantity": exact.MustDecimal("120.5"), "unit": "km", "approval": "submitted", "date": day("2026-11-17"), "category": "Kilometres"}},
		{"a request tells its span in its owner's days", "clockify", "timesheet_approval",
			`[{"approvalRequest":{"id":"r1","owner":{"userId":"u1","timeZone":"Europe/Berlin"},"dateRange":{"start":"2026-11-15T23:00:00Z","end":"2026-11-22T22:59:59Z"},
			"status":{"state":"WITHDRAWN_APPROVAL","updatedAt":"2026-11-24T08:00:00Z","note":"one day is wrong"}},"trackedTime":"PT40H","approvedTime":"PT0S"}]`,
			map[string]any{"from": day("2026-11-16"), "to": day("2026-11-22"), "state": "open", "seconds": exact.Seconds(144000), "note": "one day is wrong"}},
		{"a person's rate is that of the workspace", "clockify", "employee",
			`[{"id":"u1","name":"Ana","email":"ana@a.example","status":"ACTIVE","settings":{"timeZone":"Europe/Berlin"},"memberships":[{"membershipType":"PROJECT","hourlyRate":{"amount":1,"currency":"EUR"}},
			{"membershipType":"WORKSPACE","hourlyRate":{"amount":12000,"currency":"EUR"}}]}]`,
			map[string]any{"rate": money("120 EUR"), "zone": "Europe/Berlin", "active": true}},

		{"hours with two decimals are whole seconds, and the id is beyond every float", "redmine", "time_entry",
			tracked("1.26", `{"id":1,"name":"Approval state","value":"approved"},{"id":2,"value":"0"}`),
			map[string]any{"seconds": exact.Seconds(4536), "number": "9007199254740993", "approval": "approved", "billable": false, "date": day("2026-03-29")}},
		{"an entry without custom fields is open", "redmine", "time_entry", tracked("1", ""), map[string]any{"approval": "open", "billable": true}},
		{"an entry with an empty approval is open, and billable unless it says otherwise", "redmine", "time_entry",
			tracked("25", `{"id":1,"value":""}`), map[string]any{"seconds": exact.Seconds(90000), "approval": "open", "billable": true}},

		{"a line that is on a paid invoice", "tryton", "time_entry",
			`{"id":1,"result":[{"id":6,"date":{"__class__":"date","year":2026,"month":3,"day":2},"duration":{"__class__":"timedelta","seconds":27000.0},"description":"Kick-off","employee":1,
			"work.":{"id":2,"origin":"project.work,12"},"invoice_line":4,"invoice_line.":{"id":4,"invoice.":{"id":3,"number":"2026-7","state":"paid"}}}]}`,
			map[string]any{"seconds": exact.Seconds(27000), "date": day("2026-03-02"), "billing": "paid", "invoice_number": "2026-7", "approval": "approved"}},
		{"a line that is not invoiced", "tryton", "time_entry",
			`{"id":1,"result":[{"id":6,"date":{"__class__":"date","year":2026,"month":3,"day":2},"duration":{"__class__":"timedelta","seconds":0.0},"employee":1,"work.":{"id":2,"origin":"project.work,12"},"invoice_line":null}]}`,
			map[string]any{"seconds": exact.Seconds(0), "billing": "posted"}},
		{"an employee's name and mail are the party's", "tryton", "employee",
			`{"id":1,"result":[{"id":1,"party.":{"id":3,"name":"Ana Ruiz","code":"E-1","contact_mechanisms.":[{"id":6,"type":"phone","value":"1"},{"id":7,"type":"email","value":"ana@n.example"}]}}]}`,
			map[string]any{"name": "Ana Ruiz", "email": "ana@n.example", "number": "E-1"}},

		{"a released entry is posted, whatever time of day its date has", "acumatica", "time_entry",
			`[{"id":"4f","Employee":{"value":"EP1  "},"ProjectID":{"value":"PR1 "},"ProjectTaskID":{"value":"01 "},"Date":{"value":"2026-03-01T00:00:00+14:00"},"TimeSpent":{"value":"25:00"},"Summary":{"value":"x"},"Billable":{"value":true},"ApprovalStatus":{"value":"Released"}}]`,
			map[string]any{"seconds": exact.Seconds(90000), "date": day("2026-03-01"), "approval": "approved", "billing": "posted", "billable": true}},
		{"what is on an invoice, only the transaction says", "acumatica", "time_entry",
			`[{"id":"4f","Employee":{"value":"EP1"},"ProjectID":{"value":"PR1"},"Date":{"value":"2026-03-01"},"TimeSpent":{"value":"01:00"},"Summary":{"value":"x"},"ApprovalStatus":{"value":"Released"},"ExternalRefNbr":{"value":"k1"},
			"transactions":[{"Details":[{"ExternalRefNbr":{"value":"k2"},"Billed":{"value":false}},{"ExternalRefNbr":{"value":"k1"},"Billed":{"value":true}}]}]}]`,
			map[string]any{"billing": "invoiced"}},
		{"another's invoice says nothing", "acumatica", "time_entry",
			`[{"id":"4f","Employee":{"value":"EP1"},"ProjectID":{"value":"PR1"},"Date":{"value":"2026-03-01"},"TimeSpent":{"value":"01:00"},"Summary":{"value":"x"},"ApprovalStatus":{"value":"Released"},"ExternalRefNbr":{"value":"k1"},
			"transactions":[{"Details":[{"ExternalRefNbr":{"value":"k2"},"Billed":{"value":true}}]}]}]`,
			map[string]any{"billing": "posted"}},
		{"what a transaction takes back is negative", "acumatica", "billable_item",
			`[{"id":"5f","ReferenceNbr":{"value":"PM1"},"Status":{"value":"Released"},"Details":[{"Project":{"value":"PR1"},"ProjectTask":{"value":"01"},"Date":{"value":"2026-03-01T00:00:00Z"},"Qty":{"value":-1.25},"UOM":{"value":"HOUR"},"UnitRate":{"value":165.123456},"Amount":{"value":-206.40432},"Billed":{"value":true}}]}]`,
			map[string]any{"seconds": exact.Seconds(-4500), "rate": money("165.123456 EUR"), "amount": money("-206.40432 EUR"), "billing": "invoiced"}},
		{"thirty digits arrive as they were sent", "acumatica", "expense",
			`[{"id":"6f","ReceiptID":{"value":"000001"},"ClaimedBy":{"value":"EP1"},"Date":{"value":"2026-03-01"},"ExpenseItemID":{"value":"TRAVEL"},"Status":{"value":"On Hold"},"ReceiptDetails":{"Amount":{"value":123456789012345678901234567.891},"CurrencyID":{"value":"EUR"}}}]`,
			map[string]any{"amount": money("123456789012345678901234567.891 EUR"), "approval": "open"}},
		{"a labour item is a labour category", "acumatica", "labour_category",
			`[{"id":"7f","InventoryID":{"value":"CONS-SR "},"Description":{"value":"Senior"},"DefaultPrice":{"value":165},"ItemStatus":{"value":"Active"}}]`,
			map[string]any{"code": "CONS-SR", "name": "Senior", "rate": money("165 EUR"), "active": true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := readOne(t, system(t, c.system), c.record, c.body)
			if err != nil {
				t.Fatal(err)
			}
			for field, want := range c.want {
				if got := r.Fields[field]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %v, want %v", field, got, want)
				}
			}
		})
	}
}

// Redmine's search finds an address inside others, and in names.
func TestAPersonIsFoundByTheWholeAddress(t *testing.T) {
	s := system(t, "redmine")
	body := `{"users":[{"id":8,"mail":"mariana@n.example"},{"id":5,"mail":"Ana@N.example"},{"id":9,"lastname":"ana@n.example"}]}`
	vars := map[string]any{"settings": defaults(s), "value": "ana@n.example"}
	a, err := s.Connector.Read(s.Connector.KindAs("employee").Find["email"], vars, 200, http.Header{}, []byte(body), time.Now())
	if err != nil || len(a.Items()) != 1 || a.Items()[0].(map[string]any)["mail"] != "Ana@N.example" {
		t.Errorf("found %v, %v", a, err)
	}
}

// A line of Tryton's changes with its invoice, which does not touch it.
// TestASweepGoesOnPastExpensesOfOtherDays: the vendor cannot be asked for a span. Were a page without any of it taken
// for the last, all expenses behind it would seem to be deleted, and be taken back.
func TestASweepGoesOnPastExpensesOfOtherDays(t *testing.T) {
	s := system(t, "clockify")
	l := s.Connector.KindAs("expense").Sweep
	for _, c := range []struct {
		rows string
		ids  []string
		more bool
	}{
		{`{"id":"1","date":"2025-12-31T00:00:00Z"},{"id":"2","date":"2026-03-01T00:00:00Z"}`, nil, true},
		{`{"id":"3","date":"2026-01-01T00:00:00Z"},{"id":"4","date":"2026-02-28"},{"id":"5","date":"2026-03-01"}`, []string{"3", "4"}, true},
		{``, nil, false},
	} {
		vars := map[string]any{"settings": defaults(s), "from": day("2026-01-01"), "to": day("2026-02-28")}
		a, err := s.Connector.Read(l.Op, vars, 200, http.Header{}, []byte(`{"expenses":{"expenses":[`+c.rows+`]}}`), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		records, err := l.Records(a, a.Items())
		var ids []string
		for _, x := range records {
			ids = append(ids, x.(map[string]any)["id"].(string))
		}
		if err != nil || !slices.Equal(ids, c.ids) {
			t.Errorf("of %s it takes %q, %v; want %q", c.rows, ids, err, c.ids)
		}
		if more, err := l.Pager().Next(a, len(a.Items())); err != nil || more != c.more {
			t.Errorf("after %s it goes on: %v, %v", c.rows, more, err)
		}
	}
}

func TestALineIsAsNewAsItsInvoice(t *testing.T) {
	kind := system(t, "tryton").Connector.KindAs("time_entry")
	for name, c := range map[string]struct {
		x    map[string]any
		want string
	}{
		"never written":               {map[string]any{"create_date": "2026-03-02T10:00:00.000001Z"}, "2026-03-02T10:00:00.000001Z"},
		"on no invoice":               {map[string]any{"create_date": "2026-03-02T10:00:00.000001Z", "write_date": "2026-03-03T10:00:00.000001Z", "invoice_line.": nil}, "2026-03-03T10:00:00.000001Z"},
		"on an invoice posted after":  {line("2026-03-03T10:00:00.000001Z", "2026-03-03T10:00:00.000002Z"), "2026-03-03T10:00:00.000002Z"},
		"on an invoice never written": {line("2026-03-03T10:00:00.000001Z", nil), "2026-03-03T10:00:00.000001Z"},
		"written after its invoice":   {line("2026-03-04T10:00:00.000001Z", "2026-03-03T10:00:00.000002Z"), "2026-03-04T10:00:00.000001Z"},
	} {
		version, err := kind.VersionOf(c.x)
		if err != nil || version != instantAt(c.want).UnixMicro() {
			t.Errorf("%s: version %d, %v", name, version, err)
		}
		at, err := kind.List.ChangedAt(c.x)
		if err != nil || !at.Equal(instantAt(c.want)) {
			t.Errorf("%s: changed at %s, %v", name, at, err)
		}
	}
}

func line(written string, invoiceWritten any) map[string]any {
	return map[string]any{"create_date": "2026-03-02T10:00:00.000001Z", "write_date": written,
		"invoice_line.": map[string]any{"id": 4, "invoice.": map[string]any{"id": 3, "write_date": invoiceWritten}}}
}

func TestWorkThatCannotBeReadNamesTheField(t *testing.T) {
	for _, c := range []struct{ name, system, record, body, field, says string }{
		{"an unknown currency", "clockify", "time_entry", request("Europe/Berlin", "2026-11-16T09:00:00Z", "2026-11-16T10:00:00Z", "PT1H", `,"hourlyRate":{"amount":1,"currency":"XXQ"}`), "rate", "ISO 4217"},
		{"a zone that does not exist", "clockify", "time_entry", request("Mars/Olympus", "2026-11-16T09:00:00Z", "2026-11-16T10:00:00Z", "PT1H", ""), "date", "time zone"},
		{"a timer that still runs", "clockify", "time_entry", `[{"approvalRequest":{"id":"r","owner":{"userId":"u"},"status":{"state":"PENDING","updatedAt":"2026-11-24T08:00:00Z"}},"entries":[{"id":"e","timeInterval":{"start":"2026-11-16T09:00:00Z","end":null,"duration":null}}]}]`, "seconds", "missing"},
		{"seconds with a fraction", "clockify", "time_entry", request("Europe/Berlin", "2026-11-16T09:00:00Z", "2026-11-16T10:00:00Z", "PT1.5S", ""), "seconds", "whole number of seconds"},
		{"a duration in another unit", "clockify", "time_entry", request("Europe/Berlin", "2026-11-16T09:00:00Z", "2026-11-16T10:00:00Z", "8000", ""), "seconds", "ISO 8601"},
		{"a third of an hour", "redmine", "time_entry", tracked("0.3333", ""), "seconds", "whole number of seconds"},
		{"a number that is none", "redmine", "time_entry", tracked("1e400", ""), "", ""},
		{"an approval that nobody explained", "redmine", "time_entry", tracked("1", `{"id":1,"value":"maybe"}`), "approval", "maybe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readOne(t, system(t, c.system), c.record, c.body)
			if err == nil {
				t.Fatal("it was read")
			}
			if !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says: %v", err)
			}
		})
	}
}

func TestWorkIsWritten(t *testing.T) {
	ref := func(recordType string) canonical.Ref {
		return canonical.Ref{Type: recordType, ID: "rec_bbbbbbbbbbbbbbbbbbbb"}
	}
	work := func(seconds exact.Seconds) map[string]any {
		return map[string]any{"employee": ref("employee"), "project": ref("project"), "task": ref("task"), "date": day("2026-03-29"), "seconds": seconds, "note": "Zählung ✅ مرحبا", "approval": "approved"}
	}
	ids := map[string]string{"employee": "EP1", "project": "PR1", "task": "PR1|01", "labour_category": "CONS-SR"}
	for _, c := range []struct {
		name, system, record string
		ids                  map[string]string
		fields, want         map[string]any
	}{
		{"a time entry of minutes", "acumatica", "time_entry", ids, work(90 * 60),
			map[string]any{"ProjectID": "PR1", "ProjectTaskID": "01", "Date": day("2026-03-29"), "TimeSpent": "01:30", "BillableTime": "01:30", "Billable": true, "Summary": "Zählung ✅ مرحبا",
				"Employee": "EP1", "EarningType": "RG", "ExternalRefNbr": "kaaaaaaaaaaaaaaa"}},
		{"what a day cannot hold is written as it is", "acumatica", "time_entry", ids, work(25 * 3600), map[string]any{"TimeSpent": "25:00"}},
		{"a transaction takes released work back", "acumatica", "billable_item", ids,
			map[string]any{"project": ref("project"), "task": ref("task"), "employee": ref("employee"), "labour_category": ref("labour_category"), "date": day("2026-03-29"), "seconds": exact.Seconds(-4500), "rate": money("165 EUR"), "billing": "unbilled"},
			map[string]any{"Module": "PM", "Description": "kaaaaaaaaaaaaaaa", "Details": []any{map[string]any{"Project": "PR1", "ProjectTask": "01", "AccountGroup": "LABOR", "Employee": "EP1", "InventoryID": "CONS-SR",
				"Date": day("2026-03-29"), "Qty": exact.MustDecimal("-1.25"), "BillableQty": exact.MustDecimal("-1.25"), "UOM": "HOUR", "UnitRate": exact.MustDecimal("165"), "Billable": true, "ExternalRefNbr": "kaaaaaaaaaaaaaaa"}}}},
		{"a transaction takes a released expense back, one piece at its amount", "acumatica", "billable_item", ids,
			map[string]any{"project": ref("project"), "task": ref("task"), "employee": ref("employee"), "date": day("2026-03-29"), "amount": money("-84.50 EUR"), "billing": "unbilled"},
			map[string]any{"Module": "PM", "Description": "kaaaaaaaaaaaaaaa", "Details": []any{map[string]any{"Project": "PR1", "ProjectTask": "01", "AccountGroup": "LABOR", "Employee": "EP1",
				"Date": day("2026-03-29"), "Qty": int64(-1), "BillableQty": int64(-1), "UOM": "EACH", "UnitRate": exact.MustDecimal("84.5"), "Billable": true, "ExternalRefNbr": "kaaaaaaaaaaaaaaa"}}}},
		{"a line of Tryton names the task, whose work is looked up", "tryton", "time_entry", nil, work(5401),
			map[string]any{"work": int64(7), "date": day("2026-03-29"), "duration": exact.Seconds(5401), "description": "Zählung ✅ مرحبا", "employee": int64(7), "uuid": "kaaaaaaaaaaaaaaa"}},
		{"hours of two decimals", "redmine", "time_entry", nil, work(4536), map[string]any{"hours": exact.MustDecimal("1.26"), "issue_id": int64(7), "spent_on": day("2026-03-29")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := system(t, c.system)
			got, err := s.Mappings[c.record].Write(at(s, c.ids), canonical.Record{Type: c.record, ID: "rec_aaaaaaaaaaaaaaaaaaaa", Fields: c.fields}, true)
			if err != nil {
				t.Fatal(err)
			}
			for field, want := range c.want {
				if !equal(t, got[field], want) {
					t.Errorf("%s is %v, want %v", field, got[field], want)
				}
			}
		})
	}
}

// equal compares as JSON, where 1.50 and 1.5 of the same number differ not.
func equal(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := exact.AppendJSON(nil, a)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(must(exact.AppendJSON(nil, b)))
}

func TestWorkThatDoesNotFitIsRefused(t *testing.T) {
	ref := func(recordType string) canonical.Ref {
		return canonical.Ref{Type: recordType, ID: "rec_bbbbbbbbbbbbbbbbbbbb"}
	}
	for _, c := range []struct {
		name, system, record string
		change               map[string]any
		field, says          string
	}{
		{"half a minute where minutes are kept", "acumatica", "time_entry", map[string]any{"seconds": exact.Seconds(90)}, "TimeSpent", "round it before"},
		{"a minute where hundredths of an hour are kept", "redmine", "time_entry", map[string]any{"seconds": exact.Seconds(60)}, "hours", "steps of PT36S"},
		{"no task where time lies on tasks", "tryton", "time_entry", map[string]any{"task": nil}, "task", "no task"},
		{"no project where time lies on projects", "acumatica", "time_entry", map[string]any{"project": nil}, "project", "no project"},
		{"an amount in a currency that a transaction cannot name", "acumatica", "billable_item", map[string]any{"amount": money("-84.50 USD"), "seconds": nil}, "amount", "not in the base currency"},
		{"a rate in a currency that a transaction cannot name", "acumatica", "billable_item", map[string]any{"rate": money("165 USD")}, "rate", "not in the base currency"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := system(t, c.system)
			fields := map[string]any{"employee": ref("employee"), "project": ref("project"), "task": ref("task"), "date": day("2026-03-29"), "seconds": exact.Seconds(3600)}
			maps.Copy(fields, c.change)
			ids := map[string]string{}
			if c.system == "acumatica" {
				ids["task"] = "PR1|01"
			}
			_, err := s.Mappings[c.record].Write(at(s, ids), canonical.Record{Type: c.record, ID: "rec_aaaaaaaaaaaaaaaaaaaa", Fields: fields}, true)
			if err == nil {
				t.Fatal("it was written")
			}
			named := err.Error()
			if e := hub.AsError(err); e != nil {
				named += " " + e.Field
			}
			if !strings.Contains(named, c.field) || !strings.Contains(named, c.says) {
				t.Errorf("it says: %v", err)
			}
		})
	}
}

// A line lies on a timesheet.work, which stands before its task: it is looked up first, for one line or
// for a hundred.
func TestALineOfTrytonFindsItsWork(t *testing.T) {
	s := system(t, "tryton")
	create := s.Connector.KindAs("time_entry").Create
	set := defaults(s)
	set["url"], set["database"] = "https://far.example", "books"
	fields := func(task int64) map[string]any {
		return map[string]any{"work": task, "employee": int64(1), "date": day("2026-03-29"), "duration": exact.Seconds(5400), "uuid": "k1"}
	}
	work := func(id, task string) map[string]any {
		return map[string]any{"id": id, "origin": "project.work," + task}
	}
	for _, c := range []struct {
		name   string
		op     *connector.Op
		vars   map[string]any
		lookup string
		sends  []string
		not    string
	}{
		{"one line", create, map[string]any{"fields": fields(12), "found": map[string]any{"works": []any{work("w12", "12")}}},
			`["origin","=","project.work,12"]`, []string{`"work":"w12"`, `{"__class__":"date","day":29,"month":3,"year":2026}`, `{"__class__":"timedelta","seconds":5400}`}, `"description"`},
		{"a task that takes no time", create, map[string]any{"fields": fields(12), "found": map[string]any{"works": []any{}}},
			`["origin","=","project.work,12"]`, []string{`"uuid":"k1"`}, `"work":`},
		{"several lines", create.Batch.Op, map[string]any{
			"items": create.Batch.Vars([]connector.BatchItem{{Marker: "k1", Fields: fields(12)}, {Marker: "k2", Fields: fields(13)}})["items"],
			"found": map[string]any{"works": []any{work("w13", "13"), work("w12", "12")}}},
			`["origin","in",["project.work,12","project.work,13"]]`, []string{`"work":"w12"},{`, `"work":"w13"}]`}, `"description"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.vars["settings"] = set
			look := must(s.Connector.Request(c.op.With[0].Op, c.vars))
			if !strings.Contains(string(look.Body), c.lookup) {
				t.Errorf("it looks for %s", look.Body)
			}
			send := string(must(s.Connector.Request(c.op, c.vars)).Body)
			for _, part := range c.sends {
				if !strings.Contains(send, part) {
					t.Errorf("it sends %s, which lacks %s", send, part)
				}
			}
			if strings.Contains(send, c.not) {
				t.Errorf("it sends %s", send)
			}
		})
	}
}

func TestWhatIsInvoicedInTrytonIsNotChanged(t *testing.T) {
	s := system(t, "tryton")
	kind := s.Connector.KindAs("time_entry")
	for _, op := range []*connector.Op{kind.Update, kind.Delete, kind.Delete.Batch.Op} {
		_, err := s.Connector.Read(op, map[string]any{"settings": defaults(s)}, 200, http.Header{}, []byte(`{"id":1,"error":["UserError",["You cannot modify an invoiced line.","",null]]}`), time.Now())
		if e := hub.AsError(err); e == nil || e.Kind != hub.Blocked {
			t.Errorf("%s: %v", op.Name, err)
		}
	}
	sent := []connector.BatchItem{{ID: "6"}, {ID: "7"}}
	vars := kind.Delete.Batch.Vars(sent)
	vars["settings"] = defaults(s)
	a := must(s.Connector.Read(kind.Delete.Batch.Op, vars, 200, http.Header{}, []byte(`{"id":1,"result":null}`), time.Now()))
	out := must(kind.Delete.Batch.Outcomes(kind, a, sent, vars["settings"]))
	if out[0].Err != nil || out[1].ID != "7" {
		t.Errorf("deleting two lines: %+v", out)
	}
}

// X6: ten thousand entries of people in forty zones over two years. What a person worked on a business
// day is the same to the second on both sides. (Through the whole product: internal/app.)
func TestSecondsOfEachDayAreEqualOnBothSides(t *testing.T) {
	from, to := system(t, "clockify"), system(t, "acumatica")
	logged, posted := map[string]int64{}, map[string]int64{}
	ids := map[string]string{"employee": "EP1", "project": "PR1", "task": "PR1|01"}
	for _, z := range must(farside.ZonedWork(10_000)) {
		x := map[string]any{"id": "e", "userId": z.Person, "zone": z.Zone, "state": "APPROVED", "project": map[string]any{"id": "p"}, "task": map[string]any{"id": "t"},
			"timeInterval": map[string]any{"start": z.Began.Format(time.RFC3339), "end": z.Began.Add(time.Duration(z.Minutes) * time.Minute).Format(time.RFC3339), "duration": exact.Seconds(z.Minutes * 60).ISO()}}
		r, err := from.Mappings["time_entry"].Read(at(from, nil), x)
		if err != nil {
			t.Fatal(err)
		}
		r.ID = "rec_aaaaaaaaaaaaaaaaaaaa"
		out, err := to.Mappings["time_entry"].Write(at(to, ids), r, true)
		if err != nil {
			t.Fatal(err)
		}
		logged[z.Person+" "+must(z.Day())] += z.Minutes * 60
		posted[z.Person+" "+out["Date"].(exact.Date).String()] += int64(must(exact.ParseClock(out["TimeSpent"].(string))))
	}
	if !maps.Equal(logged, posted) {
		t.Error("the seconds of a day differ")
	}
}
