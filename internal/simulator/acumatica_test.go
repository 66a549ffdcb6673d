package simulator_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"throughline/internal/simulator"
)

const erp = "/entity/Default/24.200.001"

// acumatica gives a client that is signed in.
func acumatica(t testing.TB, opt simulator.Options) *client {
	t.Helper()
	sim, err := simulator.New(describe(t, "acumatica"), opt)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, sim, http.Header{"Content-Type": {"application/json"}}}
	c.login()
	return c
}

func (c *client) login() {
	c.t.Helper()
	resp, v := c.send("POST", "/entity/auth/login", object{"name": "integration", "password": "demo-acumatica-password", "tenant": "Northwind"})
	if resp.StatusCode != 204 {
		c.t.Fatalf("login: %d %v", resp.StatusCode, v)
	}
	var cookies []string
	for _, cookie := range resp.Cookies() {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	c.header.Set("Cookie", strings.Join(cookies, "; "))
}

func val(v any) object { return object{"value": v} }

func TestERPCustomerToTask(t *testing.T) {
	c := acumatica(t, simulator.Options{Unlimited: true})
	customer := c.want(200, "PUT", erp+"/Customer?$expand=MainContact/Address", object{
		"CustomerName": val("Halden Maschinenbau GmbH"), "AccountRef": val("tl-1"), "TaxRegistrationID": val("DE811569234"),
		"MainContact": object{"Email": val("info@halden.example"), "Address": object{"City": val("Augsburg"), "Country": val("DE")}},
	})
	id := at(customer, "CustomerID", "value")
	if id != "C001001" || at(customer, "MainContact", "Address", "City", "value") != "Augsburg" {
		t.Fatalf("the customer is %v", customer)
	}
	found := c.want(200, "GET", erp+"/Customer?"+url.Values{"$filter": {"AccountRef eq 'tl-1'"}, "$select": {"CustomerID"}}.Encode(), nil)
	if len(found.(list)) != 1 || at(found, 0, "CustomerID", "value") != id || at(found, 0, "CustomerName") != nil {
		t.Errorf("found by its marker: %v", found)
	}
	found = c.want(200, "GET", erp+"/Customer?"+url.Values{"$filter": {"MainContact/Email eq 'info@halden.example'"}}.Encode(), nil)
	if len(found.(list)) != 1 {
		t.Errorf("found by e-mail: %v", found)
	}
	project := c.want(200, "PUT", erp+"/Project?$expand=ProjectProperties", object{
		"Description": val("Portal"), "Customer": val(id), "ExternalRefNbr": val("tl-2"), "ProjectTemplateID": val("TMERP"),
		"ProjectProperties": object{"StartDate": val("2026-12-01"), "ProjectManager": val("EP00000002")},
	})
	number := at(project, "ProjectID", "value").(string)
	if at(project, "Status", "value") != "In Planning" || at(project, "ProjectProperties", "StartDate", "value") != "2026-12-01T00:00:00.000+00:00" {
		t.Errorf("the project is %v", project)
	}
	tasks := c.want(200, "GET", erp+"/ProjectTask?"+url.Values{"$filter": {"ProjectID eq '" + number + "'"}}.Encode(), nil)
	if len(tasks.(list)) != 4 {
		t.Errorf("tasks of the template: %v", tasks)
	}
	c.want(200, "PUT", erp+"/ProjectTask", object{"ProjectID": val(number), "ProjectTaskID": val("05"), "Description": val("Training")})
	c.want(200, "PUT", erp+"/ProjectBudget", object{
		"ProjectID": val(number), "ProjectTaskID": val("05"), "AccountGroup": val("REVENUE"), "InventoryID": val("CONS-SR"),
		"OriginalBudgetedQty": val(40), "UnitRate": val(165),
	})
	lines := c.want(200, "GET", erp+"/ProjectBudget?"+url.Values{"$filter": {"ProjectID eq '" + number + "'"}}.Encode(), nil)
	if textOf(at(lines, 0, "RevisedBudgetedAmount", "value")) != "6600" || at(lines, 0, "Type", "value") != "Income" {
		t.Errorf("the budget is %v", lines)
	}
	c.want(204, "POST", erp+"/Project/ActivateProject", object{"entity": object{"ProjectID": val(number)}, "parameters": object{}})
	blocked := c.want(422, "POST", erp+"/Project/CompleteProject", object{"entity": object{"ProjectID": val(number)}})
	if !strings.Contains(textOf(at(blocked, "entity", "error")), "not completed") {
		t.Errorf("completing with open tasks: %v", blocked)
	}
	bad := c.want(422, "PUT", erp+"/Project", object{"ProjectID": val(number), "Customer": val("NOBODY")})
	if at(bad, "Customer", "error") == nil || at(bad, "Customer", "value") != "NOBODY" {
		t.Errorf("an unknown customer: %v", bad)
	}
	c.want(500, "GET", erp+"/Project/NONE", nil)
	c.want(500, "GET", erp+"/Project?"+url.Values{"$filter": {"Hold eq 'true'"}}.Encode(), nil)
	c.want(404, "POST", erp+"/Project/Dance", object{"entity": object{"ProjectID": val(number)}})
	c.want(200, "GET", erp+"/ProjectTask/"+number+"/05", nil)
	order := c.want(200, "PUT", erp+"/SalesOrder?$expand=Details", object{
		"CustomerID": val(id), "Project": val(number), "CustomerOrder": val("PO-9"), "ExternalRef": val("tl-3"),
		"Details": list{object{"InventoryID": val("ERP-STD"), "OrderQty": val(1), "UnitPrice": val(48000)}},
	})
	if textOf(at(order, "OrderTotal", "value")) != "48000" || len(at(order, "Details").(list)) != 1 {
		t.Errorf("the order is %v", order)
	}
}

func TestERPSessions(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c := acumatica(t, simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	second := &client{t, c.sim, http.Header{}}
	second.login()
	third := &client{t, c.sim, http.Header{}}
	third.want(429, "POST", "/entity/auth/login", object{"name": "integration", "password": "demo-acumatica-password"})
	second.want(204, "POST", "/entity/auth/logout", nil)
	second.want(401, "GET", erp+"/Customer", nil)
	third.login()
	now = now.Add(19 * time.Minute)
	c.want(200, "GET", erp+"/Customer", nil)
	now = now.Add(21 * time.Minute)
	c.want(401, "GET", erp+"/Customer", nil)
}

func TestERPLongOperation(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c := acumatica(t, simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	c.want(200, "PUT", erp+"/ProjectBudget", object{
		"ProjectID": val("PR000090"), "ProjectTaskID": val("01"), "AccountGroup": val("REVENUE"), "PendingInvoiceAmount": val(1500),
	})
	resp, _ := c.send("POST", erp+"/Project/RunProjectBilling", object{"entity": object{"ProjectID": val("PR000090")}})
	if resp.StatusCode != 202 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	where := resp.Header.Get("Location")
	c.want(202, "GET", where, nil)
	now = now.Add(5 * time.Second)
	c.want(204, "GET", where, nil)
	made := c.want(200, "GET", erp+"/ProFormaInvoice", nil)
	if len(made.(list)) != 1 || textOf(at(made, 0, "InvoiceTotal", "value")) != "1500" {
		t.Errorf("the pro forma invoice is %v", made)
	}
}
