package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

const (
	crm       = "/hooks/northwind/crm"
	secret    = "demo-hubspot-secret"
	another   = "demo-meridian-secret"
	knownDeal = "479475670001"
)

func delivery(event int, deal string) []byte {
	return fmt.Appendf(nil, `[{"eventId":%d,"occurredAt":1,"subscriptionType":"deal.propertyChange","propertyName":"amount","objectId":%s}]`, event, deal)
}

// TestDeliveries sends what strangers, vendors and broken networks send.
func TestDeliveries(t *testing.T) {
	h := newHouse(t)
	good := delivery(1, knownDeal)
	now := time.Now()
	if err := h.App.Store.Apply(context.Background(), store.Setup{Customer: store.Customer{ID: "bare", Name: "Bare", Zone: "UTC", Currency: "EUR", Created: now},
		Connections: []store.Connection{{Tenant: "bare", ID: "crm", Connector: "hubspot@1", Settings: "{}", State: "active", Updated: now}}}); err != nil {
		t.Fatal(err)
	}
	gzipped := h.signed(crm, secret, good, now)
	gzipped.Set("Content-Encoding", "gzip")
	deep := []byte(strings.Repeat("[", 65) + strings.Repeat("]", 65))
	twice := []byte(`[{"eventId":2,"occurredAt":1,"subscriptionType":"deal.propertyChange","objectId":` + knownDeal + `,"objectId":` + knownDeal + `}]`)
	for _, c := range []struct {
		name, path string
		header     http.Header
		body       []byte
		want       int
	}{
		{"what is not signed is refused", crm, http.Header{}, good, 401},
		{"a wrong signature is refused", crm, h.signed(crm, "guess", good, now), good, 401},
		{"a signature over another body is refused", crm, h.signed(crm, secret, delivery(3, knownDeal), now), good, 401},
		{"a signature over a body that differs in one byte is refused", crm, h.signed(crm, secret, good, now), bytes.Replace(good, []byte("amount"), []byte("amounT"), 1), 401},
		{"a body that was written anew on its way is refused", crm, h.signed(crm, secret, good, now), bytes.ReplaceAll(good, []byte(":"), []byte(": ")), 401},
		{"a signature for another address is refused", crm, h.signed("/hooks/meridian/crm", secret, good, now), good, 401},
		{"a delivery of yesterday is refused", crm, h.signed(crm, secret, good, now.Add(-24*time.Hour)), good, 401},
		{"a delivery from the future is refused", crm, h.signed(crm, secret, good, now.Add(time.Hour)), good, 401},
		{"another customer's signature is refused", crm, h.signed(crm, another, good, now), good, 401},
		{"an unknown customer looks like a wrong signature", "/hooks/nobody/crm", h.signed("/hooks/nobody/crm", secret, good, now), good, 401},
		{"an unknown connection looks like a wrong signature", "/hooks/northwind/nothing", h.signed("/hooks/northwind/nothing", secret, good, now), good, 401},
		{"a connection without webhooks looks like a wrong signature", "/hooks/northwind/erp", h.signed("/hooks/northwind/erp", secret, good, now), good, 401},
		{"without a configured secret nothing is accepted", "/hooks/bare/crm", h.signed("/hooks/bare/crm", "", good, now), good, 401},
		{"a packed delivery is refused with a word", crm, gzipped, good, 415},
		{"text that is no JSON is refused", crm, h.signed(crm, secret, []byte(`[{"eventId":`), now), []byte(`[{"eventId":`), 422},
		{"an empty delivery is refused", crm, h.signed(crm, secret, nil, now), nil, 422},
		{"JSON 65 levels deep is refused", crm, h.signed(crm, secret, deep, now), deep, 422},
		{"a key that stands twice is refused", crm, h.signed(crm, secret, twice, now), twice, 422},
		{"signed events that are no objects are taken and passed over", crm, h.signed(crm, secret, []byte(`[1,2]`), now), []byte(`[1,2]`), 202},
		{"events that nobody asked for are taken and passed over", crm, h.signed(crm, secret, []byte(`[{"subscriptionType":"ticket.creation","objectId":1}]`), now), []byte(`[{"subscriptionType":"ticket.creation","objectId":1}]`), 202},
		{"10 MB and a byte are too much", crm, http.Header{}, make([]byte, 10<<20+1), 413},
		{"10 MB are looked at", crm, http.Header{}, make([]byte, 10<<20), 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, text := h.request("POST", c.path, c.header, c.body)
			if status != c.want {
				t.Errorf("answered %d %s, want %d", status, text, c.want)
			}
			if c.want == 401 && text != "Unauthorized\n" {
				t.Errorf("a stranger is told %q", text)
			}
		})
	}
	if list := h.runs("northwind", knownDeal); len(list) != 0 {
		t.Errorf("a refused delivery has started %d runs", len(list))
	}
}

// TestADeliveryThatDoesNotSayHowLongItIs ends at the limit all the same.
func TestADeliveryThatDoesNotSayHowLongItIs(t *testing.T) {
	h := newHouse(t)
	req, err := http.NewRequest("POST", h.App.URL()+crm, io.MultiReader(bytes.NewReader(make([]byte, 10<<20)), strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, text := h.do(req); status != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %d %s", status, text)
	}
}

// TestAReplayedDeliveryHasOneEffect sends the same event three times, signed anew the third time.
func TestAReplayedDeliveryHasOneEffect(t *testing.T) {
	h := newHouse(t)
	body, now := delivery(7, knownDeal), time.Now()
	for _, at := range []time.Time{now, now, now.Add(time.Second)} {
		if status, _, text := h.request("POST", crm, h.signed(crm, secret, body, at), body); status != 202 {
			t.Fatalf("answered %d %s", status, text)
		}
	}
	h.until("the run has ended", func() bool { return len(h.runs("northwind", knownDeal)) > 0 })
	next := delivery(8, "479475670002")
	if status, _, text := h.request("POST", crm, h.signed(crm, secret, next, now), next); status != 202 {
		t.Fatalf("answered %d %s", status, text)
	}
	h.until("a later event's run has ended", func() bool { return len(h.runs("northwind", "479475670002")) > 0 })
	list := h.runs("northwind", knownDeal)
	if len(list) != 1 || list[0].Outcome != hub.Filtered {
		t.Errorf("the event had %d runs: %+v; want one, filtered, for the deal is not won", len(list), list)
	}
}

// TestAFlowThatCannotBeOpened is our trouble, not the sender's: a delivery that is signed as it should be comes again
// later, and is told apart from a stranger's.
func TestAFlowThatCannotBeOpened(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	if err := h.App.Store.Apply(t.Context(), store.Setup{Customer: store.Customer{ID: "northwind", Name: "Northwind", Zone: "UTC", Currency: "EUR", Created: now},
		Deployments: []store.Deployment{{Tenant: "northwind", ID: "own", Revision: 1, State: "active", Spec: `{"template": "of-a-folder-that-is-gone", "version": 1}`, Created: now}}}); err != nil {
		t.Fatal(err)
	}
	h.ahead.Add(int64(2 * time.Second))
	body := delivery(1, knownDeal)
	if status, header, text := h.request("POST", crm, h.signed(crm, secret, body, now.Add(2*time.Second)), body); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("answered %d %s, want 503 and when to come again", status, text)
	}
	if status, _, text := h.request("POST", crm, h.signed(crm, "guess", body, now.Add(2*time.Second)), body); status != 401 {
		t.Errorf("a stranger is answered %d %s", status, text)
	}
}

// TestStrangersWhoAnnounceMuchAndSendNothing hold up nobody: room is taken for what arrives.
func TestStrangersWhoAnnounceMuchAndSendNothing(t *testing.T) {
	h := newHouse(t)
	for n := range 13 {
		announced := 10 << 20
		if n == 12 {
			announced = 8 << 20 // and all that may be held is announced
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.App.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /hooks/nobody/crm HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n[", announced); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond) // they are in
	body, now := delivery(1, knownDeal), time.Now()
	if status, _, text := h.request("POST", crm, h.signed(crm, secret, body, now), body); status != 202 {
		t.Errorf("a delivery of 150 bytes is answered %d %s", status, text)
	}
}

// TestADeliveryThatBreaksOff is not taken for whole, whether or not it says how long it is.
func TestADeliveryThatBreaksOff(t *testing.T) {
	h := newHouse(t)
	for _, head := range []string{"Content-Length: 200000\r\n\r\n" + strings.Repeat(" ", 100_000), "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.App.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "POST /hooks/northwind/crm HTTP/1.1\r\nHost: x\r\n"+head); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
			t.Errorf("answered %.100s, %v", answer, err)
		}
	}
}
