package main

import (
	"context"
	"time"

	"throughline/internal/trial"
)

type benchLoadCmd struct {
	Rate      float64       `help:"Webhooks a second." default:"200"`
	Span      time.Duration `help:"For how long." default:"15m"`
	Burst     float64       `help:"Webhooks a second in a burst afterwards."`
	BurstSpan time.Duration `help:"How long the burst lasts." default:"60s"`
	Customers int           `help:"Customers whose webhooks they are, in turns." default:"50"`
	Latency   time.Duration `help:"What each call of the far side takes." default:"5ms"`
	Drain     time.Duration `help:"How long all that was acknowledged may take to be written afterwards." default:"10m"`
	AckP99    time.Duration `name:"ack-p99" help:"Fail where acknowledgements take longer (p99)."`
	AgeP99    time.Duration `name:"age-p99" help:"Fail where records take longer from webhook to write-back (p99): at least as long as they wait in the queue."`
	RSS       float64       `help:"Fail above so many MiB."`
	Data      string        `help:"Folder of the embedded store and the master key; without it a temporary one." type:"path"`
	Store     string        `help:"sqlite, or a PostgreSQL URL (measured in a schema of its own)." default:"sqlite"`
}

// Run measures a process of its own, and fails where it does not do as it shall.
func (c *benchLoadCmd) Run(ctx context.Context) error {
	return withStage(ctx, measured{Far: "http://127.0.0.1:1"}, c.Data, c.Store, func(s *trial.Stage) error {
		idle := &benchIdleCmd{}
		idle.Data, idle.Store = s.Ledger()
		figures, err := trial.MeasureSustained(ctx, s, trial.Sustain{PerSecond: c.Rate, Span: c.Span, Burst: c.Burst, BurstSpan: c.BurstSpan, Customers: c.Customers,
			Latency: c.Latency, Drain: c.Drain, Fill: func(ctx context.Context, far map[string]string) error { return idle.apart(ctx, far, nil) },
			Start: func(ctx context.Context) (*trial.Process, error) {
				return trial.Start(ctx, s.Program, nil, "bench", "idle", "--serve-only", "--data", idle.Data, "--store", idle.Store)
			}})
		if err := show1(figures, err); err != nil {
			return err
		}
		return figures.Wrong(c.AckP99, c.AgeP99, c.RSS)
	})
}
