package app_test

import (
	"strings"
	"testing"
)

// TestANameIsTheWholeName sets a deal's company: a part of a name is no name, and another company's deal it would be.
func TestANameIsTheWholeName(t *testing.T) {
	h := newHouse(t)
	h.arrive(0, 3)
	c := h.only("rule.amount_known", 1)
	_, text := h.api("GET", "/v1/customers/northwind/records?type=account&limit=1", "tl_viewer", "")
	_, rest, _ := strings.Cut(text, `"label":"`)
	name, _, _ := strings.Cut(rest, `"`)
	if len(name) < 4 {
		t.Fatalf("the companies are %s", text)
	}
	set := func(company string) (int, string) {
		status, _, text := h.act(`{"select": ` + all(c) + `, "action": {"how": "set", "fields": {"account": "` + company + `"}}, "preview": true}`)
		return status, text
	}
	for _, wrong := range []string{name[:len(name)-1], name[1:], "%", "_" + name[1:]} {
		if status, text := set(wrong); status < 400 {
			t.Errorf("%q is taken for %q: %s", wrong, name, text)
		}
	}
	for _, right := range []string{name, strings.ToUpper(name)} {
		if status, text := set(right); status != 200 || !strings.Contains(text, name) {
			t.Errorf("%q is answered %d %s", right, status, text)
		}
	}
}
