package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/engine"
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

func TestAnApprovedEntryIsPostedOnce(t *testing.T) {
	h := newBooks(t)
	h.log("e1 u1 p1 2026-03-02 3600 submitted")
	h.drain()
	h.stands()
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.stands("P1 2026-03-02 3600 completed")
	h.log("e1 u1 p1 2026-03-02 3600 approved") // told again
	h.drain()
	h.stands("P1 2026-03-02 3600 completed")
	if runs := h.runs(); runs[0].Outcome != hub.Unchanged || runs[0].Calls != 0 {
		t.Errorf("told again, the run ended %s with %d calls", runs[0].Outcome, runs[0].Calls)
	}
	for i := range 20 {
		h.log(fmt.Sprintf("x%d u1 p1 2026-03-%02d 3600 approved", i, i+3))
	}
	h.drain()
	for _, path := range []string{"GET /time/users", "GET /erp/employees", "GET /erp/projects/P1"} {
		if n := h.books.asked[path]; n != 1 {
			t.Errorf("%s was asked %d times for 21 entries, want once", path, n)
		}
	}
}

func TestWhatChangesAfterwardsIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		state string // of the line, when the change comes
		then  string
		want  []string
	}{
		"edited":                     {"completed", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
		"edited, open there":         {"open", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
		"moved":                      {"completed", "e1 u1 p2 2026-03-02 3600 approved", []string{"P2 2026-03-02 3600 completed"}},
		"unapproved":                 {"completed", "e1 u1 p1 2026-03-02 3600 open", nil},
		"deleted":                    {"completed", "", nil},
		"edited after posting":       {"posted", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 posted"}},
		"deleted after posting":      {"posted", "", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 3600 posted"}},
		"edited so that a rule says": {"completed", "e1 u1 p1 2026-03-02 0 approved", nil},
		"deleted there":              {"gone", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			h.books.projects["P2"] = map[string]any{"id": "P2", "name": "Beta", "budget": 1000}
			h.knows("p2", "P2")
			h.log("e1 u1 p1 2026-03-02 3600 approved")
			h.drain()
			for id, l := range h.books.lines {
				l.State = c.state
				if c.state == "gone" {
					delete(h.books.lines, id)
				}
			}
			if c.then == "" {
				h.gone("e1")
			} else {
				h.log(c.then)
			}
			h.drain()
			h.stands(c.want...)
			sum := 0
			for _, l := range c.want {
				var project, day, state string
				var seconds int
				_, _ = fmt.Sscan(l, &project, &day, &seconds, &state)
				sum += seconds
			}
			day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02")
			if day.Seconds != int64(sum) {
				t.Errorf("the day's tally is %d s, what stands is %d s", day.Seconds, sum)
			}
		})
	}
}

func TestWhatWasInvoicedIsAPersonsBusiness(t *testing.T) {
	for choice, want := range map[string][]string{
		engine.Credit:      {"P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 invoiced"},
		engine.NextInvoice: {"P1 2026-03-02 -3600 open", "P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 invoiced"},
		engine.Leave:       {"P1 2026-03-02 3600 invoiced"},
	} {
		t.Run(choice, func(t *testing.T) {
			h := newBooks(t)
			h.log("e1 u1 p1 2026-03-02 3600 approved")
			h.drain()
			h.books.lines["l1"].State = "invoiced"
			h.log("e1 u1 p1 2026-03-02 1800 approved")
			h.drain()
			h.stands("P1 2026-03-02 3600 invoiced")
			e := h.parked("posting.fixed")
			if e.Seconds != 1800 || e.Amount != "30.00 EUR" {
				t.Errorf("at risk are %d s and %s, want 1800 s and 30.00 EUR", e.Seconds, e.Amount)
			}
			h.choose(e, choice)
			h.drain()
			h.stands(want...)
			h.log("e1 u1 p1 2026-03-02 1800 approved") // told again: nothing is asked twice
			h.drain()
			h.stands(want...)
		})
	}
}

// TestWhatCannotBeReversedRightlyIsAPersonsBusiness: the far side's reversal has no room for it, so a person takes it back there, or leaves it.
func TestWhatCannotBeReversedRightlyIsAPersonsBusiness(t *testing.T) {
	for choice, want := range map[string][]string{
		engine.Credit: {"P1 2026-03-02 1800 completed", "P1 2026-03-02 3600 posted"},
		engine.Leave:  {"P1 2026-03-02 3600 posted"},
	} {
		t.Run(choice, func(t *testing.T) {
			h := newBooks(t)
			conns := maps.Clone(bookFiles)
			conns["ledger/mapping/reversal.yaml"] = &fstest.MapFile{Data: append(slices.Clone(bookFiles["ledger/mapping/reversal.yaml"].Data),
				"\nholds: [{that: '=currency(record.amount) == \"USD\"', says: It has no field for the currency., fix: Take it back there., field: amount}]"...)}
			h.conns = conns
			h.start()
			h.log("e1 u1 p1 2026-03-02 3600 approved")
			h.drain()
			h.books.lines["l1"].State = "posted"
			h.log("e1 u1 p1 2026-03-02 1800 approved")
			h.drain()
			h.stands("P1 2026-03-02 3600 posted")
			e := h.parked("posting.fixed")
			if e.Message != "It has no field for the currency." {
				t.Errorf("it says %s", e.Message)
			}
			h.choose(e, engine.NextInvoice) // which has no room for it either
			h.drain()
			if e = h.parked("posting.fixed"); !strings.Contains(e.Message, "cannot put it on the next invoice") {
				t.Errorf("then it says %s", e.Message)
			}
			h.clock.Add(time.Second)
			h.choose(e, choice)
			h.drain()
			h.stands(want...)
		})
	}
}

// TestTwoOfOnePersonAreAPersonsBusiness: that the project is not there either must not hide it, for the
// entry would wait for what nobody is about to bring.
func TestTwoOfOnePersonAreAPersonsBusiness(t *testing.T) {
	h := newBooks(t)
	h.log("e1 u3 p9 2026-03-02 3600 approved")
	h.drain()
	h.parked("match.ambiguous")
	h.stands()
}

func TestAnEntryWaitsForItsProject(t *testing.T) {
	h := newBooks(t)
	for i := range 5 {
		h.log(fmt.Sprintf("e%d u1 new 2026-03-0%d 3600 approved", i, i+1))
	}
	h.drain()
	h.stands()
	work, err := h.store.Tenant("t1").Work(context.Background(), store.Filter{State: "waiting"})
	if err != nil || len(work) != 5 {
		t.Fatalf("%d rows wait: %v", len(work), err)
	}
	if w := work[0]; w.Cause != "project new in erp" || w.Seconds != 3600 || w.Amount != "60.00 EUR" {
		t.Errorf("waits for %q with %d s and %s", w.Cause, w.Seconds, w.Amount)
	}
	h.books.projects["P9"] = map[string]any{"id": "P9", "name": "New", "budget": 1000}
	h.knows("new", "P9")
	h.drain()
	if got := h.books.standing(); len(got) != 5 {
		t.Errorf("after the project came there stand %q", got)
	}
	if n := h.books.asked["GET /erp/projects/P9"]; n != 1 {
		t.Errorf("the project was asked %d times, want once", n)
	}
}

func TestLimitsHoldWhoeverComesTogether(t *testing.T) {
	h := newBooks(t)
	h.books.projects["P1"]["budget"] = 5000
	for i := range 4 {
		h.log(fmt.Sprintf("e%d u1 p1 2026-03-02 28800 approved", i)) // 8 hours each: three make a day
	}
	h.together()
	if got := h.books.standing(); len(got) != 3 {
		t.Errorf("stand there %q, want three of 8 hours", got)
	}
	if e := h.parked("over.day"); e.Message != "More than a day." || e.Field != "seconds" {
		t.Errorf("parked as %+v", e)
	}
	h = newBooks(t)
	for i := range 4 {
		h.log(fmt.Sprintf("e%d u1 p1 2026-03-0%d 21600 approved", i, i+1)) // 360 EUR each, of 1000
	}
	h.together()
	if got := h.books.standing(); len(got) != 2 {
		t.Errorf("stand there %q, want two of 360 EUR", got)
	}
	if sum := h.tally("cap", string(hub.RecordIDFor("t1", "time", "project", "p1"))+" EUR"); sum.Amount.String() != "720" {
		t.Errorf("the project's tally is %s, want 720", sum.Amount)
	}
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

// TestKilledWhilePosting kills the process before and after each call and each commit of an entry that is
// posted, edited and withdrawn: over there stands in the end what should, whatever died when.
func TestKilledWhilePosting(t *testing.T) {
	story := []struct{ log, want string }{
		{"e1 u1 p1 2026-03-02 3600 approved", "P1 2026-03-02 3600 completed"},
		{"e1 u1 p1 2026-03-02 1800 approved", "P1 2026-03-02 1800 completed"},
		{"e1 u1 p1 2026-03-02 1800 open", ""},
	}
	for _, kind := range []string{"call", "lost", "commit"} {
		for chapter := range story {
			for n := 1; n <= 8; n++ {
				for _, when := range []string{"before", "after"} {
					t.Run(fmt.Sprintf("%s/%d/%d/%s", kind, chapter, n, when), func(t *testing.T) {
						h := newBooks(t)
						for i, s := range story {
							if i == chapter {
								h.arm(kind, n, when)
							}
							h.log(s.log)
							h.drain()
							h.disarm()
							h.restart()
							h.drain()
							var want []string
							if s.want != "" {
								want = []string{s.want}
							}
							h.stands(want...)
						}
						if day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02"); day.Seconds != 0 {
							t.Errorf("the day's tally is %d s, want none", day.Seconds)
						}
					})
				}
			}
		}
	}
}

func (h *bookHouse) arm(kind string, n int, when string) {
	from, done := 0, false
	if kind == "commit" {
		h.commit = func(_ int, at string) bool {
			if at == "before" {
				from++
			}
			hit := !done && from == n && at == when
			done = done || hit
			return hit
		}
		return
	}
	h.far.on(func(_ int, at string) (int, bool) {
		if at == "before" {
			from++
		}
		if done || from != n || at != when {
			return 0, false
		}
		done = true
		if kind == "lost" {
			return -1, true
		}
		return 0, true
	})
}

func (h *bookHouse) disarm() { h.commit = nil; h.far.on(nil) }

// restart starts the process anew, where the old one died.
func (h *bookHouse) restart() {
	select {
	case <-h.far.killed:
		h.start()
	default:
	}
}

// TestBadInputIsWrittenExactlyOrParked sends what nobody should: it arrives as it is, or waits for a person with the
// field at fault, and nothing is cut or rounded in silence.
func TestBadInputIsWrittenExactlyOrParked(t *testing.T) {
	const good = `{"id":"e1","user":"u1","project":"p1","day":"2026-03-02","seconds":3600,"approval":"approved","note":"Build"}`
	for name, c := range map[string]struct{ from, to, code, field string }{
		"emoji and right-to-left notes": {`"Build"`, `"Zählung ✅ 👩‍💻 مرحبا \u202eabc"`, "", ""},
		"an id above 2^53":              {`"e1"`, `9007199254740993`, "", ""},
		"hours in words":                {`3600`, `"90 minutes"`, "expression.failed", "seconds"},
		"a fraction of a second":        {`3600`, `3600.5`, "expression.failed", "seconds"},
		"a number of thirty digits":     {`3600`, `123456789012345678901234567890`, "expression.failed", "seconds"},
		"a number without end":          {`3600`, `1e400`, "expression.failed", "seconds"},
		"negative hours":                {`3600`, `-3600`, "rule.hours_positive", "seconds"},
		"a day of 25 hours":             {`3600`, `90000`, "over.day", "seconds"},
		"a day that is none":            {`2026-03-02`, `2026-02-30`, "expression.failed", "date"},
		"a state that nobody knows":     {`"approved"`, `"blessed"`, "record.invalid", "approval"},
		"a NUL in a note":               {`"Build"`, `"a\u0000b"`, "record.invalid", "note"},
		"nobody's work":                 {`"u1"`, `null`, "record.invalid", "employee"},
		"no project":                    {`"p1"`, `null`, "record.reference_missing", "project"},
		"two people with one e-mail":    {`"u1"`, `"twin"`, "match.ambiguous", "email"},
		"somebody who is gone":          {`"u1"`, `"u99"`, "record.gone", ""},
		"a currency that is none":       {`"p1"`, `"pq"`, "expression.failed", "budget"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			h.books.projects["PQ"] = map[string]any{"id": "PQ", "name": "Odd", "budget": 1000, "currency": "XXQ"}
			h.knows("pq", "PQ")
			body := strings.Replace(good, c.from, c.to, 1)
			if _, err := h.ingest.Accept(context.Background(), "t1", "time", connector.Delivery{Method: "POST", Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
			h.drain()
			if c.code == "" {
				h.stands("P1 2026-03-02 3600 completed")
				var sent struct{ Note string }
				if err := json.Unmarshal([]byte(body), &sent); err != nil {
					t.Fatal(err)
				}
				for _, l := range h.books.lines {
					if l.Note != sent.Note {
						t.Errorf("the note arrived as %q, was %q", l.Note, sent.Note)
					}
				}
				return
			}
			h.stands()
			if e := h.parked(c.code); e.Field != c.field || e.Hint == "" {
				t.Errorf("parked with the field %q and the fix %q, want %q and a fix; it says %s", e.Field, e.Hint, c.field, e.Message)
			}
		})
	}
}
