package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throughline/bench"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/store/storetest"
	"throughline/schemas"
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

// house is the product around one store and one far side.
type house struct {
	*testing.T
	clock  *storetest.Clock
	store  *store.Store
	far    *far
	engine *engine.Engine
	ingest *ingest.Ingest
	ids    atomic.Int64
	conns  fs.FS // connectors and templates; those of the comparisons unless a test brings its own
	forms  fs.FS
	setup  func() store.Setup
	commit func(n int, when string) (stop bool)
	unkept int // the commit that fails; 0: none
	gather time.Duration
	hands  int // entries in hand at once; 4 unless said
}

// deadly is the journal of a process that can be told to die before or after its nth commit.
type deadly struct {
	h *house
	*store.Journal
	n atomic.Int32
}

func (d *deadly) Record(ctx context.Context, st store.Step) ([]string, error) {
	n := int(d.n.Add(1))
	d.at(n, "before")
	if n == d.h.unkept {
		return nil, errors.New("the database is away")
	}
	busy, err := d.Journal.Record(ctx, st)
	d.at(n, "after")
	return busy, err
}

func (d *deadly) at(n int, when string) {
	if d.h.commit != nil && d.h.commit(n, when) {
		d.h.far.die()
	}
}

func sub(t *testing.T, dir string) fs.FS {
	t.Helper()
	f, err := fs.Sub(bench.Files, dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newHouse(t *testing.T) *house { return newHouseWith(t, sub(t, "connectors")) }

func newHouseWith(t *testing.T, conns fs.FS) *house {
	h := &house{T: t, clock: storetest.NewClock(), far: newFar(), conns: conns, forms: sub(t, "templates")}
	h.setup = h.comparison
	h.open()
	return h
}

// open makes the store, with the customer in it, and starts the process.
func (h *house) open() {
	h.Helper()
	t := h.T
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "ledger.db"), h.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.store = s
	if err := s.Apply(context.Background(), h.setup()); err != nil {
		h.Fatal(err)
	}
	h.start()
}

// comparison is the customer of the comparisons: won deals become projects.
func (h *house) comparison() store.Setup {
	settings := `{"url":"http://far.example"}`
	var conns []store.Connection
	for _, c := range []string{"crm", "erp", "time"} {
		conns = append(conns, store.Connection{Tenant: "t1", ID: hub.ConnectionID(c), Connector: "far-" + c, Settings: settings, State: "active", Updated: h.clock.Now()})
	}
	spec := `{"template":"won-deal","version":1,"roles":{"crm":"crm","erp":"erp","time":"time"}}`
	return store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: h.clock.Now()}, Connections: conns,
		Deployments: []store.Deployment{{Tenant: "t1", ID: "deals", Revision: 1, State: "active", Spec: spec, Created: h.clock.Now()}}}
}

func (h *house) newID(prefix string) string {
	return fmt.Sprintf("%s_%d_%d", prefix, h.clock.Now().UnixNano(), h.ids.Add(1))
}

type noSessions struct{}

func (noSessions) Load(context.Context, hub.TenantID, hub.ConnectionID) (map[string]any, int64, error) {
	return nil, 0, nil
}
func (noSessions) Renew(context.Context, hub.TenantID, hub.ConnectionID, int64, func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	return nil, 0, errors.New("nothing here logs in")
}

// start starts the process anew on the store that is there.
func (h *house) start() {
	h.Helper()
	cat, err := catalog.Load(schemas.Files, []fs.FS{h.conns}, []fs.FS{h.forms})
	if err != nil {
		h.Fatal(err)
	}
	loader := engine.NewLoader(h.store, cat, func(context.Context, hub.TenantID, hub.ConnectionID, []byte) ([]byte, error) { return nil, nil }, h.clock.Now)
	client := remote.New(h.far, noSessions{}, nil, h.clock.Now)
	h.far.killed = make(chan struct{})
	journal := h.store.Journal()
	h.engine = engine.New(engine.Options{Store: h.store, Journal: &deadly{h: h, Journal: journal}, Remote: client, Flows: loader, Ticker: ticks{h}, Now: h.clock.Now, NewID: h.newID,
		Rand: rand.New(rand.NewPCG(1, 2)), Log: slog.New(slog.DiscardHandler), Workers: cmp.Or(h.hands, 4), Gather: h.gather, Lease: 100 * time.Hour, Sole: true, Name: "test"})
	h.ingest = ingest.New(h.store, journal, loader, client, h.clock.Now, h.newID, h.engine.Wake)
	if err := h.engine.Join(context.Background()); err != nil {
		h.Fatal(err)
	}
}

// ticks lets what is due by the clock be done by the house's ingest.
type ticks struct{ h *house }

func (t ticks) Tick(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	return t.h.ingest.Tick(ctx, f, w)
}

func (h *house) win() {
	h.Helper()
	n, err := h.ingest.Accept(context.Background(), "t1", "crm", connector.Delivery{Method: "POST", Body: []byte(`{"id":"7"}`)})
	if err != nil || n != 1 {
		h.Fatalf("accepted %d events: %v", n, err)
	}
}

// drain works until nothing is left to do, record after record, or until the process is killed.
func (h *house) drain() {
	h.Helper()
	h.rounds(func(list []store.Claim) (killed bool) {
		for _, w := range list {
			done := make(chan struct{})
			go func() { defer close(done); h.engine.Carry(context.Background(), w) }()
			select {
			case <-done:
			case <-h.far.killed:
				return true
			}
		}
		return false
	})
}

// rounds claims and carries until nothing is left to do, letting time pass for what waits.
func (h *house) rounds(carry func([]store.Claim) (killed bool)) {
	h.Helper()
	for range 200 {
		list, err := h.engine.Claim(context.Background(), 10)
		if err != nil {
			h.Fatal(err)
		}
		if carry(list) {
			return
		}
		if len(list) > 0 {
			continue
		}
		due, err := h.store.NextDue(context.Background())
		if err != nil {
			h.Fatal(err)
		}
		if due.IsZero() {
			return
		}
		h.clock.Add(max(due.Sub(h.clock.Now()), time.Millisecond))
	}
	h.Fatal("it never comes to rest")
}

func (h *house) runs() []store.Run {
	h.Helper()
	runs, err := h.store.Tenant("t1").Runs(context.Background(), store.Filter{})
	if err != nil {
		h.Fatal(err)
	}
	return runs
}

// once checks that everything was created exactly once and written back.
func (h *house) once() {
	h.Helper()
	for _, path := range []string{"/erp/customers", "/erp/projects", "/time/projects"} {
		if n := len(h.far.created[path]); n != 1 {
			h.Errorf("%s: %d created, want 1", path, n)
		}
	}
	if len(h.far.patched) == 0 || !strings.Contains(h.far.patched[len(h.far.patched)-1], `"projectNumber":"erp-projects-1"`) {
		h.Errorf("written back %v", h.far.patched)
	}
	runs := h.runs()
	if len(runs) == 0 || runs[0].Outcome != hub.Written {
		h.Errorf("runs %+v, want the last one written", runs)
	}
}

func TestAWonDealBecomesCustomerAndProject(t *testing.T) {
	h := newHouse(t)
	h.win()
	h.drain()
	h.once()
	h.win() // told again: nothing new
	h.drain()
	if runs := h.runs(); len(runs) != 2 || runs[0].Outcome != hub.Unchanged {
		t.Errorf("the second time: %+v", runs)
	}
	if n, err := h.store.Tenant("t1").VerifyAudit(context.Background()); err != nil || n != 4 {
		t.Errorf("audit: %d entries, %v", n, err)
	}
}

// TestStoppedAtEveryPoint kills the process before and after each call to the far side and each
// durable point in turn and starts it again: nothing is lost, nothing is there twice (N5).
func TestStoppedAtEveryPoint(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for n := 1; n <= 4; n++ {
			t.Run(fmt.Sprintf("killed %s durable point %d", when, n), func(t *testing.T) {
				h := newHouse(t)
				reached := false
				h.commit = func(commit int, at string) bool {
					stop := commit == n && at == when
					reached = reached || stop
					return stop
				}
				h.win()
				h.drain()
				if !reached {
					t.Fatal("there are fewer durable points than this")
				}
				h.commit = nil
				h.start()
				h.drain()
				h.once()
			})
		}
		for n := 1; n <= 5; n++ {
			t.Run(fmt.Sprintf("killed %s call %d", when, n), func(t *testing.T) {
				h := newHouse(t)
				h.far.on(func(call int, at string) (int, bool) { return 0, call == n && at == when })
				h.win()
				h.drain()
				h.far.on(nil)
				h.start()
				h.drain()
				h.once()
			})
		}
	}
}

// TestLostAnswers: the far side does what it is asked and the answer never arrives, or it refuses.
func TestLostAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		when   string
	}{
		{"the answer is lost after the effect", -1, "after"},
		{"the request is lost before the effect", -1, "before"},
		{"a gateway gives up after the effect", 502, "after"},
		{"the far side is throttled", 429, "before"},
	} {
		for n := 1; n <= 5; n++ {
			t.Run(fmt.Sprintf("%s, call %d", c.name, n), func(t *testing.T) {
				h := newHouse(t)
				h.far.on(func(call int, at string) (int, bool) { return c.status, call == n && at == c.when })
				h.win()
				h.drain()
				h.once()
			})
		}
	}
}

// TestWaitingReadsNothingAgain: a run that waits for a limit goes by what it has read. Otherwise runs
// that wait for each other's reads use up the very limit they wait for.
func TestWaitingReadsNothingAgain(t *testing.T) {
	h := newHouse(t)
	h.far.on(func(call int, at string) (int, bool) { return 429, call == 2 && at == "before" })
	h.win()
	h.drain()
	h.once()
	if h.far.calls != 6 {
		t.Errorf("%d calls, want the five and the one that was refused", h.far.calls)
	}
}

func TestADealWithoutAmountIsParkedAndRunsAfterTheFix(t *testing.T) {
	h := newHouse(t)
	h.far.deal["amount"] = nil
	h.win()
	h.drain()
	tenant := h.store.Tenant("t1")
	open, err := tenant.Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil || len(open) != 1 {
		t.Fatalf("exceptions %+v, %v", open, err)
	}
	if e := open[0]; e.Class != "blocked_by_rule" || e.Field != "amount" || e.Hint != "Enter the amount in the CRM." {
		t.Errorf("exception %+v", e)
	}
	h.far.deal["amount"] = 99
	if _, err := tenant.CloseException(context.Background(), open[0].ID, "resolved", "retried", true, store.AuditEntry{At: h.clock.Now(), Who: "ana", Action: "exception.retry"}); err != nil {
		t.Fatal(err)
	}
	h.drain()
	h.once()
}

func TestALostDealIsFiltered(t *testing.T) {
	h := newHouse(t)
	h.far.deal["stage"] = "Closed Lost"
	h.win()
	h.drain()
	if runs := h.runs(); len(runs) != 1 || runs[0].Outcome != hub.Filtered {
		t.Errorf("runs %+v", runs)
	}
}

// TestOneIDForTwoRecordsIsToldNotLooped: whichever durable point it befalls, the run ends with a person.
func TestOneIDForTwoRecordsIsToldNotLooped(t *testing.T) {
	for _, path := range []string{"/erp/customers", "/time/projects"} {
		t.Run(path, func(t *testing.T) {
			h := newHouse(t)
			h.far.same = path
			h.wins(2)
			open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
			if err != nil || len(open) != 1 || open[0].Code != "link.taken" || open[0].Class != "conflict" {
				t.Errorf("exceptions %+v, %v", open, err)
			}
		})
	}
}

// TestASleeperSendsNothing: a node that sleeps past its lease in the midst of a run joins anew, and leaves the
// rest to whoever took the row over: here, itself.
func TestASleeperSendsNothing(t *testing.T) {
	h := newHouse(t)
	h.win()
	list, err := h.engine.Claim(t.Context(), 1)
	if err != nil || len(list) != 1 {
		t.Fatalf("claimed %v, %v", list, err)
	}
	slept := -1
	h.commit = func(n int, when string) bool { // the intents are kept, the calls not yet made
		if n == 1 && when == "after" {
			slept = h.far.calls
			h.clock.Add(2 * time.Hour)
			if err := h.engine.Join(context.Background()); err != nil {
				t.Error(err)
			}
		}
		return false
	}
	h.engine.Carry(t.Context(), list[0])
	if slept < 0 || h.far.calls != slept {
		t.Errorf("%d calls were made after the lease had ended, having made %d", h.far.calls-slept, slept)
	}
	if runs := h.runs(); len(runs) != 0 {
		t.Errorf("it has recorded %+v", runs)
	}
	h.commit = nil
	h.drain()
	if runs := h.runs(); len(runs) != 1 || runs[0].Outcome != hub.Written {
		t.Errorf("afterwards the runs are %+v", runs)
	}
}
