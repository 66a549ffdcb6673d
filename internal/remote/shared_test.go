package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

const hundredAMinute = `
connector: acme
version: 1.0.0
title: Acme
roles: [crm]
host: https://acme.example
limits: [{rate: 100 per minute}]
records:
  deal: {path: /deals, id: =x.id, as: opportunity, get: {get: "/deals/{id}"}}
`

// sharedMeter is a vendor that takes a hundred calls in any minute. What it refuses it answers with word, and takes
// nothing before until.
type sharedMeter struct {
	mu    sync.Mutex
	taken []time.Time
	over  int
	word  string
	until time.Time
}

func (m *sharedMeter) Send(context.Context, string, string, map[string]string, []byte, string) (int, http.Header, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.taken) > 0 && now.Sub(m.taken[0]) >= time.Minute {
		m.taken = m.taken[1:]
	}
	if now.Before(m.until) || len(m.taken) >= 100 {
		m.over++
		return 429, http.Header{"Retry-After": {m.word}}, nil, nil
	}
	m.taken = append(m.taken, now)
	return 200, http.Header{}, []byte(`{"id":"7"}`), nil
}

// pooled is what is used of limits, where two nodes see it.
type pooled struct {
	mu  sync.Mutex
	use map[string]*remote.Use
}

func (p *pooled) Change(_ context.Context, _ hub.TenantID, _ hub.ConnectionID, limit string, f func(*remote.Use, time.Time)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.use[limit] == nil {
		p.use[limit] = &remote.Use{}
	}
	f(p.use[limit], time.Now())
	return nil
}

// crew is eight workers on each of two nodes. Each calls until the end, and waits as it is told.
type crew struct {
	mu     sync.Mutex
	done   int
	failed []error // but for waiting: each would have been an attempt
}

func (c *crew) work(t *testing.T, m *sharedMeter, span time.Duration) {
	t.Helper()
	file, err := connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(hundredAMinute)}}, "acme")
	if err != nil {
		t.Fatal(err)
	}
	end, shared := time.Now().Add(span), &pooled{use: map[string]*remote.Use{}}
	var hands sync.WaitGroup
	for range 2 {
		client, conn := remote.New(m, nil, shared, time.Now), &remote.Connection{Tenant: "t1", ID: "crm", Connector: file}
		for range 8 {
			hands.Go(func() {
				for time.Now().Before(end) {
					_, err := client.Call(t.Context(), conn, file.Operation("deal.get"), remote.Vars{"id": "7"})
					time.Sleep(c.saw(err))
				}
			})
		}
	}
	hands.Wait()
}

// saw counts what became of a call and says how long to wait.
func (c *crew) saw(err error) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := hub.AsError(err)
	switch {
	case err == nil:
		c.done++
		return 50 * time.Millisecond // as long as a call takes
	case e != nil && e.Kind == hub.Throttled:
		return e.After
	}
	c.failed = append(c.failed, err)
	return time.Second
}

// TestTwoNodesShareALimit of a hundred calls a minute: 16 workers use at least nine tenths of it, of a hundred
// calls at most one is refused, and none costs an attempt (F2).
func TestTwoNodesShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := &sharedMeter{word: "30"}, &crew{}
		const minutes = 30
		c.work(t, m, minutes*time.Minute)
		t.Logf("%d calls in %d minutes, %d refused", c.done, minutes, m.over)
		if c.done < minutes*90 || m.over*100 > c.done {
			t.Errorf("%d calls in %d minutes, %d refused", c.done, minutes, m.over)
		}
		if len(c.failed) > 0 {
			t.Errorf("%d calls failed instead of waiting: %v", len(c.failed), c.failed[0])
		}
	})
}

// TestRetryAfterInEveryForm: both nodes leave the far side alone for as long as it says, at least a second and
// at most a day; what cannot be read counts as a second. Nobody loses an attempt by it (F2).
func TestRetryAfterInEveryForm(t *testing.T) {
	for _, c := range []struct {
		name string
		word func(now time.Time) string
		want time.Duration
	}{
		{"seconds", func(time.Time) string { return "30" }, 30 * time.Second},
		{"a date", func(now time.Time) string { return now.Add(30 * time.Second).UTC().Format(http.TimeFormat) }, 30 * time.Second},
		{"a date that has passed", func(now time.Time) string { return now.Add(-time.Hour).UTC().Format(http.TimeFormat) }, time.Second},
		{"nought", func(time.Time) string { return "0" }, time.Second},
		{"less than nought", func(time.Time) string { return "-30" }, time.Second},
		{"ten years", func(time.Time) string { return fmt.Sprint(10 * 365 * 24 * 60 * 60) }, 24 * time.Hour},
		{"more seconds than there are", func(time.Time) string { return "99999999999999999999" }, time.Second},
		{"no form at all", func(time.Time) string { return "soon" }, time.Second},
		{"nothing", func(time.Time) string { return "" }, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				m, hands := &sharedMeter{word: c.word(begun), until: begun.Add(c.want)}, &crew{}
				hands.work(t, m, c.want+2*time.Minute)
				if hands.done < 180 { // of the 200 that two minutes allow
					t.Errorf("%d calls in the two minutes afterwards", hands.done)
				}
				if m.over > 16 { // one of each worker, which may be under way when the first answer comes
					t.Errorf("%d calls before the far side wanted any", m.over)
				}
				if len(hands.failed) > 0 {
					t.Errorf("%d calls failed instead of waiting: %v", len(hands.failed), hands.failed[0])
				}
			})
		})
	}
}

// TestCallsThatAreDrawnAndMadeLateCountAsMadeLate: what a node has drawn at the end of a part and uses in the next one
// is not free again before a span has passed since.
func TestCallsThatAreDrawnAndMadeLateCountAsMadeLate(t *testing.T) {
	file, err := connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(hundredAMinute)}}, "acme")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		m, shared := &sharedMeter{word: "1"}, &pooled{use: map[string]*remote.Use{}}
		var nodes [2]func() bool
		for i := range nodes {
			client, conn := remote.New(m, nil, shared, time.Now), &remote.Connection{Tenant: "t1", ID: "crm", Connector: file}
			nodes[i] = func() bool {
				_, err := client.Call(t.Context(), conn, file.Operation("deal.get"), remote.Vars{"id": "7"})
				return err == nil
			}
		}
		const part = 3 * time.Second
		time.Sleep(time.Until(time.Now().Truncate(part).Add(2*part - 100*time.Millisecond)))
		nodes[0]()
		time.Sleep(part - 50*time.Millisecond)
		for _, call := range nodes {
			for call() {
			}
		}
		for range 25 {
			time.Sleep(part - 50*time.Millisecond)
			for _, call := range nodes {
				for call() {
				}
			}
		}
		if m.over > 0 {
			t.Errorf("%d calls more than the limit allows", m.over)
		}
	})
}
