package app_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"throughline/bench"
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// memory is the memory in MiB that the process holds.
func memory(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("there is no /proc to read the memory from")
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// highest is the most memory that the process held while do ran, and before.
func highest(t *testing.T, do func()) (before, most int) {
	debug.FreeOSMemory()
	before = memory(t)
	most = before
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				most = max(most, memory(t))
			}
		}
	}()
	do()
	close(end)
	<-ended
	return before, most
}

// large is a delivery of 10 MB, to the byte, of events that nobody asked for.
func large() []byte {
	const event = `{"eventId":100000000,"occurredAt":1764061200000,"subscriptionType":"ticket.propertyChange","propertyName":"hs_pipeline_stage","propertyValue":"` // as long as they are
	var b bytes.Buffer
	b.WriteByte('[')
	for b.Len() < 10<<20-1000 {
		b.WriteString(event + strings.Repeat("x", 100) + `","objectId":1},`)
	}
	last := event + `","objectId":1}]`
	b.WriteString(strings.Repeat(" ", 10<<20-b.Len()-len(last)) + last)
	return b.Bytes()
}

// TestLargeDeliveries (X2): 10 MB are taken, ten of them at once too, within 512 MB of memory; one that unpacks to 1 GiB is refused
// for next to nothing. (That a byte more is refused, TestDeliveries shows.)
func TestLargeDeliveries(t *testing.T) {
	h := newHouse(t)
	body := large()
	signed := h.signed(crm, secret, body, time.Now())
	before, most := highest(t, func() {
		var senders sync.WaitGroup
		for range 10 {
			senders.Go(func() {
				if status, _, text := h.request("POST", crm, signed, body); status != 202 {
					t.Errorf("answered %d %s", status, text)
				}
			})
		}
		senders.Wait()
	})
	t.Logf("ten deliveries of 10 MB at once: at most %d MiB, %d before; half of the test's own included", most, before)
	if most > 512 {
		t.Errorf("%d MiB, at most 512 are allowed", most)
	}
	bomb := bomb(t)
	packed := h.signed(crm, secret, bomb, time.Now())
	packed.Set("Content-Encoding", "gzip")
	before, most = highest(t, func() {
		if status, _, _ := h.request("POST", crm, packed, bomb); status != http.StatusUnsupportedMediaType {
			t.Errorf("a bomb was answered %d", status)
		}
	})
	t.Logf("%d bytes that unpack to 1 GiB: %d MiB, %d before", len(bomb), most, before)
	if most-before > 64 {
		t.Errorf("the bomb took %d MiB", most-before)
	}
}

// bomb is a GiB of nothing, packed.
func bomb(t *testing.T) []byte {
	var mega bytes.Buffer
	z := gzip.NewWriter(&mega)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(mega.Bytes(), 1<<10)
}

// TestHostileJSON (X3) comes with the right signature and is refused all the same, but for the first; and soon.
func TestHostileJSON(t *testing.T) {
	h := newHouse(t)
	var keys strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&keys, `,"%s":1`, strconv.FormatInt(int64(i), 36))
	}
	deep := func(n int) string { // the list of events and the event are two of them
		return `[{"subscriptionType":"ticket.creation","x":` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}]`
	}
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"64 levels", deep(64), 202},
		{"65 levels", deep(65), 422},
		{"10,000 levels", deep(10_000), 422},
		{"100,000 levels", deep(100_000), 422},
		{"a million keys", `[{"-":1` + keys.String() + `}]`, 422},
		{"a key twice", `[{"objectId":1,"objectId":2}]`, 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			begun := time.Now()
			status, _, text := h.request("POST", crm, h.signed(crm, secret, []byte(c.body), begun), []byte(c.body))
			if took := time.Since(begun); status != c.want || took > 5*time.Second {
				t.Errorf("answered %d %s after %s, want %d", status, text, took, c.want)
			}
		})
	}
}

// TestAnEventThatComesAThousandTimes (H1), a hundred at once, has one effect.
func TestAnEventThatComesAThousandTimes(t *testing.T) {
	h := newHouse(t)
	body := delivery(9, knownDeal)
	signed := h.signed(crm, secret, body, time.Now())
	var taken atomic.Int64
	var senders sync.WaitGroup
	for range 100 {
		senders.Go(func() {
			for range 10 {
				if status, _, _ := h.request("POST", crm, signed, body); status == 202 {
					taken.Add(1)
				}
			}
		})
	}
	senders.Wait()
	h.until("the run has ended", func() bool { return len(h.runs("northwind", knownDeal)) > 0 })
	next := delivery(10, "479475670002")
	if status, _, _ := h.request("POST", crm, h.signed(crm, secret, next, time.Now()), next); status != 202 {
		t.Fatalf("answered %d", status)
	}
	h.until("a later event's run has ended", func() bool { return len(h.runs("northwind", "479475670002")) > 0 })
	if list := h.runs("northwind", knownDeal); len(list) != 1 || taken.Load() != 1000 {
		t.Errorf("%d of 1,000 were taken, the event had %d runs; want all, and one", taken.Load(), len(list))
	}
}

// hall is the product with the definitions of the measurements, and their far side.
type hall struct {
	*testing.T
	app   *app.App
	url   string
	ahead atomic.Int64 // of the product's clock
}

func newHall(t *testing.T, far http.Handler, customer string, more fstest.MapFS) *hall {
	t.Helper()
	server := httptest.NewServer(far)
	t.Cleanup(server.Close)
	h := &hall{T: t}
	ctx, stop := context.WithCancel(t.Context())
	a, err := app.New(ctx, app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", NewKey: true, Workers: 64, Log: slog.New(slog.DiscardHandler), Allow: []string{"127.0.0.1/32"},
		Definitions: []fs.FS{more, bench.Files}, Now: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	by := access.Principal{Name: "test", Role: "admin", Tenant: access.Everyone}
	if _, err := a.Control.Apply(ctx, by, "t1.yaml", fmt.Appendf(nil, customer, server.URL)); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	h.app, h.url = a, a.URL()
	return h
}

// post sends a webhook until it is taken; vendors do.
func (h *hall) post(path, body string) {
	h.Helper()
	for range 100 {
		resp, err := http.Post(h.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			h.Error(err)
			return
		}
		resp.Body.Close()
		if resp.StatusCode == 202 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	h.Errorf("%s was never taken", body)
}

func (h *hall) until(what string, limit time.Duration, met func() bool) {
	h.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if met() {
			return
		}
	}
	h.Fatalf("not within %s: %s", limit, what)
}

// rest waits until every record of the tenant has its outcome.
func (h *hall) rest(limit time.Duration) {
	h.Helper()
	h.until("every record is at rest", limit, func() bool {
		count, err := h.app.Store.Tenant("t1").Count(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		return count[hub.Ready]+count[hub.Running]+count[hub.Later]+count[hub.Waiting] == 0
	})
}

// names is an ERP that knows of each customer only the name that it was last given, and counts what came out of order.
type names struct {
	mu   sync.Mutex
	ids  map[string]string // by marker
	name map[string]string // by id
	back int               // a name that is older than the one before
}

func (n *names) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	marker := r.URL.Query().Get("externalId")
	if r.Method == http.MethodGet {
		if id := n.ids[marker]; id != "" {
			fmt.Fprintf(w, `[{"id":%q}]`, id)
			return
		}
		fmt.Fprint(w, "[]")
		return
	}
	var sent struct{ Name, ExternalID string }
	id := strings.TrimPrefix(r.URL.Path, "/erp/customers/")
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodPost {
		id = fmt.Sprint("c", len(n.ids))
		n.ids[sent.ExternalID] = id
		w.WriteHeader(http.StatusCreated)
	}
	if sent.Name < n.name[id] {
		n.back++
	}
	n.name[id] = sent.Name
	fmt.Fprintf(w, `{"id":%q}`, id)
}

// numbered is a CRM whose webhooks carry the whole record with the number of its version, and a flow that writes one thing.
var numbered = fstest.MapFS{
	"connectors/numbered/connector.yaml": {Data: []byte(`
connector: numbered
version: 1.0.0
title: A CRM that numbers its versions
roles: [crm]
settings: {url: {title: Address, required: true}}
host: "{settings.url}"
records:
  company: {path: /companies, id: =x.id, as: account, version: =x.version}
webhooks:
  verify: {scheme: none}
  events: [{record: company, id: =e.id, version: =e.version, key: =text(e.version), carries: =e}]
`)},
	"connectors/numbered/mapping/account.yaml": {Data: []byte("record: company\nas: account@1\nread:\n  name: =x.name\n")},
	"templates/copy/v1.yaml": {Data: []byte(`
template: copy
version: 1
title: A company becomes a customer
about: What the CRM says of a company is written to the ERP.
roles: {crm: required, erp: required}
trigger: {record: account, from: crm, when: =record.name != ""}
steps:
  - write: account
    to: erp
    set: {name: =record.name}
`)},
}

// TestVersionsThatComeInAnyOrder (H1): 10,000 events on 3,333 companies, three versions of each, shuffled over all: what is left is the
// newest of each, and the ERP never saw an older one after a newer.
func TestVersionsThatComeInAnyOrder(t *testing.T) {
	const companies, versions = 3333, 3
	erp := &names{ids: map[string]string{}, name: map[string]string{}}
	h := newHall(t, erp, "customer: t1\nname: One\nconnections:\n  crm: {connector: numbered, settings: {url: %[1]q}}\n  erp: {connector: far-erp, settings: {url: %[1]q}}\nflows:\n  copy: {template: copy@1, roles: {crm: crm, erp: erp}}\n", numbered)
	events := make([]string, 0, companies*versions)
	for i := range companies {
		for v := range versions {
			events = append(events, fmt.Sprintf(`{"id":"%d","version":%d,"name":"Company %d, version %d"}`, i, v+1, i, v+1))
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	begun := time.Now()
	next := make(chan string, len(events))
	for _, e := range events {
		next <- e
	}
	close(next)
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			for e := range next {
				h.post("/hooks/t1/crm", e)
			}
		})
	}
	senders.Wait()
	h.rest(2 * time.Minute)
	erp.mu.Lock()
	defer erp.mu.Unlock()
	newest := 0
	for _, name := range erp.name {
		if strings.HasSuffix(name, "version 3") {
			newest++
		}
	}
	t.Logf("%d events in %s: %d companies, %d with their newest version, %d written back to an older one", len(events), time.Since(begun).Round(time.Millisecond), len(erp.name), newest, erp.back)
	if newest != companies || len(erp.name) != companies || erp.back != 0 {
		t.Error("want the newest of each, once")
	}
}

// TestWebhooksThatAreDropped (H4): the source loses one in ten; the next poll finds them all.
func TestWebhooksThatAreDropped(t *testing.T) {
	const deals, interval = 300, 3 * time.Second
	far := farside.New(0, nil)
	h := newHall(t, far, "customer: t1\nname: One\nconnections:\n  crm: {connector: far-crm, settings: {url: %[1]q}}\n  erp: {connector: far-erp, settings: {url: %[1]q}}\n  time: {connector: far-time, settings: {url: %[1]q}}\nflows:\n  deals: {template: won-deal@1, roles: {crm: crm, erp: erp, time: time}, poll: 3s}\n", fstest.MapFS{})
	rnd, dropped := rand.New(rand.NewPCG(3, 4)), 0
	for i := range deals {
		rec := httptest.NewRecorder()
		far.ServeHTTP(rec, httptest.NewRequest("POST", "/versions", strings.NewReader(fmt.Sprintf(`{"account":"main","id":"d%d","version":1}`, i))))
		if rec.Code >= 300 {
			t.Fatalf("the far side answered %d", rec.Code)
		}
		if rnd.IntN(10) == 0 {
			dropped++
			continue
		}
		h.post("/hooks/t1/crm", fmt.Sprintf(`{"id":"d%d"}`, i))
	}
	last := time.Now()
	h.until("all deals are written", 30*time.Second, func() bool {
		runs, err := h.app.Store.Tenant("t1").Runs(t.Context(), store.Filter{Outcome: hub.Written, Limit: 2 * deals})
		if err != nil {
			t.Fatal(err)
		}
		return len(runs) >= deals
	})
	took := time.Since(last)
	t.Logf("%d of %d webhooks dropped; all written %s after the last change", dropped, deals, took.Round(time.Millisecond))
	if took > interval+2*time.Second || dropped == 0 {
		t.Errorf("it took %s, want a poll's interval of %s and what the work takes", took, interval)
	}
}
