package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/exact"
	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// zoned is a time tracker that answers as Clockify does, with the work of people in forty zones, and the ERP of
// the measurements, which remembers whose work it was told of.
type zoned struct {
	farside.Hours
	work     []farside.Zoned
	requests []any
	zones    map[string]string // by person
	mu       sync.Mutex
	posted   map[string]int64 // seconds by person and day
	markers  map[string]int
}

func newZoned(t *testing.T, n int) *zoned {
	work, err := farside.ZonedWork(n)
	if err != nil {
		t.Fatal(err)
	}
	z := &zoned{work: work, zones: map[string]string{}, posted: map[string]int64{}, markers: map[string]int{}}
	entries := map[string][]any{}
	for i, w := range work {
		z.zones[w.Person] = w.Zone
		entries[w.Person] = append(entries[w.Person], map[string]any{"id": fmt.Sprint("e", i), "billable": true, "project": map[string]any{"id": "p1"}, "task": map[string]any{"id": "t1"},
			"timeInterval": map[string]any{"start": w.Began.Format(time.RFC3339), "end": w.Began.Add(time.Duration(w.Minutes) * time.Minute).Format(time.RFC3339), "duration": exact.Seconds(w.Minutes * 60).ISO()}})
	}
	for person, list := range entries {
		z.requests = append(z.requests, map[string]any{"approvalRequest": map[string]any{"id": "r" + person, "owner": map[string]any{"userId": person, "timeZone": z.zones[person]},
			"status": map[string]any{"state": "APPROVED", "updatedAt": "2028-01-02T08:00:00Z"}}, "entries": list})
	}
	return z
}

func (z *zoned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/users"):
		var users []any
		for person, zone := range z.zones {
			users = append(users, map[string]any{"id": person, "name": person, "email": person + "@far.example", "status": "ACTIVE", "settings": map[string]any{"timeZone": zone}})
		}
		z.page(w, r, users)
	case strings.HasSuffix(r.URL.Path, "/approval-requests"):
		z.page(w, r, z.requests)
	case r.Method == http.MethodPost && r.URL.Path == "/hours/lines":
		z.lines(w, r)
	default:
		z.Hours.ServeHTTP(w, r)
	}
}

func (z *zoned) page(w http.ResponseWriter, r *http.Request, all []any) {
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("page-size"))
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	w.Header().Set("Last-Page", fmt.Sprint(to == len(all)))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all[from:to])
}

func (z *zoned) lines(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	var body struct {
		Items []struct {
			Marker, Employee, Day string
			Seconds               int64
		}
	}
	if err == nil {
		err = json.Unmarshal(data, &body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	z.mu.Lock()
	for _, l := range body.Items {
		z.markers[l.Marker]++
		z.posted[strings.TrimSuffix(strings.TrimPrefix(l.Employee, "E-"), "@far.example")+" "+l.Day] += l.Seconds
	}
	z.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(data))
	z.Hours.ServeHTTP(w, r)
}

const zonedCustomer = `
customer: t1
name: One
zone: Europe/Berlin
connections:
  time: {connector: clockify, settings: {url: %%[1]q, workspace: w, calls: 5000 per second}, secret: "file:%s"}
  erp:  {connector: far-ledger, settings: {url: %%[1]q}}
rates:
  cards: [{code: STD, rates: [{labour_category: CONS, rate: 125.50 EUR}]}]
flows:
  hours: {template: time-to-billing@1, roles: {time: time, erp: erp}, without: [erp/period], poll: 1h, from: "2025-12-01"}
`

// TestSecondsOfEachDayThroughTheWhole (X6): ten thousand entries of people in forty zones over two years, days on which the clock is put on
// or back and work over midnight among them, through the whole product. What each person worked on each business day stands in the ERP to the
// second, and each entry once.
func TestSecondsOfEachDayThroughTheWhole(t *testing.T) {
	const entries = 10_000
	z := newZoned(t, entries)
	secret := filepath.Join(t.TempDir(), "time.json")
	if err := os.WriteFile(secret, []byte(`{"key":"k"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	h := newHall(t, z, fmt.Sprintf(zonedCustomer, secret), fstest.MapFS{})
	var links []store.Link
	for theirs, erp := range map[string]string{"project p1": "P1", "task t1": "T1"} {
		kind, id, _ := strings.Cut(theirs, " ")
		record := hub.RecordIDFor("t1", "time", kind, id)
		links = append(links, store.Link{Record: record, Connection: "time", Kind: kind, ExternalID: id}, store.Link{Record: record, Connection: "erp", Kind: kind, ExternalID: erp})
	}
	if _, err := h.app.Store.Journal().Record(t.Context(), store.Step{Tenant: "t1", Links: links}); err != nil {
		t.Fatal(err)
	}
	h.until("all has arrived", 2*time.Minute, func() bool { z.mu.Lock(); defer z.mu.Unlock(); return len(z.markers) >= entries })
	took := time.Since(begun)
	h.until("every entry has its outcome", time.Minute, func() bool {
		count, err := h.app.Store.Tenant("t1").Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return count[hub.Ready]+count[hub.Running]+count[hub.Waiting] == 0
	})
	logged, people := map[string]int64{}, map[string]bool{}
	for _, w := range z.work {
		day, err := w.Day()
		if err != nil {
			t.Fatal(err)
		}
		logged[w.Person+" "+day] += w.Minutes * 60
		people[w.Zone] = true
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	t.Logf("%d entries in %d zones, %d person-days, in %s", len(z.markers), len(people), len(z.posted), took.Round(time.Millisecond))
	if !maps.Equal(logged, z.posted) {
		t.Error("the seconds of a day differ")
	}
	for marker, times := range z.markers {
		if times != 1 {
			t.Errorf("%s was posted %d times", marker, times)
		}
	}
	if len(people) != 40 || len(z.markers) != entries {
		t.Errorf("%d zones, %d lines", len(people), len(z.markers))
	}
}
