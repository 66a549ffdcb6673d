package connectors_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"throughline/connectors"
	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/exact"
	"throughline/internal/mapping"
	"throughline/schemas"
	"throughline/templates"
)

var settings = map[string]any{"currency": "EUR", "zone": "Europe/Berlin", "url": "https://far.example", "workspace": "w1"}

var loaded = sync.OnceValues(func() (*catalog.Catalog, error) {
	return catalog.Load(schemas.Files, []fs.FS{connectors.Files}, []fs.FS{templates.Files})
})

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func system(t *testing.T, name string) *catalog.System {
	t.Helper()
	s, err := load(t).System(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func place(s *catalog.System) mapping.Context {
	known := func(r canonical.Ref) (string, bool, error) { return "id-of-" + r.Type, true, nil }
	return mapping.Context{Tenant: "acme", Connection: "far", Settings: settings, Kinds: s.Connector.KindAs, Resolve: known}
}

func day(text string) exact.Date { return must(exact.ParseDate(text)) }

func money(text string) exact.Money { return must(exact.ParseMoney(text)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestDealToProjectCompiles(t *testing.T) {
	if _, err := load(t).Template("deal-to-project", 1, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAConnectorCarriesItsRecords(t *testing.T) {
	for name, types := range map[string][]string{
		"hubspot":   {"opportunity", "account", "contact"},
		"clockify":  {"account", "project", "task", "employee", "timesheet_approval", "time_entry", "expense"},
		"acumatica": {"account", "contract", "project", "task", "billing_milestone", "employee", "labour_category", "time_entry", "expense", "billable_item"},
		"redmine":   {"project", "task", "employee", "time_entry"},
		"tryton":    {"account", "project", "task", "employee", "time_entry"},
	} {
		s := system(t, name)
		for _, record := range types {
			if s.Connector.KindAs(record) == nil || s.Mappings[record] == nil {
				t.Errorf("%s does not carry a %s", name, record)
			}
		}
	}
}

// recorded are the records in a recorded list. The recordings are kept beside the repository.
func recorded(t *testing.T, file string) []any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "fixtures", file))
	if err != nil {
		t.Skipf("NOT TESTED: the recording %s is not there: %v", file, err)
	}
	v, err := exact.DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	exchange := v.(map[string]any)["exchanges"].([]any)[0].(map[string]any)
	return exchange["response"].(map[string]any)["results"].([]any)
}

func TestRecordedListsAreRead(t *testing.T) {
	for _, c := range []struct{ name, file, system, record string }{
		{"deals as the search gave them", "hubspot/search-deals.json", "hubspot", "opportunity"},
		{"companies, with and without an address", "hubspot/companies.json", "hubspot", "account"},
		{"contacts", "hubspot/list-contacts.json", "hubspot", "contact"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := system(t, c.system)
			list := recorded(t, c.file)
			if len(list) == 0 {
				t.Fatal("the recording holds no records")
			}
			for _, x := range list {
				r, err := s.Mappings[c.record].Read(place(s), x)
				if err != nil || r.Fields["name"] == nil {
					t.Errorf("%v: %v", x, err)
				}
			}
		})
	}
}

// The other vendors' cases are the examples of their own API descriptions.
func TestAnswersAreRead(t *testing.T) {
	for _, c := range []struct {
		name, system, kind, body string
		want                     map[string]any
	}{
		{"a won deal names its company, its contact and its lines", "hubspot", "deal",
			`{"id":"7","properties":{"dealname":"ERP","dealstage":"9911","hs_is_closed":"true","hs_is_closed_won":"true","amount":"1200.50","closedate":"2026-03-01T23:30:00Z","service_package":"ERP-STD"},
			"associations":{"companies":{"results":[{"id":"1","type":"deal_to_company_unlabeled"},{"id":"2","type":"deal_to_company"}]}},
			"lines":[{"id":"5","properties":{"name":"Days","quantity":"3","price":"400"}}]}`,
			map[string]any{"stage": "won", "amount": money("1200.50 EUR"), "package": "ERP-STD", "closed_on": day("2026-03-02")}},
		{"a client", "clockify", "client",
			`{"id":"44a687e29ae1f428e7ebe305","name":"Client X","email":"clientx@example.com","currencyCode":"USD","note":"This is a sample note for the client."}`,
			map[string]any{"name": "Client X", "email": "clientx@example.com", "currency": "USD"}},
		{"a customer's fields are unwrapped and its key is trimmed", "acumatica", "customer",
			`{"id":"3f","CustomerID":{"value":"C000012   "},"CustomerName":{"value":"Alder"},"TaxRegistrationID":{"value":"DE 136.695"},"Email":{},
			"MainContact":{"Address":{"City":{"value":"Berlin"}}}}`,
			map[string]any{"name": "Alder", "number": "C000012", "tax_id": "DE136695", "city": "Berlin"}},
		{"a project's start is a day", "acumatica", "project",
			`{"id":"4f","ProjectID":{"value":"PR0001"},"Description":{"value":"ERP"},"Customer":{"value":"C000012"},"Status":{"value":"Active"},"ProjectProperties":{"StartDate":{"value":"2026-03-01T00:00:00+03:00"}}}`,
			map[string]any{"name": "ERP", "number": "PR0001", "status": "active", "starts": day("2026-03-01")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := system(t, c.system)
			kind := s.Connector.Kind(c.kind)
			a, err := s.Connector.Read(kind.Get, map[string]any{"settings": settings}, 200, http.Header{}, []byte(c.body), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Mappings[kind.As].Read(place(s), a.Result)
			if err != nil {
				t.Fatal(err)
			}
			for field, want := range c.want {
				if got := r.Fields[field]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %v, want %v", field, got, want)
				}
			}
			if ref, ok := r.Fields["account"].(canonical.Ref); c.kind == "deal" && (!ok || ref.Key.ID != "2") {
				t.Errorf("the account is %v, want the primary company", r.Fields["account"])
			}
		})
	}
}

func TestRecordsAreWritten(t *testing.T) {
	account := canonical.Ref{Type: "account", ID: "rec_aaaaaaaaaaaaaaaaaaaa"}
	project := canonical.Ref{Type: "project", ID: "rec_bbbbbbbbbbbbbbbbbbbb"}
	for _, c := range []struct {
		name, system, record string
		fields               map[string]any
		want                 map[string]any
	}{
		{"only the project goes back to the deal", "hubspot", "opportunity",
			map[string]any{"name": "ERP", "stage": "won", "project_number": "PR0001"},
			map[string]any{"properties": map[string]any{"project_number": "PR0001"}}},
		{"a client's address is one line of what is known", "clockify", "account",
			map[string]any{"name": "Alder", "city": "Berlin", "street": "Hauptstr. 1"},
			map[string]any{"name": "Alder", "address": "Hauptstr. 1, Berlin", "note": "kaaaaaaaaaaaaaaa"}},
		{"a task's phase stands before its name", "clockify", "task",
			map[string]any{"name": "Set up", "phase": "Build", "code": "T1", "project": project, "hours": exact.Seconds(5400)},
			map[string]any{"projectId": "id-of-project", "name": "Build: Set up", "estimate": "PT1H30M", "status": "ACTIVE"}},
		{"a new project carries our marker and is taken off hold", "acumatica", "project",
			map[string]any{"name": "ERP", "account": account, "status": "active", "starts": day("2026-03-01")},
			map[string]any{"Description": "ERP", "ExternalRefNbr": "kaaaaaaaaaaaaaaa", "Customer": "id-of-account", "Hold": false,
				"ProjectProperties": map[string]any{"StartDate": day("2026-03-01")}}},
		{"a contract is an order on hold, of one line whose item is the package's", "acumatica", "contract",
			map[string]any{"name": "ERP", "account": account, "amount": money("1200.50 EUR"), "starts": day("2026-03-01"), "purchase_order": "PO-9", "package": "ERP-STD"},
			map[string]any{"OrderType": "SO", "ExternalRef": "kaaaaaaaaaaaaaaa", "CustomerID": "id-of-account", "Description": "ERP", "CustomerOrder": "PO-9", "Date": day("2026-03-01"),
				"CurrencyID": "EUR", "Hold": true, "Details": []any{map[string]any{"InventoryID": "ERP-STD", "LineDescription": "ERP", "OrderQty": int64(1), "UnitPrice": exact.MustDecimal("1200.50")}}}},
		{"a milestone is a line of the revenue budget", "acumatica", "billing_milestone",
			map[string]any{"name": "Go-live", "code": "T1", "project": project, "amount": money("600 EUR")},
			map[string]any{"ProjectID": "id-of-project", "ProjectTaskID": "T1", "AccountGroup": "REVENUE", "InventoryID": "<N/A>", "Description": "Go-live",
				"OriginalBudgetedAmount": exact.MustDecimal("600")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := system(t, c.system)
			got, err := s.Mappings[c.record].Write(place(s), canonical.Record{Type: c.record, ID: "rec_aaaaaaaaaaaaaaaaaaaa", Fields: c.fields}, true)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}
