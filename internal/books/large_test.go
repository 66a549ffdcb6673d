package books_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	neturl "net/url"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/app"
	"throughline/internal/books"
	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// plain is a time tracker and an ERP without whims, in memory, for more records than simulators should hold.
var plain = fstest.MapFS{
	"connectors/plain-time/connector.yaml": {Data: []byte(`
connector: plain-time
version: 1.0.0
title: Plain time tracker
roles: [time]
host: http://time.example
page: {offset: offset, size: limit, max: 1000}
records:
  person: {path: /people, id: =x.id, as: employee, list: {}}
  project: {path: /projects, id: =x.id, as: project, list: {}}
  entry: {path: /entries, id: =x.id, version: =x.v, as: time_entry, list: {}, sweep: {get: /entries, whole: true}}
`)},
	"connectors/plain-time/mapping/entry.yaml": {Data: []byte(`
record: entry
as: time_entry@1
read:
  employee: =link("employee", x.who)
  project: =link("project", x.project)
  date: =date(x.day)
  seconds: =seconds(int(x.seconds))
  approval: =x.state
`)},
	"connectors/plain-erp/connector.yaml": {Data: []byte(`
connector: plain-erp
version: 1.0.0
title: Plain ERP
roles: [erp]
host: http://erp.example
page: {offset: offset, size: limit, max: 1000}
records:
  person: {path: /people, id: =x.id, as: employee, list: {}}
  project: {path: /projects, id: =x.id, as: project, list: {}}
  entry: {path: /entries, id: =x.id, marker: =x.marker, as: time_entry, sweep: {get: /entries, whole: true}, find: {marker: {get: /entries, query: {marker: =marker}}}, create: {write: S}}
`)},
	"connectors/plain-erp/mapping/entry.yaml": {Data: []byte(`
record: entry
as: time_entry@1
read:
  employee: =link("employee", x.who)
  project: =link("project", x.project)
  date: =date(x.day)
  seconds: =seconds(int(x.seconds))
  approval: approved
write:
  who: =ref(record.employee)
  project: =ref(record.project)
  day: =record.date
  seconds: =record.seconds
create:
  marker: =marker
`)},
	"templates/plain-hours/v1.yaml": {Data: []byte(`
template: plain-hours
version: 1
title: Hours
roles: {time: required, erp: required}
trigger: {record: time_entry, from: time, when: =record.approval == "approved"}
steps:
  - post: time_entry
    to: erp
    stands_by: [employee, project, date, seconds]
    set: {employee: =record.employee, project: =record.project, date: =record.date, seconds: =record.seconds, approval: approved, amount: '=money(decimal("80"), "EUR")'}
`)},
}

type worked struct {
	ID      string `json:"id"`
	V       int64  `json:"v"`
	Who     string `json:"who"`
	Project string `json:"project"`
	Day     string `json:"day"`
	Seconds int64  `json:"seconds"`
	State   string `json:"state,omitempty"`
	Marker  string `json:"marker,omitempty"`
}

// plainFar is both far sides.
type plainFar struct {
	mu        sync.Mutex
	time, erp []worked
	served    func(host string, from int) // after each page, while the next one has not been asked for
}

func (f *plainFar) Send(_ context.Context, method, url string, _ map[string]string, body []byte, _ string) (int, http.Header, []byte, error) {
	u, err := neturl.Parse(url)
	if err != nil {
		return 0, nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var answer any
	switch marker := u.Query().Get("marker"); {
	case method == "POST":
		w := worked{ID: strconv.Itoa(len(f.erp) + 1)}
		if err = json.Unmarshal(body, &w); err == nil {
			f.erp = append(f.erp, w)
			answer = w
		}
	case marker != "":
		answer = slices.DeleteFunc(slices.Clone(f.erp), func(w worked) bool { return w.Marker != marker })
	case strings.HasPrefix(u.Path, "/entries/"):
		i := slices.IndexFunc(f.list(u.Host), func(w worked) bool { return "/entries/"+w.ID == u.Path })
		if i < 0 {
			return 404, http.Header{}, []byte("{}"), nil
		}
		answer = f.list(u.Host)[i]
	default:
		answer = page(f.list(u.Host), u)
	}
	if err != nil {
		return 0, nil, nil, err
	}
	data, err := json.Marshal(answer)
	if from, err := strconv.Atoi(u.Query().Get("offset")); err == nil && f.served != nil && strings.HasPrefix(u.Path, "/entries") {
		f.served(u.Host, from)
	}
	return 200, http.Header{"Content-Type": {"application/json"}}, data, err
}

func (f *plainFar) list(host string) []worked {
	if host == "time.example" {
		return f.time
	}
	return f.erp
}

func page(list []worked, u *neturl.URL) []worked {
	from, _ := strconv.Atoi(u.Query().Get("offset")) // the connector writes numbers
	size, _ := strconv.Atoi(u.Query().Get("limit"))
	from = min(from, len(list))
	return list[from:min(from+size, len(list))]
}

// open is the product with a month of n approved entries in the time tracker, nothing of it posted yet.
func open(t testing.TB, n int) (*plainFar, *app.App) { return openOf(t, n, plain) }

func openOf(t testing.TB, n int, definitions fs.FS) (*plainFar, *app.App) {
	f := &plainFar{}
	for i := range n {
		f.time = append(f.time, worked{ID: fmt.Sprintf("entry-%08d", i), V: 1, Who: fmt.Sprintf("p%d", i%50), Project: fmt.Sprintf("j%d", i%20), Day: fmt.Sprintf("2026-11-%02d", 1+i%28), Seconds: int64(900 + i%7*60), State: "approved"})
	}
	a, err := app.New(t.Context(), app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", Workers: 64, Definitions: []fs.FS{definitions}, Log: slog.New(slog.DiscardHandler), Send: f})
	if err != nil {
		t.Fatal(err)
	}
	var links []store.Link
	for kind, many := range map[string]int{"person": 50, "project": 20} {
		for i := range many {
			name := fmt.Sprintf("%c%d", map[string]byte{"person": 'p', "project": 'j'}[kind], i)
			id := hub.RecordIDFor("plain", "time", kind, name)
			links = append(links, store.Link{Record: id, Connection: "time", Kind: kind, ExternalID: name}, store.Link{Record: id, Connection: "erp", Kind: kind, ExternalID: "E" + name})
		}
	}
	record(t, a, store.Step{Links: links})
	const file = "customer: plain\nname: Plain\nconnections:\n  time: {connector: plain-time@1}\n  erp: {connector: plain-erp@1}\nflows:\n  hours: {template: plain-hours@1, roles: {time: time, erp: erp}, poll: 240h}\n"
	if _, err := a.Control.Apply(t.Context(), admin, "customer.yaml", []byte(file)); err != nil {
		t.Fatal(err)
	}
	return f, a
}

func record(t testing.TB, a *app.App, st store.Step) {
	epoch, err := a.Store.Join(t.Context(), "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	st.Epoch, st.Tenant = epoch, "plain"
	if _, err := a.Store.Journal().Record(t.Context(), st); err != nil {
		t.Fatal(err)
	}
}

// carry lets the product post the month.
func carry(t testing.TB, a *app.App, n int) {
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); ; <-tick.C {
		count, err := a.Store.Tenant("plain").Count(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if count[hub.Idle] == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the month does not come to rest: %v", count)
		}
	}
}

// write writes ledger and ERP as if the product had posted the month: it would take longer than all that is
// measured here.
func (f *plainFar) write(t testing.TB, a *app.App) {
	plan := workflow.Plan{Step: workflow.Step{StandBy: []string{"employee", "project", "date", "seconds"}}}
	for batch := range slices.Chunk(f.time, 2000) {
		var st store.Step
		for _, e := range batch {
			id := hub.RecordIDFor("plain", "time", "entry", e.ID)
			day, err := exact.ParseDate(e.Day)
			if err != nil {
				t.Fatal(err)
			}
			ref := func(recordType, kind, name string) canonical.Ref {
				return canonical.Ref{Type: recordType, ID: hub.RecordIDFor("plain", "time", kind, name), Key: hub.RecordKey{Connection: "time", Kind: kind, ID: name}}
			}
			fields := map[string]any{"employee": ref("employee", "person", e.Who), "project": ref("project", "project", e.Project), "date": day, "seconds": exact.Seconds(e.Seconds)}
			p := store.Posting{Record: id.Line("plain", "hours", 1), Entry: id, Deployment: "hours", Connection: "erp", N: 1, Type: "time_entry", Date: e.Day, Seconds: e.Seconds, State: store.Posted}
			if p.Content, err = plan.Content(fields); err != nil {
				t.Fatal(err)
			}
			if p.Fields, err = canonical.Encode(fields); err != nil {
				t.Fatal(err)
			}
			row := worked{ID: fmt.Sprintf("erp-%s", e.ID), Who: "E" + e.Who, Project: "E" + e.Project, Day: e.Day, Seconds: e.Seconds, Marker: p.Record.Marker()}
			f.erp, st.Postings = append(f.erp, row), append(st.Postings, p)
			st.Links = append(st.Links, store.Link{Record: id, Connection: "time", Kind: "entry", ExternalID: e.ID}, store.Link{Record: p.Record, Connection: "erp", Kind: "entry", ExternalID: row.ID})
		}
		record(t, a, st)
	}
}

// drift plants twenty things, spread over the month, and says how each is to be found.
func (f *plainFar) drift() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	want, step := map[string]string{}, len(f.erp)/20
	byMarker := map[string]string{} // the entry from which a record was made
	for _, e := range f.time {
		byMarker[hub.RecordIDFor("plain", "time", "entry", e.ID).Line("plain", "hours", 1).Marker()] = e.ID
	}
	var deleted []string
	for i := range 20 {
		row := &f.erp[i*step]
		entry := byMarker[row.Marker]
		what := books.Altered
		switch i % 7 {
		case 0:
			deleted, what = append(deleted, row.ID), books.Missing
		case 1:
			row.Seconds += 60
		case 2:
			twin := *row
			twin.ID = fmt.Sprintf("twin-%d", i)
			f.erp, what = append(f.erp, twin), books.Duplicate
		case 3:
			f.time, what = slices.DeleteFunc(f.time, func(e worked) bool { return e.ID == entry }), books.Orphan
		case 4:
			row.Who = other(row.Who, 50)
		case 5:
			row.Project = other(row.Project, 20)
		case 6:
			row.Day = "2026-12-01"
		}
		want["time/entry/"+entry] = what
	}
	f.erp = slices.DeleteFunc(f.erp, func(w worked) bool { return slices.Contains(deleted, w.ID) })
	for i := range len(f.erp) / 100 { // and what is not ours
		f.erp = append(f.erp, worked{ID: fmt.Sprintf("own-%d", i), Who: "Ep1", Project: "Ej1", Day: "2026-11-05", Seconds: 600})
	}
	return want
}

// other is the next one of so many: Ep7 after Ep6.
func other(name string, of int) string {
	n, err := strconv.Atoi(name[2:])
	if err != nil {
		panic(err) // the names are made above
	}
	return name[:2] + strconv.Itoa((n+1)%of)
}

// plant plants drifts and looks for them.
func plant(t testing.TB, n int) {
	f, a := open(t, n)
	carry(t, a, n)
	clean, err := a.Control.Balance(t.Context(), admin, "plain", "2026-11", false)
	if err != nil || clean.Unexplained() != 0 || clean.Totals[0].Sums[books.InERP].Entries != n {
		t.Fatalf("before: %v, %v", clean, err)
	}
	want := f.drift()
	if len(want) != 20 {
		t.Fatalf("%d drifts were planted", len(want))
	}
	s, err := a.Control.Balance(t.Context(), admin, "plain", "2026-11", false)
	if err != nil {
		t.Fatal(err)
	}
	onlyPlanted(t, s, want)
}

// TestTwentyDriftsAmongMany (X8). The benchmark below does the same among 100,000.
func TestTwentyDriftsAmongMany(t *testing.T) { plant(t, 1000) }

// BenchmarkBalance finds twenty drifts among 100,000 entries, and measures what a statement of them holds.
func BenchmarkBalance(b *testing.B) {
	const n = 100_000
	f, a := open(b, n)
	b.Cleanup(func() {
		if err := a.Store.Close(); err != nil {
			b.Error(err)
		}
	})
	f.write(b, a)
	want := f.drift()
	runtime.GC()
	before, most := live(), uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, live())
			case <-stop:
				return
			}
		}
	}()
	for b.Loop() {
		s, err := a.Control.Balance(b.Context(), admin, "plain", "2026-11", false)
		if err != nil {
			b.Fatal(err)
		}
		var list []string
		for _, found := range s.Findings {
			if want[found.Entry] != found.What {
				list = append(list, found.Entry)
			}
		}
		if len(s.Findings) != 20 || len(list) > 0 {
			b.Fatalf("%d found, wrong are %s", len(s.Findings), strings.Join(list, ", "))
		}
	}
	close(stop)
	<-done
	b.ReportMetric(float64(most-before)/1e6, "MB-live")
}

// live is what the last garbage collection has found to be in use.
func live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
