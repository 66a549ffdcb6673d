package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/catalog"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/remote"
	"throughline/internal/store"
	"throughline/internal/store/storetest"
	"throughline/schemas"
)

// A time tracker whose sheets are listed person by person, newest first, and hold several entries each.
var definitions = fstest.MapFS{
	"connectors/sheets/connector.yaml": {Data: []byte(`
connector: sheets
version: 1.0.0
title: Sheets
roles: [time]
host: http://far.example
page: {number: page, size: size, max: 2}
records:
  person:
    id: =x.id
    as: employee
    list: {get: /people}
  entry:
    id: =x.id
    as: time_entry
    version: =instant(x.at)
    list:
      get: "/people/{parent.id}/sheets"
      per: person
      order: newest_first
      changed: =instant(x.at)
      overlap: 1m
      each: '=x.lines.map(l, {"id": l, "person": x.person, "at": x.at, "day": x.day})'
    sweep:
      whole: true
      get: /entries
      query: {from: =from, to: =to}
webhooks:
  verify: {scheme: none}
  events: [{looks: [entry]}]
`)},
	"connectors/sheets/mapping/entry.yaml":    {Data: []byte("record: entry\nas: time_entry@1\nread: {employee: '=link(\"employee\", x.person)', date: '=date(x.day)', seconds: =seconds(3600), approval: approved}\n")},
	"connectors/sheets/mapping/employee.yaml": {Data: []byte("record: person\nas: employee@1\nread: {name: =x.id}\n")},
	"templates/hours/v1.yaml":                 {Data: []byte("template: hours\nversion: 1\ntitle: Hours\nroles: {time: required}\ntrigger: {record: time_entry, from: time}\nrules: {any: [{rule: any, that: \"=true\", says: never}]}\nsteps: [{check: any}]\n")},
}

// sheets is the far side: sheet n of a person changed n minutes after the beginning.
type sheets struct {
	people []string
	count  map[string]int
	calls  []string
	fails  string   // the call that gets no answer
	there  []string // entries that a sweep finds; one that begins with "?" has no id, one with "!" is no record
	alone  []string // entries that can be read alone
	span   string   // of the last sweep
	odd    string   // the sheet that does not say when it changed
	heard  func()   // of the next call
	says   string   // instead of the entries that a sweep asks for
}

var begin = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

func (f *sheets) Send(_ context.Context, _, address string, _ map[string]string, _ []byte, _ string) (int, http.Header, []byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, nil, nil, err
	}
	page, _ := strconv.Atoi(u.Query().Get("page")) // the connector writes numbers, where it counts
	size, _ := strconv.Atoi(u.Query().Get("size"))
	call := fmt.Sprintf("%s %d", u.Path, page)
	if f.calls = append(f.calls, call); f.heard != nil {
		f.heard()
	}
	if call == f.fails {
		return 0, nil, nil, &hub.Error{Kind: hub.Unavailable, Code: "egress.unreachable", Message: "nothing was sent"}
	}
	rows := []any{}
	if person, ok := strings.CutSuffix(strings.TrimPrefix(u.Path, "/people/"), "/sheets"); ok {
		for n := f.count[person] - size*(page-1); n > f.count[person]-size*page && n > 0; n-- {
			if f.odd == fmt.Sprintf("%s-%d", person, n) {
				rows = append(rows, map[string]any{"person": person, "day": "2026-11-01", "at": "soon", "lines": []string{f.odd + "-a", f.odd + "-b"}})
				continue
			}
			rows = append(rows, map[string]any{"person": person, "day": fmt.Sprintf("2026-11-%02d", n), "at": begin.Add(time.Duration(n) * time.Minute), "lines": []string{fmt.Sprintf("%s-%d-a", person, n), fmt.Sprintf("%s-%d-b", person, n)}})
		}
	} else if u.Path == "/entries" && f.says != "" {
		return 200, http.Header{}, []byte(f.says), nil
	} else if u.Path == "/entries" {
		f.span = u.Query().Get("from") + " " + u.Query().Get("to")
		for _, id := range f.there {
			switch {
			case strings.HasPrefix(id, "?"):
				rows = append(rows, map[string]any{"note": id})
			case strings.HasPrefix(id, "!"):
				rows = append(rows, id)
			default:
				id, at, _ := strings.Cut(id, " at ")
				rows = append(rows, map[string]any{"id": id, "at": at})
			}
		}
		rows = rows[min(size*(page-1), len(rows)):min(size*page, len(rows))]
	} else if id, one := strings.CutPrefix(u.Path, "/entries/"); one {
		if !slices.Contains(f.alone, id) {
			return 404, http.Header{}, []byte(`{}`), nil
		}
		return 200, http.Header{}, []byte(`{"id": "` + id + `"}`), nil
	} else if page == 1 {
		for _, p := range f.people {
			rows = append(rows, map[string]any{"id": p})
		}
	}
	body, err := json.Marshal(rows)
	return 200, http.Header{}, body, err
}

type house struct {
	*testing.T
	far    *sheets
	store  *store.Store
	log    *store.Journal
	ingest *ingest.Ingest
	loader *engine.Loader
	flow   *engine.Flow
	clock  *storetest.Clock
	epoch  int64
	ends   bool // the process
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseOf(t, definitions)
}

func newHouseOf(t *testing.T, definitions fs.FS) *house {
	t.Helper()
	ctx, clock := t.Context(), storetest.NewClock()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "ledger.db"), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	conns, _ := fs.Sub(definitions, "connectors")
	temps, _ := fs.Sub(definitions, "templates")
	cat, err := catalog.Load(schemas.Files, []fs.FS{conns}, []fs.FS{temps})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Apply(ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: clock.Now()},
		Connections: []store.Connection{{Tenant: "t1", ID: "time", Connector: "sheets", Settings: "{}", State: "active", Updated: clock.Now()}},
		Deployments: []store.Deployment{{Tenant: "t1", ID: "hours", Revision: 1, State: "active", Spec: `{"template":"hours","version":1,"roles":{"time":"time"},"poll":"1m"}`, Created: clock.Now()}}})
	if err != nil {
		t.Fatal(err)
	}
	far := &sheets{people: []string{"ana", "ben"}, count: map[string]int{"ana": 5, "ben": 1}}
	loader := engine.NewLoader(s, cat, func(context.Context, hub.TenantID, hub.ConnectionID, []byte) ([]byte, error) { return nil, nil }, clock.Now)
	h := &house{T: t, far: far, store: s, log: s.Journal(), clock: clock, loader: loader}
	ids := 0
	client := remote.New(far, nil, nil, clock.Now).PatientFor(ingest.Patience, h.wait)
	h.ingest = ingest.New(s, h.log, loader, client, clock.Now, func(prefix string) string { ids++; return fmt.Sprint(prefix, "_", ids) }, func() {})
	if h.flow, err = loader.Flow(ctx, "t1", "hours", 0); err != nil {
		t.Fatal(err)
	}
	if h.epoch, err = s.Join(ctx, "a", time.Hour); err != nil {
		t.Fatal(err)
	}
	return h
}

// wait lets time pass, unless the process ends.
func (h *house) wait(_ context.Context, d time.Duration) error {
	if h.ends {
		return remote.Ends(d)
	}
	h.clock.Add(d)
	return nil
}

// tick polls once, and keeps the cursor as the engine would.
func (h *house) tick() error {
	h.Helper()
	h.far.calls = nil
	step, err := h.ingest.Tick(h.Context(), h.flow, hub.Work{Tenant: "t1", Deployment: "hours", Key: ingest.PollKey})
	if err != nil {
		return err
	}
	_, err = h.log.Record(h.Context(), store.Step{Epoch: h.epoch, Tenant: "t1", Cursor: step.Cursor})
	return err
}

// entries counts the records that wait to be carried.
func (h *house) entries() int {
	h.Helper()
	list, err := h.store.Tenant("t1").Work(h.Context(), store.Filter{Limit: 1000})
	if err != nil {
		h.Fatal(err)
	}
	return len(list)
}

func TestAPollReadsAllThatIsNewAndNoMore(t *testing.T) {
	h := newHouse(t)
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	if n := h.entries(); n != 12 {
		t.Errorf("%d entries, want both of each of six sheets", n)
	}
	if err := h.tick(); err != nil { // of several pages, so it is read once more
		t.Fatal(err)
	}
	h.far.count["ana"] = 6
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	if n := h.entries(); n != 14 {
		t.Errorf("%d entries after one sheet more, want 14", n)
	}
	want := "/people 1, /people 2, /people/ana/sheets 1, /people/ana/sheets 2, /people/ben/sheets 1"
	if got := strings.Join(h.far.calls, ", "); got != want {
		t.Errorf("the third poll calls %s; want it to stop where all is known: %s", got, want)
	}
}

// TestAPollThatBreaksOffLosesNothing: what was read is kept, the cursor stays, and the next poll reads
// the rest; nothing arrives twice (R5).
func TestAPollThatBreaksOffLosesNothing(t *testing.T) {
	for _, call := range []string{"/people 1", "/people/ana/sheets 1", "/people/ana/sheets 2", "/people/ana/sheets 3", "/people/ben/sheets 1"} {
		t.Run("no answer to "+call, func(t *testing.T) {
			h := newHouse(t)
			h.far.fails = call
			var e *hub.Error
			if err := h.tick(); !errors.As(err, &e) || e.Kind != hub.Unavailable {
				t.Fatalf("the poll ended with %v", err)
			}
			if v, err := h.store.Tenant("t1").CursorValue(t.Context(), "hours", ingest.PollKey); err != nil || v != "" {
				t.Errorf("the cursor moved to %q, %v", v, err)
			}
			h.far.fails = ""
			if err := h.tick(); err != nil {
				t.Fatal(err)
			}
			if n := h.entries(); n != 12 {
				t.Errorf("%d entries, want 12", n)
			}
			runs, err := h.store.Tenant("t1").Runs(t.Context(), store.Filter{Outcome: hub.Superseded})
			if err != nil || len(runs) != 0 {
				t.Errorf("what was read twice came in twice: %d, %v", len(runs), err)
			}
		})
	}
}

// TestARowThatDoesNotSayWhenItChanged is told of, and the others are read; so is it, once it does.
func TestARowThatDoesNotSayWhenItChanged(t *testing.T) {
	h := newHouse(t)
	for _, odd := range []string{"ana-5", ""} {
		h.far.odd = odd
		if err := h.tick(); err != nil {
			t.Fatal(err)
		}
		read, unread := 0, 0
		for _, key := range h.told() {
			if strings.HasPrefix(key, "unreadable-") {
				unread++
			} else {
				read++
			}
		}
		if want := map[string]int{"ana-5": 10, "": 12}[odd]; read != want || unread != 2 {
			t.Errorf("%d entries were read and %d told of, want %d and 2", read, unread, want)
		}
	}
}

// TestEachFlowHearsOfWhatItPolls: what one flow has found already is new to another.
func TestEachFlowHearsOfWhatItPolls(t *testing.T) {
	h := newHouse(t)
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	other := *h.flow
	other.ID = "more-hours"
	if _, err := h.ingest.Tick(t.Context(), &other, hub.Work{Tenant: "t1", Deployment: other.ID, Key: ingest.PollKey}); err != nil {
		t.Fatal(err)
	}
	if n := h.entries(); n != 24 {
		t.Errorf("%d rows of work, want twelve entries in each of two flows", n)
	}
}

// TestWhatAnotherNodeApplied is seen by this one: a flow that was added hears of what arrives here, a new revision is
// what runs begin with, and a connection that was changed is the one that is called.
func TestWhatAnotherNodeApplied(t *testing.T) {
	h := newHouse(t)
	upload := func(id string, flows int) {
		t.Helper()
		if _, _, err := h.ingest.Upload(t.Context(), "t1", "time", "entry", []byte("id,day\n"+id+",2026-11-02\n"), store.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
		list, err := h.store.Tenant("t1").Work(t.Context(), store.Filter{Key: "time/entry/" + id, Limit: 10})
		if err != nil || len(list) != flows {
			t.Errorf("%d flows hear of what arrives, %v; want %d", len(list), err, flows)
		}
	}
	upload("1", 1)
	h.clock.Add(time.Minute)
	spec := `{"template":"hours","version":1,"roles":{"time":"time"},"poll":"1h"}`
	err := h.store.Apply(t.Context(), store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR"},
		Connections: []store.Connection{{Tenant: "t1", ID: "time", Connector: "sheets", Settings: `{"new":"1"}`, State: "active", Updated: h.clock.Now()}},
		Deployments: []store.Deployment{{Tenant: "t1", ID: "hours", Revision: 2, State: "active", Spec: spec}, {Tenant: "t1", ID: "more", Revision: 1, State: "active", Spec: spec}}})
	if err != nil {
		t.Fatal(err)
	}
	upload("2", 2)
	for revision, want := range map[int64]int64{0: 2, 1: 1} {
		f, err := h.loader.Flow(t.Context(), "t1", "hours", revision)
		if err != nil || f.Revision != want || f.Roles["time"].Conn.Settings["new"] != "1" {
			t.Errorf("asked for revision %d it is %d with %v, %v; want %d with the new settings", revision, f.Revision, f.Roles["time"].Conn.Settings, err, want)
		}
	}
}

// TestAFlowBeginsWithTheCustomersDay: what is logged in Auckland on the morning of the first day is of the day before in
// Greenwich, and in New York the evening before is none of it.
func TestAFlowBeginsWithTheCustomersDay(t *testing.T) {
	for zone, begins := range map[string]string{"Pacific/Auckland": "2026-11-19T11:00:00Z", "America/New_York": "2026-11-20T05:00:00Z", "": "2026-11-20T00:00:00Z"} {
		h := newHouse(t)
		spec := `{"template":"hours","version":1,"roles":{"time":"time"},"poll":"1m","from":"2026-11-20","zone":"` + zone + `"}`
		err := h.store.Apply(t.Context(), store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR"},
			Deployments: []store.Deployment{{Tenant: "t1", ID: "hours", Revision: 2, State: "active", Spec: spec}}})
		if err != nil {
			t.Fatal(err)
		}
		if h.flow, err = h.loader.Flow(t.Context(), "t1", "hours", 2); err != nil {
			t.Fatal(err)
		}
		if got := h.flow.From.UTC().Format(time.RFC3339); got != begins {
			t.Errorf("in %q it begins at %s, want %s", zone, got, begins)
		}
		h.turn(ingest.SweepKey)
		if from, _, _ := strings.Cut(h.far.span, " "); from != "2026-11-20" {
			t.Errorf("in %q it sweeps from %s on", zone, from)
		}
	}
}

// reach is how far the flow has come by its cursor.
func (h *house) reach() engine.Reach {
	h.Helper()
	v, err := h.store.Tenant("t1").CursorValue(h.Context(), "hours", ingest.PollKey)
	if err != nil {
		h.Fatal(err)
	}
	r, err := h.flow.Reach(v)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// TestAFlowThatIsGivenAnotherBeginning reads from there on, and one that is given another source reads that from its
// beginning: where it had come to in the old one says nothing of it.
func TestAFlowThatIsGivenAnotherBeginning(t *testing.T) {
	h := newHouse(t)
	h.flow.From = begin.Add(4*time.Minute + 30*time.Second)
	for range 2 { // read again, for it has two pages
		if err := h.tick(); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.entries(); n != 4 {
		t.Fatalf("%d entries from the fourth sheet on", n)
	}
	h.flow.From = begin.AddDate(0, 0, -1)
	for range 2 {
		if err := h.tick(); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.entries(); n != 12 {
		t.Errorf("begun a day earlier, it has %d entries, want 12", n)
	}
	end := *h.flow.Roles["time"]
	end.Conn = &remote.Connection{Tenant: "t1", ID: "other", Connector: end.Conn.Connector, Settings: end.Conn.Settings}
	h.flow.Roles = map[string]*engine.End{"time": &end}
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	if n := h.entries(); n != 24 {
		t.Errorf("given another source, it has %d entries, want 24", n)
	}
}

// TestACursorThatDoesNotSayOfWhat is one that was written before cursors did, or by a resumption.
func TestACursorThatDoesNotSayOfWhat(t *testing.T) {
	h := newHouse(t)
	for cursor, want := range map[string]engine.Reach{
		"2026-11-20T08:30:00Z":                      {Since: begin.Add(30 * time.Minute)},
		"2026-11-20T08:30:00Z 2026-11-20T09:00:00Z": {Since: begin.Add(30 * time.Minute), Next: begin.Add(time.Hour)},
	} {
		got, err := h.flow.Reach(cursor)
		if err != nil || !got.Since.Equal(want.Since) || !got.Next.Equal(want.Next) {
			t.Errorf("%s is read as %s, %v", cursor, got, err)
		}
		again, err := h.flow.Reach(got.String())
		if err != nil || again != got {
			t.Errorf("%s is written as %s, and read as %s, %v", cursor, got, again, err)
		}
	}
	if _, err := h.flow.Reach("yesterday"); err == nil {
		t.Error("a cursor that is none was read")
	}
}

// TestTheCursorWaitsForWhatChangesMeanwhile: a row that changes while a list is read may come to stand
// behind a page that was read already. The next poll begins where this one did.
func TestTheCursorWaitsForWhatChangesMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.clock.Add(begin.Add(2 * time.Minute).Sub(h.clock.Now()))
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	reach := h.reach()
	if want := begin.Add(2 * time.Minute); !reach.Since.IsZero() || !reach.Next.Equal(want) {
		t.Errorf("the cursor stands at %s; want it to be read again from the beginning, then from %s, when the poll began", reach, want)
	}
	if err := h.tick(); err != nil {
		t.Fatal(err)
	}
	reach = h.reach()
	if want := begin.Add(2 * time.Minute); !reach.Since.Equal(want) || !reach.Next.IsZero() {
		t.Errorf("read again, it stands at %s; want %s", reach, want)
	}
}

// TestAListThatIsLongerThanALimit: what a limit lets through in one go is less than the list. Begun anew each time
// that it is used up, a poll would never come to its end, and tell nobody.
func TestAListThatIsLongerThanALimit(t *testing.T) {
	limited := saying("page:", "limits: [{rate: 2 per minute}]\npage:")
	for name, key := range map[string]string{"a poll": ingest.PollKey, "a backfill": ingest.BackfillKey(day(t, "2026-11-01"), day(t, "2026-11-30"))} {
		t.Run(name, func(t *testing.T) {
			h := newHouseOf(t, limited)
			err := fmt.Errorf("not yet")
			for range 3 { // who has to wait for the first answer is set aside
				if _, err = h.ingest.Tick(t.Context(), h.flow, hub.Work{Tenant: "t1", Deployment: "hours", Key: key}); hub.KindOf(err) != hub.Throttled {
					break
				}
				h.clock.Add(hub.AsError(err).After)
			}
			if n := h.entries(); err != nil || n != 12 {
				t.Errorf("%d entries, %v; want both of each of six sheets", n, err)
			}
		})
	}
	t.Run("a process that ends waits no more", func(t *testing.T) {
		h := newHouseOf(t, limited)
		h.ends = true
		if err := h.tick(); hub.KindOf(err) != hub.Throttled || hub.AsError(err).After == 0 {
			t.Errorf("it ended with %v; want to come back for it", err)
		}
	})
	t.Run("a process that ends reads no further page", func(t *testing.T) {
		h := newHouse(t)
		h.far.heard = func() { h.ends = len(h.far.calls) == 3 }
		if err := h.tick(); hub.KindOf(err) != hub.Throttled || len(h.far.calls) != 3 {
			t.Errorf("%d calls, then %v; want to stop after the third", len(h.far.calls), err)
		}
	})
	t.Run("a far side that is gone is not waited for", func(t *testing.T) {
		h := newHouseOf(t, limited)
		h.far.fails = "/people 1"
		if err := h.tick(); hub.KindOf(err) != hub.Unavailable || len(h.far.calls) != 1 {
			t.Errorf("%d calls, then %v; want one", len(h.far.calls), err)
		}
	})
	t.Run("one that answers no more is asked some times, then left alone", func(t *testing.T) {
		h := newHouse(t)
		h.far.fails = "/people/ben/sheets 1"
		if err := h.tick(); hub.KindOf(err) != hub.Unavailable || len(h.far.calls) != 9 {
			t.Errorf("calls %s, then %v", h.far.calls, err)
		}
	})
}

func day(t *testing.T, text string) exact.Date {
	t.Helper()
	d, err := exact.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
