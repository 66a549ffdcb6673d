package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"throughline/internal/simulator"
)

func TestLimits(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	t.Run("the call after the limit is refused, and told of it in headers", func(t *testing.T) {
		c := hubspot(t, simulator.Options{Now: clock})
		for range 11 {
			resp, _ := c.send("GET", "/crm/v3/owners", nil)
			if resp.StatusCode != 200 || resp.Header.Get("x-hubspot-ratelimit-max") != "110" {
				t.Fatalf("%d %v", resp.StatusCode, resp.Header)
			}
		}
		v := c.want(429, "GET", "/crm/v3/owners", nil)
		if at(v, "policyName") != "SECONDLY" {
			t.Errorf("refused with %v", v)
		}
		now = now.Add(time.Second)
		c.want(200, "GET", "/crm/v3/owners", nil)
	})
	t.Run("searches are counted by themselves", func(t *testing.T) {
		c := hubspot(t, simulator.Options{Now: clock})
		for range 4 {
			c.want(200, "POST", "/crm/v3/objects/deals/search", object{})
		}
		c.want(429, "POST", "/crm/v3/objects/deals/search", object{})
		c.want(200, "GET", "/crm/v3/owners", nil)
	})
	t.Run("a far side that slows down refuses nothing", func(t *testing.T) {
		var slept time.Duration
		c := acumatica(t, simulator.Options{Now: clock, Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil }})
		for range 50 {
			c.want(200, "GET", erp+"/Customer", nil)
		}
		if slept != 0 {
			t.Errorf("slowed down by %v within half of the quota", slept)
		}
		c.want(200, "GET", erp+"/Customer", nil)
		if slept < time.Second || slept > 2*time.Second {
			t.Errorf("the 51st call waited %v; a minute over 50 calls is 1.2 s", slept)
		}
	})
}

func TestRefreshTokens(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	sim, err := simulator.New(describe(t, "acumatica"), simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, sim, http.Header{}}
	client := object{"client_id": "demo-client@Northwind", "client_secret": "demo-acumatica-secret"}
	grant := func(status int, with object) any {
		body := object{}
		for k, v := range client {
			body[k] = v
		}
		for k, v := range with {
			body[k] = v
		}
		return c.want(status, "POST", "/identity/connect/token", body)
	}
	first := grant(200, object{"grant_type": "authorization_code", "code": "demo-acumatica-consent"})
	use := func(v any) { c.header.Set("Authorization", "Bearer "+at(v, "access_token").(string)) }
	use(first)
	c.want(200, "GET", erp+"/Customer", nil)
	now = now.Add(2 * time.Hour)
	c.want(401, "GET", erp+"/Customer", nil)
	second := grant(200, object{"grant_type": "refresh_token", "refresh_token": at(first, "refresh_token")})
	use(second)
	c.want(200, "GET", erp+"/Customer", nil)
	if at(second, "refresh_token") == at(first, "refresh_token") {
		t.Error("the refresh token was not replaced")
	}
	// The old one again: somebody has stolen it, so the whole family ends.
	grant(400, object{"grant_type": "refresh_token", "refresh_token": at(first, "refresh_token")})
	c.want(401, "GET", erp+"/Customer", nil)
	grant(400, object{"grant_type": "refresh_token", "refresh_token": at(second, "refresh_token")})
	grant(400, object{"grant_type": "authorization_code", "code": "wrong"})
}

func TestPagesShowEveryRowOnce(t *testing.T) {
	t.Run("by number", func(t *testing.T) {
		c := clockify(t, simulator.Options{Unlimited: true})
		seen := map[string]bool{}
		for i := range 23 {
			c.want(201, "POST", workspace+"/tags", object{"name": fmt.Sprintf("tag %02d", i)})
		}
		for page := 1; page < 10; page++ {
			resp, v := c.send("GET", fmt.Sprintf("%s/tags?page-size=10&page=%d", workspace, page), nil)
			for _, one := range v.(list) {
				seen[at(one, "id").(string)] = true
			}
			if resp.Header.Get("Last-Page") == "true" {
				break
			}
		}
		if len(seen) != 25 {
			t.Errorf("saw %d of 25", len(seen))
		}
	})
	t.Run("by cursor, while rows come in", func(t *testing.T) {
		c := hubspot(t, simulator.Options{Unlimited: true})
		seen, after := map[string]bool{}, ""
		for range 20 {
			v := c.want(200, "GET", "/crm/v3/objects/companies?limit=2"+after, nil)
			for _, one := range at(v, "results").(list) {
				seen[at(one, "id").(string)] = true
			}
			next, ok := at(v, "paging", "next", "after").(string)
			if !ok {
				break
			}
			after = "&after=" + next
			if len(seen) < 5 {
				if _, err := c.sim.Insert("", "company", object{"name": "New"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(seen) != len(mustRows(t, c.sim, "company")) {
			t.Errorf("saw %d of %d", len(seen), len(mustRows(t, c.sim, "company")))
		}
	})
	t.Run("unless rows shift between two pages", func(t *testing.T) {
		c := clockify(t, simulator.Options{Unlimited: true})
		for i := range 8 {
			c.want(201, "POST", workspace+"/tags", object{"name": fmt.Sprintf("tag %02d", i)})
		}
		sound := c.want(200, "GET", workspace+"/tags?page-size=5&page=2", nil)
		if err := c.sim.FailNext(1, simulator.ShiftPages, simulator.Match{}); err != nil {
			t.Fatal(err)
		}
		shifted := c.want(200, "GET", workspace+"/tags?page-size=5&page=2", nil)
		if at(sound, 0, "id") == at(shifted, 0, "id") {
			t.Error("the page did not shift")
		}
	})
}

func TestAccountsAreApart(t *testing.T) {
	sim, err := simulator.New(describe(t, "clockify"), simulator.Options{Unlimited: true, Accounts: []simulator.Account{
		{Name: "second", Secrets: map[string]string{"key": "second-key", "workspace": "64a687e29ae1f428e7ebe999", "user": "5a0ab5acb07987125438b999"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, sim, http.Header{"X-Api-Key": {"second-key"}}}
	c.want(403, "GET", workspace+"/clients", nil)
	c.want(201, "POST", "/api/v1/workspaces/64a687e29ae1f428e7ebe999/clients", object{"name": "Halden"})
	if n := len(mustRows(t, sim, "client")); n != 2 {
		t.Errorf("the first account has %d clients", n)
	}
	if e := sim.Effects(); len(e) != 1 || e[0].Account != "second" {
		t.Errorf("effects %+v", e)
	}
}

func TestPreconditions(t *testing.T) {
	c := acumatica(t, simulator.Options{Unlimited: true})
	c.header.Set("If-None-Match", "*")
	c.want(412, "PUT", erp+"/Customer", object{"CustomerID": val("C000900"), "CustomerName": val("x")})
	c.header.Del("If-None-Match")
	c.header.Set("If-Match", "*")
	c.want(412, "PUT", erp+"/Customer", object{"CustomerID": val("C777777"), "CustomerName": val("x")})
}

func TestWebhooksAreTriedAgain(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var calls int
	deliver := func(*http.Request) error {
		if calls++; calls < 3 {
			return errors.New("the receiver is away")
		}
		return nil
	}
	c := hubspot(t, simulator.Options{Now: func() time.Time { return now }, Deliver: deliver})
	if _, err := c.sim.Insert("", "subscription", object{"url": "https://hub.example/h"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.sim.Insert("", "company", object{"name": "New"}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		due, any := c.sim.NextDelivery()
		if !any {
			break
		}
		now = due
		if _, err := c.sim.DeliverDue(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 3 || now.Sub(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)) < 5*time.Minute {
		t.Errorf("%d calls until %v", calls, now)
	}
}

func TestBackDoorOverHTTP(t *testing.T) {
	c := hubspot(t, simulator.Options{})
	server := httptest.NewServer(c.sim.Control())
	defer server.Close()
	for _, one := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"rows are listed", "GET", "/_sim/rows/deal", "", 200, "Bluewater warehouse ERP"},
		{"a person wins a deal", "PATCH", "/_sim/rows/deal/479475670001", `{"dealstage":"closedwon"}`, 200, `"hs_is_closed_won": "true"`},
		{"the effect is told", "GET", "/_sim/effects", "", 200, `"by": "person"`},
		{"a row is made", "POST", "/_sim/rows/company", `{"name":"New"}`, 200, `"id"`},
		{"a wrong row is refused", "POST", "/_sim/rows/product", `{}`, 422, "name"},
		{"an unknown entity is not found", "GET", "/_sim/rows/ship", "", 404, "ship"},
		{"a fault is ordered", "POST", "/_sim/faults", `{"next":1,"fault":"drop_answer","match":{"method":"POST"}}`, 200, ""},
		{"an unknown fault is refused", "POST", "/_sim/faults", `{"next":1,"fault":"flood"}`, 422, "flood"},
		{"the clock moves on", "POST", "/_sim/advance", `{"by":"1h"}`, 200, ""},
		{"everything starts again", "POST", "/_sim/reset", "", 200, ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			req, err := http.NewRequest(one.method, server.URL+one.path, strings.NewReader(one.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body strings.Builder
			if err := resp.Write(&body); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != one.status || !strings.Contains(body.String(), one.says) {
				t.Errorf("%d %s", resp.StatusCode, body.String())
			}
		})
	}
}
