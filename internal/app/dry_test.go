package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestADryRunChangesNothing asks what another secret would change, and lets a delivery come in the same moment: it is
// held against the secret that was applied.
func TestADryRunChangesNothing(t *testing.T) {
	h := newHouse(t)
	if err := os.WriteFile(filepath.Join(h.App.Data, "other.json"), []byte(`{"token": "other", "client_secret": "other"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(h.file(), "northwind-crm.json", "other.json", 1)
	if status, text := h.api("POST", "/v1/apply?dry_run=true", "tl_admin", other); status != 200 || !strings.Contains(text, `"change"`) {
		t.Fatalf("answered %d %s", status, text)
	}
	good := delivery(1, knownDeal)
	if status, _, text := h.request("POST", crm, h.signed(crm, secret, good, time.Now()), good); status != 202 {
		t.Errorf("with the secret that holds: %d %s", status, text)
	}
	if status, _, text := h.request("POST", crm, h.signed(crm, "other", good, time.Now()), good); status != 401 {
		t.Errorf("with the one that was only asked about: %d %s", status, text)
	}
}
