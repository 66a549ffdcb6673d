package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
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

func newHouseWith(t *testing.T, conns fs.FS, change ...func(*house)) *house {
	h := &house{T: t, clock: storetest.NewClock(), far: newFar(), conns: conns, forms: sub(t, "templates")}
	h.setup = h.comparison
	for _, f := range change {
		f(h)
	}
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
	h.roundsOf(10, carry)
}

// roundsOf is rounds with up to n rows in a claim.
func (h *house) roundsOf(n int, carry func([]store.Claim) (killed bool)) {
	h.Helper()
	for range 5000 {
		list, err := h.engine.Claim(context.Background(), n)
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
