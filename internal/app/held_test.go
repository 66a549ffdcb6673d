package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throughline/internal/app"
)

// TestAHeldServiceSaysSo: on its health page and to the partner's people, who may let it go on; a
// customer's key is told nothing.
func TestAHeldServiceSaysSo(t *testing.T) {
	h := newHouse(t)
	if err := app.Hold(t.Context(), h.App.Config, "The machine was brought back."); err != nil {
		t.Fatal(err)
	}
	status, text := h.api("GET", "/v1/status", "tl_admin", "")
	var st struct{ State, Reason, Do string }
	if err := json.Unmarshal([]byte(text), &st); err != nil || status != http.StatusOK || st.State != "held" || st.Reason == "" || !strings.Contains(st.Do, "throughline resume") {
		t.Errorf("status %d %s", status, text)
	}
	if status, text := h.api("GET", "/v1/status", "tl_viewer", ""); status != http.StatusNotFound {
		t.Errorf("a customer's key: %d %s", status, text)
	}
	if status, text := h.api("POST", "/v1/resume", "tl_viewer", ""); status != http.StatusNotFound {
		t.Errorf("a customer's key: %d %s", status, text)
	}
	if status, text := h.api("POST", "/v1/trust", "tl_admin", ""); status != http.StatusPreconditionFailed {
		t.Errorf("trusted while held: %d %s", status, text)
	}
	for _, want := range []int{http.StatusOK, http.StatusPreconditionFailed} { // the second time there is nothing to resume
		if status, text := h.api("POST", "/v1/resume", "tl_admin", ""); status != want || want == http.StatusOK && !strings.Contains(text, `"northwind"`) {
			t.Errorf("resume: %d %s", status, text)
		}
	}
	if status, text := h.api("GET", "/v1/status", "tl_admin", ""); !strings.Contains(text, `"working"`) || !strings.Contains(text, `"lost_until"`) {
		t.Errorf("resumed: %d %s", status, text)
	}
	if status, text := h.api("POST", "/v1/trust", "tl_admin", ""); status != http.StatusOK {
		t.Errorf("trust: %d %s", status, text)
	}
}

// TestTheMasterKeyMustFit: without the right master key nothing starts, nothing is restored, and nothing
// is changed (D7).
func TestTheMasterKeyMustFit(t *testing.T) {
	dir := t.TempDir()
	cfg := app.Config{Data: dir, Addr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	begin := func() error {
		a, err := app.New(context.Background(), cfg)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(context.Background())
		stop()
		return a.Run(ctx)
	}
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	var taken bytes.Buffer
	if _, err := app.Backup(t.Context(), cfg, &taken); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, taken.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	key, ledger := filepath.Join(dir, "master.key"), filepath.Join(dir, "ledger.db")
	right, before := read(t, key), read(t, ledger)
	for name, c := range map[string]struct {
		key  string
		says string
	}{
		"a missing key": {"", "master"},
		"another key":   {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "master key"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(key); err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				if err := os.WriteFile(key, []byte(c.key), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, _, restored := app.Restore(t.Context(), cfg, file, true)
			for what, err := range map[string]error{"start": begin(), "restore": restored} {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v; want it refused for the master key", what, err)
				}
			}
			if _, err := os.Stat(key); c.key == "" && err == nil {
				t.Error("a new master key was made for a ledger that has another")
			}
			if !bytes.Equal(read(t, ledger), before) {
				t.Error("the ledger was changed")
			}
			if err := os.WriteFile(key, right, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := begin(); err != nil {
		t.Errorf("with the right key: %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestABackupOfNothingIsNone: a wrong data folder does not become an empty ledger of which a backup is made.
func TestABackupOfNothingIsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := app.Config{Data: dir, Log: slog.New(slog.DiscardHandler)}
	if _, err := app.Backup(t.Context(), cfg, io.Discard); err == nil || !strings.Contains(err.Error(), "no ledger") {
		t.Errorf("backed up: %v", err)
	}
	if err := app.Hold(t.Context(), cfg, "because"); err == nil {
		t.Error("nothing was held")
	}
	if _, err := os.Stat(filepath.Join(dir, "ledger.db")); err == nil {
		t.Error("a ledger was made")
	}
}
