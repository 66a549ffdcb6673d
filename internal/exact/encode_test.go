package exact

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAppendJSON(t *testing.T) {
	day, err := ParseDate("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   any
		want string
	}{
		{"keys are sorted at every level", map[string]any{"b": int64(1), "a": map[string]any{"d": nil, "c": true}}, `{"a":{"c":true,"d":null},"b":1}`},
		{"a number is as it was spelled", []any{json.Number("1.50"), json.Number("-0")}, `[1.50,-0]`},
		{"equal decimals are equal text", []any{MustDecimal("1.50"), MustDecimal("1.5")}, `["1.5","1.5"]`},
		{"money", Money{MustDecimal("1.5"), "EUR"}, `{"amount":"1.50","currency":"EUR"}`},
		{"a date, seconds and an int", []any{day, Seconds(90), 3}, `["2026-03-01",90,3]`},
		{"an instant is UTC and in microseconds", time.Date(2026, 3, 1, 1, 0, 0, 1999, time.FixedZone("", 3600)), `"2026-03-01T00:00:00.000001Z"`},
		{"only what must be is escaped", "\"\\/<é\u2028\x01\n", `"\"\\/<é` + "\u2028" + `\u0001\n"`},
		{"a list of strings", []string{"a", "b"}, `["a","b"]`},
		{"what is empty", []any{map[string]any{}, []any{}, ""}, `[{},[],""]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := AppendJSON([]byte("> "), c.in)
			if err != nil || string(got) != "> "+c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestAppendJSONRefuses(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = loop
	for _, c := range []struct {
		name    string
		in      any
		message string
	}{
		{"a float", map[string]any{"a": []any{1.5}}, "a: item 1: a float64 has no exact JSON"},
		{"a number that is none", json.Number("1,5"), "not a JSON number"},
		{"an empty number", json.Number(""), "not a JSON number"},
		{"text that is not UTF-8", "\xff", "not UTF-8"},
		{"a map within itself", loop, "64 levels"},
		{"a date that is none", Date{}, "cannot be written"},
		{"an instant after the year 9999", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "cannot be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := AppendJSON(nil, c.in); err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

// FuzzAppendJSON goes there and back: what was read is written, and reads the same.
func FuzzAppendJSON(f *testing.F) {
	f.Add([]byte(`{"b":[1.50,"x\u0000"],"a":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := DecodeJSON(data)
		if err != nil {
			return
		}
		text, err := AppendJSON(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodeJSON(text); err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("%s came back as %#v, %v", text, again, err)
		}
		if twice, err := AppendJSON(nil, v); err != nil || !bytes.Equal(text, twice) {
			t.Fatalf("one value has two texts: %s and %s, %v", text, twice, err)
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	data := page(50)
	v, err := DecodeJSON(data)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			if buf, err = AppendJSON(buf[:0], v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
