package main

import (
	"encoding/json"
	"os/exec"
	"testing"

	"throughline/internal/trial"
)

// TestPoisonParksAloneAndTheRestArrives (X1, small; docs/performance.md has it with 100,000).
func TestPoisonParksAloneAndTheRestArrives(t *testing.T) {
	onBothStores(t, func(t *testing.T, program, store string) {
		out, err := exec.Command(program, "bench", "hours", "--entries", "3000", "--poison", "100", "--store", store).Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var f trial.HoursFigures
		if err := json.Unmarshal(out, &f); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if f.Poison != 30 || f.ParkedBy[trial.Planted] != 30 || f.Blocked != 0 || f.Lost != 0 || f.Unposted != 0 {
			t.Errorf("measured %s", out)
		}
	})
}
