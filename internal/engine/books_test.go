package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
	"throughline/internal/store/storetest"
)

const trackerYAML = `
connector: tracker
version: 1.0.0
title: Tracker
roles: [time]
docs: invented
settings: {url: {title: Address}}
host: "{settings.url}"
records:
  entry: {as: time_entry, id: =x.id, get: {get: "/time/entries/{id}"}}
  user: {as: employee, id: =x.id, list: {get: /time/users}}
  project: {as: project, id: =x.id, get: {get: "/time/projects/{id}"}}
webhooks:
  verify: {scheme: none}
  events: [{record: entry, id: =body.id, carries: =body}]
`

const ledgerYAML = `
connector: ledger
version: 1.0.0
title: Ledger
roles: [erp]
docs: invented
settings: {url: {title: Address}}
host: "{settings.url}"
records:
  account: {as: account, id: =x.id}
  employee: {as: employee, id: =x.id, find: {email: {get: /erp/employees, query: {email: =value}}}}
  project: {as: project, id: =x.id, get: {get: "/erp/projects/{id}"}}
  line:
    path: /erp/lines
    as: time_entry
    id: =x.id
    find: {marker: {get: /erp/lines, query: {marker: =marker}}}
    create: {write: S}
    after_create:
      - step: complete
        with: {now: {get: "/erp/lines/{id}"}}
        when: =found.now.state == "open"
        post: "/erp/lines/{id}/complete"
        write: S
    delete: {write: U, when: =x.state != "posted", first: [reopen]}
    actions:
      reopen:
        with: {now: {get: "/erp/lines/{id}"}}
        when: =found.now.state == "completed"
        post: "/erp/lines/{id}/reopen"
        write: S
  reversal:
    path: /erp/reversals
    as: billable_item
    id: =x.id
    find: {marker: {get: /erp/reversals, query: {marker: =marker}}}
    create: {write: S}
`

const hoursYAML = `
template: hours
version: 1
title: Hours
roles: {time: required, erp: required}
trigger: {record: time_entry, from: time, when: =record.approval == "approved"}
worth: =charge(money("60", "EUR"), record.seconds)
rules:
  entry:
    - {rule: hours_positive, that: =record.seconds > seconds(0), says: No hours., fix: Correct them., field: seconds}
steps:
  - check: entry
  - read: employee
    of: =record.employee
    within: 10m
  - match: employee
    in: erp
    within: 10m
  - read: project
    of: =record.project
    in: erp
    within: 10m
  - post: time_entry
    to: erp
    stands_by: [employee, project, date, seconds, note]
    back_as: billable_item
    limits:
      - {limit: day, per: =employee.id + text(record.date), seconds: '=seconds("24:00")', says: More than a day., fix: Split it., field: seconds}
      - {limit: cap, per: =project.id, amount: =project.budget, says: Above the budget., field: project}
    set: {employee: =employee, project: =project, date: =record.date, seconds: =record.seconds, note: =record.note, approval: approved, amount: '=charge(money("60", "EUR"), record.seconds)'}
`

var bookFiles = fstest.MapFS{
	"tracker/connector.yaml": {Data: []byte(trackerYAML)},
	"tracker/mapping/entry.yaml": {Data: []byte(`
record: entry
as: time_entry@1
read:
  employee: =link("employee", x.user)
  project: =link("project", x.project)
  date: =date(x.day)
  seconds: =seconds(x.seconds)
  note: =x.note
  approval: =x.approval`)},
	"tracker/mapping/user.yaml":    {Data: []byte(`{record: user, as: employee@1, read: {name: =x.name, email: =x.email}}`)},
	"tracker/mapping/project.yaml": {Data: []byte(`{record: project, as: project@1, write: {name: =record.name}}`)},
	"ledger/connector.yaml":        {Data: []byte(ledgerYAML)},
	"ledger/mapping/employee.yaml": {Data: []byte(`{record: employee, as: employee@1, read: {name: =x.name, email: =x.email}}`)},
	"ledger/mapping/project.yaml": {Data: []byte(`
record: project
as: project@1
read: {name: =x.name, account: '=link("account", "A1")', budget: '=money(x.budget, default(x.currency, "EUR"))'}`)},
	"ledger/mapping/line.yaml": {Data: []byte(`
record: line
as: time_entry@1
read:
  employee: =link("employee", x.employee)
  project: =link("project", x.project)
  date: =date(x.day)
  seconds: =seconds(x.seconds)
  approval: approved
  billing: '=x.state == "invoiced" ? "invoiced" : "unbilled"'
write: {employee: =ref(record.employee), project: =ref(record.project), day: =record.date, seconds: =record.seconds, note: =record.note}
create: {marker: =marker}`)},
	"ledger/mapping/reversal.yaml": {Data: []byte(`
record: reversal
as: billable_item@1
write: {project: =ref(record.project), day: =record.date, seconds: =record.seconds}
create: {marker: =marker}`)},
	"hours/v1.yaml": {Data: []byte(hoursYAML)},
}

// line is what the ledger over there has.
type line struct {
	ID, Marker, Employee, Project, Day, State, Note string
	Seconds                                         int
}

// bookFar is the tracker and the ledger.
type bookFar struct {
	mu        sync.Mutex
	lines     map[string]*line
	reversals map[string]*line
	n         int
	projects  map[string]map[string]any
	asked     map[string]int // path → times
}

func (b *bookFar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	b.asked[r.Method+" "+r.URL.Path]++
	w.Header().Set("Content-Type", "application/json")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	rows := map[string]map[string]*line{"lines": b.lines, "reversals": b.reversals}[parts[1]]
	switch {
	case r.URL.Path == "/time/users":
		answer([]any{map[string]any{"id": "u1", "name": "Ana", "email": "ana@alder.example"}, map[string]any{"id": "u2", "name": "Ben", "email": "ben@alder.example"},
			map[string]any{"id": "twin", "name": "Twin", "email": "twin@alder.example"}, map[string]any{"id": "u3", "name": "Cleo", "email": "twin@alder.example"}})
	case r.URL.Path == "/erp/employees":
		mail := r.URL.Query().Get("email")
		found := []any{map[string]any{"id": "E-" + mail, "name": "Somebody", "email": mail}}
		if strings.HasPrefix(mail, "twin") {
			found = append(found, map[string]any{"id": "F-" + mail, "name": "Somebody", "email": mail})
		}
		answer(found)
	case parts[1] == "projects":
		answer(b.projects[parts[2]])
	case r.Method == "GET" && len(parts) == 2:
		found := []any{}
		for _, l := range rows {
			if l.Marker == r.URL.Query().Get("marker") {
				found = append(found, l.plain())
			}
		}
		answer(found)
	case r.Method == "POST" && len(parts) == 2:
		b.n++
		l := &line{ID: fmt.Sprintf("%s%d", parts[1][:1], b.n), State: "open"}
		var body struct {
			Marker, Employee, Project, Day, Note string
			Seconds                              int
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		l.Marker, l.Employee, l.Project, l.Day, l.Seconds, l.Note = body.Marker, body.Employee, body.Project, body.Day, body.Seconds, body.Note
		rows[l.ID] = l
		answer(l.plain())
	case rows[parts[2]] == nil:
		http.Error(w, `{"message":"gone"}`, http.StatusNotFound)
	case r.Method == "DELETE":
		delete(rows, parts[2])
		answer(map[string]any{})
	case r.Method == "POST":
		rows[parts[2]].State = map[string]string{"complete": "completed", "reopen": "open"}[parts[3]]
		answer(map[string]any{})
	default:
		answer(rows[parts[2]].plain())
	}
}

func (l *line) plain() map[string]any {
	return map[string]any{"id": l.ID, "employee": l.Employee, "project": l.Project, "day": l.Day, "seconds": l.Seconds, "state": l.State}
}

// standing is what the ledger over there has, as one text per line.
func (b *bookFar) standing() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, list := range []map[string]*line{b.lines, b.reversals} {
		for _, l := range list {
			out = append(out, fmt.Sprintf("%s %s %d %s", l.Project, l.Day, l.Seconds, l.State))
		}
	}
	slices.Sort(out)
	return out
}

// books is a house whose flow posts hours.
type bookHouse struct {
	*house
	books *bookFar
}

func newBooks(t *testing.T) *bookHouse {
	b := &bookFar{lines: map[string]*line{}, reversals: map[string]*line{}, asked: map[string]int{}, projects: map[string]map[string]any{"P1": {"id": "P1", "name": "Alpha", "budget": 1000}}}
	h := &bookHouse{&house{T: t, clock: storetest.NewClock(), far: newFar(), conns: bookFiles, forms: bookFiles}, b}
	h.far.other = b
	h.setup = h.hours
	h.open()
	h.knows("p1", "P1")
	return h
}

// hours is the customer whose hours are posted.
func (h *bookHouse) hours() store.Setup {
	var conns []store.Connection
	for id, c := range map[string]string{"time": "tracker", "erp": "ledger"} {
		conns = append(conns, store.Connection{Tenant: "t1", ID: hub.ConnectionID(id), Connector: c, Settings: `{"url":"http://far.example"}`, State: "active", Updated: h.clock.Now()})
	}
	return store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: h.clock.Now()}, Connections: conns,
		Deployments: []store.Deployment{{Tenant: "t1", ID: "hours", Revision: 1, State: "active", Spec: `{"template":"hours","version":1,"roles":{"time":"time","erp":"erp"}}`, Created: h.clock.Now()}}}
}

// knows makes a project of the tracker known in the ledger over there.
func (h *bookHouse) knows(tracker, erp string) {
	h.Helper()
	id := hub.RecordIDFor("t1", "time", "project", tracker)
	links := []store.Link{{Record: id, Connection: "time", Kind: "project", ExternalID: tracker}, {Record: id, Connection: "erp", Kind: "project", ExternalID: erp}}
	closed := []store.WriteDone{{OpKey: "none", Record: id, Connection: "erp", State: "refused", Ended: h.clock.Now()}} // what waits for it looks again
	if _, err := h.store.Journal().Record(context.Background(), store.Step{Tenant: "t1", Links: links, Close: closed}); err != nil {
		h.Fatal(err)
	}
}

// log is what the tracker tells of an entry: "e1 u1 p1 2026-03-02 3600 approved note".
func (h *bookHouse) log(entry string) {
	h.Helper()
	f := strings.Fields(entry)
	body := fmt.Sprintf(`{"id":%q,"user":%q,"project":%q,"day":%q,"seconds":%s,"approval":%q,"note":%q}`, f[0], f[1], f[2], f[3], f[4], f[5], strings.Join(f[6:], " "))
	if _, err := h.ingest.Accept(context.Background(), "t1", "time", connector.Delivery{Method: "POST", Body: []byte(body)}); err != nil {
		h.Fatal(err)
	}
}

// gone is what a sweep tells of an entry that is not there any more.
func (h *bookHouse) gone(id string) {
	h.Helper()
	key := hub.RecordKey{Connection: "time", Kind: "entry", ID: id}
	e := hub.Event{ID: hub.EventID(h.newID("evt")), Tenant: "t1", Key: key, Source: "poll", Gone: true, Received: h.clock.Now()}
	a := store.Arrival{Event: e, Deployments: []hub.DeploymentID{"hours"}, RunID: func() hub.RunID { return hub.RunID(h.newID("run")) }}
	if _, err := h.store.Journal().Accept(context.Background(), a); err != nil {
		h.Fatal(err)
	}
}

func (h *bookHouse) stands(want ...string) {
	h.Helper()
	slices.Sort(want)
	if got := h.books.standing(); !slices.Equal(got, want) {
		h.Errorf("stands there %q, want %q", got, want)
	}
}

// parked is the one open exception.
func (h *bookHouse) parked(code string) store.Exception {
	h.Helper()
	list, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil {
		h.Fatal(err)
	}
	if len(list) != 1 || list[0].Code != code {
		h.Fatalf("open exceptions %+v, want one of %s", list, code)
	}
	return list[0]
}

func (h *bookHouse) choose(e store.Exception, choice string) {
	h.Helper()
	if _, err := h.store.Tenant("t1").CloseException(context.Background(), e.ID, choice, choice, true, store.AuditEntry{At: h.clock.Now()}); err != nil {
		h.Fatal(err)
	}
}

func (h *bookHouse) tally(name, item string) store.Tally {
	h.Helper()
	v, err := h.store.Tenant("t1").Tally(context.Background(), name, item)
	if err != nil {
		h.Fatal(err)
	}
	return v
}

// together carries all claimed rows at the same time.
func (h *bookHouse) together() {
	h.rounds(func(list []store.Claim) bool {
		var all sync.WaitGroup
		for _, w := range list {
			all.Go(func() { h.engine.Carry(context.Background(), w) })
		}
		all.Wait()
		return false
	})
}
