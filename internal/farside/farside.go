// Package farside is the far side against which the product is measured and put to the test: a CRM,
// an ERP and a time tracker in one, with any number of accounts, a set latency, faults on demand,
// and a ledger of what really happened, written to disk before it is answered.
//
//	GET   /crm/opportunities/{id}        an opportunity with account, contact and line items
//	GET   /crm/opportunities?since=T     those that /versions has told of since
//	PATCH /crm/opportunities/{id}        the write-back of the project's number
//	POST  /erp/customers, /erp/projects, /time/projects        201 {"id":…}
//	GET   the same ?externalId=K         what a create with that marker has made: [] or one
//	PATCH the same /{id}                 changes it
//	PUT   the same /by/{marker}          makes or changes the one with that marker
//	POST  the same /batch                {"items":[…]}: makes several, 207 with what each has become
//	POST  /token                         OAuth: tokens for a refresh token; calls that show one are held to it
//	GET   /stats                         calls and distinct keys by kind
//	POST  /reset                         forgets everything
//	POST  /faults                        a Plan: what goes wrong from now on
//	POST  /versions                      a new opportunity, or a newer version of one
//
// A create that bears an Idempotency-Key is carried out once for each key, as vendors with class K do it.
//
// Each path may begin with an account: /north/crm/opportunities/1. Without one it is Main.
package farside

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"throughline/internal/oracle"
)

// Main is the account of paths that name none.
const Main = "main"

// The kinds of calls, as /stats counts them and the ledger names what they changed.
const (
	Read      = "crm.get"
	List      = "crm.list"
	WriteBack = "crm.patch"
	Customer  = "erp.customer"
	Project   = "erp.project"
	TimeWork  = "time.project"
	Login     = "login"
	Batch     = "batch"
)

// Far is the far side.
type Far struct {
	latency time.Duration
	ledger  *oracle.Ledger // nil: none is kept
	hours   Hours

	mu       sync.Mutex
	nextID   int // goes on over a reset: no far side gives the same id twice
	accounts map[string]*account
	calls    map[string]*Count
	seen     map[string]map[string]bool
	faults   faults
}

// Count is how often a kind of call was made, and on how many different keys.
type Count struct {
	Calls    int `json:"calls"`
	Distinct int `json:"distinct"`
}

// Stats is the answer of /stats.
type Stats struct {
	Calls   map[string]Count `json:"calls"`
	Faults  map[string]int   `json:"faults,omitempty"` // answers spoilt, by kind of fault
	Revoked int              `json:"revoked"`          // consents that an old token has cost
}

// New makes a far side that takes latency for each call; ledger may be nil.
func New(latency time.Duration, ledger *oracle.Ledger) *Far {
	f := &Far{latency: latency, ledger: ledger}
	f.reset()
	return f
}

func (f *Far) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accounts, f.calls, f.seen = map[string]*account{}, map[string]*Count{}, map[string]map[string]bool{}
	f.faults.spoilt = map[string]int{}
}

// ServeHTTP answers one call.
func (f *Far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/hours/") {
		f.hours.ServeHTTP(w, r)
		return
	}
	switch r.URL.Path {
	case "/stats":
		answer(w, http.StatusOK, f.stats())
	case "/reset":
		f.reset()
		w.WriteHeader(http.StatusNoContent)
	case "/faults":
		control(w, r, f.setFaults)
	case "/versions":
		control(w, r, f.setVersion)
	default:
		if strings.HasSuffix(r.URL.Path, "/token") {
			f.login(w, r)
			return
		}
		f.call(w, r)
	}
}

func (f *Far) stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Stats{Calls: map[string]Count{}, Faults: map[string]int{}}
	for kind, c := range f.calls {
		s.Calls[kind] = *c
	}
	for kind, n := range f.faults.spoilt {
		s.Faults[kind] = n
	}
	for _, a := range f.accounts {
		if a.tokens.revoked {
			s.Revoked++
		}
	}
	return s
}

// count notes a call; f.mu is held.
func (f *Far) count(kind, key string) {
	if f.calls[kind] == nil {
		f.calls[kind], f.seen[kind] = &Count{}, map[string]bool{}
	}
	f.calls[kind].Calls++
	if !f.seen[kind][key] {
		f.seen[kind][key] = true
		f.calls[kind].Distinct++
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller has gone: nobody is left to tell
}

func control[T any](w http.ResponseWriter, r *http.Request, set func(T)) {
	var v T
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	set(v)
	w.WriteHeader(http.StatusNoContent)
}

// route splits a path into account, kind of call and id, or the marker that stands for one; kind is "" for
// an unknown path.
func route(path string) (account, kind, id, marker string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	account = Main
	if len(parts) > 1 && parts[0] != "crm" && parts[0] != "erp" && parts[0] != "time" {
		account, parts = parts[0], parts[1:]
	}
	switch {
	case len(parts) == 2:
	case len(parts) == 3:
		id = parts[2]
	case len(parts) == 4 && parts[2] == "by":
		marker = parts[3]
	default:
		return account, "", "", ""
	}
	kinds := map[string]string{"crm/opportunities": Read, "erp/customers": Customer, "erp/projects": Project, "time/projects": TimeWork}
	return account, kinds[parts[0]+"/"+parts[1]], id, marker
}
