package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/access"
	"throughline/internal/control"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// forgetful is a far side that loses the answer to its first customer, before or after it has made it.
type forgetful struct {
	mu    sync.Mutex
	made  map[string]int
	loses string // before, after; "": nothing more
}

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == "POST":
		loses := f.loses
		if r.URL.Path != "/erp/customers" {
			loses = ""
		} else {
			f.loses = ""
		}
		if loses != "before" {
			f.made[r.URL.Path]++
		}
		if loses != "" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"c%d"}`, f.made[r.URL.Path])
	case r.Method == "PATCH":
		w.WriteHeader(http.StatusNoContent)
	case strings.HasPrefix(r.URL.Path, "/crm/"):
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "7", "name": "Relaunch", "stage": "Closed Won", "amount": 1200, "currency": "EUR", "closeDate": "2026-11-02", "servicePackage": "std", "lineItems": []any{}})
	case r.URL.Path == "/erp/customers/c1":
		fmt.Fprint(w, `{"id":"c1"}`)
	default:
		http.NotFound(w, r)
	}
}

// TestAPersonSettlesWhatNobodyElseKnows: nothing protects the ERP's customers, and the answer to one is lost. A person
// links it where it was made, and has it sent again where it was not; both are said beforehand.
func TestAPersonSettlesWhatNobodyElseKnows(t *testing.T) {
	for _, c := range []struct {
		loses string
		how   control.Resolving
		says  string
	}{
		{"after", control.Resolving{How: control.Link, To: "c1"}, "is erp/customer/c1. One record goes on."},
		{"before", control.Resolving{How: control.Approve}, "One record is sent again, because it did not go through."},
	} {
		t.Run(c.how.How, func(t *testing.T) {
			far := &forgetful{made: map[string]int{}, loses: c.loses}
			h := newHall(t, far, "customer: t1\nname: One\nconnections:\n  crm: {connector: far-crm, settings: {url: %[1]q}}\n  erp: {connector: far-erp-x, settings: {url: %[1]q}}\n  time: {connector: far-time, settings: {url: %[1]q}}\nflows:\n  deals: {template: won-deal@1, roles: {crm: crm, erp: erp, time: time}}\n", fstest.MapFS{})
			h.post("/hooks/t1/crm", `{"id":"7"}`)
			var open []store.Exception
			h.until("a person is asked", 20*time.Second, func() (asked bool) {
				open, _ = h.app.Store.Tenant("t1").Exceptions(t.Context(), store.Filter{State: "open"})
				return len(open) == 1
			})
			if open[0].Code != "write.uncertain" {
				t.Fatalf("asked is %+v", open[0])
			}
			by := access.Principal{Name: "ana", Role: "admin", Tenant: access.Everyone}
			wrong := control.Resolving{How: "credit", Exceptions: []hub.ExceptionID{open[0].ID}}
			if _, err := h.app.Control.Resolve(t.Context(), by, "t1", wrong); err == nil || !strings.Contains(err.Error(), "credit does nothing for write.uncertain") {
				t.Errorf("credit: %v", err)
			}
			c.how.Exceptions = []hub.ExceptionID{open[0].ID}
			done, err := h.app.Control.Resolve(t.Context(), by, "t1", c.how)
			if err != nil || !strings.HasSuffix(strings.Join(done.Does, " "), c.says) {
				t.Fatalf("done is %+v, %v", done, err)
			}
			h.until("the deal is written", 20*time.Second, func() bool {
				runs, _ := h.app.Store.Tenant("t1").Runs(t.Context(), store.Filter{})
				return len(runs) > 0 && runs[0].Outcome == hub.Written
			})
			far.mu.Lock()
			defer far.mu.Unlock()
			if got := fmt.Sprint(far.made); got != "map[/erp/customers:1 /erp/projects:1 /time/projects:1]" {
				t.Errorf("made were %s", got)
			}
		})
	}
}
