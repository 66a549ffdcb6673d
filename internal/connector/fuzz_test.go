package connector_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/connectors"
	"throughline/internal/connector"
	"throughline/internal/hub"
)

// shipped are the connectors that come with the product.
func shipped(f *testing.F) (list []*connector.Connector) {
	f.Helper()
	for _, name := range []string{"acumatica", "clockify", "hubspot", "redmine", "tryton"} {
		c, err := connector.Load(connectors.Files, name)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

var seed = []string{`{}`, `[]`, `null`, `""`, `[null]`, `{"id":"7","results":[{"id":1}],"paging":{"next":{"after":"2"}}}`, `{"value":[{"id":"1","status":"x"}]}`,
	`[{"eventId":1,"occurredAt":1,"subscriptionType":"deal.propertyChange","propertyName":"amount","objectId":7}]`, `[{"subscriptionType":"deal.propertyChange","propertyName":"dealstage","objectId":7},{"subscriptionType":"deal.propertyChange","propertyName":"dealstage"},5]`, `{"error":{"message":"no"}}`, `<html>`, `{"a":1,"a":2}`}

// FuzzEvents: a delivery gives events that each name a record, or cannot be read beside others that can; or is refused with a word.
func FuzzEvents(f *testing.F) {
	list := shipped(f)
	for _, s := range seed {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, c := range list {
			if !c.HasWebhooks() {
				continue
			}
			events, err := c.Events(connector.Delivery{Method: "POST", Header: http.Header{}, Body: body}, map[string]any{})
			if err != nil && hub.AsError(err) == nil {
				t.Fatalf("%s: %v has no kind: the sender would send it again for ever", c.File.Connector, err)
			}
			for _, e := range events {
				if e.Err == nil && e.ID == "" && len(e.Looks) == 0 {
					t.Fatalf("%s: an event names no record: %+v", c.File.Connector, e)
				}
				if e.Err != nil && (e.Kind == nil || len(events) == 1 && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("["))) {
					t.Fatalf("%s: what cannot be read is of no kind, or was all there was: %+v", c.File.Connector, e)
				}
			}
		}
	})
}

// FuzzSignature: nobody gets in who does not have the secret.
func FuzzSignature(f *testing.F) {
	list := shipped(f)
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	f.Add("", "", []byte("{}"))
	f.Add("c2lnbmVk", "1795597200000", []byte("[]"))
	f.Add("sha256=00", "-9223372036854775808", []byte(""))
	f.Fuzz(func(t *testing.T, signature, stamp string, body []byte) {
		for _, c := range list {
			if !c.HasWebhooks() {
				continue
			}
			v := c.File.Webhooks.Verify
			header := http.Header{}
			header.Set(v.Header, signature)
			if v.Timestamp != "" {
				header.Set(v.Timestamp, stamp)
			}
			const secret = "a-secret-that-nobody-guesses-7c1f"
			err := c.Verify(connector.Delivery{Method: "POST", URL: "https://us.example/hooks/a/b", Header: header, Body: body}, map[string]any{"secret": map[string]any{"webhook": secret, "client_secret": secret}}, now)
			if err == nil {
				t.Fatalf("%s takes %q at %q for a signature", c.File.Connector, signature, stamp)
			}
		}
	})
}

// FuzzAnswer: whatever a far side answers is read or told of as an error, by all that reads it; a wait is between a second and a day.
func FuzzAnswer(f *testing.F) {
	list := shipped(f)
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for i, s := range seed {
		f.Add([]int{200, 201, 207, 400, 401, 429, 500, 503}[i%8], []string{"", "30", "-1", "Wed, 25 Nov 2026 09:00:30 GMT", "9223372036854775807", "-9223372036854775808", "soon"}[i%7], []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		for _, c := range list {
			for _, r := range c.File.Records {
				kind := c.Kind(r.Key)
				for _, l := range []*connector.ListOp{kind.List, kind.Sweep, kind.Deleted} {
					if l != nil && l.Op != nil {
						readList(t, c, kind, l, status, after, body, now)
					}
				}
				if kind.Create != nil {
					readOutcome(t, c, kind, kind.Create, status, after, body, now)
				}
			}
		}
	})
}

func answered(t *testing.T, c *connector.Connector, op *connector.Op, status int, after string, body []byte, now time.Time) *connector.Answer {
	a, err := c.Read(op, map[string]any{"settings": map[string]any{}}, status, http.Header{"Retry-After": {after}}, body, now)
	if err == nil {
		return a
	}
	if e := hub.AsError(err); e != nil && e.After != 0 && (e.After < time.Second || e.After > 24*time.Hour) {
		t.Fatalf("%s: %q is read as a wait of %s", op.Name, after, e.After)
	}
	return nil
}

// readList reads a page as package remote does.
func readList(t *testing.T, c *connector.Connector, kind *connector.Kind, l *connector.ListOp, status int, after string, body []byte, now time.Time) {
	a := answered(t, c, l.Op, status, after, body, now)
	if a == nil {
		return
	}
	rows := a.Items()
	fresh, _ := l.Fresh(rows, now)
	records, err := l.Records(a, fresh)
	if err != nil {
		return
	}
	for _, x := range records {
		_, _ = kind.IDOf(x, map[string]any{})
		_, _ = kind.VersionOf(x)
	}
	_, _ = l.Pager().Next(a, len(rows))
}

// readOutcome reads what became of a write, and of each in a batch: every one that was sent has an id or an error.
func readOutcome(t *testing.T, c *connector.Connector, kind *connector.Kind, op *connector.Op, status int, after string, body []byte, now time.Time) {
	if a := answered(t, c, op, status, after, body, now); a != nil {
		_, _ = kind.IDOf(a.Result, map[string]any{})
	}
	if op.Batch == nil {
		return
	}
	a := answered(t, c, op.Batch.Op, status, after, body, now)
	if a == nil {
		return
	}
	sent := []connector.BatchItem{{Marker: "m1", Fields: map[string]any{}}, {Marker: "m2", Fields: map[string]any{}}}
	out, err := op.Batch.Outcomes(kind, a, sent, map[string]any{})
	if err == nil && len(out) != len(sent) {
		t.Fatalf("%s: %d outcomes of %d records", op.Name, len(out), len(sent))
	}
}

// FuzzFile: a connector file that somebody else wrote is loaded, or refused with lines and hints.
func FuzzFile(f *testing.F) {
	for _, name := range []string{"acumatica", "clockify", "hubspot", "redmine", "tryton"} {
		data, err := connectors.Files.ReadFile(name + "/connector.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(head + "records: {client: {path: /c, id: =x.id}}")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(text)}}, "acme")
		if err != nil && !strings.Contains(err.Error(), "connector.yaml") {
			t.Fatalf("nobody can tell where: %v", err)
		}
	})
}
