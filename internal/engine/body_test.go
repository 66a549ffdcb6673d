package engine

import (
	"reflect"
	"testing"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/exact"
)

// TestABodyIsKeptWithItsTypes: what is read back is what was sent, its hash is that of what it says, and people see that
// alone.
func TestABodyIsKeptWithItsTypes(t *testing.T) {
	day, err := exact.ParseDate("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	rate := exact.Money{Amount: exact.MustDecimal("165.50"), Currency: "EUR"}
	for _, c := range []struct {
		fields map[string]any
		shown  string
	}{
		{map[string]any{}, `{}`},
		{map[string]any{"name": `a,"=":{`, "n": nil, "b": true}, `{"b":true,"n":null,"name":"a,\"=\":{"}`},
		{map[string]any{"rate": rate, "work": exact.Seconds(5400)}, `{"rate":{"amount":"165.50","currency":"EUR"},"work":5400}`},
		{map[string]any{"rows": []any{"x", map[string]any{"day": day, "at": time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)}}, "share": exact.MustDecimal("0.5")},
			`{"rows":["x",{"at":"2026-03-01T08:30:00.000000Z","day":"2026-03-01"}],"share":"0.5"}`},
	} {
		body, hash, err := keptBody(c.fields)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := canonical.Encode(c.fields); err != nil || hash != canonical.Hash(plain) || shown(body) != string(plain) || string(plain) != c.shown {
			t.Errorf("%v: hash %s, shown as %s, %v; want %s", c.fields, hash, shown(body), err, c.shown)
		}
		if back, err := SentBody(body); err != nil || !reflect.DeepEqual(back, c.fields) {
			t.Errorf("%s is read as %#v, %v; want %#v", body, back, err, c.fields)
		}
	}
	if old, err := SentBody([]byte(`{"share":"0.5"}`)); err != nil || !reflect.DeepEqual(old, map[string]any{"share": "0.5"}) {
		t.Errorf("a body that was kept without types is read as %v, %v", old, err)
	}
}
