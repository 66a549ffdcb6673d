package engine_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// twins are an ERP and a time tracker that both know the customer already.
var twins = fstest.MapFS{
	"desk/connector.yaml": {Data: []byte(`
connector: desk
version: 1.0.0
title: Desk
roles: [crm]
host: http://far.example
records:
  deal: {as: opportunity, id: =x.id, get: {get: "/deals/{id}"}}
  company: {as: account, id: =x.id, get: {get: "/companies/{id}"}}
webhooks: {verify: {scheme: none}, events: [{record: deal, id: =e.id}]}
`)},
	"desk/mapping/deal.yaml":    {Data: []byte(`{record: deal, as: opportunity@1, read: {name: =x.name, stage: won, account: '=link("account", x.company)'}}`)},
	"desk/mapping/company.yaml": {Data: []byte(`{record: company, as: account@1, read: {name: =x.name, tax_id: =x.tax}}`)},
	"firm/connector.yaml": {Data: []byte(`
connector: firm
version: 1.0.0
title: Firm
roles: [erp, time]
settings: {below: {title: Path}}
host: http://far.example
records:
  customer:
    path: "/{settings.below}/customers"
    as: account
    id: =x.id
    find:
      tax_id: {get: "/{settings.below}/customers", query: {tax: =value}}
      number: {get: "/{settings.below}/customers", query: {number: =value}}
      name: {get: "/{settings.below}/customers", query: {name: =value}}
    update: {patch: "/{settings.below}/customers/{id}", write: U}
`)},
	"firm/mapping/customer.yaml": {Data: []byte(`{record: customer, as: account@1, read: {name: =x.name, tax_id: =x.tax, number: =x.number}, write: {note: =marker}}`)},
}

// TestEachSystemAnswersForItself: what one system has said of a record serves for that system only, and for what it was
// asked: a customer that is matched in both has its own id in each.
func TestEachSystemAnswersForItself(t *testing.T) {
	for name, c := range map[string]struct{ steps, want string }{
		"matched": {"  - {read: account, of: =record.account, within: 10m}\n  - {match: account, in: erp, within: 10m}\n  - {match: account, in: time, within: 10m}\n  - {write: account, to: [erp, time]}\n",
			"[/erp/customers/E1 /time/customers/T1]"},
		"found in another system": {"  - {find: account, in: erp, by: {number: '7'}, within: 10m}\n  - {write: account, to: erp}\n  - {find: account, in: time, by: {number: '7'}, within: 10m}\n  - {write: account, to: time}\n",
			"[/erp/customers/E7 /time/customers/T7]"},
		"found by another field": {"  - {find: account, in: erp, by: {number: '7'}, within: 10m}\n  - {write: account, to: erp}\n  - {find: account, in: erp, by: {name: '7'}, within: 10m}\n  - {write: account, to: erp}\n",
			"[/erp/customers/E7 /erp/customers/E8]"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouseWith(t, twins, func(h *house) {
				h.forms = fstest.MapFS{"both/v1.yaml": {Data: []byte("template: both\nversion: 1\ntitle: Both\nroles: {crm: required, erp: required, time: required}\ntrigger: {record: opportunity, from: crm}\nsteps:\n" + c.steps)}}
				h.setup = func() store.Setup {
					s := store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: h.clock.Now()}}
					for id, of := range map[hub.ConnectionID]string{"crm": "desk", "erp": "firm", "time": "firm"} {
						s.Connections = append(s.Connections, store.Connection{Tenant: "t1", ID: id, Connector: of, Settings: fmt.Sprintf(`{"below":%q}`, id), State: "active", Updated: h.clock.Now()})
					}
					s.Deployments = []store.Deployment{{Tenant: "t1", ID: "deals", Revision: 1, State: "active", Spec: `{"template":"both","version":1,"roles":{"crm":"crm","erp":"erp","time":"time"}}`, Created: h.clock.Now()}}
					return s
				}
			})
			var changed []string
			answers := map[string]string{"/deals/7": `{"id":"7","name":"Relaunch","company":"c"}`, "/companies/c": `{"id":"c","name":"Alder","tax":"DE1"}`,
				"/erp/customers?tax=DE1": `[{"id":"E1","name":"Alder","tax":"DE1"}]`, "/time/customers?tax=DE1": `[{"id":"T1","name":"Alder","tax":"DE1"}]`,
				"/erp/customers?number=7": `[{"id":"E7","name":"A","number":"7"}]`, "/time/customers?number=7": `[{"id":"T7","name":"A","number":"7"}]`, "/erp/customers?name=7": `[{"id":"E8","name":"7","number":"8"}]`}
			h.far.other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PATCH" {
					changed = append(changed, r.URL.Path)
				}
				fmt.Fprint(w, answers[r.URL.RequestURI()])
			})
			if _, err := h.ingest.Accept(context.Background(), "t1", "crm", connector.Delivery{Method: "POST", Body: []byte(`{"id":"7"}`)}); err != nil {
				t.Fatal(err)
			}
			h.drain()
			slices.Sort(changed)
			if got := fmt.Sprint(changed); got != c.want {
				t.Errorf("changed were %s, want %s; %+v", got, c.want, h.runs())
			}
		})
	}
}

// TestAMatchInASystemThatHasNone: the time tracker knows no customers. A flow that goes without them does not look for them
// there, and one that does not say so is told.
func TestAMatchInASystemThatHasNone(t *testing.T) {
	conns := maps.Clone(twins)
	delete(conns, "firm/mapping/customer.yaml")
	for spec, want := range map[string]string{`,"without":["time/account"]`: "unchanged ", "": "parked flow.not_carried"} {
		h := newHouseWith(t, conns, func(h *house) {
			h.forms = fstest.MapFS{"both/v1.yaml": {Data: []byte("template: both\nversion: 1\ntitle: Both\nroles: {crm: required, time: required}\ntrigger: {record: opportunity, from: crm}\nsteps:\n  - {read: account, of: =record.account}\n  - {match: account, in: time}\n")}}
			h.setup = func() store.Setup {
				s := store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: h.clock.Now()}}
				for id, of := range map[hub.ConnectionID]string{"crm": "desk", "time": "firm"} {
					s.Connections = append(s.Connections, store.Connection{Tenant: "t1", ID: id, Connector: of, Settings: `{"below":"time"}`, State: "active", Updated: h.clock.Now()})
				}
				s.Deployments = []store.Deployment{{Tenant: "t1", ID: "deals", Revision: 1, State: "active", Spec: `{"template":"both","version":1,"roles":{"crm":"crm","time":"time"}` + spec + `}`, Created: h.clock.Now()}}
				return s
			}
		})
		answers := map[string]string{"/deals/7": `{"id":"7","name":"Relaunch","company":"c"}`, "/companies/c": `{"id":"c","name":"Alder","tax":"DE1"}`}
		h.far.other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answers[r.URL.RequestURI()]) })
		if _, err := h.ingest.Accept(context.Background(), "t1", "crm", connector.Delivery{Method: "POST", Body: []byte(`{"id":"7"}`)}); err != nil {
			if want != "unchanged " && strings.Contains(err.Error(), "time cannot carry a account") {
				continue // the flow cannot be opened
			}
			t.Fatal(err)
		}
		h.drain()
		if runs := h.runs(); len(runs) != 1 || fmt.Sprint(runs[0].Outcome, " ", runs[0].Code) != want {
			t.Errorf("with %q the run ended %+v, want %s", spec, runs, want)
		}
	}
}
