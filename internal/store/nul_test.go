package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// TestTextsThatADatabaseCannotHold: a NUL in a far side's words, or in an id, holds up neither its record nor those that
// are recorded with it.
func TestTextsThatADatabaseCannotHold(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			ctx, s := t.Context(), lived(t, place())
			epoch, err := s.Join(ctx, "b", time.Hour)
			must(t, err)
			arrive(t, s, "a\x00b")
			log := s.Journal()
			list, err := log.Claim(ctx, epoch, 10, &store.Turn{}, func() hub.RunID { return hub.RunID("run_" + time.Now().Format(time.RFC3339Nano)) })
			if err != nil || len(list) != 2 {
				t.Fatal(list, err)
			}
			for _, c := range list {
				f := &store.Finish{Work: c.Work, Run: store.Run{Tenant: "t1", ID: c.Run, Deployment: "deals", Key: c.Key, Outcome: hub.Parked, Message: "no \x00 such\xff thing", Ended: time.Now()},
					Exception: &store.Exception{ID: hub.ExceptionID("exc_" + c.Run), Value: "\x00", Message: "no \x00 such\xff thing", Opened: time.Now()}}
				if _, err := log.Record(context.Background(), store.Step{Epoch: epoch, Tenant: "t1", Finish: f}); err != nil {
					t.Errorf("%q: %v", c.Key, err)
				}
			}
			whole := backup(t, s)
			for to, moved := range places(t) {
				if _, _, err := store.Restore(ctx, restoring(t, whole, moved())); err != nil {
					t.Errorf("moved to %s: %v", to, err)
				}
			}
			open, err := s.Tenant("t1").Exceptions(ctx, store.Filter{State: "open"})
			if err != nil || len(open) != 2 || !strings.HasPrefix(open[0].Message, "no ") {
				t.Errorf("exceptions %+v, %v", open, err)
			}
		})
	}
}
