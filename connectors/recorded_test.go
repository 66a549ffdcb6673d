package connectors_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// body is the answer in a recording that was kept without its exchange.
func body(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "fixtures", file))
	if err != nil {
		t.Skipf("NOT TESTED: the recording %s is not there: %v", file, err)
	}
	v, err := exact.DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exact.AppendJSON(nil, v.(map[string]any)["response"])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecordedAnswersAreReadByTheirCalls reads recordings as the product does: by the operation that
// would have asked for them, then by its record's own expressions.
func TestRecordedAnswersAreReadByTheirCalls(t *testing.T) {
	for _, c := range []struct{ name, file, system, operation, id, number string }{
		{"a person", "redmine/redmine-net.UserTests.7.json", "redmine", "user.get", "3", "jplang"},
		{"an issue", "redmine/redmine-net.IssuesTests.5.json", "redmine", "issue.get", "5", "5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := system(t, c.system)
			op := s.Connector.Operation(c.operation)
			if op == nil {
				t.Fatalf("no operation %s among %v", c.operation, s.Connector.Operations())
			}
			a, err := s.Connector.Read(op, map[string]any{"settings": place(s).Settings}, http.StatusOK, http.Header{}, body(t, c.file), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			kind := s.Connector.Kind(c.operation[:len(c.operation)-len(".get")])
			id, err := kind.IDOf(a.Result, place(s).Settings)
			if err != nil || id != c.id {
				t.Errorf("id %q, %v; want %q", id, err, c.id)
			}
			number, err := kind.NumberOf(a.Result, place(s).Settings)
			if err != nil || number != c.number {
				t.Errorf("number %q, %v; want %q", number, err, c.number)
			}
			if m := s.Mappings[kind.As]; kind.As == "employee" {
				r, err := m.Read(place(s), a.Result)
				if err != nil || r.Fields["name"] != "Jean-Philippe Lang" {
					t.Errorf("%v, %v", r.Fields, err)
				}
			}
		})
	}
}

func TestARecordedRefusalIsToldInTheVendorsWords(t *testing.T) {
	s := system(t, "redmine")
	op := s.Connector.Operation("issue.create")
	_, err := s.Connector.Read(op, map[string]any{"settings": place(s).Settings}, http.StatusUnprocessableEntity, http.Header{},
		body(t, "redmine/redmine-net.ErrorTests.3.json"), time.Now())
	e := hub.AsError(err)
	if e == nil || e.Kind != hub.Invalid || e.Message != "issue.create: First name can't be blank; Email is invalid" {
		t.Errorf("%+v", e)
	}
}

// The vendor sends a refused record back with a remark at each field (acumatica.md, section 5).
func TestARefusedFieldIsNamed(t *testing.T) {
	s := system(t, "acumatica")
	answer := `{"id": "8f0b", "CustomerName": {"value": "Acme"}, "CustomerClass": {"value": "XX", "error": "'XX' cannot be found in the system."},
		"Contacts": [{"Email": {"value": "a", "error": "The address is not valid."}}]}`
	_, err := s.Connector.Read(s.Connector.Operation("customer.create"), map[string]any{"settings": place(s).Settings}, http.StatusUnprocessableEntity, http.Header{}, []byte(answer), time.Now())
	e := hub.AsError(err)
	want := "customer.create: Contacts[0].Email: The address is not valid.; CustomerClass: 'XX' cannot be found in the system."
	if e == nil || e.Kind != hub.Invalid || e.Message != want || e.Field != "Contacts[0].Email" {
		t.Errorf("got %+v, want %s", e, want)
	}
}
