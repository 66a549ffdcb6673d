package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"throughline/internal/crashpoint"
	"throughline/internal/trial"
)

// TestKilledAtRandomAndAtEachPoint runs the real program as a process and kills it: nothing that
// was acknowledged is lost, nothing is created twice.
func TestKilledAtRandomAndAtEachPoint(t *testing.T) {
	onBothStores(t, func(t *testing.T, program, store string) {
		r := carriedOut(t, program, chaosCmd{Store: store, Kills: 5, Points: crashpoint.Points})
		if r.Kills != 5 || len(r.PointsMissed) > 0 {
			t.Errorf("%d kills; never passed: %v", r.Kills, r.PointsMissed)
		}
		if r.Logins == 0 || r.Batches == 0 {
			t.Errorf("%d logins, %d calls that made several", r.Logins, r.Batches)
		}
	})
}

// TestARestoredBackup: what was written after it is found out, neither lost nor written again (D6).
func TestARestoredBackup(t *testing.T) {
	onBothStores(t, func(t *testing.T, program, store string) {
		r := carriedOut(t, program, chaosCmd{Store: store, Restore: 60})
		if r.AfterBackup < 60 || r.Resumed == 0 {
			t.Errorf("%d effects after the backup, resumed in %v s", r.AfterBackup, r.Resumed)
		}
	})
}

func onBothStores(t *testing.T, do func(t *testing.T, program, store string)) {
	if testing.Short() {
		t.Skip("-short: the program is not killed, so promises R1 to R3 are not put to the test")
	}
	program := filepath.Join(t.TempDir(), "throughline")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for name, store := range map[string]string{"on SQLite": "sqlite", "on PostgreSQL": os.Getenv("TEST_POSTGRES_URL")} {
		t.Run(name, func(t *testing.T) {
			if store == "" {
				t.Skip("TEST_POSTGRES_URL is not set (make test sets it)")
			}
			do(t, program, store)
		})
	}
}

func carriedOut(t *testing.T, program string, c chaosCmd) trial.Result {
	t.Helper()
	c.Nodes, c.Lease, c.Latency, c.Lag, c.Drain = 1, 2*time.Second, 2*time.Millisecond, time.Second, 30*time.Second
	plan := c.plan(program, t.TempDir())
	plan.Log = testLog{t}
	r, err := plan.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !r.Good() {
		t.Errorf("seed %d: %v", r.Seed, r.Findings)
	}
	if r.Acked == 0 || r.Parked > 0 {
		t.Errorf("%d acknowledged, parked %v", r.Acked, r.ParkedBy)
	}
	return r
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}
