package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	files "throughline/demo"
)

func (h *house) api(method, path, key, body string) (status int, text string) {
	h.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	status, answer, text := h.request(method, path, header, []byte(body))
	if status >= 400 {
		var p struct {
			Type, Title, Detail string
			Status              int
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || answer.Get("Content-Type") != "application/problem+json" || p.Status != status || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Type, "/errors/") {
			h.Errorf("%s %s answered %d with what is no problem: %s", method, path, status, text)
		}
	}
	return status, text
}

// TestWhoMayDoWhat asks with no key, with a wrong one, with one that may only look, and for what is
// another's or not there at all: the last two look the same.
func TestWhoMayDoWhat(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		name, method, path, key, body string
		want                          int
		says                          string
	}{
		{"without a key nothing is told", "GET", "/v1/customers/northwind/runs", "", "", 401, "access.key"},
		{"a wrong key is no key, whatever else is wrong", "GET", "/v1/customers/northwind/runs?limit=0", "tl_guess", "", 401, "access.key"},
		{"a viewer may look", "GET", "/v1/customers/northwind/flows", "tl_viewer", "", 200, `"deals"`},
		{"a viewer may not pause", "POST", "/v1/customers/northwind/flows/deals/pause", "tl_viewer", "", 403, "access.forbidden"},
		{"a viewer may not resolve", "POST", "/v1/customers/northwind/exceptions/exc_1/retry", "tl_viewer", "{}", 403, "access.forbidden"},
		{"another customer is not there", "GET", "/v1/customers/meridian/runs", "tl_viewer", "", 404, "customer.unknown"},
		{"a customer that is not there is not there", "GET", "/v1/customers/nobody/runs", "tl_viewer", "", 404, "customer.unknown"},
		{"nor is it for the partner", "GET", "/v1/customers/nobody/connections", "tl_admin", "", 404, "customer.unknown"},
		{"books without work balance", "GET", "/v1/customers/northwind/balance?period=2026-11", "tl_viewer", "", 200, `"balanced":true`},
		{"another's books are not there", "GET", "/v1/customers/meridian/balance?period=2026-11", "tl_viewer", "", 404, "customer.unknown"},
		{"a period must be one", "GET", "/v1/customers/northwind/balance?period=2026-13", "tl_viewer", "", 422, "books.period"},
		{"and must be named", "GET", "/v1/customers/northwind/balance", "tl_viewer", "", 422, "request.invalid"},
		{"an exception that is not there", "POST", "/v1/customers/northwind/exceptions/exc_1/retry", "tl_admin", "{}", 404, "exception.unknown"},
		{"a record that is not there", "GET", "/v1/customers/northwind/records/rec_1/writes", "tl_admin", "", 404, "record.unknown"},
		{"a flow that is not there", "POST", "/v1/customers/northwind/flows/nothing/pause", "tl_admin", "", 404, "flow.unknown"},
		{"an address that is not there", "GET", "/v1/nothing", "tl_admin", "", 404, "request.unknown_address"},
		{"runs of a flow that is not there", "GET", "/v1/customers/northwind/runs?flow=deal", "tl_viewer", "", 404, "flow.unknown"},
		{"causes of a flow that is not there", "GET", "/v1/customers/northwind/exceptions/causes?flow=deal", "tl_viewer", "", 404, "flow.unknown"},
		{"runs with an outcome that is none", "GET", "/v1/customers/northwind/runs?state=failed", "tl_viewer", "", 422, "list.state"},
		{"exceptions in a state that is none", "GET", "/v1/customers/northwind/exceptions?flow=deals&state=opne", "tl_viewer", "", 422, "list.state"},
		{"work in a state that is none", "GET", "/v1/customers/northwind/work?state=open", "tl_viewer", "", 422, "list.state"},
		{"exceptions by what people have chosen", "GET", "/v1/customers/northwind/exceptions?flow=deals&state=next_invoice", "tl_viewer", "", 200, "[]"},
		{"a wrong parameter is told", "GET", "/v1/customers/northwind/runs?limit=many", "tl_admin", "", 422, "request.invalid"},
		{"a body that is no JSON is told", "POST", "/v1/customers/northwind/exceptions/exc_1/retry", "tl_admin", "{", 400, "request.malformed"},
		{"a body of 10 MB and a byte is too large", "POST", "/v1/apply", "tl_admin", strings.Repeat("#", 10<<20+1), 413, "request.too_large"},
		{"secrets are not told", "GET", "/v1/customers/northwind/connections", "tl_admin", "", 200, `"hubspot@1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := h.api(c.method, c.path, c.key, c.body)
			if status != c.want || !strings.Contains(text, c.says) {
				t.Errorf("answered %d %.300s, want %d with %s", status, text, c.want, c.says)
			}
			if strings.Contains(text, "demo-hubspot") {
				t.Errorf("a secret is told: %s", text)
			}
		})
	}
	_, foreign := h.api("GET", "/v1/customers/meridian/runs", "tl_viewer", "")
	_, nothing := h.api("GET", "/v1/customers/nobody/runs", "tl_viewer", "")
	if foreign != nothing {
		t.Errorf("another's customer is told apart from none:\n%s%s", foreign, nothing)
	}
}

// TestTheDescriptionIsComplete holds the served OpenAPI document against what it must offer.
func TestTheDescriptionIsComplete(t *testing.T) {
	h := newHouse(t)
	status, _, text := h.request("GET", "/openapi.json", nil, nil)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || status != 200 || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("answered %d, version %q, %v", status, doc.OpenAPI, err)
	}
	for path, method := range map[string]string{"/v1/apply": "post", "/v1/customers/{customer}/connections": "get", "/v1/customers/{customer}/flows": "get", "/v1/customers/{customer}/flows/{flow}/{how}": "post",
		"/v1/customers/{customer}/runs": "get", "/v1/customers/{customer}/work": "get", "/v1/customers/{customer}/exceptions": "get", "/v1/customers/{customer}/exceptions/{exception}/{how}": "post",
		"/v1/customers/{customer}/exceptions/causes": "get", "/v1/customers/{customer}/exceptions/causes/{cause}": "get", "/v1/customers/{customer}/exceptions/resolve": "post",
		"/v1/customers/{customer}/flows/{flow}/edits": "get", "/v1/customers/{customer}/flows/{flow}/edits/end": "post",
		"/v1/customers/{customer}/balance": "get", "/v1/customers/{customer}/records": "get", "/v1/customers/{customer}/records/{record}/writes": "get"} {
		op, ok := doc.Paths[path][method]
		if !ok || op.OperationID == "" || len(op.Security) == 0 || op.Responses["401"] == nil || op.Responses["404"] == nil {
			t.Errorf("%s %s is described as %+v", method, path, op)
		}
	}
	if !has(text, `"retry"`, `"ignore"`, `"approve"`, `"map"`, `"link"`, `"next_invoice"`, `"pause"`, `"resume"`, `"known"`) {
		t.Error("the document does not name what can be done")
	}
}

// TestAPausedFlowWaits wins a deal while its flow is paused: it is kept, tells why it waits, and goes on.
func TestAPausedFlowWaits(t *testing.T) {
	h := newHouse(t)
	if status, text := h.api("POST", "/v1/customers/northwind/flows/deals/pause", "tl_admin", ""); status != 200 {
		t.Fatalf("answered %d %s", status, text)
	}
	if err := h.Arrive(0); err != nil {
		t.Fatal(err)
	}
	h.until("the deal waits and says why", func() bool {
		_, text := h.api("GET", "/v1/customers/northwind/work?state=waiting", "tl_admin", "")
		return strings.Contains(text, "The flow is paused.")
	})
	if n := len(h.ERP.Effects()); n != 0 {
		t.Errorf("a paused flow has written %d times", n)
	}
	if status, text := h.api("POST", "/v1/customers/northwind/flows/deals/resume", "tl_admin", ""); status != 200 {
		t.Fatalf("answered %d %s", status, text)
	}
	h.settle()
	if len(h.parked) != 0 {
		t.Errorf("parked: %v", h.parked)
	}
}

// TestACustomerFileWithManyMistakes tells all of them at once, with line and hint, and changes nothing.
func TestACustomerFileWithManyMistakes(t *testing.T) {
	h := newHouse(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "half.json"), []byte(`{"token": "t"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		says       []string
	}{
		{"words that the format does not have", "customer: acme\nname: Acme\ncolour: red\nconnections: {}\nflows: {}\nzone: [1]\n", []string{"acme.yaml:3:", "colour", "acme.yaml:6:"}},
		{"text that is no YAML", "customer: [acme\n", []string{"acme.yaml:"}},
		{"connections, secrets, zone and flow at once", `customer: acme
name: Acme
zone: Mars/Olympus
connections:
  crm: {connector: hubspot@1, settings: {currency: EUR}, secret: "file:` + dir + `/half.json"}
  erp: {connector: acumatica@1, secret: "file:` + dir + `/none.json"}
  time: {connector: nothing@1}
  spare: {connector: tryton@1, secret: my-password-in-clear}
flows:
  deals: {template: deal-to-project@1, roles: {crm: nowhere, erp: elsewhere}}
  other: {template: deal-to-project, roles: {crm: crm}}
`, []string{`there is no time zone "Mars/Olympus"`, "Write it like Europe/Amsterdam.", "acme.yaml:5:", "hubspot@1 needs client_secret", "acme.yaml:6:", "acumatica@1 needs url",
			"acme.yaml:7:", `There is no connector "nothing@1"`, "Known are ", "acme.yaml:8:", "acme.yaml:10:", "There is no connection"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := h.api("POST", "/v1/apply?name=acme.yaml", "tl_admin", c.file)
			if status != 422 || !has(unescape(t, text), c.says...) {
				t.Errorf("answered %d\n%s\nwant all of %q", status, unescape(t, text), c.says)
			}
			if strings.Contains(text, "my-password") {
				t.Error("the answer repeats a secret")
			}
		})
	}
	if status, _ := h.api("GET", "/v1/customers/acme/flows", "tl_admin", ""); status != 404 {
		t.Errorf("a refused file has made the customer: %d", status)
	}
}

func unescape(t *testing.T, text string) string {
	t.Helper()
	var p struct{ Title, Detail string }
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p.Title + "\n" + p.Detail
}

// applyWith applies northwind's file again with another password for its ERP.
func (h *house) applyWith(password string) {
	h.Helper()
	h.applySecret("erp", `{"user": "integration", "password": "`+password+`"}`)
}

// applySecret applies northwind's file again with another secret for a connection.
func (h *house) applySecret(connection, secret string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.App.Data, "northwind-"+connection+".json"), []byte(secret), 0o600); err != nil {
		h.Fatal(err)
	}
	file, err := files.Files.ReadFile("customers/northwind.yaml")
	if err != nil {
		h.Fatal(err)
	}
	text := os.Expand(string(file), func(name string) string {
		return map[string]string{"CRM_URL": h.CRM.URL, "ERP_URL": h.ERP.URL, "TIME_URL": h.Time.URL, "DATA": h.App.Data}[name]
	})
	if status, answer := h.api("POST", "/v1/apply", "tl_admin", text); status != 200 || !strings.Contains(answer, "change") {
		h.Fatalf("answered %d %s", status, answer)
	}
}

// TestWrongCredentials parks a deal with what to do; a retry after they were corrected carries it
// through.
func TestWrongCredentials(t *testing.T) {
	h := newHouse(t)
	h.applyWith("wrong")
	if err := h.Arrive(0); err != nil {
		t.Fatal(err)
	}
	h.settle()
	var list struct {
		Items []struct{ ID, Record, Class, Message, Hint string }
	}
	_, text := h.api("GET", "/v1/customers/northwind/exceptions?state=open", "tl_admin", "")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Items) != 1 || list.Items[0].Class != "connection" || !strings.Contains(list.Items[0].Hint, "credentials") {
		t.Fatalf("the exceptions are %s, %v", text, err)
	}
	h.applyWith("demo-acumatica-password")
	e := list.Items[0]
	if status, text := h.api("POST", "/v1/customers/northwind/exceptions/"+e.ID+"/retry", "tl_admin", `{"reason":"password renewed"}`); status != 200 {
		t.Fatalf("answered %d %s", status, text)
	}
	h.until("the retried deal is carried through", func() bool {
		runs := h.runs("northwind", strings.TrimPrefix(e.Record, "crm/deal/"))
		return len(runs) > 1 && runs[0].Outcome == "written"
	})
}
