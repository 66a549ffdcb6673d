package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/hub"
	"throughline/internal/oracle"
	"throughline/internal/store"
	"throughline/internal/store/storetest"
)

// hundreds is the books' far side with an ERP that takes a hundred lines in one call, and does with its nth
// call what does says. Its ledger has every line that was really made.
type hundreds struct {
	*bookFar
	mu      sync.Mutex
	does    map[int]string
	sizes   []int
	entries map[string]string // marker → entry
	effects []oracle.Effect
}

type batchLine struct {
	Marker, Employee, Project, Day, Note string
	Seconds                              int
}

// refused are the places in a call whose lines are not taken, where three are.
var refused = map[int]bool{9: true, 49: true, 99: true}

func (f *hundreds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/erp/lines") {
		f.bookFar.ServeHTTP(w, r)
		return
	}
	var body struct{ Items []batchLine }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes = append(f.sizes, len(body.Items))
	does := f.does[len(f.sizes)]
	results := []any{}
	for i, l := range body.Items {
		switch {
		case does == "refuses three" && refused[i]:
			results = append(results, map[string]any{"marker": l.Marker, "error": "the account is locked"})
			continue
		case does == "is cut at the 57th" && i >= 57:
			continue
		}
		one := f.make(l)
		results = append(results, one)
		if does == "tells three twice" && refused[i] {
			results = append(results, one)
		}
	}
	if does == "is cut at the 57th" {
		w.WriteHeader(http.StatusBadGateway) // what the process in front says of a connection that broke
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusMultiStatus)
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// make makes a line and notes it.
func (f *hundreds) make(l batchLine) map[string]any {
	f.bookFar.mu.Lock()
	defer f.bookFar.mu.Unlock()
	f.n++
	made := &line{ID: fmt.Sprint("l", f.n), Marker: l.Marker, Employee: l.Employee, Project: l.Project, Day: l.Day, Seconds: l.Seconds, State: "completed"}
	f.lines[made.ID] = made
	entry := f.entries[l.Marker]
	f.effects = append(f.effects, oracle.Effect{Account: "t1", Owner: "t1", Entity: "line", Op: oracle.Create, Key: entry, ID: made.ID, Marker: l.Marker, Version: 1, Content: fmt.Sprint(l.Employee, " ", l.Day, " ", l.Seconds)})
	return map[string]any{"marker": l.Marker, "id": made.ID}
}

const hundredYAML = `    create:
      post: /erp/lines
      body: {items: ['=fields']}
      result: =first(body.results)
      write: S
      batch: {max: 100, post: /erp/lines, body: {items: '=items.map(i, i.fields)'}, items: =body.results, for: =item.marker, id: =item.id, failed: =item.error != null, message: =item.error}
`

func newHundreds(t *testing.T) (*bookHouse, *hundreds) {
	conns := maps.Clone(bookFiles)
	before, rest, _ := strings.Cut(ledgerYAML, "    create: {write: S}\n    after_create:")
	_, after, found := strings.Cut(rest, "    delete: ")
	if !found {
		t.Fatal("the ledger's lines are described in another way now")
	}
	conns["ledger/connector.yaml"] = &fstest.MapFile{Data: []byte(before + hundredYAML + "    delete: " + after)}
	b := &bookFar{lines: map[string]*line{}, reversals: map[string]*line{}, asked: map[string]int{}, projects: map[string]map[string]any{"P1": {"id": "P1", "name": "Alpha", "budget": 1_000_000}}}
	h := &bookHouse{&house{T: t, clock: storetest.NewClock(), far: newFar(), conns: conns, forms: bookFiles, gather: 300 * time.Millisecond, hands: 128}, b}
	f := &hundreds{bookFar: b, entries: map[string]string{}, does: map[int]string{}}
	h.far.other, h.setup = f, h.hours
	h.open()
	h.knows("p1", "P1")
	return h, f
}

// beside carries rows side by side.
func (h *house) beside(list []store.Claim) {
	var hands sync.WaitGroup
	for _, w := range list {
		hands.Go(func() { h.engine.Carry(context.Background(), w) })
	}
	hands.Wait()
}

// aside carries a hundred rows side by side until nothing is left to do.
func (h *bookHouse) aside() {
	h.Helper()
	h.roundsOf(100, func(list []store.Claim) bool { h.beside(list); return false })
}

// judged is the oracle's word about what was logged, made there and told of it.
func (h *bookHouse) judged(f *hundreds, offers []oracle.Offer) oracle.Verdict {
	h.Helper()
	l := oracle.Ledgers{Source: offers, Effects: f.effects}
	runs, err := h.store.Tenant("t1").Runs(context.Background(), store.Filter{Limit: 10_000})
	if err != nil {
		h.Fatal(err)
	}
	latest := map[string]bool{} // the newest run of a record comes first: the one before it was retried
	for _, r := range runs {
		if key, _ := hub.ParseRecordKey(r.Key); !latest[key.ID] {
			latest[key.ID] = true
			l.Outcomes = append(l.Outcomes, oracle.Outcome{At: r.Ended, Tenant: "t1", Key: key.ID, State: string(r.Outcome), Code: r.Code})
		}
	}
	return oracle.Check(l)
}

// TestABatchOfAHundredThatGoesWrong (F5): of one call three lines are refused, one is cut at its 57th line, one tells three of its
// lines twice; every tenth entry is the twin of another, of the same person, day and hours. All that was logged stands there once, but
// for what was refused, which waits for a person and arrives when it is tried again.
func TestABatchOfAHundredThatGoesWrong(t *testing.T) {
	for name, c := range map[string]struct {
		does   map[int]string
		parked int
	}{
		"three are refused":    {map[int]string{1: "refuses three"}, 3},
		"it is cut":            {map[int]string{1: "is cut at the 57th"}, 0},
		"three are told twice": {map[int]string{1: "tells three twice"}, 0},
		"one after the other":  {map[int]string{1: "refuses three", 2: "is cut at the 57th", 3: "tells three twice"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, f := newHundreds(t)
			f.does = c.does
			var offers []oracle.Offer
			for n := range 300 {
				id := fmt.Sprint("e", n)
				twin := n - n%10/9 // e9 is like e8
				user, day, seconds := fmt.Sprint("u", 1+twin/10%2), fmt.Sprintf("2026-03-%02d", 1+twin/10%28), 600+twin
				f.entries[hub.RecordIDFor("t1", "time", "entry", id).Line("t1", "hours", 1).Marker()] = id
				mail := map[string]string{"u1": "ana", "u2": "ben"}[user]
				offers = append(offers, oracle.Offer{Tenant: "t1", Key: id, Version: 1, Acked: true, Expect: map[string]string{"line": fmt.Sprintf("E-%s@alder.example %s %d", mail, day, seconds)}})
				h.log(fmt.Sprintf("%s %s p1 %s %d approved", id, user, day, seconds))
			}
			h.aside()
			v := h.judged(f, offers)
			t.Logf("calls of %v lines: %d lines made, %d parked by %v, findings %v", f.sizes, v.Effects, v.Parked, v.ParkedBy, v.Findings)
			if f.sizes[0] != 100 || v.Effects != 300-c.parked || v.Parked != c.parked || v.ParkedBy["far.invalid"] != c.parked || len(v.Findings) > 0 {
				t.Errorf("the oracle says %+v", v)
			}
			open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range open {
				if !strings.Contains(e.Message, "the account is locked") {
					t.Errorf("parked as %+v", e)
				}
				h.choose(e, "retried")
			}
			h.aside()
			if v = h.judged(f, offers); v.Effects != 300 || v.Parked != 0 || len(v.Findings) > 0 {
				t.Errorf("after the retry the oracle says %+v", v)
			}
		})
	}
}
