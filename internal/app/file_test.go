package app_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	files "throughline/demo"
)

// file is northwind's customer file as it was applied.
func (h *house) file() string {
	h.Helper()
	file, err := files.Files.ReadFile("customers/northwind.yaml")
	if err != nil {
		h.Fatal(err)
	}
	return os.Expand(string(file), func(name string) string {
		return map[string]string{"CRM_URL": h.CRM.URL, "ERP_URL": h.ERP.URL, "TIME_URL": h.Time.URL, "DATA": h.App.Data}[name]
	})
}

// TestWordsThatNobodyWouldObey changes one word of a customer file so that it would be obeyed by nobody, or be taken for
// another: each is refused with where and what to do, and nothing of it is kept.
func TestWordsThatNobodyWouldObey(t *testing.T) {
	h := newHouse(t)
	good := h.file()
	for _, c := range []struct {
		name, from, to string
		says           []string
	}{
		{"a setting that the connector does not have", "currency: EUR, zone:", "currency: EUR, zoen:", []string{"n.yaml:7:", "zoen", "zone"}},
		{"another one", "expense_totals: cents", "expense_total: cents", []string{"n.yaml:9:", "expense_total", "expense_totals"}},
		{"a parameter that the template does not have", "books_closed_until: 2026-10-31, most", "books_closed_untill: 2026-10-31, most", []string{"n.yaml:", "books_closed_untill", "books_closed_until"}},
		{"money without its currency", "most: 500 EUR", "most: 500", []string{"n.yaml:", "parameters.most", "500 EUR"}},
		{"a date that is none", "books_closed_until: 2026-10-31, most", "books_closed_until: 20261031, most", []string{"n.yaml:", "books_closed_until"}},
		{"a role that the template does not have", "roles: {crm: crm, erp: erp, time: time}", "roles: {crm: crm, erp: erp, tiem: time}", []string{"n.yaml:", "tiem"}},
		{"values of a list that nothing reads", "labour_category: {Senior", "labour_categories: {Senior", []string{"n.yaml:", "labour_categories", "labour_category"}},
		{"hours that are none", "hours: 240}", "hours: forty}", []string{"n.yaml:", "hours"}},
		{"a package with a word that it does not have", "{code: TRAIN, name: Go-live, percent: 20, after_days: 120}", "{code: TRAIN, name: Go-live, percnt: 20, after_days: 120}", []string{"n.yaml:", "percnt"}},
		{"a connection's name with a slash, at which records' keys are cut", "  time: {connector", "  time/2: {connector", []string{"n.yaml:9:", "connections.time/2", "Letters"}},
		{"a flow's name that no address can hold", "  hours:\n", "  \"..\":\n", []string{"n.yaml:", "flows...", "Letters"}},
		{"an extension where the template has none", "    template: time-to-billing@1\n", "    template: time-to-billing@1\n    extend: {nothing: {note: a}}\n", []string{"n.yaml:", "nothing"}},
		{"a zone of the machine", "zone: Europe/Amsterdam\n", "zone: Local\n", []string{"n.yaml:", "Local"}},
		{"a zone that is not there", "zone: Europe/Amsterdam\n", "zone: Europe/Amsterdm\n", []string{"n.yaml:", "Europe/Amsterdm", "Europe/Amsterdam"}},
		{"an expression where an answer is wanted", "most: 500 EUR", "most: =500", []string{"n.yaml:", "parameters.most"}},
		{"a rate without its currency", "rate: 165 EUR", "rate: 165", []string{"n.yaml:", "165"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.from, c.to, 1)
			if bad == good {
				t.Fatal("nothing was changed")
			}
			status, text := h.api("POST", "/v1/apply?name=n.yaml", "tl_admin", bad)
			if status != 422 || !has(unescape(t, text), c.says...) {
				t.Errorf("answered %d\n%s\nwant all of %q", status, text, c.says)
			}
		})
	}
	renamed := strings.Replace(good, "name: Northwind Consulting", "name: Northwind", 1)
	for _, want := range []string{`{"what":"customer northwind","does":"change"}`, `{"what":"customer northwind","does":"unchanged"}`} {
		if status, text := h.api("POST", "/v1/apply", "tl_admin", renamed); status != 200 || !strings.Contains(text, want) {
			t.Errorf("another name of the customer's is answered %d %s, want %s", status, text, want)
		}
	}
	if status, text := h.api("POST", "/v1/apply", "tl_admin", "customer: bare\nname: Bare\nconnections: {}\nflows: {}\n"); status != 200 || !strings.Contains(text, `{"what":"customer bare","does":"add"}`) {
		t.Errorf("a customer without anything is answered %d %s", status, text)
	}
	if status, text := h.api("GET", "/v1/customers/bare/flows", "tl_admin", ""); status != 200 {
		t.Errorf("it is not there: %d %s", status, text)
	}
	if status, text := h.api("POST", "/v1/apply", "tl_admin", good); status != 200 {
		t.Errorf("answered %d %s", status, text)
	}
	if status, text := h.api("POST", "/v1/apply?name=n.yaml&dry_run=true", "tl_admin", good); status != 200 || strings.Contains(text, `"change"`) {
		t.Errorf("something of them was kept: %d %s", status, text)
	}
}

// TestManyApplyOneCustomer at the same moment: each of them is done, or told that another one came first.
func TestManyApplyOneCustomer(t *testing.T) {
	h := newHouse(t)
	good, answers := h.file(), make([]int, 8)
	var people sync.WaitGroup
	for n := range answers {
		people.Go(func() {
			var text string
			answers[n], text = h.api("POST", "/v1/apply", "tl_admin", strings.Replace(good, "most: 500 EUR", fmt.Sprintf("most: %d EUR", 600+n), 1))
			if answers[n] != 200 && (answers[n] != 412 || !strings.Contains(text, "customer.changed")) {
				t.Errorf("answered %d %s", answers[n], text)
			}
		})
	}
	people.Wait()
	if !slices.Contains(answers, 200) {
		t.Errorf("the answers are %v", answers)
	}
}
