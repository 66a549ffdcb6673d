package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"time"

	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// HoursFigures are what a measurement of hours found; one JSON line.
type HoursFigures struct {
	What        string  `json:"what"`
	Store       string  `json:"store"`
	Entries     int     `json:"entries"`
	Poison      int     `json:"poison"` // entries that nobody can post
	Parked      int     `json:"parked"` // exceptions that were opened
	ParkedBy    Parked  `json:"parked_by,omitempty"`
	Blocked     int     `json:"blocked"` // entries that are neither posted nor parked
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"entries_per_s"`
	CPU         float64 `json:"cpu_s_per_1000"`
	DatabaseCPU float64 `json:"db_cpu_s_per_1000"`
	PeakRSS     float64 `json:"peak_rss_mib"`
	VendorCalls int     `json:"vendor_calls"`
	Lost        int     `json:"lost"`
	Repeated    int     `json:"repeated"`
	Unposted    int64   `json:"unposted_seconds"` // of work: what was approved, less what the ERP has
}

// Parked counts exceptions by "CLASS CODE FIELD".
type Parked map[string]int

// Planted is how the poison of a measurement is parked.
const Planted = "blocked_by_rule rule.hours_positive seconds"

// Check holds the figures against what was planted: every entry of poison parked for its hours, every other one
// posted once, none held up by another.
func (f *HoursFigures) Check() error {
	want := Parked{}
	if f.Poison > 0 {
		want[Planted] = f.Poison
	}
	if f.Parked == f.Poison && maps.Equal(f.ParkedBy, want) && f.Blocked == 0 && f.Lost == 0 && f.Repeated == 0 && f.Unposted == 0 {
		return nil
	}
	return fmt.Errorf("of %d entries %d are poison: parked %d by %v, wanted %v; blocked %d, lost %d, repeated %d, seconds not posted %d; wanted none",
		f.Entries, f.Poison, f.Parked, f.ParkedBy, want, f.Blocked, f.Lost, f.Repeated, f.Unposted)
}

// MeasureHours starts a process whose flow finds so many approved entries, each so manieth of them poison,
// and measures until the ERP has a line of each of the others.
func MeasureHours(ctx context.Context, s *Stage, entries, poison int, limit time.Duration, seen func(done, all int)) (HoursFigures, error) {
	ctx, end := context.WithTimeout(ctx, limit)
	defer end()
	out := HoursFigures{What: "hours", Store: s.StoreName(), Entries: entries}
	if poison > 0 {
		out.Poison = entries / poison
	}
	good := entries - out.Poison
	databases := cpuOf(s.Databases())
	p, err := s.hours(ctx, entries, poison)
	if err != nil {
		return out, err
	}
	defer p.Kill()
	memory, cpu, begun := watchMemory(p.Ready.PIDs), cpuOf(p.Ready.PIDs), time.Now()
	f := newFar(s.Far)
	var stats farside.HoursStats
	for stats.Lines < good {
		if err := f.do(ctx, http.MethodGet, "/hours/stats", nil, &stats); err != nil {
			return out, err
		}
		if seen != nil {
			seen(stats.Lines, good)
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return out, fmt.Errorf("after the time limit the ERP has %d of %d entries", stats.Lines, good)
		}
	}
	took := time.Since(begun)
	out.CPU = round((cpuOf(p.Ready.PIDs) - cpu) * 1000 / float64(entries))
	out.DatabaseCPU = round((cpuOf(s.Databases()) - databases) * 1000 / float64(entries))
	out.PeakRSS = round(memory.stop())
	out.Seconds, out.PerSecond = round(took.Seconds()), round(float64(entries)/took.Seconds())
	if err := pause(ctx, settle); err != nil {
		return out, err
	}
	if err := f.do(ctx, http.MethodGet, "/hours/stats", nil, &stats); err != nil {
		return out, err
	}
	out.VendorCalls, out.Repeated = stats.Calls, stats.Repeated
	out.Lost, out.Unposted = good-(stats.Lines-stats.Repeated), int64(good)*3600-stats.Seconds
	p.Kill()
	return out, s.parked(ctx, &out)
}

// parked counts the entries that wait for a person, and for what, and those that have no outcome.
func (s *Stage) parked(ctx context.Context, out *HoursFigures) error {
	ledger, err := store.Open(ctx, s.ledger(), time.Now)
	if err != nil {
		return err
	}
	t := ledger.Tenant("bench")
	count, err := t.Count(ctx)
	causes, err2 := t.Causes(ctx, "hours", out.Entries)
	out.Parked, out.ParkedBy = count[hub.Stopped], Parked{}
	for _, c := range causes {
		if c.WaitsOn == "" {
			out.ParkedBy[fmt.Sprintf("%s %s %s", c.Class, c.Code, c.Field)] += int(c.Count)
		}
	}
	polls, err3 := t.Work(ctx, store.Filter{Key: ingest.PollKey, State: string(hub.Later)}) // the flow's own next turn blocks nobody
	out.Blocked = count[hub.Ready] + count[hub.Running] + count[hub.Later] + count[hub.Waiting] - len(polls)
	return errors.Join(err, err2, err3, ledger.Close())
}

// hours starts the product with the flow of the measurement.
func (s *Stage) hours(ctx context.Context, entries, poison int) (*Process, error) {
	args := []string{"bench", "hours", "--serve-only", "--data", filepath.Join(s.Dir, "data"), "--far", s.Far, "--entries", fmt.Sprint(entries), "--poison", fmt.Sprint(poison), "--workers", fmt.Sprint(s.Workers)}
	if s.schema != nil {
		args = append(args, "--store", s.schema.URL)
	}
	return Start(ctx, s.Program, nil, args...)
}
