package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"throughline/internal/farside"
)

// Load is what is measured against.
type Load struct {
	Records     int
	Concurrency int
	Rate        float64 // webhooks a second; 0: as fast as they are taken
	Alone       int     // records that go one at a time
	Far         string  // the far side's address
	Databases   []int   // the database's processes, where it has any of its own
	Store       string  // its name, for the figures
	Limit       time.Duration
	Seen        func(done, all int) // told how far it is; may be nil
}

// Figures are what a measurement found; one JSON line.
type Figures struct {
	What        string  `json:"what"`
	Store       string  `json:"store"`
	Nodes       int     `json:"nodes"`
	Records     int     `json:"records"`
	Concurrency int     `json:"concurrency"`
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"records_per_s"`
	CPU         float64 `json:"cpu_s_per_1000"`
	DatabaseCPU float64 `json:"db_cpu_s_per_1000"`
	AckP50      float64 `json:"ack_p50_ms"`
	AckP99      float64 `json:"ack_p99_ms"`
	AddedAlone  float64 `json:"added_alone_ms"` // to the five calls, for one record by itself
	PeakRSS     float64 `json:"peak_rss_mib"`
	Refused     int     `json:"refused"`
	Lost        int     `json:"lost"`
	Repeated    int     `json:"repeated"`
}

// settle is how long the far side is watched for late repeats after the last record.
const settle = time.Second

// Measure posts webhooks to the processes in turn and measures until the far side has everything.
func Measure(ctx context.Context, what string, nodes []*Process, l Load) (Figures, error) {
	ctx, end := context.WithTimeout(ctx, l.Limit)
	defer end()
	f := newFar(l.Far)
	out := Figures{What: what, Store: l.Store, Nodes: len(nodes), Records: l.Records, Concurrency: l.Concurrency}
	if err := f.reset(ctx); err != nil {
		return out, err
	}
	alone, err := measureAlone(ctx, f, nodes[0], l.Alone)
	if err != nil {
		return out, fmt.Errorf("one record at a time: %w", err)
	}
	out.AddedAlone = alone
	if err := f.reset(ctx); err != nil {
		return out, err
	}
	return out, measureLoad(ctx, f, nodes, l, &out)
}

func measureLoad(ctx context.Context, f *far, nodes []*Process, l Load, out *Figures) error {
	prefix := batch()
	s := newSource(l.Concurrency)
	pids := pidsOf(nodes)
	memory := watchMemory(pids)
	cpu, databases := cpuOf(pids), cpuOf(l.Databases)
	begun := time.Now()
	sent := make(chan error, 1)
	go func() {
		sent <- each(l.Records, l.Concurrency, func(i int) error {
			if l.Rate > 0 {
				if err := pause(ctx, time.Until(begun.Add(time.Duration(float64(i)/l.Rate*float64(time.Second))))); err != nil {
					return err
				}
			}
			where := func() string { return nodes[i%len(nodes)].Ready.Webhook }
			return s.deliver(ctx, where, fmt.Sprintf("%s%d", prefix, i))
		})
	}()
	err := f.until(ctx, l.Records, 10*time.Millisecond, l.Seen)
	took := time.Since(begun)
	out.CPU = round((cpuOf(pids) - cpu) * 1000 / float64(l.Records))
	out.DatabaseCPU = round((cpuOf(l.Databases) - databases) * 1000 / float64(l.Records))
	out.PeakRSS = round(memory.stop())
	if err == nil {
		err = <-sent
	}
	if err != nil {
		return err
	}
	out.Seconds, out.PerSecond = round(took.Seconds()), round(float64(l.Records)/took.Seconds())
	out.AckP50, out.AckP99, out.Refused = percentile(s.acks, .5), percentile(s.acks, .99), s.refused
	if err := pause(ctx, settle); err != nil {
		return err
	}
	stats, err := f.stats(ctx)
	out.Lost, out.Repeated = l.Records-stats.Calls[farside.WriteBack].Distinct, repeated(stats)
	return err
}

func pidsOf(nodes []*Process) (pids []int) {
	for _, p := range nodes {
		pids = append(pids, p.Ready.PIDs...)
	}
	return pids
}

// until waits until n records are written back.
func (f *far) until(ctx context.Context, n int, every time.Duration, seen func(done, all int)) error {
	for {
		s, err := f.stats(ctx)
		if err != nil {
			return err
		}
		done := s.Calls[farside.WriteBack].Distinct
		if seen != nil {
			seen(done, n)
		}
		if done >= n {
			return nil
		}
		if pause(ctx, every) != nil {
			return fmt.Errorf("after the time limit %d of %d records are written back", s.Calls[farside.WriteBack].Distinct, n)
		}
	}
}

// repeated counts creates of what was created before.
func repeated(s farside.Stats) int {
	n := 0
	for _, kind := range []string{farside.Customer, farside.Project, farside.TimeWork} {
		n += s.Calls[kind].Calls - s.Calls[kind].Distinct
	}
	return n
}

// batch is a prefix that no earlier run has used.
func batch() string { return fmt.Sprintf("r%x-", time.Now().UnixMicro()) }

// measureAlone is the median time from a webhook to its write-back, for one record at a time, less
// the median of the same five calls made bare.
func measureAlone(ctx context.Context, f *far, p *Process, n int) (float64, error) {
	const warmUp = 5
	prefix := batch()
	s := newSource(1)
	var through, bare []time.Duration
	for i := range n + warmUp {
		begun := time.Now()
		if err := s.post(ctx, p.Ready.Webhook, fmt.Sprintf("%s%d", prefix, i)); err != nil {
			return 0, err
		}
		if err := f.until(ctx, i+1, 200*time.Microsecond, nil); err != nil {
			return 0, err
		}
		through = append(through, time.Since(begun))
		if err := pause(ctx, 5*time.Millisecond); err != nil { // what follows the last call is not the next one's time
			return 0, err
		}
	}
	if err := f.reset(ctx); err != nil {
		return 0, err
	}
	for i := range n + warmUp {
		begun := time.Now()
		if err := Carry(ctx, f.client, f.url, fmt.Sprintf("%sbare%d", prefix, i)); err != nil {
			return 0, err
		}
		bare = append(bare, time.Since(begun))
	}
	return round(percentile(through[warmUp:], .5) - percentile(bare[warmUp:], .5)), nil
}

// Carry makes the five calls of one record with nothing around them: the floor of every comparison.
func Carry(ctx context.Context, client *http.Client, url, id string) error {
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/crm/opportunities/" + id, ""},
		{http.MethodPost, "/erp/customers", `{"externalId":"c` + id + `","name":"` + id + `"}`},
		{http.MethodPost, "/erp/projects", `{"externalId":"p` + id + `","name":"` + id + `","budget":"184500"}`},
		{http.MethodPost, "/time/projects", `{"externalId":"t` + id + `","name":"` + id + `"}`},
		{http.MethodPatch, "/crm/opportunities/" + id, `{"projectNumber":"` + id + `"}`},
	} {
		q, err := http.NewRequestWithContext(ctx, c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			return err
		}
		resp, err := client.Do(q)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode >= 300 {
			return fmt.Errorf("%s %s: %s", c.method, c.path, resp.Status)
		}
	}
	return nil
}

// Comparison is a measurement with the bare loop's beside it, in one run: ratios last, absolute
// figures do not.
type Comparison struct {
	Figures
	Floor        Figures `json:"floor"`
	OfFloorSpeed float64 `json:"of_floor_speed"` // 0.75: three quarters of the bare loop's records a second
	OfFloorCPU   float64 `json:"of_floor_cpu"`   // 2: twice the bare loop's CPU, the database's included
}

// Beside puts a measurement beside the bare loop's.
func Beside(f, floor Figures) Comparison {
	c := Comparison{Figures: f, Floor: floor}
	if floor.PerSecond > 0 && floor.CPU > 0 {
		c.OfFloorSpeed, c.OfFloorCPU = round(f.PerSecond/floor.PerSecond), round((f.CPU+f.DatabaseCPU)/floor.CPU)
	}
	return c
}
