package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"throughline/internal/hub"
)

// slowDisk is a ledger whose disk takes what it is given when the test says so.
func slowDisk(t *testing.T) (s *Store, log *Journal, take chan error, syncs *atomic.Int64) {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	take, syncs = make(chan error), &atomic.Int64{}
	s.db.(*sqliteDB).disk.bring = func(f *os.File) error {
		syncs.Add(1)
		if err := <-take; err != nil {
			return err
		}
		return fdatasync(f)
	}
	return s, s.Journal(), take, syncs
}

func arrivalOf(n int) Arrival {
	id := fmt.Sprint(n)
	return Arrival{Event: hub.Event{Tenant: "t", ID: hub.EventID("e" + id), Key: hub.RecordKey{Connection: "crm", Kind: "deal", ID: id}, Received: time.Now()},
		Deployments: []hub.DeploymentID{"flow"}, RunID: func() hub.RunID { return "r" }}
}

// TestAnAcknowledgementWaitsForTheDisk: what arrives is acknowledged when it is on the disk, not before (R1); one
// sync serves all that were committed before it began.
func TestAnAcknowledgementWaitsForTheDisk(t *testing.T) {
	s, log, take, syncs := slowDisk(t)
	told := make(chan error, 100)
	accept := func(n int) {
		_, err := log.Accept(context.Background(), arrivalOf(n))
		told <- err
	}
	events := func(n int) {
		t.Helper()
		for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			r, err := s.db.query(t.Context(), `SELECT COUNT(*) FROM event`)
			seen, err := one(all(r, err, func(r rows, n *int) error { return r.Scan(n) }))
			if err != nil {
				t.Fatal(err)
			}
			if *seen == n {
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%d events are committed, wanted %d", *seen, n)
			}
		}
	}
	go accept(0)
	events(1)
	for n := range 50 {
		go accept(n + 1)
	}
	events(51) // further commits are made while the first is on its way to the disk
	if len(told) > 0 || syncs.Load() != 1 {
		t.Fatalf("%d acknowledged before the disk had anything; %d syncs", len(told), syncs.Load())
	}
	close(take)
	for range 51 {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	if n := syncs.Load(); n > 5 { // two, but for who was slow to ask
		t.Errorf("%d syncs for 51 commits of one moment", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestADiskThatRefusesIsNotBelievedAgain: what it did not take it may have forgotten, and the next sync would say
// that all is well.
func TestADiskThatRefusesIsNotBelievedAgain(t *testing.T) {
	s, log, take, _ := slowDisk(t)
	broken := errors.New("input/output error")
	go func() { take <- broken }()
	_, err := log.Accept(t.Context(), arrivalOf(1))
	if !errors.Is(err, broken) {
		t.Fatalf("acknowledged, or refused for another reason: %v", err)
	}
	_, err = log.Accept(t.Context(), arrivalOf(2))
	if e := hub.AsError(err); e == nil || e.Code != "store.disk" {
		t.Fatalf("taken after the disk refused: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAQuestionWithinItsOwnRows: a statement whose rows are being read is not run again under them, and none is
// left behind.
func TestAQuestionWithinItsOwnRows(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	d := s.db.(*sqliteDB)
	err = d.snapshot(t.Context(), func(c tx) error {
		const q = `SELECT name FROM sqlite_schema ORDER BY name LIMIT 3`
		names := func() ([]string, error) {
			r, err := c.query(t.Context(), q)
			return all(r, err, func(r rows, v *string) error { return r.Scan(v) })
		}
		r, err := c.query(t.Context(), q)
		outer, err := all(r, err, func(r rows, v *string) error {
			if inner, err := names(); err != nil || len(inner) != 3 {
				return fmt.Errorf("within: %v, %w", inner, err)
			}
			return r.Scan(v)
		})
		if len(outer) != 3 || len(c.(*conn).statements) != 2 { // BEGIN, and the question
			t.Errorf("%v; %d statements are kept", outer, len(c.(*conn).statements))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
