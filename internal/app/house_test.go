package app_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	files "throughline/demo"
	"throughline/internal/access"
	"throughline/internal/app"
	"throughline/internal/demo"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// house is the whole product with the demo's customers and their simulated far sides.
type house struct {
	*testing.T
	*demo.Stage
	ahead  atomic.Int64 // of the product's clock
	parked map[string]string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, parked: map[string]string{}}
	ctx, stop := context.WithCancel(context.Background())
	cfg := app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", NewKey: true, Workers: 8, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }}
	stage, err := demo.Open(ctx, cfg, files.Files)
	if err != nil {
		t.Fatal(err)
	}
	h.Stage = stage
	stage.Tell = func(e demo.Event) {
		if e.What == "parked" {
			h.parked[e.Deal] = e.Detail
		}
	}
	ran := make(chan error, 1)
	go func() { ran <- stage.App.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	for name, k := range map[string]access.Principal{"admin": {Role: "admin", Tenant: access.Everyone}, "viewer": {Role: "viewer", Tenant: "northwind"}} {
		if err := stage.App.Keys.Add(ctx, "tl_"+name, name, k.Role, k.Tenant); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// settle moves the product's clock until every deal has its outcome.
func (h *house) settle() {
	h.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		if err := h.Look(context.Background()); err != nil {
			h.Fatal(err)
		}
		if h.Open() == 0 {
			return
		}
		h.ahead.Add(int64(500 * time.Millisecond))
	}
	for _, customer := range h.Customers() {
		rows, err := h.App.Store.Tenant(hub.TenantID(customer)).Work(context.Background(), store.Filter{Limit: 100})
		for _, w := range rows {
			if w.State != hub.Idle {
				h.Logf("%s: %s is %s until %s after %d attempts: %s %v", customer, w.Key, w.State, w.Due, w.Attempts, w.Reason, err)
			}
		}
	}
	h.Fatal("the deals did not come to rest")
}

// request sends one request to the product.
func (h *house) request(method, path string, header http.Header, body []byte) (status int, answer http.Header, text string) {
	h.Helper()
	req, err := http.NewRequest(method, h.App.URL()+path, bytes.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header = header
	return h.do(req)
}

func (h *house) do(req *http.Request) (status int, answer http.Header, text string) {
	h.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	return res.StatusCode, res.Header, string(data)
}

// signed are the headers of a delivery, signed as the CRM does it.
func (h *house) signed(path, secret string, body []byte, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("POST" + h.App.URL() + path + string(body) + stamp))
	return http.Header{"Content-Type": {"application/json"}, "X-Hubspot-Signature-V3": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}, "X-Hubspot-Request-Timestamp": {stamp}}
}

// runs are the ended runs of a customer's deal.
func (h *house) runs(customer, deal string) []store.Run {
	h.Helper()
	list, err := h.App.Store.Tenant(hub.TenantID(customer)).Runs(context.Background(), store.Filter{Key: "crm/deal/" + deal})
	if err != nil {
		h.Fatal(err)
	}
	return list
}

func (h *house) until(what string, met func() bool) {
	h.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if met() {
			return
		}
	}
	h.Fatalf("not within 20 s: %s", what)
}

func has(text string, all ...string) bool {
	for _, one := range all {
		if !strings.Contains(text, one) {
			return false
		}
	}
	return true
}
