package farside_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"throughline/internal/farside"
	"throughline/internal/oracle"
)

// open starts a far side with a ledger and returns its address and the ledger's path.
func open(t *testing.T) (url, ledger string) {
	t.Helper()
	ledger = filepath.Join(t.TempDir(), "effects.jsonl")
	l, err := oracle.OpenLedger(ledger)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(farside.New(0, l))
	t.Cleanup(func() {
		server.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL, ledger
}

func send(t *testing.T, method, url, body string) (status int, answer string, err error) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

func must(t *testing.T, method, url, body string) string {
	t.Helper()
	status, answer, err := send(t, method, url, body)
	if err != nil || status >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, url, status, answer, err)
	}
	return answer
}

// carry makes the calls of one record by hand and returns the project's number.
func carry(t *testing.T, url, account, id string) string {
	t.Helper()
	var deal struct {
		Name   string
		Amount json.Number
	}
	base := url + "/" + account
	if err := json.Unmarshal([]byte(must(t, "GET", base+"/crm/opportunities/"+id, "")), &deal); err != nil {
		t.Fatal(err)
	}
	var customer, project struct{ ID string }
	if err := json.Unmarshal([]byte(must(t, "POST", base+"/erp/customers", `{"name":"`+deal.Name+`","externalId":"c`+id+`"}`)), &customer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(must(t, "POST", base+"/erp/projects", `{"name":"`+deal.Name+`","customer":"`+customer.ID+`","budget":"`+deal.Amount.String()+`.00","externalId":"p`+id+`"}`)), &project); err != nil {
		t.Fatal(err)
	}
	must(t, "POST", base+"/time/projects", `{"name":"`+deal.Name+`","externalId":"t`+id+`"}`)
	must(t, "PATCH", base+"/crm/opportunities/"+id, `{"projectNumber":"`+project.ID+`"}`)
	return project.ID
}

func judged(t *testing.T, ledger, account, id string) oracle.Verdict {
	t.Helper()
	effects, err := oracle.ReadLedger[oracle.Effect](ledger)
	if err != nil {
		t.Fatal(err)
	}
	return oracle.Check(oracle.Ledgers{Effects: effects, Outcomes: []oracle.Outcome{{Tenant: account, Key: id, State: "written"}},
		Source: []oracle.Offer{{Tenant: account, Key: id, Expect: farside.Expect(account, id, 0)}, {Tenant: account, Key: id, Acked: true}}})
}

func TestTheFiveCallsSatisfyTheOracle(t *testing.T) {
	url, ledger := open(t)
	carry(t, url, "north", "1")
	if v := judged(t, ledger, "north", "1"); !v.Good() || v.Effects != 4 {
		t.Errorf("got %+v", v)
	}
}

func TestWhatLandsInAnotherAccountHasCrossed(t *testing.T) {
	url, ledger := open(t)
	carry(t, url, "north", "1")
	must(t, "PATCH", url+"/north/erp/projects/2", `{"name":"Platform rollout south/1/0"}`)
	if v := judged(t, ledger, "north", "1"); v.Count(oracle.Crossed) != 1 {
		t.Errorf("got %+v", v)
	}
}

func TestAProjectOfAnothersCustomerIsAMismatch(t *testing.T) {
	url, ledger := open(t)
	carry(t, url, "north", "1")
	carry(t, url, "north", "2")
	must(t, "PATCH", url+"/north/erp/projects/2", `{"name":"Platform rollout north/1/0","customer":"4","budget":"184500.00"}`)
	if v := judged(t, ledger, "north", "1"); v.Count(oracle.Mismatch) != 1 {
		t.Errorf("got %+v", v)
	}
}

func TestSearchFindsByMarkerInItsAccountOnly(t *testing.T) {
	url, _ := open(t)
	number := carry(t, url, "north", "1")
	if got := must(t, "GET", url+"/north/erp/projects?externalId=p1", ""); !strings.Contains(got, `"id":"`+number+`"`) {
		t.Errorf("got %s", got)
	}
	if got := must(t, "GET", url+"/south/erp/projects?externalId=p1", ""); strings.TrimSpace(got) != "[]" {
		t.Errorf("got %s", got)
	}
}

// TestFaults holds each fault to its word: whether the effect happened, and that no answer passes
// for a good one.
func TestFaults(t *testing.T) {
	for _, kind := range farside.Faults {
		t.Run(string(kind), func(t *testing.T) {
			url, ledger := open(t)
			plan, err := json.Marshal(farside.Plan{Seed: 1, Share: 1, Kinds: []farside.Fault{kind}})
			if err != nil {
				t.Fatal(err)
			}
			must(t, "POST", url+"/faults", string(plan))
			status, answer, err := send(t, "POST", url+"/erp/customers", `{"name":"Platform rollout main/1/0","externalId":"c1"}`)
			if err == nil && status < 300 && json.Valid([]byte(answer)) {
				t.Errorf("answered %d %s", status, answer)
			}
			effects, err := oracle.ReadLedger[oracle.Effect](ledger)
			if err != nil {
				t.Fatal(err)
			}
			want := 1
			if kind == farside.Down || kind == farside.Throttle {
				want = 0
			}
			if len(effects) != want {
				t.Errorf("%d effects, wanted %d", len(effects), want)
			}
		})
	}
}
