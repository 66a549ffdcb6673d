package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"strings"
	"sync"

	"throughline/internal/hub"
)

// far is the far side of these tests: it creates what it is asked to, counts by marker, and can be
// told to fail at its nth write.
type far struct {
	mu      sync.Mutex
	deal    map[string]any
	created map[string][]string // path → markers, in order
	patched []string
	calls   int
	hidden  bool   // search finds nothing yet
	refuse  string // writes below this path are refused
	same    string // creates at this path all get the same id
	hook    func(n int, when string) (status int, stop bool)
	killed  chan struct{} // closed when the process has died
	batches *batches      // takes many projects at once; nil: it does not
	other   http.Handler  // answers instead of this one
}

// on sets what happens at each call. A call of a process that was killed may still be under way.
func (f *far) on(hook func(n int, when string) (status int, stop bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// die is the end of the process: whoever comes here never goes on, and nobody waits for it.
func (f *far) die() {
	close(f.killed)
	select {}
}

func newFar() *far {
	return &far{created: map[string][]string{}, deal: map[string]any{"id": "7", "name": "Relaunch", "stage": "Closed Won", "amount": 1200.50, "currency": "EUR",
		"closeDate": "2026-11-02", "servicePackage": "std", "lineItems": []any{map[string]any{"name": "Discovery", "sku": "D", "hours": 8, "rate": 100}}}}
}

// Send makes far a remote.Sender without a network.
func (f *far) Send(ctx context.Context, method, url string, header map[string]string, body []byte, _ string) (int, http.Header, []byte, error) {
	f.mu.Lock()
	f.calls++
	n, hook := f.calls, f.hook
	f.mu.Unlock()
	if hook != nil {
		if status, stop := hook(n, "before"); stop {
			return f.stopped(status)
		}
	}
	if at, err := neturl.Parse(url); err != nil || method != "GET" && f.refuses(at.Path) {
		return 400, http.Header{}, []byte(`{"message":"no"}`), err
	}
	if status, header, answer, err, ok := f.batch(url, body); ok {
		return status, header, answer, err
	}
	rec := httptest.NewRecorder()
	if r := httptest.NewRequest(method, url, bytes.NewReader(body)); f.other != nil {
		f.other.ServeHTTP(rec, r)
	} else {
		f.serve(rec, r)
	}
	if hook != nil {
		if status, stop := hook(n, "after"); stop {
			return f.stopped(status)
		}
	}
	return rec.Code, rec.Result().Header, rec.Body.Bytes(), nil
}

const leaveAlone = -2 // for a minute

func (f *far) stopped(status int) (int, http.Header, []byte, error) {
	switch status {
	case 0:
		f.die()
	case -1:
		return 0, nil, nil, &hub.Error{Kind: hub.Uncertain, Code: "egress.lost", Message: "the answer was lost"}
	case leaveAlone:
		return 429, http.Header{"Retry-After": {"60"}}, []byte(`{"message":"not now"}`), nil
	}
	return status, http.Header{}, []byte(`{"message":"no"}`), nil
}

func (f *far) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == "GET" && strings.HasPrefix(r.URL.Path, "/crm/"):
		_ = json.NewEncoder(w).Encode(f.deal)
	case r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/state"):
		fmt.Fprintf(w, `{"active":%v}`, len(f.created[strings.TrimSuffix(r.URL.Path, "state")+"activate"]) > 0)
	case r.Method == "GET":
		marker := r.URL.Query().Get("externalId")
		for i, m := range f.created[r.URL.Path] {
			if m == marker && r.URL.Path == f.same {
				fmt.Fprint(w, `[{"id":"one"}]`)
				return
			}
			if m == marker && !f.hidden {
				fmt.Fprintf(w, `[{"id":"%s-%d"}]`, strings.Trim(strings.ReplaceAll(r.URL.Path, "/", "-"), "-"), i+1)
				return
			}
		}
		fmt.Fprint(w, "[]")
	case r.Method == "POST":
		var body struct{ ExternalID string }
		data, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(data, &body)
		f.created[r.URL.Path] = append(f.created[r.URL.Path], body.ExternalID)
		w.WriteHeader(http.StatusCreated)
		if r.URL.Path == f.same {
			fmt.Fprint(w, `{"id":"one"}`)
			return
		}
		fmt.Fprintf(w, `{"id":"%s-%d"}`, strings.Trim(strings.ReplaceAll(r.URL.Path, "/", "-"), "-"), len(f.created[r.URL.Path]))
	case r.Method == "PATCH":
		data, _ := io.ReadAll(r.Body)
		f.patched = append(f.patched, string(data))
		w.WriteHeader(http.StatusNoContent)
	}
}
