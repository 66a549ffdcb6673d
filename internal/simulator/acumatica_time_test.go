package simulator_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"throughline/internal/simulator"
)

// entry is a time entry as a caller sends it.
func entry(spent, marker string) object {
	return object{
		"Employee": val("EP00000003"), "Date": val("2026-11-20T00:00:00+00:00"), "ProjectID": val("PR000090"), "ProjectTaskID": val("01"), "TimeSpent": val(spent),
		"Billable": val(true), "Summary": val("Stock count ✅ مرحبا"), "ExternalRefNbr": val(marker),
	}
}

func byMarker(field, marker string) string {
	return "?" + url.Values{"$filter": {field + " eq '" + marker + "'"}}.Encode()
}

func TestERPTimeEntryFromOpenToTransaction(t *testing.T) {
	c := acumatica(t, simulator.Options{Unlimited: true})
	made := c.want(200, "PUT", erp+"/TimeEntry", entry("01:30", "tl-1"))
	id := at(made, "id").(string)
	if at(made, "ApprovalStatus", "value") != "Open" || at(made, "LaborItem", "value") != "CONS-SR" || at(made, "BillableTime", "value") != "01:30" || at(made, "Summary", "value") != "Stock count ✅ مرحبا" {
		t.Errorf("the new entry is %v", made)
	}
	found := c.want(200, "GET", erp+"/TimeEntry"+byMarker("ExternalRefNbr", "tl-1"), nil)
	if len(found.(list)) != 1 || at(found, 0, "id") != id {
		t.Errorf("found by its marker: %v", found)
	}
	day := url.Values{"$filter": {"cf.DateTime(f='Items.Date') ge datetimeoffset'2026-11-20T00:00:00Z' and cf.DateTime(f='Items.Date') lt datetimeoffset'2026-11-21T00:00:00Z'"}}
	if found = c.want(200, "GET", erp+"/TimeEntry?"+day.Encode(), nil); len(found.(list)) != 1 {
		t.Errorf("found by its day: %v", found)
	}
	act := func(status int, action string) any {
		t.Helper()
		return c.want(status, "POST", erp+"/TimeEntry/"+action, object{"entity": object{"id": id}, "parameters": object{}})
	}
	act(204, "CompleteTimeEntry")
	act(422, "CompleteTimeEntry")
	change := object{"id": id, "TimeSpent": val("02:00"), "BillableTime": val("02:00")}
	c.want(422, "PUT", erp+"/TimeEntry", change)
	act(204, "OpenTimeEntry")
	if changed := c.want(200, "PUT", erp+"/TimeEntry", change); at(changed, "TimeSpent", "value") != "02:00" || at(changed, "id") != id {
		t.Errorf("the changed entry is %v", changed)
	}
	act(204, "CompleteTimeEntry")
	if err := c.sim.Update("", "time_entry", id, map[string]any{"ApprovalStatus": "Released"}); err != nil { // a person does, on another form
		t.Fatal(err)
	}
	act(422, "OpenTimeEntry")
	c.want(422, "DELETE", erp+"/TimeEntry/"+id, nil)
	posted := c.want(200, "GET", erp+"/ProjectTransaction?$expand=Details", nil)
	if len(posted.(list)) != 1 || textOf(at(posted, 0, "Details", 0, "Qty", "value")) != "2" || textOf(at(posted, 0, "TotalAmount", "value")) != "330" ||
		at(posted, 0, "Details", 0, "ExternalRefNbr", "value") != "tl-1" || at(posted, 0, "Status", "value") != "Released" {
		t.Errorf("what was posted is %v", posted)
	}
}

func TestERPTimeEntriesThatAreRefused(t *testing.T) {
	c := acumatica(t, simulator.Options{Unlimited: true})
	for _, one := range []struct {
		name   string
		change object
		field  string
	}{
		{"negative time", object{"TimeSpent": val("-01:00")}, "TimeSpent"},
		{"time with seconds", object{"TimeSpent": val("01:00:30")}, "TimeSpent"},
		{"no billable time", object{"BillableTime": val("00:00")}, "BillableTime"},
		{"more billable than spent", object{"BillableTime": val("03:00")}, "BillableTime"},
		{"a task that is not there", object{"ProjectTaskID": val("77")}, "ProjectTaskID"},
		{"a project that is not there", object{"ProjectID": val("PR999999")}, "ProjectID"},
		{"nobody", object{"Employee": val("EP99999999")}, "Employee"},
		{"no text", object{"Summary": object{"value": nil}}, "Summary"},
	} {
		t.Run(one.name, func(t *testing.T) {
			body := entry("01:30", "tl-1")
			for k, v := range one.change {
				body[k] = v
			}
			if said := c.want(422, "PUT", erp+"/TimeEntry", body); at(said, one.field, "error") == nil {
				t.Errorf("the answer is %v", said)
			}
		})
	}
	if err := c.sim.Update("", "project", projectID(t, c), map[string]any{"Status": "Completed"}); err != nil {
		t.Fatal(err)
	}
	if said := c.want(422, "PUT", erp+"/TimeEntry", entry("01:30", "tl-1")); at(said, "ProjectID", "error") == nil {
		t.Errorf("on a completed project: %v", said)
	}
}

func projectID(t *testing.T, c *client) string {
	t.Helper()
	rows, err := c.sim.Rows("", "project")
	if err != nil || len(rows) == 0 {
		t.Fatal(rows, err)
	}
	return rows[0].ID
}

func TestERPTransactionTakesBack(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c := acumatica(t, simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	made := c.want(200, "PUT", erp+"/ProjectTransaction?$expand=Details", object{"Description": val("tl-9"), "Details": list{object{
		"Project": val("PR000090"), "ProjectTask": val("01"), "AccountGroup": val("LABOR"), "InventoryID": val("CONS-SR"), "Employee": val("EP00000003"),
		"Date": val("2026-11-20T00:00:00+00:00"), "Qty": val(json.Number("-1.5")), "UOM": val("HOUR"), "UnitRate": val(165)}}})
	if textOf(at(made, "TotalAmount", "value")) != "-247.5" || at(made, "Status", "value") != "Balanced" {
		t.Errorf("the transaction is %v", made)
	}
	if found := c.want(200, "GET", erp+"/ProjectTransaction"+byMarker("Description", "tl-9"), nil); len(found.(list)) != 1 {
		t.Errorf("found by its marker: %v", found)
	}
	id := at(made, "id").(string)
	c.want(202, "POST", erp+"/ProjectTransaction/ReleaseTransactions", object{"entity": object{"id": id}, "parameters": object{}})
	now = now.Add(5 * time.Second)
	if released := c.want(200, "GET", erp+"/ProjectTransaction/"+id, nil); at(released, "Status", "value") != "Released" {
		t.Errorf("after the release: %v", released)
	}
	c.want(422, "DELETE", erp+"/ProjectTransaction/"+id, nil)
}

func TestERPReceiptToClaim(t *testing.T) {
	c := acumatica(t, simulator.Options{Unlimited: true})
	made := c.want(200, "PUT", erp+"/ExpenseReceipt?$expand=ReceiptDetails", object{"ClaimedBy": val("EP00000003"), "Date": val("2026-11-20T00:00:00+00:00"), "ExpenseItemID": val("TRAVEL"),
		"ReceiptDetails": object{"Amount": val(json.Number("84.5")), "ProjectID": val("PR000090"), "ProjectTaskID": val("01"), "RefNbr": val("tl-7")}})
	number := at(made, "ReceiptID", "value")
	if at(made, "Status", "value") != "On Hold" || textOf(at(made, "ClaimAmount", "value")) != "84.5" {
		t.Errorf("the receipt is %v", made)
	}
	if found := c.want(200, "GET", erp+"/ExpenseReceipt"+byMarker("ReceiptDetails/RefNbr", "tl-7"), nil); len(found.(list)) != 1 {
		t.Errorf("found by its marker: %v", found)
	}
	for _, step := range []struct {
		action string
		status int
	}{{"ClaimExpenseReceipt", 422}, {"SubmitExpenseReceipt", 204}, {"ClaimExpenseReceipt", 204}, {"ClaimExpenseReceipt", 422}} {
		c.want(step.status, "POST", erp+"/ExpenseReceipt/"+step.action, object{"entity": object{"ReceiptID": object{"value": number}}, "parameters": object{}})
	}
	claimed := c.want(200, "GET", erp+"/ExpenseReceipt/"+number.(string)+"?$expand=ReceiptDetails", nil)
	if at(claimed, "ReceiptDetails", "ExpenseClaimID", "value") == nil || textOf(at(claimed, "ReceiptDetails", "Amount", "value")) != "84.5" {
		t.Errorf("the claimed receipt is %v", claimed)
	}
}
