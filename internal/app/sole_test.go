package app_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"throughline/internal/app"
	"throughline/internal/hub"
)

// TestTwoServicesOnOneFile: the second one ends. It would take over what the first one has in hand, for it believes that
// nobody else has the file.
func TestTwoServicesOnOneFile(t *testing.T) {
	cfg := app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	run := func(ctx context.Context) (a *app.App, ran chan error) {
		a, err := app.New(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		ran = make(chan error, 1)
		go func() { ran <- a.Run(ctx) }()
		return a, ran
	}
	ctx, stop := context.WithCancel(t.Context())
	first, ran := run(ctx)
	works := func() int {
		nodes, err := first.Store.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(nodes)
	}
	for end := time.Now().Add(10 * time.Second); works() == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	before, err := first.Store.Nodes(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	short, end := context.WithTimeout(t.Context(), 5*time.Second)
	defer end()
	_, second := run(short)
	if e := hub.AsError(<-second); e == nil || e.Code != "ledger.in_use" {
		t.Errorf("the second ended with %v", e)
	}
	if after, err := first.Store.Nodes(t.Context()); err != nil || len(after) != 1 || after[0].Epoch != before[0].Epoch {
		t.Errorf("the first one's lease was %+v, is %+v, %v", before, after, err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	_, ran = run(ctx) // once it has ended, another one may
	time.AfterFunc(50*time.Millisecond, stop)
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
