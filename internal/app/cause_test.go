package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// cause is one line of what is told about what holds up records.
type cause struct {
	ID, Flow, Class, Code, Field, Value, Message, Hint string
	Waits                                              bool
	Count, Seconds                                     int64
	Amounts                                            []string
}

// resolved is what an action is told to do.
type resolved struct {
	Does    []string
	Count   int64
	Done    int
	Amounts []string
}

func (h *house) causes() []cause {
	h.Helper()
	var list struct{ Items []cause }
	status, text := h.api("GET", "/v1/customers/northwind/exceptions/causes", "tl_viewer", "")
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 {
		h.Fatalf("answered %d %s, %v", status, text, err)
	}
	return list.Items
}

func (h *house) act(body string) (status int, r resolved, text string) {
	h.Helper()
	status, text = h.api("POST", "/v1/customers/northwind/exceptions/resolve", "tl_admin", body)
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		h.Fatal(err)
	}
	return status, r, text
}

// does looks first what an action would do, then does it, and then once more, which does nothing.
func (h *house) does(whom, action string, count int64, says ...string) {
	h.Helper()
	body := func(preview bool) string {
		return fmt.Sprintf(`{"select": %s, "action": %s, "preview": %v}`, whom, action, preview)
	}
	before := h.causes()
	status, r, text := h.act(body(true))
	if status != 200 || r.Count != count || r.Done != 0 || !has(strings.Join(r.Does, " "), says...) {
		h.Errorf("the preview is %d %s, want %d with %q", status, text, count, says)
	}
	if after := h.causes(); fmt.Sprint(after) != fmt.Sprint(before) {
		h.Errorf("a preview has changed %+v to %+v", before, after)
	}
	if status, r, text := h.act(body(false)); status != 200 || int64(r.Done) != count {
		h.Errorf("done is %d %s, want %d", status, text, count)
	}
}

func all(c cause) string { return fmt.Sprintf(`{"causes": [%q]}`, c.ID) }

// only is the one cause that there is.
func (h *house) only(code string, count int64) cause {
	h.Helper()
	list := h.causes()
	if len(list) != 1 || list[0].Code != code || list[0].Count != count {
		h.Fatalf("the causes are %+v, want %d of %s", list, count, code)
	}
	return list[0]
}

// arrive lets deals come and waits until each has its outcome.
func (h *house) arrive(list ...int) {
	h.Helper()
	for _, n := range list {
		if err := h.Arrive(n); err != nil {
			h.Fatal(err)
		}
	}
	h.settle()
}

// ended waits until so many runs have had an outcome, letting the product's clock go on.
func (h *house) ended(outcome string, n int) {
	h.Helper()
	h.until(fmt.Sprintf("%d runs are %s", n, outcome), func() bool {
		h.ahead.Add(int64(100 * time.Millisecond))
		_, text := h.api("GET", "/v1/customers/northwind/runs?flow=deals&state="+outcome, "tl_viewer", "")
		return strings.Count(text, `"outcome"`) == n
	})
}

// TestAValueIsMappedForAll: two deals name a package that nobody has mapped. One line is added, both run.
func TestAValueIsMappedForAll(t *testing.T) {
	h := newHouse(t)
	h.arrive(6, 45)
	c := h.only("package.unknown", 2)
	if c.Value != "managed_support" || c.Hint == "" || c.Flow != "deals" {
		t.Errorf("the cause is %+v", c)
	}
	status, text := h.api("GET", "/v1/customers/northwind/exceptions/causes/"+c.ID+"?limit=1", "tl_viewer", "")
	var page struct {
		Items []struct{ ID, Cause string }
		After string
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || status != 200 || len(page.Items) != 1 || page.Items[0].Cause != c.ID || page.After != page.Items[0].ID {
		t.Errorf("a page of the members is %d %s, %v", status, text, err)
	}
	h.does(all(c), `{"how": "map", "to": "ADV-40"}`, 2, `The flow deals gets a new revision, 2: in its values service_package, "managed_support" is "ADV-40".`, "2 records run again.")
	h.ended("written", 2)
	status, r, text := h.act(`{"select": ` + all(c) + `, "action": {"how": "map", "to": "ERP-STD"}}`)
	if status != 200 || r.Count != 0 || r.Done != 0 {
		t.Errorf("a second time it answers %d %s", status, text)
	}
	if _, text := h.api("GET", "/v1/customers/northwind/flows", "tl_viewer", ""); !has(text, `"revision":2`, `"managed_support":"ADV-40"`, `"erp_plus":"ERP-PLUS"`) {
		t.Errorf("the flows are %s", text)
	}
}

// TestTwoPeopleAnswerOneQuestion: both name the exception that they see. Who comes second is told that nothing is left to
// do, and what he says changes nothing for those who come later.
func TestTwoPeopleAnswerOneQuestion(t *testing.T) {
	h := newHouse(t)
	h.arrive(6)
	c := h.only("package.unknown", 1)
	var page struct{ Items []struct{ ID string } }
	if _, text := h.api("GET", "/v1/customers/northwind/exceptions/causes/"+c.ID, "tl_viewer", ""); json.Unmarshal([]byte(text), &page) != nil || len(page.Items) != 1 {
		t.Fatalf("the members are %s", text)
	}
	named := fmt.Sprintf(`{"exceptions": [%q]}`, page.Items[0].ID)
	h.does(named, `{"how": "map", "to": "ADV-40"}`, 1, `"managed_support" is "ADV-40"`, "One record runs again.")
	h.ended("written", 1)
	for _, action := range []string{`{"how": "map", "to": "ERP-STD"}`, `{"how": "retry"}`, `{"how": "ignore", "reason": "late"}`} {
		h.does(named, action, 0)
	}
	if _, text := h.api("GET", "/v1/customers/northwind/flows", "tl_viewer", ""); !has(text, `"managed_support":"ADV-40"`) {
		t.Errorf("the flows are %s", text)
	}
	for _, how := range []string{"approve", "retry"} {
		if status, text := h.api("POST", "/v1/customers/northwind/exceptions/"+page.Items[0].ID+"/"+how, "tl_admin", `{}`); status != 200 {
			t.Errorf("%s a second time is answered %d %s", how, status, text)
		}
	}
}

// TestAFieldIsSet: the amount that a deal lacks is set here. What came stays, the write says who changed
// what, and when the edit has ended the deal lacks its amount again.
func TestAFieldIsSet(t *testing.T) {
	h := newHouse(t)
	h.arrive(3)
	c := h.only("rule.amount_known", 1)
	for field, code := range map[string]string{`"worth": "1 EUR"`: "edit.field", `"amount": "much"`: "edit.value", `"stage": "sold"`: "edit.value"} {
		if status, _, text := h.act(`{"select": ` + all(c) + `, "action": {"how": "set", "fields": {` + field + `}}}`); status != 422 || !strings.Contains(text, code) {
			t.Errorf("%s: answered %d %s, want %s", field, status, text, code)
		}
	}
	h.does(all(c), `{"how": "set", "fields": {"amount": "6800 EUR"}, "reason": "by phone"}`, 1, "One record runs again with this change: amount is 6800 EUR.")
	h.ended("written", 1)
	var found struct{ Items []struct{ ID, Label string } }
	if _, text := h.api("GET", "/v1/customers/northwind/records?type=project&text=falcon", "tl_viewer", ""); json.Unmarshal([]byte(text), &found) != nil || len(found.Items) != 1 {
		t.Fatalf("the projects are %s", text)
	}
	if _, text := h.api("GET", "/v1/customers/northwind/records/"+found.Items[0].ID+"/writes", "tl_viewer", ""); !has(text, `"6800.00"`, `"who":"admin"`, `"reason":"by phone"`) {
		t.Errorf("explained is %s", text)
	}
	var edits struct{ Items []struct{ Record string } }
	_, text := h.api("GET", "/v1/customers/northwind/flows/deals/edits", "tl_viewer", "")
	if json.Unmarshal([]byte(text), &edits) != nil || len(edits.Items) != 1 {
		t.Fatalf("the edits are %s", text)
	}
	if status, text := h.api("POST", "/v1/customers/northwind/flows/deals/edits/end", "tl_admin", `{"record": "`+edits.Items[0].Record+`"}`); status != 200 {
		t.Fatalf("answered %d %s", status, text)
	}
	h.ended("parked", 2)
	h.only("rule.amount_known", 1)
	if status, text := h.api("POST", "/v1/customers/northwind/flows/deals/edits/end", "tl_admin", `{"record": "crm/deal/none"}`); status != 404 || !strings.Contains(text, "edit.unknown") {
		t.Errorf("answered %d %s", status, text)
	}
}

// TestIgnoredAndOpenedAgain: what is ignored is told no more; opened again it is, and a corrected source
// mends it without anybody.
func TestIgnoredAndOpenedAgain(t *testing.T) {
	h := newHouse(t)
	h.arrive(3)
	c := h.only("rule.amount_known", 1)
	h.does(all(c), `{"how": "ignore", "reason": "a gift"}`, 1, "One record stays as it is.")
	if list := h.causes(); len(list) != 0 {
		t.Errorf("told are %+v", list)
	}
	h.does(all(c), `{"how": "reopen"}`, 1, "One record is opened again.")
	h.only("rule.amount_known", 1)
	deals, err := h.CRM.Rows("northwind", "deal")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deals {
		if d.Fields["dealname"] == "Falcon audit, amount to follow" {
			if err := h.CRM.Update("northwind", "deal", d.ID, map[string]any{"amount": "500.00"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.ended("written", 1)
	if list := h.causes(); len(list) != 0 {
		t.Errorf("told are %+v", list)
	}
}

// TestActionsThatAreRefused change nothing and say why.
func TestActionsThatAreRefused(t *testing.T) {
	h := newHouse(t)
	h.arrive(3)
	c := h.only("rule.amount_known", 1)
	mine := all(c)
	for _, r := range []struct {
		name, whom, action string
		status             int
		code               string
	}{
		{"nobody is chosen", `{}`, `{"how": "retry"}`, 422, "select.empty"},
		{"a cause that is not there", `{"causes": ["cause_nothing"]}`, `{"how": "retry"}`, 404, "cause.unknown"},
		{"an exception that is not there", `{"exceptions": ["exc_nothing"]}`, `{"how": "retry"}`, 404, "exception.unknown"},
		{"no action", mine, `{"how": "forget"}`, 422, "request.invalid"},
		{"no reason to ignore", mine, `{"how": "ignore"}`, 422, "exception.reason_missing"},
		{"a day that is over", mine, `{"how": "ignore", "reason": "r", "until": "2020-01-01"}`, 422, "exception.until"},
		{"a day for what is not ignored", mine, `{"how": "retry", "until": "2099-01-01"}`, 422, "exception.until"},
		{"map to nothing", mine, `{"how": "map"}`, 422, "exception.to_missing"},
		{"set nothing", mine, `{"how": "set"}`, 422, "exception.fields_missing"},
		{"map what is no value", mine, `{"how": "map", "to": "x"}`, 422, "exception.not_for"},
		{"link what is clear", mine, `{"how": "link", "to": "x"}`, 422, "exception.not_for"},
		{"approve what was not asked", mine, `{"how": "approve"}`, 422, "exception.not_for"},
		{"choose where there is no choice", mine, `{"how": "credit"}`, 422, "exception.not_for"},
	} {
		t.Run(r.name, func(t *testing.T) {
			status, _, text := h.act(`{"select": ` + r.whom + `, "action": ` + r.action + `}`)
			if status != r.status || !strings.Contains(text, r.code) {
				t.Errorf("answered %d %s, want %d %s", status, text, r.status, r.code)
			}
		})
	}
	if status, _ := h.api("POST", "/v1/customers/northwind/exceptions/resolve", "tl_viewer", `{"select": `+mine+`, "action": {"how": "retry"}}`); status != 403 {
		t.Errorf("a viewer is answered %d", status)
	}
	_, text := h.api("GET", "/v1/customers/northwind/exceptions?state=open&flow=deals", "tl_viewer", "")
	var list struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Items) != 1 {
		t.Fatal(text, err)
	}
	if status, text := h.api("POST", "/v1/customers/northwind/exceptions/"+list.Items[0].ID+"/approve", "tl_admin", `{}`); status != 422 || !strings.Contains(text, "exception.not_for") {
		t.Errorf("one by one, approving what was not asked is answered %d %s", status, text)
	}
	h.only("rule.amount_known", 1)
}

// TestAPollIsNotIgnored: a flow whose poll is parked looks for nothing, and with its exception ignored nobody would hear
// of that any more.
func TestAPollIsNotIgnored(t *testing.T) {
	h := newHouse(t)
	h.applySecret("time", `{"key": "wrong"}`)
	var list struct {
		Items []struct{ ID, Record, Cause string }
	}
	h.until("the polls are parked", func() bool {
		h.ahead.Add(int64(100 * time.Millisecond))
		_, text := h.api("GET", "/v1/customers/northwind/exceptions?state=open&flow=hours", "tl_admin", "")
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list.Items, func(e struct{ ID, Record, Cause string }) bool { return e.Record == "poll" })
	})
	for _, e := range list.Items {
		for whom, id := range map[string]string{"causes": e.Cause, "exceptions": e.ID} {
			ignore := fmt.Sprintf(`{"select": {%q: [%q]}, "action": {"how": "ignore", "reason": "noise"}}`, whom, id)
			if status, _, text := h.act(ignore); status != 422 || !has(text, "exception.ticks", "pause the flow") {
				t.Errorf("ignoring %s by its %s is answered %d %s", e.Record, whom, status, text)
			}
		}
		if status, text := h.api("POST", "/v1/customers/northwind/exceptions/"+e.ID+"/ignore", "tl_admin", `{"reason":"noise"}`); status != 422 || !has(text, "exception.ticks") {
			t.Errorf("ignoring %s is answered %d %s", e.Record, status, text)
		}
		if status, r, text := h.act(fmt.Sprintf(`{"select": {"exceptions": [%q]}, "action": {"how": "ignore", "reason": "till they are back", "until": "2099-12-31"}}`, e.ID)); status != 200 || r.Done != 1 {
			t.Errorf("ignored until a day, it is answered %d %s", status, text)
		}
	}
}
