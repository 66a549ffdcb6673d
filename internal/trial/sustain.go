package trial

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Sustain is a steady stream of webhooks, and a burst after it.
type Sustain struct {
	PerSecond float64
	Span      time.Duration
	Burst     float64 // webhooks a second in the burst; 0: there is none
	BurstSpan time.Duration
	Customers int
	Latency   time.Duration
	Drain     time.Duration // how long all may take to be written afterwards
	// Fill makes the tenants, each with the address of its far side.
	Fill  func(ctx context.Context, far map[string]string) error
	Start func(ctx context.Context) (*Process, error)
}

// SustainFigures are what came of it; one JSON line.
type SustainFigures struct {
	What      string       `json:"what"`
	Store     string       `json:"store"`
	SyncsPerS float64      `json:"fdatasync_per_s"`
	Customers int          `json:"customers"`
	Latency   float64      `json:"far_latency_ms"`
	Steady    StreamFigure `json:"steady"`
	Burst     StreamFigure `json:"burst,omitzero"`
	Drained   float64      `json:"drained_s"` // from the last webhook until all that was acknowledged was written
	PeakRSS   float64      `json:"peak_rss_mib"`
	CPU       float64      `json:"cpu_s"`
	DBCPU     float64      `json:"db_cpu_s"`
	Lost      int          `json:"lost"` // acknowledged and never written back
}

// StreamFigure is what came of one of the streams.
type StreamFigure struct {
	Asked     float64        `json:"asked_per_s"`
	Sent      float64        `json:"sent_per_s"` // less than asked where this machine did not manage to send
	Seconds   float64        `json:"seconds"`
	Acked     int            `json:"acknowledged"`
	Refused   map[string]int `json:"refused,omitempty"` // by answer; each was sent once
	AckP50    float64        `json:"ack_p50_ms"`
	AckP99    float64        `json:"ack_p99_ms"`
	AckMost   float64        `json:"ack_longest_ms"`
	AgeP50    float64        `json:"age_p50_ms"` // from the webhook to the write-back: at least as long as it stood in the queue
	AgeP99    float64        `json:"age_p99_ms"`
	Unwritten int            `json:"unwritten_at_end"` // of those acknowledged, when the last was sent
}

// MeasureSustained sends at a set pace, whatever comes of it: a webhook that is refused is not sent again.
func MeasureSustained(ctx context.Context, s *Stage, o Sustain) (out SustainFigures, err error) {
	out = SustainFigures{What: "load", Store: s.StoreName(), Customers: o.Customers, Latency: float64(o.Latency.Milliseconds())}
	if out.SyncsPerS, err = SyncsPerSecond(s.Dir); err != nil {
		return out, err
	}
	w, err := openWatch(o.Latency)
	if err != nil {
		return out, err
	}
	defer w.close()
	far := map[string]string{}
	for i := range o.Customers {
		name := fmt.Sprintf("customer-%d", i)
		far[name] = w.url + "/" + name
	}
	if err := o.Fill(ctx, far); err != nil {
		return out, err
	}
	p, err := o.Start(ctx)
	if err != nil {
		return out, err
	}
	defer p.Kill()
	memory := watchMemory(p.Ready.PIDs)
	cpu, databases := cpuOf(p.Ready.PIDs), cpuOf(s.Databases())
	if out.Steady, err = o.stream(ctx, w, p, "s", o.PerSecond, o.Span); err == nil && o.Burst > 0 {
		out.Burst, err = o.stream(ctx, w, p, "b", o.Burst, o.BurstSpan)
	}
	if err != nil {
		return out, err
	}
	began := time.Now()
	acked := out.Steady.Acked + out.Burst.Acked
	for out.Lost = acked; out.Lost > 0 && time.Since(began) < o.Drain; {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return out, err
		}
		out.Lost = max(0, acked-w.written())
	}
	out.Drained, out.PeakRSS = round(time.Since(began).Seconds()), round(memory.stop())
	out.CPU, out.DBCPU = round(cpuOf(p.Ready.PIDs)-cpu), round(cpuOf(s.Databases())-databases)
	out.Steady.aged(w.times("s"))
	out.Burst.aged(w.times("b"))
	return out, nil
}

func (f *StreamFigure) aged(took []time.Duration) {
	f.AgeP50, f.AgeP99 = percentile(took, .5), percentile(took, .99)
}

// stream posts webhooks at a steady pace: each leaves when it is due, however many are still under way.
func (o Sustain) stream(ctx context.Context, w *watch, p *Process, prefix string, perSecond float64, span time.Duration) (StreamFigure, error) {
	s, f := newSource(512), StreamFigure{Asked: perSecond}
	n, begun := int(perSecond*span.Seconds()), time.Now()
	var hands sync.WaitGroup
	for i := range n {
		if err := pause(ctx, time.Until(begun.Add(time.Duration(float64(i)/perSecond*float64(time.Second))))); err != nil {
			return f, err
		}
		tenant, id := fmt.Sprintf("customer-%d", i%o.Customers), fmt.Sprint(prefix, i)
		w.sent(tenant, id)
		hands.Go(func() {
			_ = s.post(ctx, p.Ready.URL+"/hooks/"+tenant+"/crm", id) // counted by its answer
		})
	}
	f.Seconds = round(time.Since(begun).Seconds())
	f.Unwritten = -len(w.times(prefix))
	hands.Wait()
	f.Sent, f.Acked, f.Refused = round(float64(n)/f.Seconds), s.taken(), s.answers()
	f.Unwritten = max(0, f.Unwritten+f.Acked)
	f.AckP50, f.AckP99, f.AckMost = percentile(s.acks, .5), percentile(s.acks, .99), percentile(s.acks, 1)
	return f, nil
}

// Wrong says in what a stream did not do as it shall, if in anything. A steady one is to be taken whole; of a
// burst what is refused must be told when to come again.
func (f SustainFigures) Wrong(ackP99, ageP99 time.Duration, rss float64) error {
	var all []string
	wrong := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	wrong(len(f.Steady.Refused) > 0, "webhooks of the steady stream were refused: %v", f.Steady.Refused)
	for answer, n := range f.Burst.Refused {
		wrong(answer != "429", "%d webhooks of the burst were answered %s, want 2xx or 429 with Retry-After", n, answer)
	}
	wrong(f.Lost > 0, "%d acknowledged records were not written back in time", f.Lost)
	wrong(ackP99 > 0 && f.Steady.AckP99 > float64(ackP99.Milliseconds()), "acknowledged within %v ms (p99), want %s", f.Steady.AckP99, ackP99)
	wrong(ageP99 > 0 && f.Steady.AgeP99 > float64(ageP99.Milliseconds()), "written back within %v ms (p99), want %s", f.Steady.AgeP99, ageP99)
	wrong(rss > 0 && f.PeakRSS > rss, "%v MiB at most, want %v", f.PeakRSS, rss)
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(all, "; "))
}
