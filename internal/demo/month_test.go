package demo_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	files "throughline/demo"
	"throughline/internal/app"
	"throughline/internal/demo"
)

// TestTheMonthBalances lets the month pass and compares what is approved in the time tracker with what
// stands in the ERP, to the second and to the cent.
func TestTheMonthBalances(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cfg := app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", NewKey: true, Workers: 16, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	stage, err := demo.Open(ctx, cfg, files.Files)
	if err != nil {
		t.Fatal(err)
	}
	stage.Tell = func(e demo.Event) { t.Log(e.At.Format("05.000"), e.Customer, e.Deal, e.What, e.Detail) }
	ran := make(chan error, 1)
	go func() { ran <- stage.App.Run(ctx) }()
	if err := stage.Win(); err != nil {
		t.Fatal(err)
	}
	limit, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()
	if err := stage.Settle(limit); err != nil {
		t.Fatal(err)
	}
	if err := stage.Month(limit); err != nil {
		t.Fatal(err)
	}
	all, each, err := stage.CountHours(ctx)
	if err != nil || !all.Good() {
		t.Errorf("the ledgers differ: %+v, %v", each, err)
	}
	t.Logf("%+v", each)
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
