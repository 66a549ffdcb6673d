package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// desk is a time tracker that sends entries and expenses whole, and an ERP that takes them one by one.
var desk = fstest.MapFS{
	"connectors/desk/connector.yaml": {Data: []byte(`
connector: desk
version: 1.0.0
title: A time tracker
roles: [time]
settings: {url: {title: Address, required: true}}
host: "{settings.url}"
records:
  entry: {as: time_entry, id: =x.id}
  spent: {as: expense, id: =x.id}
  user: {as: employee, id: =x.id, list: {get: /users}}
  project: {as: project, id: =x.id}
  kind: {as: labour_category, id: =x.id}
webhooks:
  verify: {scheme: none}
  events:
    - {when: =e.seconds != null, record: entry, id: =e.id, carries: =e}
    - {record: spent, id: =e.id, carries: =e}
`)},
	"connectors/desk/mapping/entry.yaml": {Data: []byte("record: entry\nas: time_entry@1\nread: {employee: '=link(\"employee\", \"u1\")', project: '=link(\"project\", \"p1\")', date: =date(x.day), seconds: =seconds(x.seconds), billable: =x.billable, approval: approved}\n")},
	"connectors/desk/mapping/spent.yaml": {Data: []byte("record: spent\nas: expense@1\nread: {employee: '=link(\"employee\", \"u1\")', project: '=link(\"project\", \"p1\")', date: =date(x.day), category: Travel, amount: '=money(x.amount, \"EUR\")', billable: =x.billable, approval: approved}\n")},
	"connectors/desk/mapping/user.yaml":  {Data: []byte("record: user\nas: employee@1\nread: {name: =x.name, email: =x.email}\n")},
	"connectors/desk-erp/connector.yaml": {Data: []byte(`
connector: desk-erp
version: 1.0.0
title: An ERP
roles: [erp]
settings: {url: {title: Address, required: true}}
host: "{settings.url}"
records:
  account: {as: account, id: =x.id}
  contract: {as: contract, id: =x.id}
  employee: {as: employee, id: =x.id, get: {get: "/people/{id}"}, find: {email: {get: /people, query: {email: =value}}}}
  project: {as: project, id: =x.id, get: {get: "/projects/{id}"}}
  line: {path: /lines, as: time_entry, id: =x.id, find: {marker: {get: /lines, query: {marker: =marker}}}, create: {write: S}}
  receipt: {path: /receipts, as: expense, id: =x.id, find: {marker: {get: /receipts, query: {marker: =marker}}}, create: {write: S}}
`)},
	"connectors/desk-erp/mapping/employee.yaml": {Data: []byte("record: employee\nas: employee@1\nread: {name: =x.name, email: =x.email}\n")},
	"connectors/desk-erp/mapping/project.yaml":  {Data: []byte("record: project\nas: project@1\nread: {name: =x.name, account: '=link(\"account\", \"A1\")', contract: '=link(\"contract\", \"C1\")'}\n")},
	"connectors/desk-erp/mapping/line.yaml":     {Data: []byte("record: line\nas: time_entry@1\nwrite: {amount: =amount(record.amount)}\n")},
	"connectors/desk-erp/mapping/receipt.yaml":  {Data: []byte("record: receipt\nas: expense@1\nwrite: {amount: =amount(record.amount)}\n")},
}

// deskFar counts what was billed.
type deskFar struct {
	mu     sync.Mutex
	made   int
	billed map[string]int // how often an amount was sent
}

func (f *deskFar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	person := `{"id":"u1","name":"Ana","email":"ana@alder.example"}`
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost:
		var body struct{ Amount json.Number }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.made++
		f.billed[path+" "+body.Amount.String()]++
		fmt.Fprintf(w, `{"id":"l%d"}`, f.made)
	case path == "/users" || path == "/people":
		fmt.Fprintf(w, "[%s]", person)
	case strings.HasPrefix(path, "/people/"):
		fmt.Fprint(w, person)
	case path == "/projects/P1":
		fmt.Fprint(w, `{"id":"P1","name":"Alder"}`)
	default:
		fmt.Fprint(w, "[]")
	}
}

const deskCustomer = `
customer: t1
name: One
connections:
  time: {connector: desk, settings: {url: %[1]q}}
  erp:  {connector: desk-erp, settings: {url: %[1]q}}
flows:
  hours:    {template: time-to-billing@1, roles: {time: time, erp: erp}, without: [erp/period, erp/task, erp/labour_category], parameters: {default_rate: 100 EUR}}
  expenses: {template: expense-to-billing@1, roles: {time: time, erp: erp}, without: [erp/period, erp/task]}
`

// TestAPurchaseOrderBoundsHoursAndExpenses: a purchase order of 1,000 EUR on a contract with a cap of 5,000. Hours and expenses share it; at 80 % people
// are warned, what would go beyond waits, what is not billable does not count, and a higher amount lets the rest through.
func TestAPurchaseOrderBoundsHoursAndExpenses(t *testing.T) {
	far := &deskFar{billed: map[string]int{}}
	h := newHall(t, far, deskCustomer, desk)
	contract := hub.RecordIDFor("t1", "erp", "contract", "C1")
	h.agree(contract, "1000")
	h.posts(map[string]string{
		"e1": `{"id":"e1","day":"2026-11-02","seconds":18000,"billable":true}`, // 500
		"s1": `{"id":"s1","day":"2026-11-02","amount":250,"billable":true}`,
		"e2": `{"id":"e2","day":"2026-11-02","seconds":36000,"billable":false}`, // not billed: no limit bounds it
	})
	h.ahead.Add(int64(2 * time.Second))                                                               // for warnings, a sum serves a second
	h.posts(map[string]string{"e3": `{"id":"e3","day":"2026-11-03","seconds":3600,"billable":true}`}) // 850: warned
	h.posts(map[string]string{
		"e4": `{"id":"e4","day":"2026-11-04","seconds":7200,"billable":true}`, // 1,050
		"s2": `{"id":"s2","day":"2026-11-04","amount":150.01,"billable":true}`,
	})
	h.posts(map[string]string{"s3": `{"id":"s3","day":"2026-11-04","amount":150,"billable":true}`}) // 1,000 to the cent
	h.bills(far, map[string]int{"/lines 500": 1, "/receipts 250": 1, "/lines 100": 1, "/receipts 150": 1})
	runs, err := h.app.Store.Tenant("t1").Runs(t.Context(), store.Filter{Key: "time/entry/e3"})
	if err != nil || len(runs) != 1 || runs[0].Code != "warned" || !has(runs[0].Message, "purchase_order: 80 %", "1000") {
		t.Errorf("past 80 per cent it ends with %+v, %v", runs, err)
	}
	open, err := h.app.Store.Tenant("t1").Exceptions(t.Context(), store.Filter{State: "open"})
	if err != nil || len(open) != 2 {
		t.Fatalf("open %+v, %v", open, err)
	}
	for _, e := range open {
		if e.Code != "over.purchase_order" || !has(e.Message, "purchase order is good for") || !has(e.Hint, "new purchase order") {
			t.Errorf("parked as %+v", e)
		}
	}
	h.agree(contract, "1400")
	h.ahead.Add(int64(time.Hour)) // what was read of the contract serves ten minutes
	for _, e := range open {
		if _, err := h.app.Store.Tenant("t1").CloseException(t.Context(), e.ID, "resolved", "retried", true, store.AuditEntry{At: time.Now(), Who: "ana", Action: "exception.retry"}); err != nil {
			t.Fatal(err)
		}
	}
	h.until("both are billed", 20*time.Second, func() bool { far.mu.Lock(); defer far.mu.Unlock(); return far.made == 7 })
	h.bills(far, map[string]int{"/lines 500": 1, "/receipts 250": 1, "/lines 100": 1, "/receipts 150": 1, "/lines 200": 1, "/receipts 150.01": 1})
}

// agree is what a won deal leaves: the contract with its purchase order, and the project known in both systems.
func (h *hall) agree(contract hub.RecordID, amount string) {
	h.Helper()
	eur := func(amount string) exact.Money {
		return exact.Money{Amount: exact.MustDecimal(amount), Currency: "EUR"}
	}
	fields, err := canonical.Encode(map[string]any{"name": "Alder", "account": canonical.Ref{Type: "account", ID: hub.RecordIDFor("t1", "erp", "account", "A1")}, "amount": eur("9000"), "cap": eur("5000"),
		"purchase_order": "PO-1", "purchase_order_amount": eur(amount)})
	if err != nil {
		h.Fatal(err)
	}
	project := hub.RecordIDFor("t1", "time", "project", "p1")
	step := store.Step{Tenant: "t1", Links: []store.Link{{Record: contract, Connection: "erp", Kind: "contract", ExternalID: "C1"},
		{Record: project, Connection: "time", Kind: "project", ExternalID: "p1"}, {Record: project, Connection: "erp", Kind: "project", ExternalID: "P1"}},
		Records: []store.Record{{ID: contract, Type: "contract", Label: "Alder", Updated: time.Now(),
			Fields: fields}}}
	if _, err := h.app.Store.Journal().Record(h.Context(), step); err != nil {
		h.Fatal(err)
	}
}

// posts sends records and waits until each has its outcome.
func (h *hall) posts(records map[string]string) {
	h.Helper()
	before := len(h.ended())
	for _, body := range records {
		h.post("/hooks/t1/time", body)
	}
	h.until("each has its outcome", 20*time.Second, func() bool { return len(h.ended()) == before+len(records) })
}

func (h *hall) ended() []store.Run {
	h.Helper()
	runs, err := h.app.Store.Tenant("t1").Runs(h.Context(), store.Filter{Limit: 100})
	if err != nil {
		h.Fatal(err)
	}
	return runs
}

func (h *hall) bills(far *deskFar, want map[string]int) {
	h.Helper()
	far.mu.Lock()
	defer far.mu.Unlock()
	for what, n := range want {
		if far.billed[what] != n {
			h.Errorf("%s was billed %d times, want %d; in all %v", what, far.billed[what], n, far.billed)
		}
	}
}
