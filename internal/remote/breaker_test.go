package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

const metered = `
connector: acme
version: 1.0.0
title: Acme
roles: [crm]
host: https://acme.example
limits:
  - {rate: 20 per day, class: search}
records:
  deal: {path: /deals, id: =x.id, as: opportunity, get: {get: "/deals/{id}"}, find: {name: {get: "/deals?name={value}", class: search}}}
`

// meter is a far side that fails for half a minute of each minute and counts the calls.
type meter struct {
	begun time.Time
	down  func(since time.Duration) bool
	mu    sync.Mutex
	calls []time.Duration
}

func (m *meter) Send(_ context.Context, _, _ string, _ map[string]string, _ []byte, _ string) (int, http.Header, []byte, error) {
	time.Sleep(50 * time.Millisecond)
	since := time.Since(m.begun)
	m.mu.Lock()
	m.calls = append(m.calls, since)
	m.mu.Unlock()
	if m.down(since) {
		return 503, http.Header{}, []byte("down"), nil
	}
	return 200, http.Header{"Content-Type": {"application/json"}}, []byte(`{"id":"7"}`), nil
}

// book keeps the use of limits for all nodes.
type book struct {
	mu   sync.Mutex
	kept map[string]remote.Use
}

func (b *book) Change(_ context.Context, _ hub.TenantID, _ hub.ConnectionID, limit string, f func(*remote.Use, time.Time)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.kept[limit]
	f(&u, time.Now())
	b.kept[limit] = u
	return nil
}

func acme(t *testing.T) *connector.Connector {
	t.Helper()
	c, err := connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(metered)}}, "acme")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func opened(c *connector.Connector) *remote.Connection {
	return &remote.Connection{Tenant: "t1", ID: "crm", Connector: c}
}

// TestAFlappingFarSide (F3): down for 30 s of each minute, for ten minutes, with ten records a second to carry, each of which
// waits as it is told or as the retry schedule says.
func TestAFlappingFarSide(t *testing.T) {
	const perSecond, span = 10, 10 * time.Minute
	c := acme(t)
	for _, nodes := range []int{1, 2} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far := &meter{begun: time.Now(), down: func(since time.Duration) bool { return since%time.Minute >= 30*time.Second }}
				shared := &book{kept: map[string]remote.Use{}}
				var clients []*remote.Client
				var conns []*remote.Connection
				for range nodes {
					client := remote.New(far, nil, shared, time.Now)
					if nodes == 1 {
						client = client.Alone()
					}
					clients, conns = append(clients, client), append(conns, opened(c))
				}
				var done, failed atomic.Int64
				var hands sync.WaitGroup
				for i := range int(span/time.Second) * perSecond {
					hands.Go(func() {
						for attempts := 0; ; {
							_, err := clients[i%nodes].Call(t.Context(), conns[i%nodes], c.Operation("deal.get"), remote.Vars{"id": "7"})
							e := hub.AsError(err)
							switch {
							case err == nil:
								done.Add(1)
								return
							case e != nil && e.Kind == hub.Throttled:
								time.Sleep(e.After)
							default:
								failed.Add(1)
								attempts++
								time.Sleep([]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}[attempts-1])
							}
						}
					})
					time.Sleep(time.Second / perSecond)
				}
				hands.Wait()
				flaps := int(span / time.Minute)
				share := float64(failed.Load()) / float64(flaps*30*perSecond)
				slowest := recovery(far.calls, flaps)
				t.Logf("%d records; calls while down: %d, %.1f %% of normal; up again within %s", done.Load(), failed.Load(), 100*share, slowest)
				if share > 0.05 {
					t.Errorf("calls while down are %.1f %% of normal, at most 5 %% are allowed", 100*share)
				}
				if slowest > 30*time.Second {
					t.Errorf("up again only after %s", slowest)
				}
			})
		})
	}
}

// recovery is the longest time from when the far side is back until a whole second sees as many calls as arrive in one.
func recovery(calls []time.Duration, flaps int) (slowest time.Duration) {
	for flap := 1; flap < flaps; flap++ {
		back := time.Duration(flap) * time.Minute
		from, _ := slices.BinarySearch(calls, back)
		for i := from; i+10 < len(calls); i++ {
			if calls[i+10]-calls[i] <= 1100*time.Millisecond {
				slowest = max(slowest, calls[i]-back)
				break
			}
		}
	}
	return slowest
}

// TestOneProbeInHalfAMinute: a far side that stays away is asked twice a minute, by all nodes together, whatever waits for it.
func TestOneProbeInHalfAMinute(t *testing.T) {
	c := acme(t)
	synctest.Test(t, func(t *testing.T) {
		far := &meter{begun: time.Now(), down: func(time.Duration) bool { return true }}
		shared := &book{kept: map[string]remote.Use{}}
		var hands sync.WaitGroup
		for node := range 3 {
			client, conn := remote.New(far, nil, shared, time.Now), opened(c)
			for range 20 {
				hands.Go(func() {
					time.Sleep(time.Duration(node) * 10 * time.Second)
					for time.Since(far.begun) < 10*time.Minute {
						_, err := client.Call(t.Context(), conn, c.Operation("deal.get"), remote.Vars{"id": "7"})
						time.Sleep(max(hub.AsError(err).After, time.Second))
					}
				})
			}
		}
		hands.Wait()
		first, _ := slices.BinarySearch(far.calls, time.Minute)
		last, _ := slices.BinarySearch(far.calls, 10*time.Minute)
		t.Logf("%d calls until it was left alone, %d in the nine minutes after the first", first, last-first)
		if probes := last - first; probes > 18 || probes < 17 {
			t.Errorf("%d probes in nine minutes, want 18 at most", probes)
		}
	})
}

// TestSomeFailuresAreNoOutage: a far side of whose calls one in five fails is called on.
func TestSomeFailuresAreNoOutage(t *testing.T) {
	c := acme(t)
	synctest.Test(t, func(t *testing.T) {
		n := 0
		far := &meter{begun: time.Now(), down: func(time.Duration) bool { n++; return n%5 == 0 }}
		client, conn := remote.New(far, nil, nil, time.Now), opened(c)
		for range 1000 {
			if _, err := client.Call(t.Context(), conn, c.Operation("deal.get"), remote.Vars{"id": "7"}); hub.KindOf(err) == hub.Throttled {
				t.Fatalf("after %d calls: %v", n, err)
			}
		}
	})
}

// TestADaysQuota: what a vendor allows in a day is not exceeded, not even by a process that starts anew in between; who waits
// is told for how long, and goes on the next day.
func TestADaysQuota(t *testing.T) {
	c := acme(t)
	synctest.Test(t, func(t *testing.T) {
		far := &meter{begun: time.Now(), down: func(time.Duration) bool { return false }}
		kept := &book{kept: map[string]remote.Use{}}
		var told []time.Duration
		for process := range 4 {
			client, conn := remote.New(far, nil, kept, time.Now).Alone(), opened(c)
			for len(far.calls) < 10*(process+1) {
				_, err := client.Call(t.Context(), conn, c.Operation("deal.find.name"), remote.Vars{"value": "x"})
				if e := hub.AsError(err); e != nil {
					if e.Kind != hub.Throttled || e.Code != "limit.local" {
						t.Fatal(err)
					}
					told = append(told, e.After)
					time.Sleep(e.After)
				}
			}
		}
		for i := 20; i < len(far.calls); i++ {
			if span := far.calls[i] - far.calls[i-20]; span < 24*time.Hour {
				t.Errorf("21 calls within %s", span)
			}
		}
		if len(told) == 0 || told[0] < 23*time.Hour || told[0] > 26*time.Hour {
			t.Errorf("told to wait %v, want a day once", told)
		}
		if over := far.calls[39]; over > 26*time.Hour {
			t.Errorf("the second day's calls were made only by %s", over)
		}
		if _, err := client2(far, kept, c, t); err == nil {
			t.Error("the day's calls are used up, and one more was made")
		}
	})
}

func client2(far *meter, kept *book, c *connector.Connector, t *testing.T) (*connector.Answer, error) {
	return remote.New(far, nil, kept, time.Now).Alone().Call(t.Context(), opened(c), c.Operation("deal.find.name"), remote.Vars{"value": "x"})
}
