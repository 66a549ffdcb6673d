package books_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/connectors"
	"throughline/internal/access"
	"throughline/internal/api"
	"throughline/internal/app"
	"throughline/internal/books"
	"throughline/internal/control"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/simulator"
	"throughline/internal/store"
)

// The far sides' own words, as their simulators are seeded.
const (
	workspace = "64a687e29ae1f428e7ebe303"
	support   = "64c777ddd3fcab07cfbb2201" // a project that both far sides know
	erpNumber = "PR000090"
	tenant    = hub.TenantID("northwind")
)

var people = []string{"5a0ab5acb07987125438b610", "5a0ab5acb07987125438b611", "5a0ab5acb07987125438b612", "5a0ab5acb07987125438b613"}

const farid = "5a0ab5acb07987125438b614" // whom the ERP does not employ

const customer = `
customer: northwind
name: Northwind
zone: Europe/Amsterdam
currency: EUR
connections:
  erp:  {connector: acumatica@1, settings: {url: "http://erp.example", tenant: Northwind}, secret: "file:DIR/erp.json"}
  time: {connector: clockify@1, settings: {url: "http://time.example/api", workspace: 64a687e29ae1f428e7ebe303, expense_totals: cents}, secret: "file:DIR/time.json"}
flows:
  hours:
    template: time-to-billing@1
    roles: {time: time, erp: erp}
    poll: 24h
    parameters: {default_rate: 120 EUR, default_category: CONS-SR}
    without: [erp/period]
  costs:
    template: expense-to-billing@1
    roles: {time: time, erp: erp}
    poll: 24h
    values: {expense_item: {Travel: TRAVEL}}
    without: [erp/period]
`

// month is the whole product between two simulated far sides, with a month of work that both know.
type month struct {
	*testing.T
	app       *app.App
	erp, time *simulator.Simulator
	tasks     []string // of the project, in the time tracker
	requests  []string // for approval, one per person and week
	dir       string
	ticks     int // polls and sweeps
}

// far sends calls to the simulators without a network.
type far map[string]http.RoundTripper

func (f far) Send(ctx context.Context, method, url string, header map[string]string, body []byte, _ string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := f[req.URL.Host].RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, data, err
}

// unhurried are the connectors without the vendors' limits on calls, which would only make a test wait.
func unhurried(t *testing.T) fs.FS {
	out := fstest.MapFS{}
	for _, name := range []string{"acumatica", "clockify"} {
		err := fs.WalkDir(connectors.Files, name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(connectors.Files, path)
			data = bytes.ReplaceAll(data, []byte("rate: 100 per minute"), []byte("rate: 100000 per minute"))
			data = bytes.ReplaceAll(data, []byte("rate: 10 per second"), []byte("rate: 10000 per second"))
			out["connectors/"+path] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func simulate(t *testing.T, name string) *simulator.Simulator {
	file := name + "/simulator.yaml"
	data, err := fs.ReadFile(connectors.Files, file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := simulator.Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulator.New(d, simulator.Options{Now: time.Now, Rand: rand.New(rand.NewPCG(1, 1)), Unlimited: true, Lag: func(*rand.Rand) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openMonth(t *testing.T) *month {
	dir := t.TempDir()
	m := &month{T: t, erp: simulate(t, "acumatica"), time: simulate(t, "clockify"), dir: dir, ticks: 4}
	a, err := app.New(t.Context(), app.Config{Data: dir, Addr: "127.0.0.1:0", Workers: 8, Definitions: []fs.FS{unhurried(t)}, Log: slog.New(slog.DiscardHandler),
		Send: far{"erp.example": m.erp.Transport(), "time.example": m.time.Transport()}})
	if err != nil {
		t.Fatal(err)
	}
	m.app = a
	m.insert(m.erp, "project", map[string]any{"ProjectID": "PR000091", "Description": "Another project", "Customer": "C000900", "Hold": false})
	m.insert(m.erp, "project_task", map[string]any{"ProjectID": "PR000091", "ProjectTaskID": "01", "Description": "Anything", "Status": "Active"})
	for _, row := range m.rows(m.time, "task") {
		m.tasks = append(m.tasks, row.ID)
	}
	m.link("project", support, "project", erpNumber)
	for i, task := range m.tasks {
		m.link("task", task, "task", fmt.Sprintf("%s|%02d", erpNumber, i+1))
	}
	for name, secret := range map[string]string{"erp": `{"user": "integration", "password": "demo-acumatica-password"}`, "time": `{"key": "demo-clockify-key"}`} {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.log()
	if _, err := a.Control.Apply(t.Context(), admin, "customer.yaml", []byte(strings.ReplaceAll(customer, "DIR", dir))); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	m.settle()
	return m
}

var admin = access.Principal{Name: "test", Role: "admin", Tenant: access.Everyone}

func (m *month) insert(s *simulator.Simulator, entity string, fields map[string]any) string {
	m.Helper()
	id, err := s.Insert("", entity, fields)
	if err != nil {
		m.Fatal(entity, err)
	}
	return id
}

func (m *month) update(s *simulator.Simulator, entity, id string, fields map[string]any) {
	m.Helper()
	if err := s.Update("", entity, id, fields); err != nil {
		m.Fatal(entity, id, err)
	}
}

func (m *month) remove(s *simulator.Simulator, entity, id string) {
	m.Helper()
	if err := s.Remove("", entity, id); err != nil {
		m.Fatal(entity, id, err)
	}
}

func (m *month) rows(s *simulator.Simulator, entity string) []simulator.Row {
	m.Helper()
	rows, err := s.Rows("", entity)
	if err != nil {
		m.Fatal(err)
	}
	return rows
}

// link says that the far sides' records are the same: what a deal that was won has brought about.
func (m *month) link(kind, there, erpKind, inERP string) {
	m.Helper()
	epoch, err := m.app.Store.Join(m.Context(), "test", time.Minute)
	if err != nil {
		m.Fatal(err)
	}
	id := hub.RecordIDFor(tenant, "time", kind, there)
	_, err = m.app.Store.Journal().Record(m.Context(), store.Step{Epoch: epoch, Tenant: tenant, Links: []store.Link{
		{Record: id, Connection: "time", Kind: kind, ExternalID: there, Updated: time.Now()}, {Record: id, Connection: "erp", Kind: erpKind, ExternalID: inERP, Number: inERP, Updated: time.Now()}}})
	if err != nil {
		m.Fatal(err)
	}
}

// log fills the time tracker: three entries a day and person in three weeks of November, approved by the
// week; two expenses each; and what will not come through: work of somebody whom the ERP does not employ,
// an entry on no project, a week that nobody has approved.
func (m *month) log() {
	for w := range 3 {
		monday := time.Date(2026, 11, 2+7*w, 0, 0, 0, 0, time.UTC)
		for _, who := range append(slices.Clone(people), farid) {
			for d := range 5 {
				for n := range 3 {
					m.work(who, monday.AddDate(0, 0, d), n)
				}
			}
			m.insert(m.time, "expense", map[string]any{"userId": who, "date": monday.Format(time.DateOnly), "projectId": support, "taskId": m.tasks[0], "categoryId": "64c777ddd3fcab07cfbb2301", "total": 8450 + w, "notes": "Train", "billable": true})
			request := m.insert(m.time, "approval_request", map[string]any{"workspaceId": workspace, "userId": who, "start": monday.Format(time.RFC3339)})
			if who == farid && w > 0 {
				continue // nobody has looked at these
			}
			m.update(m.time, "approval_request", request, map[string]any{"state": "APPROVED"})
			m.requests = append(m.requests, request)
		}
	}
}

func (m *month) work(who string, day time.Time, n int) string {
	m.Helper()
	from := day.Add(time.Duration(8+3*n) * time.Hour)
	fields := map[string]any{"workspaceId": workspace, "userId": who, "projectId": support, "taskId": m.tasks[n%2], "billable": n != 2, "description": fmt.Sprintf("Work %d", n),
		"start": from.Format(time.RFC3339), "end": from.Add(time.Duration(60+n) * time.Minute).Add(10 * time.Second).Format(time.RFC3339)}
	if who == people[0] && day.Day() == 2 && n == 0 {
		delete(fields, "projectId")
		delete(fields, "taskId")
	}
	return m.insert(m.time, "time_entry", fields)
}

// settle waits until nothing is left to do but what waits for somebody.
func (m *month) settle() {
	m.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-tick.C {
		count, err := m.app.Store.Tenant(tenant).Count(m.Context())
		if err != nil {
			m.Fatal(err)
		}
		if count[hub.Idle] > 0 && count[hub.Ready]+count[hub.Running] == 0 && count[hub.Later] == m.ticks {
			return
		}
	}
	rows, err := m.app.Store.Tenant(tenant).Work(m.Context(), store.Filter{Limit: 1000})
	for _, w := range rows {
		if w.State != hub.Idle && w.State != hub.Stopped {
			m.Logf("%s is %s: %s %v", w.Key, w.State, w.Reason, err)
		}
	}
	m.Fatal("the month does not come to rest")
}

func (m *month) balance(details bool) *books.Statement {
	m.Helper()
	s, err := m.app.Control.Balance(m.Context(), admin, tenant, "2026-11", details)
	if err != nil {
		m.Fatal(err)
	}
	for _, t := range s.Totals {
		left, money := t.Sums[books.Approved].Seconds, t.Sums[books.Approved].Amount
		for _, c := range []books.Column{books.InERP, books.Waiting, books.InException, books.Refused, books.Decided, books.Rounding, books.Unexplained} {
			left, money = left-t.Sums[c].Seconds, money.Sub(t.Sums[c].Amount)
		}
		if left != 0 || !money.IsZero() {
			m.Errorf("%q is out by %d s and %s", t.Currency, left, money)
		}
	}
	return s
}

// entryOf is the time tracker's key of what a record of the ERP was made from.
func (m *month) entryOf(erpID string) string {
	m.Helper()
	t := m.app.Store.Tenant(tenant)
	link, err := t.LinkOf(m.Context(), "erp", "time_entry", erpID)
	if err != nil || link == nil {
		m.Fatalf("%s is not known: %v", erpID, err)
	}
	line, err := t.Posting(m.Context(), link.Record)
	if err != nil || line == nil {
		m.Fatalf("%s is not posted: %v", erpID, err)
	}
	from, err := t.Link(m.Context(), line.Entry, "time")
	if err != nil || from == nil {
		m.Fatalf("%s comes from nowhere: %v", erpID, err)
	}
	return from.ExternalID
}

// TestTwentyPlantedDrifts (X8): a month that balances, with strangers, exceptions and work that waits in
// it; then twenty things go wrong behind our back, in either far side. All are found, and nothing else.
func TestTwentyPlantedDrifts(t *testing.T) {
	m := openMonth(t)
	m.insert(m.erp, "time_entry", map[string]any{"Employee": "EP00000003", "Date": "2026-11-20T00:00:00Z", "ProjectID": "PR000091", "ProjectTaskID": "01", "TimeSpent": "01:30", "Summary": "Typed in by hand", "ExternalRefNbr": "own-4711"})
	m.insert(m.erp, "time_entry", map[string]any{"Employee": "EP00000003", "Date": "2026-11-20T00:00:00Z", "ProjectID": "PR000091", "ProjectTaskID": "01", "TimeSpent": "00:30", "Summary": "Typed in by hand"})
	before := m.balance(true)
	for _, f := range before.Findings {
		t.Errorf("found before anything was planted: %+v", f)
	}
	m.sums(before)

	posted := m.rows(m.erp, "time_entry")
	posted = slices.DeleteFunc(posted, func(r simulator.Row) bool { return r.Fields["ProjectID"] == "PR000091" })
	rand.New(rand.NewPCG(7, 7)).Shuffle(len(posted), func(i, j int) { posted[i], posted[j] = posted[j], posted[i] })
	want, next := map[string]string{}, 0
	take := func(what string) (simulator.Row, string) { // the next victim; found by its key in the time tracker
		row := posted[next]
		next++
		key := "time/entry/" + m.entryOf(row.ID)
		want[key] = what
		return row, key
	}
	change := func(fields map[string]any) (key string) {
		row, key := take(books.Altered)
		fields["ApprovalStatus"] = "Open"
		m.update(m.erp, "time_entry", row.ID, fields)
		return key
	}
	for range 4 {
		row, _ := take(books.Missing)
		m.remove(m.erp, "time_entry", row.ID)
	}
	for range 3 {
		change(map[string]any{"TimeSpent": "00:45", "BillableTime": "00:45"})
	}
	for range 2 {
		change(map[string]any{"Employee": "EP00000001"})
	}
	change(map[string]any{"ProjectID": "PR000091", "ProjectTaskID": "01"})
	change(map[string]any{"Date": "2026-11-27T00:00:00Z"})
	moved := change(map[string]any{"Date": "2026-12-01T00:00:00Z"})
	for range 3 {
		row, _ := take(books.Duplicate)
		twin := map[string]any{}
		for _, f := range []string{"Employee", "Date", "ProjectID", "ProjectTaskID", "LaborItem", "TimeSpent", "Billable", "Summary", "ExternalRefNbr"} {
			twin[f] = row.Fields[f]
		}
		m.insert(m.erp, "time_entry", twin)
	}
	for range 3 {
		_, key := take(books.Orphan)
		id := strings.TrimPrefix(key, "time/entry/")
		m.update(m.time, "time_entry", id, map[string]any{"isLocked": false})
		m.remove(m.time, "time_entry", id)
	}
	_, key := take(books.NotNoticed)
	m.update(m.time, "time_entry", strings.TrimPrefix(key, "time/entry/"), map[string]any{"isLocked": false, "billable": false, "description": "Changed behind our back"})
	slipped := m.work(people[1], time.Date(2026, 11, 7, 0, 0, 0, 0, time.UTC), 0)
	m.update(m.time, "time_entry", slipped, map[string]any{"approvalRequestId": m.requests[1], "isLocked": true})
	want["time/entry/"+slipped] = books.NotCarried
	if len(want) != 20 {
		t.Fatalf("%d drifts were planted", len(want))
	}

	after := m.balance(false)
	onlyPlanted(t, after, want)
	if n := after.Unexplained(); n != 20 {
		t.Errorf("%d are unexplained", n)
	}
	december, err := m.app.Control.Balance(t.Context(), admin, tenant, "2026-12", false)
	if err != nil || len(december.Findings) != 1 || december.Findings[0].What != books.Stray || december.Findings[0].Entry != moved {
		t.Errorf("what was moved to December is there as %+v, %v; want %s", december.Findings, err, moved)
	}
}

// sums holds a statement against what was logged.
func (m *month) sums(s *books.Statement) {
	m.Helper()
	of := func(currency string, c books.Column) books.Sum {
		for _, t := range s.Totals {
			if t.Currency == currency {
				return t.Sums[c]
			}
		}
		return books.Sum{}
	}
	all := books.Sum{}
	exceptions := map[string]int{}
	for _, t := range s.Totals {
		all.Entries += t.Sums[books.Approved].Entries
		all.Seconds += t.Sums[books.Approved].Seconds
		for code, sum := range t.By[books.InException] {
			exceptions[code] += sum.Entries
		}
	}
	const perDay = 3*3610 + 60 + 120
	if want := (4*15 + 5) * perDay; all.Seconds != int64(want) || all.Entries != (4*15+5)*3+13 { // one of the five weeks' worth is Farid's
		m.Errorf("approved are %d s in %d, want %d s", all.Seconds, all.Entries, want)
	}
	if exceptions["rule.project_named"] != 1 {
		m.Errorf("in exception are %v", exceptions)
	}
	if in := of("EUR", books.InERP); in.Entries == 0 || in.Amount.IsZero() || of("EUR", books.Rounding).Seconds == 0 {
		m.Errorf("in the ERP are %+v", in)
	}
	if n := of("", books.NotOurs); n.Entries != 2 || n.Seconds != 7200 {
		m.Errorf("not ours are %+v", n)
	}
	if len(s.Details) != all.Entries {
		m.Errorf("%d entries are named of %d", len(s.Details), all.Entries)
	}
	m.told(s)
}

// told holds what the API tells against the statement itself.
func (m *month) told(s *books.Statement) {
	m.Helper()
	if err := m.app.Keys.Add(m.Context(), "tl_viewer", "viewer", "viewer", tenant); err != nil {
		m.Fatal(err)
	}
	var out api.Statement
	client := &api.Client{Server: m.app.URL(), Key: "tl_viewer", HTTP: http.DefaultClient}
	if err := client.Do(m.Context(), "GET", "/v1/customers/northwind/balance?period=2026-11-01..2026-11-30&entries=true", "", nil, &out); err != nil {
		m.Fatal(err)
	}
	if !out.Balanced || out.From != "2026-11-01" || out.To != "2026-11-30" || len(out.Flows) != 2 || len(out.Entries) != len(s.Details) || len(out.Projects) != len(s.Projects) {
		m.Errorf("the API tells %v, %s to %s, of %v, %d entries and %d rows", out.Balanced, out.From, out.To, out.Flows, len(out.Entries), len(out.Projects))
	}
	for i, t := range s.Totals {
		if in := out.Totals[i].InERP; in.Seconds != t.Sums[books.InERP].Seconds || exact.MustDecimal(in.Amount) != t.Sums[books.InERP].Amount {
			m.Errorf("the API tells %+v for %+v", in, t.Sums[books.InERP])
		}
	}
	if p := out.Projects[len(out.Projects)-1]; p.Number != erpNumber && p.Number != "PR000091" {
		m.Errorf("a project is called %q, %q", p.Number, p.Name)
	}
}

// onlyPlanted holds the findings of a statement against the drifts that were planted, by entry: all of them, and nothing else.
func onlyPlanted(t testing.TB, s *books.Statement, want map[string]string) {
	t.Helper()
	for _, f := range s.Findings {
		if want[f.Entry] != f.What {
			t.Errorf("found, but not planted: %+v", f)
		}
		delete(want, f.Entry)
	}
	for key, what := range want {
		t.Errorf("not found: %s (%s)", key, what)
	}
}

// TestWhatIsExplained: an approval that was withdrawn since the last poll is being taken back, and what a
// person leaves out is refused for the reason given.
func TestWhatIsExplained(t *testing.T) {
	m := openMonth(t)
	before := m.balance(false)
	// The time tracker tells whole seconds: a change in the second of the newest one that the poll has seen looks as old as that.
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	m.update(m.time, "approval_request", m.requests[1], map[string]any{"state": "WITHDRAWN_APPROVAL"})
	list, err := m.app.Store.Tenant(tenant).Exceptions(t.Context(), store.Filter{State: "open"})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d exceptions, %v", len(list), err)
	}
	if err := m.app.Control.ResolveException(t.Context(), admin, tenant, list[0].ID, "ignore", "internal meeting"); err != nil {
		t.Fatal(err)
	}
	after := m.balance(false)
	for _, f := range after.Findings {
		t.Errorf("unexplained: %+v", f)
	}
	sum := func(s *books.Statement, c books.Column) (seconds int64) {
		for _, total := range s.Totals {
			seconds += total.Sums[c].Seconds
		}
		return seconds
	}
	week := int64(5 * (3*3600 + 60 + 120)) // as it was rounded
	if got := sum(after, books.Waiting) - sum(before, books.Waiting); got != -week {
		t.Errorf("%d s more wait, want %d", got, -week)
	}
	if got := sum(before, books.InERP) - sum(after, books.InERP); got != 0 {
		t.Errorf("%d s left the ERP", got)
	}
	refused := 0
	for _, total := range after.Totals {
		if r := total.By[books.Refused]["internal meeting"]; r != nil {
			refused += r.Entries
		}
	}
	if refused != 1 || sum(after, books.InException) != 0 {
		t.Errorf("refused are %d, and %d s are in exception", refused, sum(after, books.InException))
	}
}

// TestWhatAPersonHasSet: an entry on no project is posted on the one that a person has set, and so it stands in the statement.
func TestWhatAPersonHasSet(t *testing.T) {
	m := openMonth(t)
	before := m.balance(false)
	list, err := m.app.Store.Tenant(tenant).Exceptions(t.Context(), store.Filter{State: "open"})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d exceptions, %v", len(list), err)
	}
	set := control.Resolving{Exceptions: []hub.ExceptionID{list[0].ID}, How: control.Set, Fields: map[string]string{"project": support, "task": m.tasks[0]}}
	if _, err := m.app.Control.Resolve(t.Context(), admin, tenant, set); err != nil {
		t.Fatal(err)
	}
	m.settle()
	after := m.balance(false)
	for _, f := range after.Findings {
		t.Errorf("unexplained: %+v", f)
	}
	if was, is := entries(before, books.InERP), entries(after, books.InERP); is != was+1 || entries(after, books.InException) != 0 {
		t.Errorf("in the ERP are %d, were %d; in exception are %d", is, was, entries(after, books.InException))
	}
}

// TestWhatIsLeftOverAMonthsEnd: an entry that was billed is moved to December, and a person decides that the bill stays.
// November has it in the ERP, December approved, and both say that it was decided.
func TestWhatIsLeftOverAMonthsEnd(t *testing.T) {
	m := openMonth(t)
	posted := m.rows(m.erp, "time_entry")[0]
	m.update(m.erp, "time_entry", posted.ID, map[string]any{"ApprovalStatus": "Released"})
	for _, r := range m.rows(m.erp, "project_transaction") {
		line := maps.Clone(r.Fields["Details"].([]any)[0].(map[string]any))
		line["Billed"] = true
		m.update(m.erp, "project_transaction", r.ID, map[string]any{"Details": []any{line}})
	}
	m.rewrite(m.entryOf(posted.ID), "2026-11-30T00:00:00Z", map[string]any{"start": "2026-12-01T08:00:00Z", "end": "2026-12-01T09:00:00Z"})
	list, err := m.app.Store.Tenant(tenant).Exceptions(t.Context(), store.Filter{State: "open"})
	i := slices.IndexFunc(list, func(e store.Exception) bool { return e.Code == "posting.fixed" })
	if err != nil || i < 0 {
		t.Fatalf("open are %+v, %v", list, err)
	}
	if _, err := m.app.Control.Resolve(t.Context(), admin, tenant, control.Resolving{Exceptions: []hub.ExceptionID{list[i].ID}, How: engine.Leave}); err != nil {
		t.Fatal(err)
	}
	m.settle()
	for _, period := range []string{"2026-11", "2026-12"} {
		s, err := m.app.Control.Balance(t.Context(), admin, tenant, period, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Findings {
			t.Errorf("in %s is found %+v", period, f)
		}
		if n := entries(s, books.Decided); n != 1 {
			t.Errorf("in %s are %d decided, want one", period, n)
		}
	}
}

// TestAFlowOfAnotherName: in the customer's file the flow of hours has got another name. The old one goes on, which
// applying the file tells; what both have posted stands there twice, which the statement tells of each entry.
func TestAFlowOfAnotherName(t *testing.T) {
	m := openMonth(t)
	before := m.balance(false)
	renamed := strings.ReplaceAll(strings.ReplaceAll(customer, "DIR", m.dir), "  hours:", "  work:")
	changes, err := m.app.Control.Apply(t.Context(), admin, "customer.yaml", []byte(renamed))
	if err != nil || !slices.Contains(changes, control.Change{What: "flow hours", Does: "stays"}) {
		t.Errorf("applied is %v, %v; want to hear that the flow hours stays", changes, err)
	}
	m.ticks += 2
	m.settle()
	after := m.balance(false)
	twice := 0
	for _, f := range after.Findings {
		if f.What != books.Duplicate {
			t.Errorf("found %+v", f)
		}
		twice++
	}
	if more := entries(after, books.InERP) - entries(before, books.InERP); twice == 0 || twice != more {
		t.Errorf("%d are told to stand there twice, want %d", twice, more)
	}
}

// rewrite changes an entry that was approved, and lets its week, and the week of the day that it has now, be approved again.
func (m *month) rewrite(id string, week string, fields map[string]any) {
	m.Helper()
	find := func(entity, id string) map[string]any {
		rows := m.rows(m.time, entity)
		return rows[slices.IndexFunc(rows, func(r simulator.Row) bool { return r.ID == id })].Fields
	}
	old := fmt.Sprint(find("time_entry", id)["approvalRequestId"])
	m.update(m.time, "approval_request", old, map[string]any{"state": "WITHDRAWN_APPROVAL"})
	m.update(m.time, "time_entry", id, fields)
	request := find("approval_request", old)
	for _, start := range []any{request["start"], week} {
		anew := m.insert(m.time, "approval_request", map[string]any{"workspaceId": workspace, "userId": request["userId"], "start": start})
		m.update(m.time, "approval_request", anew, map[string]any{"state": "APPROVED"})
	}
	both, err := books.ParsePeriod("2026-11-01..2026-12-31")
	if err == nil {
		err = m.app.Control.Backfill(m.Context(), admin, tenant, "hours", both.From, both.To, false)
	}
	if err != nil {
		m.Fatal(err)
	}
	m.settle()
}
