package app_test

import (
	"strings"
	"testing"
)

// TestAnotherAccountIsAnotherConnection: what was written is known by the ERP's own numbers. Under the same name another
// ERP would be sent them, where they mean other records.
func TestAnotherAccountIsAnotherConnection(t *testing.T) {
	h := newHouse(t)
	h.arrive(0)
	good := h.file()
	other := strings.Replace(good, "tenant: Northwind", "tenant: Production", 1)
	for _, query := range []string{"", "?dry_run=true"} {
		if status, text := h.api("POST", "/v1/apply"+query, "tl_admin", other); status != 422 || !has(text, "connections.erp", "tenant", "name of its own") {
			t.Errorf("another account is answered %d %s", status, text)
		}
	}
	for name, file := range map[string]string{
		"what does not say whose it is": strings.Replace(good, "calls: 6000 per minute", "calls: 600 per minute", 1),
		"a connection of its own":       strings.Replace(strings.Replace(good, "  erp:  {", "  erp2: {", 1), "tenant: Northwind", "tenant: Production", 1),
	} {
		if status, text := h.api("POST", "/v1/apply?dry_run=true", "tl_admin", file); status != 200 {
			t.Errorf("%s is answered %d %s", name, status, text)
		}
	}
	if status, text := h.api("POST", "/v1/apply?dry_run=true&moved=true", "tl_admin", other); status != 200 || !strings.Contains(text, `{"what":"connection erp","does":"change"}`) {
		t.Errorf("the same account that has moved is answered %d %s", status, text)
	}
	for _, file := range []string{good, other} {
		fresh := strings.Replace(file, "customer: northwind", "customer: fresh", 1)
		if status, text := h.api("POST", "/v1/apply", "tl_admin", fresh); status != 200 {
			t.Errorf("where nothing is known yet: %d %s", status, text)
		}
	}
}
