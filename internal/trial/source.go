package trial

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// source is the CRM that sends webhooks: each until it is acknowledged, as vendors do.
type source struct {
	client *http.Client

	mu      sync.Mutex
	acks    []time.Duration // of those that were taken at the first try
	refused int             // tries that were answered with anything else, or not at all
	by      map[string]int  // those, by answer
}

func newSource(hands int) *source {
	return &source{client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConns: hands, MaxIdleConnsPerHost: hands}}, by: map[string]int{}}
}

// post sends one webhook once.
func (s *source) post(ctx context.Context, webhook, id string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, webhook, strings.NewReader(`{"id":"`+id+`"}`))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	begun, answer := time.Now(), "no answer"
	resp, err := s.client.Do(q)
	if err == nil {
		defer resp.Body.Close()
		answer = answerOf(resp)
		if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode/100 != 2 {
			err = fmt.Errorf("the webhook was answered %s", resp.Status)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.refused++
		s.by[answer]++
		return err
	}
	s.acks = append(s.acks, time.Since(begun))
	return nil
}

// noRetryAfter counts answers that refuse a webhook and do not say when to send it again: a vendor may
// never do so.
const noRetryAfter = "no Retry-After"

func answerOf(resp *http.Response) string {
	if resp.StatusCode/100 != 2 && resp.Header.Get("Retry-After") == "" {
		return noRetryAfter
	}
	return fmt.Sprint(resp.StatusCode)
}

// again is how long a source waits before it sends a webhook once more.
const again = 100 * time.Millisecond

// deliver sends until it is acknowledged. Where is asked before each try: a product that was
// killed may be back at another address.
func (s *source) deliver(ctx context.Context, where func() string, id string) error {
	for {
		err := s.post(ctx, where(), id)
		if err == nil {
			return nil
		}
		if pause(ctx, again) != nil {
			return fmt.Errorf("%s was never acknowledged: %w", id, err)
		}
	}
}

// each hands the numbers 0 to n-1 to as many hands, and returns the first error.
func each(n, hands int, do func(i int) error) error {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var wait sync.WaitGroup
	var first error
	var once sync.Once
	for range hands {
		wait.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	wait.Wait()
	return first
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// percentile of durations in milliseconds, to three places.
func percentile(list []time.Duration, share float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return round(float64(sorted[int(float64(len(sorted)-1)*share)].Microseconds()) / 1000)
}

func round(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }

func (s *source) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// taken is how many webhooks were acknowledged.
func (s *source) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks)
}

// answers are those that were no acknowledgement.
func (s *source) answers() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.by)
}
