package trial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// HoursFigures are what a measurement of hours found; one JSON line.
type HoursFigures struct {
	What        string  `json:"what"`
	Store       string  `json:"store"`
	Entries     int     `json:"entries"`
	Poison      int     `json:"poison"` // entries that nobody can post
	Parked      int     `json:"parked"` // exceptions that were opened for them
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
	out.Parked, err = s.parked(ctx)
	return out, err
}

// parked counts the records that wait for a person.
func (s *Stage) parked(ctx context.Context) (int, error) {
	ledger, err := store.Open(ctx, s.ledger(), time.Now)
	if err != nil {
		return 0, err
	}
	count, err := ledger.Tenant("bench").Count(ctx)
	return count[hub.Stopped], errors.Join(err, ledger.Close())
}

// hours starts the product with the flow of the measurement.
func (s *Stage) hours(ctx context.Context, entries, poison int) (*Process, error) {
	args := []string{"bench", "hours", "--serve-only", "--data", filepath.Join(s.Dir, "data"), "--far", s.Far, "--entries", fmt.Sprint(entries), "--poison", fmt.Sprint(poison), "--workers", fmt.Sprint(s.Workers)}
	if s.schema != nil {
		args = append(args, "--store", s.schema.URL)
	}
	return Start(ctx, s.Program, nil, args...)
}
