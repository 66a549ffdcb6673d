package main

import (
	"encoding/json"
	"testing"

	"throughline/internal/exact"
)

func TestAnEditForPeople(t *testing.T) {
	worth, err := exact.ParseMoney("6800 EUR")
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(map[string]any{"amount": worth, "approved": true, "number": 12345678, "note": nil, "project": map[string]any{"ref": "project", "id": "rec_1", "key": "PR000090"}, "task": "Design"})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(sent, &fields); err != nil {
		t.Fatal(err)
	}
	want := "amount=6800.00 EUR approved=true note=(taken away) number=12345678 project=PR000090 task=Design"
	if got := changes(fields); got != want {
		t.Errorf("changed to\n%s, want\n%s", got, want)
	}
}

func TestHowManyRecords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 records", 1: "One record", 2: "2 records"} {
		if got := records(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
