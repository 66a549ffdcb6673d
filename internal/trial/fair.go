package trial

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"throughline/internal/farside"
)

// FairFigures are what the others feel of one tenant that has too much, or whose far side is dead; one JSON line.
type FairFigures struct {
	What      string  `json:"what"`
	Store     string  `json:"store"`
	Heavy     string  `json:"heavy"` // what is wrong with it
	Waiting   int     `json:"waiting"`
	Others    int     `json:"others"`
	PerSecond float64 `json:"others_per_s"`
	Latency   float64 `json:"far_latency_ms"`
	AloneP50  float64 `json:"alone_p50_ms"` // from the webhook to the write-back
	AloneP95  float64 `json:"alone_p95_ms"`
	BesideP50 float64 `json:"beside_p50_ms"`
	BesideP95 float64 `json:"beside_p95_ms"`
	Ratio     float64 `json:"p95_ratio"`
	FirstP95  float64 `json:"first_p95_ms"` // beside the heavy one, in the five seconds after it had the machine to itself
	HeavyDone float64 `json:"heavy_per_s"`  // records of the heavy one that were carried meanwhile
	HeavyCall int     `json:"heavy_calls"`  // that reached its far side
}

// Fair is what is measured, and with what.
type Fair struct {
	Waiting, Others int
	PerSecond       float64
	Span            time.Duration
	Latency         time.Duration
	Dead            bool   // the heavy one's far side holds every call
	UsedUp          string // the side of the heavy one, crm or erp, of which the day's calls are used up; empty: none
	// Fill makes the tenants, each with the address of its far side.
	Fill func(ctx context.Context, far map[string]string) error
	// Queue lets so many records of the heavy one wait.
	Queue func(ctx context.Context, tenant string, n int) error
	Start func(ctx context.Context) (*Process, error)
}

// Heavy is who has too much.
const (
	Heavy     = "heavy"
	firstSpan = 5 * time.Second // what was in hand before the others came is finished in it
)

// MeasureFair carries the others' deals twice: with nothing beside them, and beside the heavy tenant.
func MeasureFair(ctx context.Context, s *Stage, o Fair) (FairFigures, error) {
	out := FairFigures{What: "fair", Store: s.StoreName(), Heavy: "many waiting", Waiting: o.Waiting, Others: o.Others, PerSecond: o.PerSecond, Latency: float64(o.Latency.Milliseconds())}
	switch {
	case o.Dead:
		out.Heavy += ", far side dead"
	case o.UsedUp != "":
		out.Heavy += ", the day's calls of its " + o.UsedUp + " used up"
	}
	w, err := openWatch(o.Latency)
	if err != nil {
		return out, err
	}
	defer w.close()
	far := map[string]string{Heavy: w.url + "/" + Heavy}
	if o.Dead {
		far[Heavy] = w.hole
	}
	var others []string
	for i := range o.Others {
		others = append(others, fmt.Sprintf("other-%d", i))
		far[others[i]] = w.url + "/" + others[i]
	}
	if err := o.Fill(ctx, far); err != nil {
		return out, err
	}
	alone, err := o.round(ctx, w, "a", others)
	if err != nil {
		return out, fmt.Errorf("alone: %w", err)
	}
	if err := o.Queue(ctx, Heavy, o.Waiting); err != nil {
		return out, err
	}
	begun := time.Now()
	beside, err := o.round(ctx, w, "b", others)
	if err != nil {
		return out, fmt.Errorf("beside the heavy one: %w", err)
	}
	out.HeavyDone, out.HeavyCall = round(float64(w.of(Heavy))/time.Since(begun).Seconds()), w.held()+w.made(Heavy)
	out.AloneP50, out.AloneP95 = percentile(alone, .5), percentile(alone, .95)
	out.BesideP50, out.BesideP95 = percentile(beside, .5), percentile(beside, .95)
	out.FirstP95 = percentile(w.times("first-b"), .95)
	out.Ratio = round(out.BesideP95 / out.AloneP95)
	return out, nil
}

// round posts the others' deals at a steady pace and says how long each took.
func (o Fair) round(ctx context.Context, w *watch, prefix string, others []string) (took []time.Duration, err error) {
	p, err := o.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	s := newSource(64)
	if err := pause(ctx, 2*time.Second); err != nil { // it has begun with what waits
		return nil, err
	}
	first := int(o.PerSecond * firstSpan.Seconds())
	n := int(o.PerSecond * o.Span.Seconds())
	tick := time.NewTicker(time.Duration(float64(time.Second) / o.PerSecond))
	defer tick.Stop()
	for i := range first + n {
		<-tick.C
		tenant, id := others[i%len(others)], fmt.Sprint(prefix, i)
		if i < first {
			id = "first-" + id
		}
		w.sent(tenant, id)
		go func() {
			_ = s.deliver(ctx, func() string { return p.Ready.URL + "/hooks/" + tenant + "/crm" }, id) // what never arrives is missed below
		}()
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if took = w.times(prefix); len(took) >= n {
			return took, nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("a minute after the last webhook %d of %d deals are written back", len(took), n)
}

// watch is a far side that notes when each deal is written back, and a hole beside it that answers nothing.
type watch struct {
	url, hole string
	far       *farside.Far
	ends      []func() error

	mu    sync.Mutex
	begun map[string]time.Time // by account and id
	took  map[string]time.Duration
	calls map[string]int // by account
	backs map[string]int // write-backs by account
	holes int
}

func openWatch(latency time.Duration) (*watch, error) {
	w := &watch{far: farside.New(latency, nil), begun: map[string]time.Time{}, took: map[string]time.Duration{}, calls: map[string]int{}, backs: map[string]int{}}
	for _, at := range []struct {
		url     *string
		handler http.Handler
	}{{&w.url, w}, {&w.hole, http.HandlerFunc(w.swallow)}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: at.handler}
		w.ends = append(w.ends, server.Close)
		go func() { _ = server.Serve(l) }() // ends by Close
		*at.url = "http://" + l.Addr().String()
	}
	return w, nil
}

func (w *watch) close() {
	for _, end := range w.ends {
		_ = end() // nothing is left that could be lost
	}
}

func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.far.ServeHTTP(rw, r)
	account, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	name := account + "/" + path.Base(r.URL.Path)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[account]++
	if r.Method != http.MethodPatch || !strings.Contains(r.URL.Path, "/crm/") {
		return
	}
	w.backs[account]++
	if begun, ours := w.begun[name]; ours && w.took[name] == 0 {
		w.took[name] = time.Since(begun)
	}
}

// swallow holds a call until its caller gives up.
func (w *watch) swallow(_ http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.holes++
	w.mu.Unlock()
	<-r.Context().Done()
}

func (w *watch) sent(account, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun[account+"/"+id] = time.Now()
}

// written is how many deals were written back.
func (w *watch) written() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.took)
}

// times are how long the deals took whose ids begin like this.
func (w *watch) times(prefix string) (list []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, d := range w.took {
		if strings.HasPrefix(path.Base(name), prefix) {
			list = append(list, d)
		}
	}
	return list
}

func (w *watch) of(account string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.backs[account]
}

func (w *watch) made(account string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[account]
}

func (w *watch) held() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holes
}
