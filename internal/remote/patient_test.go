package remote_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

const moody = `
connector: acme
version: 1.0.0
title: Acme
roles: [crm]
host: https://acme.example
errors:
  - {status: 429, kind: throttled, after: =60}
records:
  deal: {path: /deals, id: =x.id, as: opportunity, get: {get: "/deals/{id}"}, update: {put: "/deals/{id}", body: {}, write: U}}
`

// answers are what the far side says, one after the other; the last one again and again.
type answers []int

func (a *answers) Send(context.Context, string, string, map[string]string, []byte, string) (int, http.Header, []byte, error) {
	status := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return status, http.Header{}, []byte(`{"id":"7"}`), nil
}

func TestAPatientReadWaits(t *testing.T) {
	c, err := connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(moody)}}, "acme")
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("nobody waits any more")
	for _, one := range []struct {
		name    string
		answers answers
		op      string
		waits   []time.Duration
		kind    hub.Kind
	}{
		{"an answer needs no patience", answers{200}, "deal.get", nil, ""},
		{"a limit is waited for as long as the far side says", answers{429, 429, 200}, "deal.get", []time.Duration{time.Minute, time.Minute}, ""},
		{"who does not answer is asked four times", answers{503}, "deal.get", []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}, hub.Unavailable},
		{"what is not there is not there", answers{404}, "deal.get", nil, hub.NotFound},
		{"a write is never waited with", answers{429, 200}, "deal.update", nil, hub.Throttled},
	} {
		t.Run(one.name, func(t *testing.T) {
			now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
			var waits []time.Duration
			client := remote.New(&one.answers, nil, nil, func() time.Time { return now }).Patient(func(_ context.Context, d time.Duration) error {
				if waits = append(waits, d); len(waits) > 9 {
					return stop
				}
				now = now.Add(d)
				return nil
			})
			_, err := client.Call(t.Context(), &remote.Connection{Tenant: "t", ID: "crm", Connector: c}, c.Operation(one.op), remote.Vars{"id": "7", "fields": map[string]any{}})
			if kind := hub.KindOf(err); kind != one.kind || err != nil && one.kind == "" {
				t.Errorf("gives %v", err)
			}
			if len(waits) != len(one.waits) {
				t.Fatalf("waited %v, want %v", waits, one.waits)
			}
			for i := range waits { // the limit itself may ask for a moment more than the far side
				if waits[i] < one.waits[i] || waits[i] > one.waits[i]+5*time.Second {
					t.Errorf("waited %v, want %v", waits, one.waits)
				}
			}
		})
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	if err := remote.Sleep(ctx, time.Hour); err == nil || err.Error() != "gone" {
		t.Errorf("gives %v", err)
	}
	if err := remote.Sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

func TestRestEndsWithTheProcess(t *testing.T) {
	ends := make(chan struct{})
	rest := remote.Rest(ends)
	if err := rest(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
	go close(ends)
	for range 2 { // while it waits, and before
		if err := rest(t.Context(), time.Hour); hub.KindOf(err) != hub.Throttled || hub.AsError(err).After != time.Hour {
			t.Errorf("gives %v", err)
		}
	}
}
