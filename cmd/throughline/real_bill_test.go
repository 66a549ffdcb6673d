package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const realHours = `
  hours:
    template: time-to-billing@1
    roles: {time: time, erp: erp}
    without: [erp/labour_category]        # Tryton prices a task, not a person's kind of work
    poll: 1s
    sweep: 2s
    from: 2026-01-01
    parameters: {default_rate: 95 EUR, round_to: 36, books_closed_until: 2026-02-28}
`

// bill is the deal's project in both systems, while hours go from one to the other.
type bill struct {
	*real
	s        *service
	project  any // in Redmine
	issue    any
	activity any
	entry    map[string]any
}

// TestRealSystemsBilling lets people log hours in Redmine on the project of a won deal, and asks Tryton what it
// holds of them, and what its own button makes of that.
func TestRealSystemsBilling(t *testing.T) {
	r := openReal(t)
	s := r.service()
	file := filepath.Join(s.dir, "customer.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, realHours...), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	defer func() { s.kill() }()
	s.run("apply", file)
	deal := r.win()
	r.until("the won deal is carried through", func() bool { return s.written(deal) > 0 })

	b := &bill{real: r, s: s, entry: map[string]any{}}
	b.find(deal)
	b.log("kick-off", "ana", "2026-03-02", 1.5, "approved")
	b.log("edited", "ana", "2026-03-03", 2.25, "approved")
	b.log("submitted", "ben", "2026-03-03", 7.5, "submitted")
	b.log("deleted", "ben", "2026-03-04", 3, "approved")
	b.log("closed", "ben", "2026-02-27", 4, "approved") // in a period that is closed
	b.holds("the approved ones", deal, 1.5, 2.25, 3)

	b.redmine("PUT", b.path("edited"), `{"time_entry": {"hours": 2.75}}`)
	b.redmine("DELETE", b.path("deleted"), "")
	b.holds("the edited one anew, the deleted one no more", deal, 1.5, 2.75)
	b.redmine("PUT", b.path("submitted"), `{"time_entry": {"custom_fields": [{"id": 1, "value": "approved"}]}}`)
	b.holds("what was approved late", deal, 1.5, 2.75, 7.5)

	s.kill()
	s.start()
	s.run("apply", file)
	b.log("last", "ana", "2026-03-05", 0.25, "approved") // once it is there, all before it was looked at again
	b.holds("the same, and what came since", deal, 1.5, 2.75, 7.5, 0.25)

	b.balances()
	b.invoiced(deal, "12.00 h = 1140.00")
	b.redmine("PUT", b.path("kick-off"), `{"time_entry": {"hours": 1}}`)
	var cause string
	r.until("a person is asked about what was invoiced", func() bool { cause = b.cause("posting.fixed"); return cause != "" })
	b.holds("an invoiced line stays", deal, 1.5, 2.75, 7.5, 0.25)
	s.run("resolve", "alder", cause, "--choose", "leave", "--yes")
	r.until("the person has answered", func() bool { return b.cause("posting.fixed") == "" })
	b.holds("and stays", deal, 1.5, 2.75, 7.5, 0.25)
	b.balances()
}

// balances reads both systems and ends with an error where one entry of the month is not explained.
func (b *bill) balances() {
	b.Helper()
	b.s.run("balance", "--customer", "alder", "--period", "2026-03")
}

// cause is the id of the cause with a code; "" where there is none.
func (b *bill) cause(code string) string {
	b.Helper()
	var causes []struct{ ID, Code string }
	if err := json.Unmarshal(b.s.run("exceptions", "alder", "--json"), &causes); err != nil {
		b.Fatal(err)
	}
	for _, c := range causes {
		if c.Code == code {
			return c.ID
		}
	}
	return ""
}

func (b *bill) redmine(method, path, body string) {
	b.Helper()
	req, err := http.NewRequest(method, b.env["REDMINE_URL"]+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Redmine-API-Key", b.env["REDMINE_KEY"])
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= 300 {
		b.Fatalf("%s %s answered %d", method, path, res.StatusCode)
	}
}

func (b *bill) path(entry string) string { return fmt.Sprintf("/time_entries/%v.json", b.entry[entry]) }

// find looks the deal's project and first issue up in Redmine.
func (b *bill) find(deal string) {
	b.Helper()
	key := "X-Redmine-API-Key: " + b.env["REDMINE_KEY"]
	for _, p := range b.call("GET", b.env["REDMINE_URL"]+"/projects.json?limit=100", key, "").(object)["projects"].([]any) {
		if p.(object)["name"] == deal {
			b.project = p.(object)["id"]
		}
	}
	issues := b.call("GET", fmt.Sprintf("%s/issues.json?status_id=*&project_id=%v", b.env["REDMINE_URL"], b.project), key, "").(object)["issues"]
	b.issue = b.first(issues).(object)["id"]
	b.activity = b.first(b.call("GET", b.env["REDMINE_URL"]+"/enumerations/time_entry_activities.json", key, "").(object)["time_entry_activities"]).(object)["id"]
}

// log is what a person does in Redmine, and who approves it.
func (b *bill) log(name, who, day string, hours float64, state string) {
	b.Helper()
	key := "X-Redmine-API-Key: " + b.env["REDMINE_KEY"]
	user := b.first(b.call("GET", b.env["REDMINE_URL"]+"/users.json?name="+who, key, "").(object)["users"]).(object)["id"]
	body, err := json.Marshal(object{"time_entry": object{"issue_id": b.issue, "user_id": user, "spent_on": day, "hours": hours, "activity_id": b.activity, "comments": name + " ✅ مرحبا",
		"custom_fields": []any{object{"id": 1, "value": state}}}})
	if err != nil {
		b.Fatal(err)
	}
	b.entry[name] = b.call("POST", b.env["REDMINE_URL"]+"/time_entries.json", key, string(body)).(object)["time_entry"].(object)["id"]
}

// lines are the hours on the deal's project in Tryton, asked directly.
func (b *bill) lines(deal string) map[float64]int {
	b.Helper()
	ctx := b.tryton("erp", "res.user.get_preferences", true, object{})
	out := map[float64]int{}
	tasks := b.tryton("erp", "project.work.search", []any{[]any{"parent.name", "=", deal}}, 0, nil, nil, ctx).([]any)
	for _, task := range tasks {
		origin := []any{"work.origin", "=", fmt.Sprintf("project.work,%v", task)}
		for _, l := range b.tryton("erp", "timesheet.line.search_read", []any{origin}, 0, nil, nil, []any{"duration"}, ctx).([]any) {
			out[l.(object)["duration"].(object)["seconds"].(float64)/3600]++
		}
	}
	return out
}

// holds waits until Tryton has these hours of the deal, and no others.
func (b *bill) holds(what, deal string, hours ...float64) {
	b.Helper()
	want := map[float64]int{}
	for _, h := range hours {
		want[h]++
	}
	defer func() {
		if b.Failed() {
			b.Logf("Tryton has %v, want %v\n%s\n%s\n%s", b.lines(deal), want, b.s.run("exceptions", "alder"), b.s.run("waiting", "alder", "--state", "later"), b.s.run("runs", "alder", "--flow", "hours"))
		}
	}()
	b.until(what, func() bool { return fmt.Sprint(b.lines(deal)) == fmt.Sprint(want) })
}

// invoiced presses the project's button, and looks at what is on the invoice.
func (b *bill) invoiced(deal, want string) {
	b.Helper()
	ctx := b.tryton("erp", "res.user.get_preferences", true, object{})
	project := b.first(b.tryton("erp", "project.work.search", []any{[]any{"name", "=", deal}, []any{"type", "=", "project"}}, 0, 1, nil, ctx))
	b.tryton("erp", "project.work.invoice", []any{project}, ctx)
	tasks := b.tryton("erp", "project.work.search", []any{[]any{"parent", "=", project}}, 0, nil, nil, ctx)
	var got []string
	for _, l := range b.tryton("erp", "timesheet.line.search_read", []any{[]any{"work.origin.id", "in", tasks, "project.work"}, []any{"invoice_line", "!=", nil}}, 0, nil, nil,
		[]any{"invoice_line"}, ctx).([]any) {
		line := b.first(b.tryton("erp", "account.invoice.line.read", []any{l.(object)["invoice_line"]}, []any{"quantity", "amount"}, ctx)).(object)
		text := fmt.Sprintf("%.2f h = %v", line["quantity"], line["amount"].(object)["decimal"])
		if len(got) == 0 || got[len(got)-1] != text {
			got = append(got, text)
		}
	}
	if strings.Join(got, "; ") != want {
		b.Errorf("the invoice says %q, want %q", strings.Join(got, "; "), want)
	}
}
