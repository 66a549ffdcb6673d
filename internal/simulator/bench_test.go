package simulator_test

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"throughline/internal/simulator"
)

// BenchmarkCreate is the price of one simple create in process, with and without a ledger on disk.
func BenchmarkCreate(b *testing.B) {
	for _, one := range []struct {
		name string
		to   func(b *testing.B) *client
		path string
		body string
	}{
		{"time tracker", func(b *testing.B) *client { return clockify(b, simulator.Options{Unlimited: true}) }, workspace + "/clients", `{"name":"client %d","note":"m%d"}`},
		{"time tracker with a synced ledger", synced, workspace + "/clients", `{"name":"client %d","note":"m%d"}`},
		{"crm", func(b *testing.B) *client { return hubspot(b, simulator.Options{Unlimited: true}) }, "/crm/v3/objects/deals", `{"properties":{"dealname":"deal %d","throughline_id":"m%d"}}`},
		{"erp", func(b *testing.B) *client { return acumatica(b, simulator.Options{Unlimited: true}) }, erp + "/Customer", `{"CustomerName":{"value":"c %d"},"AccountRef":{"value":"m%d"}}`},
	} {
		b.Run(one.name, func(b *testing.B) { create(b, one.to(b), one.path, one.body) })
	}
}

func create(b *testing.B, c *client, path, body string) {
	method := http.MethodPost
	if path == erp+"/Customer" {
		method = http.MethodPut
	}
	transport := c.sim.Transport()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		req, err := http.NewRequest(method, "https://far.example"+path, bytes.NewReader(fmt.Appendf(nil, body, i, i)))
		if err != nil {
			b.Fatal(err)
		}
		req.Header = c.header
		resp, err := transport.RoundTrip(req)
		if err != nil || resp.StatusCode/100 != 2 {
			b.Fatal(resp, err)
		}
	}
}

func synced(b *testing.B) *client {
	ledger, err := simulator.OpenLedger(filepath.Join(b.TempDir(), "effects.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ledger.Close() })
	return clockify(b, simulator.Options{Unlimited: true, Ledger: ledger})
}
