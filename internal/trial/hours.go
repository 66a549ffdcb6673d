package trial

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"throughline/internal/farside"
)

// HoursFigures are what a measurement of hours found; one JSON line.
type HoursFigures struct {
	What        string  `json:"what"`
	Store       string  `json:"store"`
	Entries     int     `json:"entries"`
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

// MeasureHours starts a process whose flow finds so many approved entries, and measures until the ERP
// has a line of each.
func MeasureHours(ctx context.Context, s *Stage, entries int, limit time.Duration, seen func(done, all int)) (HoursFigures, error) {
	ctx, end := context.WithTimeout(ctx, limit)
	defer end()
	out := HoursFigures{What: "hours", Store: s.StoreName(), Entries: entries}
	databases := cpuOf(s.Databases())
	p, err := s.hours(ctx, entries)
	if err != nil {
		return out, err
	}
	defer p.Kill()
	memory, cpu, begun := watchMemory(p.Ready.PIDs), cpuOf(p.Ready.PIDs), time.Now()
	f := newFar(s.Far)
	var stats farside.HoursStats
	for stats.Lines < entries {
		if err := f.do(ctx, http.MethodGet, "/hours/stats", nil, &stats); err != nil {
			return out, err
		}
		if seen != nil {
			seen(stats.Lines, entries)
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return out, fmt.Errorf("after the time limit the ERP has %d of %d entries", stats.Lines, entries)
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
	out.Lost, out.Unposted = entries-(stats.Lines-stats.Repeated), int64(entries)*3600-stats.Seconds
	return out, nil
}

// hours starts the product with the flow of the measurement.
func (s *Stage) hours(ctx context.Context, entries int) (*Process, error) {
	args := []string{"bench", "hours", "--serve-only", "--data", filepath.Join(s.Dir, "data"), "--far", s.Far, "--entries", fmt.Sprint(entries), "--workers", fmt.Sprint(s.Workers)}
	if s.schema != nil {
		args = append(args, "--store", s.schema.URL)
	}
	return Start(ctx, s.Program, nil, args...)
}
