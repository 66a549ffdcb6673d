package app_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/internal/app"
	"throughline/internal/exact"
	"throughline/internal/store"
)

// entries are the ids of the hours in the ERP.
func (h *house) entries() (list []string) {
	h.Helper()
	rows, err := h.ERP.Rows("northwind", "time_entry")
	if err != nil {
		h.Fatal(err)
	}
	for _, row := range rows {
		list = append(list, row.ID)
	}
	slices.Sort(list)
	return list
}

// restored starts another product on a backup; this one is held from now on.
func (h *house) restored(backup string) *app.App {
	h.Helper()
	if err := app.Hold(h.Context(), h.App.Config, "Another one goes on."); err != nil {
		h.Fatal(err)
	}
	cfg := h.App.Config
	cfg.Data = h.TempDir()
	if err := os.WriteFile(filepath.Join(cfg.Data, "master.key"), read(h.T, filepath.Join(h.App.Data, "master.key")), 0o600); err != nil {
		h.Fatal(err)
	}
	if _, _, err := app.Restore(h.Context(), cfg, backup, false); err != nil {
		h.Fatal(err)
	}
	a, err := app.New(h.Context(), cfg)
	if err != nil {
		h.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	h.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			h.Error(err)
		}
	})
	return a
}

// TestHoursThatWereBookedAfterTheBackup are found in the ERP, as they stand there, and booked no second time.
func TestHoursThatWereBookedAfterTheBackup(t *testing.T) {
	h := newHouse(t)
	h.billsHours()
	desk := h.desk()
	h.approved(warehouse, desk, "2026-11-16", "10:30", "12:00")
	h.does(all(h.waits("project", 2)), `{"how": "link", "to": "PR000090"}`, 2, "2 records go on.")
	h.does(all(h.waits("task", 2)), `{"how": "link", "to": "PR000090|01"}`, 2, "2 records go on.")
	h.booked(2)
	file := filepath.Join(t.TempDir(), "backup")
	w, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Backup(t.Context(), h.App.Config, w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h.approved(warehouse, desk, "2026-11-09", "10:20", "11:00", "13:30")
	h.until("the hours are in the ERP", func() bool { h.ahead.Add(int64(5 * time.Second)); return len(h.entries()) == 5 })
	before := h.entries()

	a := h.restored(file)
	req, err := http.NewRequest("POST", a.URL()+"/v1/resume", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer tl_admin")
	if status, _, text := h.do(req); status != http.StatusOK {
		t.Fatalf("resumed: %d %s", status, text)
	}
	var lines []store.Line
	h.until("the lines are known", func() bool {
		h.ahead.Add(int64(5 * time.Second))
		from, _ := exact.ParseDate("2026-11-01")
		to, _ := exact.ParseDate("2026-11-30")
		lines, err = a.Store.Tenant("northwind").LinesBetween(t.Context(), from, to, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(lines) >= 5
	})
	for range 40 { // nothing more comes of it
		h.ahead.Add(int64(5 * time.Second))
		time.Sleep(20 * time.Millisecond)
	}
	found := 0
	for _, l := range lines {
		if l.State != store.Posted || l.Reverses != "" || l.Seconds == 0 || l.Amount == "" {
			t.Errorf("the line is %+v", l)
		}
		if strings.HasPrefix(l.How, "found there") {
			found++
		}
	}
	if after := h.entries(); found != 3 || !slices.Equal(after, before) {
		t.Errorf("%d lines were found, and in the ERP stand %v; want 3, and as before %v", found, after, before)
	}
}
