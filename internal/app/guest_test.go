package app_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throughline/internal/hub"
)

// TestACustomersOwnAdminReadsNoSecrets lets an admin of one customer's apply its file: flows it may change, but what a
// connection keeps secret is read from the partner's machine, where other customers' secrets are too.
func TestACustomersOwnAdminReadsNoSecrets(t *testing.T) {
	h := newHouse(t)
	if err := h.App.Keys.Add(context.Background(), "tl_own", "own", "admin", "northwind"); err != nil {
		t.Fatal(err)
	}
	good := h.file()
	if status, text := h.api("POST", "/v1/apply", "tl_own", strings.Replace(good, "most: 500 EUR", "most: 400 EUR", 1)); status != 200 || !strings.Contains(text, `"change"`) {
		t.Errorf("its own flow: %d %s", status, text)
	}
	if err := os.WriteFile(filepath.Join(h.App.Data, "no.json"), []byte("no object"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := h.sealed("crm")
	var answers []string
	for name, file := range map[string]string{
		"another customer's secret": strings.Replace(good, "northwind-crm.json", "meridian-crm.json", 1),
		"a file that is not there":  strings.Replace(good, "northwind-crm.json", "nothing.json", 1),
		"a file that is no secret":  strings.Replace(good, "northwind-crm.json", "no.json", 1),
		"a variable":                strings.Replace(good, "file:"+h.App.Data+"/northwind-crm.json", "env:PATH", 1),
		"its own secret, elsewhere": strings.Replace(good, h.CRM.URL, "https://elsewhere.example", 1),
	} {
		status, text := h.api("POST", "/v1/apply", "tl_own", file)
		if status != 422 || !strings.Contains(text, "connections.crm") || !strings.Contains(text, "partner") {
			t.Errorf("%s: %d %s", name, status, text)
		}
		answers = append(answers, text)
	}
	for _, text := range answers[1:] {
		if text != answers[0] {
			t.Errorf("the answers tell what the machine has:\n%s%s", answers[0], text)
		}
	}
	if h.sealed("crm") != before {
		t.Error("the connection was changed")
	}
	if status, text := h.api("POST", "/v1/apply", "tl_admin", strings.Replace(good, h.CRM.URL, "https://elsewhere.example", 1)); status != 200 {
		t.Errorf("the partner may: %d %s", status, text)
	}
}

// sealed is how a connection of northwind's stands.
func (h *house) sealed(id string) string {
	h.Helper()
	c, err := h.App.Store.Tenant("northwind").Connection(context.Background(), hub.ConnectionID(id))
	if err != nil {
		h.Fatal(err)
	}
	return c.Settings + string(c.Secret)
}
