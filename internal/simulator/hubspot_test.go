package simulator_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"testing"
	"time"

	"throughline/internal/exact"
	"throughline/internal/simulator"
)

func hubspot(t testing.TB, opt simulator.Options) *client {
	t.Helper()
	sim, err := simulator.New(describe(t, "hubspot"), opt)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, sim, http.Header{"Authorization": {"Bearer demo-hubspot-token"}, "Content-Type": {"application/json"}}}
}

func TestCRMDealWithItsCompanyAndLines(t *testing.T) {
	c := hubspot(t, simulator.Options{Unlimited: true})
	deal := c.want(200, "GET", "/crm/v3/objects/deals/479475670002?properties=service_package,amount&associations=companies,line_items", nil)
	if at(deal, "properties", "service_package") != "erp_plus" || at(deal, "properties", "amount") != "109600.00" {
		t.Errorf("the deal is %v", deal)
	}
	if at(deal, "associations", "companies", "results", 0, "id") != "406260760002" || len(at(deal, "associations", "line items", "results").(list)) != 2 {
		t.Errorf("its associations are %v", at(deal, "associations"))
	}
	back := c.want(200, "GET", "/crm/v4/objects/companies/406260760002/associations/deals", nil)
	if len(at(back, "results").(list)) != 2 {
		t.Errorf("the way back is %v", back)
	}
	bad := c.want(400, "PATCH", "/crm/v3/objects/deals/479475670002", object{"properties": object{"colour": "red", "amount": "much"}})
	if len(at(bad, "errors").(list)) != 2 || at(bad, "errors", 1, "code") != "PROPERTY_DOESNT_EXIST" {
		t.Errorf("two wrong properties: %v", bad)
	}
	c.want(404, "GET", "/crm/v3/objects/deals/1", nil)
	won := c.want(200, "PATCH", "/crm/v3/objects/deals/479475670002", object{"properties": object{"dealstage": "closedwon", "throughline_id": "tl-7"}})
	if at(won, "properties", "dealstage") != "closedwon" {
		t.Errorf("won: %v", won)
	}
	c.want(200, "GET", "/crm/v3/objects/deals/tl-7?idProperty=throughline_id", nil)
	c.want(400, "PATCH", "/crm/v3/objects/deals/479475670001", object{"properties": object{"throughline_id": "tl-7"}})
	c.want(201, "POST", "/crm/v3/objects/contacts", object{"properties": object{"email": "x@y.example"}})
	c.want(409, "POST", "/crm/v3/objects/contacts", object{"properties": object{"email": "X@y.example"}})
	made := c.want(201, "POST", "/crm/v3/objects/line_items", object{
		"properties":   object{"name": "Days", "quantity": "3", "price": "1000.50"},
		"associations": list{object{"to": object{"id": "479475670001"}, "types": list{object{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 20}}}},
	})
	seen := c.want(200, "GET", "/crm/v3/objects/deals/479475670001?associations=line_items", nil)
	if len(at(seen, "associations", "line items", "results").(list)) != 2 {
		t.Errorf("a line item %v came in: %v", made, at(seen, "associations"))
	}
	c.want(200, "PUT", "/crm/v4/objects/contacts/713492970001/associations/default/deals/479475670005", nil)
	props := c.want(200, "GET", "/crm/v3/properties/deals", nil)
	if len(at(props, "results").(list)) < 15 {
		t.Errorf("properties: %v", props)
	}
	c.want(200, "GET", "/crm/v3/pipelines/deals", nil)
	c.header.Set("Authorization", "Bearer wrong")
	c.want(401, "GET", "/crm/v3/objects/deals", nil)
}

func TestCRMSearchStaysBehind(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c := hubspot(t, simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	search := object{"filterGroups": list{object{"filters": list{object{"propertyName": "dealstage", "operator": "EQ", "value": "closedwon"}}}}, "limit": 100}
	count := func() int {
		return len(at(c.want(200, "POST", "/crm/v3/objects/deals/search", search), "results").(list))
	}
	c.want(200, "PATCH", "/crm/v3/objects/deals/479475670001", object{"properties": object{"dealstage": "closedwon"}})
	if n := count(); n != 0 {
		t.Errorf("the search knows the change at once: %d", n)
	}
	now = now.Add(6 * time.Second)
	if n := count(); n != 1 {
		t.Errorf("the search never learns of it: %d", n)
	}
}

func TestCRMBatchAnswersForEachItem(t *testing.T) {
	c := hubspot(t, simulator.Options{Unlimited: true})
	v := c.want(207, "POST", "/crm/v3/objects/deals/batch/read", object{"properties": list{"dealname"}, "inputs": list{object{"id": "479475670001"}, object{"id": "9"}}})
	if len(at(v, "results").(list)) != 1 || len(at(v, "errors").(list)) != 1 {
		t.Errorf("read %v", v)
	}
	v = c.want(200, "POST", "/crm/v3/objects/deals/batch/upsert", object{"inputs": list{
		object{"idProperty": "throughline_id", "id": "a", "properties": object{"dealname": "A"}},
		object{"idProperty": "throughline_id", "id": "b", "properties": object{"dealname": "B"}},
	}})
	if len(at(v, "results").(list)) != 2 {
		t.Errorf("upsert %v", v)
	}
	c.want(400, "POST", "/crm/v3/objects/deals/batch/create", object{"inputs": list{object{"properties": object{"dealname": "ok"}}, object{"properties": object{"nope": "1"}}}})
	rows, err := c.sim.Rows("", "deal")
	if err != nil || len(rows) != 7 {
		t.Errorf("an atomic batch left %d deals, %v", len(rows), err)
	}
}

func TestCRMWebhookIsSigned(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var got []object
	deliver := func(r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, []byte("demo-hubspot-secret"))
		mac.Write([]byte("POST" + r.URL.String() + string(body) + r.Header.Get("X-HubSpot-Request-Timestamp")))
		if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("X-HubSpot-Signature-v3") != want {
			t.Errorf("the signature is %q, want %q", r.Header.Get("X-HubSpot-Signature-v3"), want)
		}
		v, err := exact.DecodeJSON(body)
		if err != nil {
			return err
		}
		for _, one := range v.(list) {
			got = append(got, one.(object))
		}
		return nil
	}
	c := hubspot(t, simulator.Options{Now: func() time.Time { return now }, Deliver: deliver})
	if _, err := c.sim.Insert("", "subscription", object{"url": "https://hub.example/hooks/1", "types": "deal.propertyChange"}); err != nil {
		t.Fatal(err)
	}
	if err := c.sim.Update("", "deal", "479475670001", object{"dealstage": "closedwon"}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if n, err := c.sim.DeliverDue(context.Background()); err != nil || n != 1 {
		t.Fatalf("%d deliveries, %v", n, err)
	}
	stages := 0
	for _, e := range got {
		if at(e, "propertyName") == "dealstage" && at(e, "propertyValue") == "closedwon" && at(e, "changeSource") == "CRM_UI" {
			stages++
		}
	}
	if stages != 1 {
		t.Errorf("events: %v", got)
	}
}
