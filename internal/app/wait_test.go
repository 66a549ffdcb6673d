package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	files "throughline/demo"
)

const (
	worker    = "5a0ab5acb07987125438b611"
	warehouse = "64c777ddd3fcab07cfbb2201" // PR000090 in the ERP, which nobody has told us
)

// billsHours lets northwind bill hours for which nothing is agreed.
func (h *house) billsHours() {
	h.Helper()
	file, err := files.Files.ReadFile("customers/northwind.yaml")
	if err != nil {
		h.Fatal(err)
	}
	text := os.Expand(string(file), func(name string) string {
		return map[string]string{"CRM_URL": h.CRM.URL, "ERP_URL": h.ERP.URL, "TIME_URL": h.Time.URL, "DATA": h.App.Data}[name]
	})
	const before = "parameters: {books_closed_until: 2026-10-31, billed_in: EUR, default_category: Senior consultant}"
	if strings.Count(text, before) != 1 {
		h.Fatalf("the customer's file has changed: %s", text)
	}
	text = strings.Replace(text, before, "parameters: {default_rate: 120 EUR, default_category: CONS-SR}", 1)
	if status, answer := h.api("POST", "/v1/apply", "tl_admin", text); status != 200 {
		h.Fatalf("answered %d %s", status, answer)
	}
}

// tracked asks the time tracker for something and reads the id of what it made.
func (h *house) tracked(method, path, body string) string {
	h.Helper()
	req, err := http.NewRequest(method, h.Time.URL+"/api/v1/workspaces/64a687e29ae1f428e7ebe303"+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header = http.Header{"X-Api-Key": {"demo-clockify-key"}, "Content-Type": {"application/json"}}
	status, _, text := h.do(req)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || status >= 300 {
		h.Fatalf("%s %s answered %d %s", method, path, status, text)
	}
	return made.ID
}

// approved logs hours of a week, from nine until each of the ends, and has them approved.
func (h *house) approved(project, task, day string, ends ...string) {
	h.Helper()
	for _, end := range ends {
		body := map[string]any{"start": day + "T09:00:00Z", "end": day + "T" + end + ":00Z", "projectId": project, "billable": true, "description": "Stock count"}
		if task != "" {
			body["taskId"] = task
		}
		data, err := json.Marshal(body)
		if err != nil {
			h.Fatal(err)
		}
		h.tracked("POST", "/user/"+worker+"/time-entries", string(data))
	}
	id := h.tracked("POST", "/approval-requests/users/"+worker, `{"period": "WEEKLY", "periodStart": "`+day+`T00:00:00Z"}`)
	h.tracked("PATCH", "/approval-requests/"+id, `{"state": "APPROVED"}`)
}

// desk is the id of the project's task in the time tracker.
func (h *house) desk() string {
	h.Helper()
	rows, err := h.Time.Rows("northwind", "task")
	if err != nil {
		h.Fatal(err)
	}
	for _, row := range rows {
		if row.Fields["name"] == "Support desk" {
			return row.ID
		}
	}
	h.Fatal("there is no such task")
	return ""
}

// waits is the cause that hours wait, once so many do.
func (h *house) waits(what string, count int64) (found cause) {
	h.Helper()
	h.until("hours wait for their "+what, func() bool {
		h.ahead.Add(int64(5 * time.Second))
		for _, c := range h.causes() {
			if found = c; c.Waits && c.Count == count && strings.HasPrefix(c.Value, what) {
				return true
			}
		}
		return false
	})
	return found
}

func (h *house) booked(n int) {
	h.Helper()
	defer func() {
		if h.Failed() {
			h.Logf("held up: %+v", h.causes())
		}
	}()
	h.until("the hours are in the ERP", func() bool {
		h.ahead.Add(int64(100 * time.Millisecond))
		rows, err := h.ERP.Rows("northwind", "time_entry")
		if err != nil {
			h.Fatal(err)
		}
		return len(rows) == n
	})
}

// TestHoursThatWaitForAProject: entries of a project that nobody has linked wait, as one cause. Linked to
// the one that the ERP has, they go on; those of a project that it will never have are moved to that one.
func TestHoursThatWaitForAProject(t *testing.T) {
	h := newHouse(t)
	h.billsHours()
	desk := h.desk()
	h.approved(warehouse, desk, "2026-11-16", "10:30", "12:00")
	c := h.waits("project", 2)
	if c.Seconds != 16200 || c.Code != "reference.awaited" || !strings.HasPrefix(c.Message, "2 records wait for project ") || !strings.HasSuffix(c.Message, " in erp.") {
		t.Errorf("the cause is %+v", c)
	}
	for _, r := range []struct {
		action string
		status int
		code   string
	}{
		{`{"how": "link", "to": "PR999999"}`, 404, "link.nothing_there"},
		{`{"how": "map", "to": "PR000090"}`, 422, "exception.not_for"},
		{`{"how": "reopen"}`, 404, "cause.unknown"},
		{`{"how": "set", "fields": {"project": "nowhere"}}`, 404, "link.nothing_there"},
	} {
		if status, _, text := h.act(`{"select": ` + all(c) + `, "action": ` + r.action + `}`); status != r.status || !strings.Contains(text, r.code) {
			t.Errorf("%s: answered %d %s, want %d %s", r.action, status, text, r.status, r.code)
		}
	}
	h.does(all(c), `{"how": "link", "to": "PR000090"}`, 2, " is erp/project/PR000090.", "2 records go on.")
	h.does(all(h.waits("task", 2)), `{"how": "link", "to": "PR000090|01"}`, 2, "2 records go on.")
	h.booked(2)

	other := h.tracked("POST", "/projects", `{"name": "Talks that came to nothing"}`)
	h.approved(other, "", "2026-11-09", "10:00")
	c = h.waits("project", 1)
	h.does(all(c), `{"how": "set", "fields": {"project": "`+warehouse+`", "task": "`+desk+`"}, "reason": "sold together"}`, 1, "One record runs again with this change: project is time/project/"+warehouse+", task is time/task/"+desk+".")
	h.booked(3)
	rows, err := h.ERP.Rows("northwind", "time_entry")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Fields["ProjectID"] != "PR000090" {
			t.Errorf("booked on %v", row.Fields["ProjectID"])
		}
	}
	if list := h.causes(); len(list) != 0 {
		t.Errorf("told are %+v", list)
	}
}

// TestTwoEmployeesOfOneAddress: the ERP has two people whom the address could mean. A person says which, and the hours
// are theirs.
func TestTwoEmployeesOfOneAddress(t *testing.T) {
	h := newHouse(t)
	h.billsHours()
	const mail = "chloe.martin@northwind.example"
	if _, err := h.ERP.Insert("northwind", "employee", map[string]any{"EmployeeID": "EP00000033", "EmployeeName": "Chloé Martin-Roy",
		"ContactInfo": map[string]any{"FirstName": "Chloé", "LastName": "Martin-Roy", "Email": mail}, "EmployeeSettings": map[string]any{"LaborItem": "CONS-SR"}}); err != nil {
		t.Fatal(err)
	}
	h.approved(warehouse, h.desk(), "2026-11-16", "10:30")
	var twins cause
	h.until("a person is asked who it is", func() bool {
		h.ahead.Add(int64(5 * time.Second))
		for _, c := range h.causes() {
			if twins = c; c.Code == "match.ambiguous" {
				return true
			}
		}
		return false
	})
	if twins.Field != "email" || twins.Value != mail || !strings.Contains(twins.Message, "EP00000003, EP00000033") {
		t.Errorf("the question is %+v", twins)
	}
	h.does(all(twins), `{"how": "link", "to": "EP00000033"}`, 1, " is erp/employee/EP00000033.", "One record goes on.")
	h.does(all(h.waits("project", 1)), `{"how": "link", "to": "PR000090"}`, 1, "One record goes on.")
	h.does(all(h.waits("task", 1)), `{"how": "link", "to": "PR000090|01"}`, 1, "One record goes on.")
	h.booked(1)
	rows, err := h.ERP.Rows("northwind", "time_entry")
	if err != nil || rows[0].Fields["Employee"] != "EP00000033" {
		t.Errorf("the hours are %+v, %v; want those of the one who was chosen", rows, err)
	}
}
