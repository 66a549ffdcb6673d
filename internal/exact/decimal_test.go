package exact

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseDecimal(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a whole number", "12", "12"},
		{"needless zeros go", "0012.500", "12.5"},
		{"zero has no sign", "-0.00", "0"},
		{"a fraction without a whole part", ".5", "0.5"},
		{"a plus", "+7", "7"},
		{"a positive exponent", "1.2e3", "1200"},
		{"a negative exponent", "12E-4", "0.0012"},
		{"more digits than 64 bits", "123456789012345678901234567890.123", "123456789012345678901234567890.123"},
		{"the smallest int64", "-9223372036854775808", "-9223372036854775808"},
		{"the largest exponent", "1e1000", "1" + strings.Repeat("0", 1000)},
		{"zero with a large exponent", "0e1000", "0"},
		{"the smallest exponent", "1e-1000", "0." + strings.Repeat("0", 999) + "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := ParseDecimal(c.in)
			if err != nil || d.String() != c.want {
				t.Fatalf("got %s, %v; want %s", d, err, c.want)
			}
			if again := MustDecimal(c.want); again != d {
				t.Errorf("%#v and %#v are one value in two forms", d, again)
			}
		})
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"nothing", ""}, {"a sign alone", "-"}, {"a point alone", "."}, {"a point at the end", "1."},
		{"two points", "1.2.3"}, {"a comma", "1,5"}, {"spaces", " 1"}, {"a word", "NaN"}, {"hexadecimal", "0x1F"},
		{"an underscore", "1_000"}, {"an exponent alone", "e5"}, {"an empty exponent", "1e"}, {"two signs", "1e+-5"},
		{"an exponent beyond 1000", "1e1001"}, {"an exponent below -1000", "1e-1001"},
		{"an endless exponent", "1e99999999999999999999"}, {"more than 10,000 digits", strings.Repeat("9", 10_001)},
		{"digits of another script", "١٢"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d, err := ParseDecimal(c.in); err == nil {
				t.Errorf("got %s", d)
			}
		})
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct {
		in             string
		places         int32
		halfEven, half string
	}{
		{"2.5", 0, "2", "3"}, {"3.5", 0, "4", "4"}, {"-2.5", 0, "-2", "-3"}, {"1.005", 2, "1", "1.01"},
		{"1.25", 1, "1.2", "1.3"}, {"150", -2, "200", "200"}, {"250", -2, "200", "300"}, {"50", -2, "0", "100"},
		{"9.99", 1, "10", "10"}, {"5", 3, "5", "5"}, {"5", -3, "0", "0"}, {"999", -3, "1000", "1000"},
		{"1", math.MaxInt32, "1", "1"}, {"1", math.MinInt32, "0", "0"},
		{"12345678901234567890.5", 0, "12345678901234567890", "12345678901234567891"},
	} {
		t.Run(c.in, func(t *testing.T) {
			d := MustDecimal(c.in)
			if got := d.Round(c.places, HalfEven).String(); got != c.halfEven {
				t.Errorf("half even: got %s, want %s", got, c.halfEven)
			}
			if got := d.Round(c.places, HalfUp).String(); got != c.half {
				t.Errorf("half up: got %s, want %s", got, c.half)
			}
		})
	}
}

func TestDiv(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		places int32
		mode   Mode
		want   string
	}{
		{"1", "3", 4, HalfEven, "0.3333"}, {"2", "3", 4, HalfEven, "0.6667"}, {"-2", "3", 4, HalfUp, "-0.6667"},
		{"1", "8", 2, HalfEven, "0.12"}, {"1", "8", 2, HalfUp, "0.13"}, {"3", "8", 2, HalfEven, "0.38"},
		{"-1", "2", 0, HalfEven, "0"}, {"-1", "2", 0, HalfUp, "-1"}, {"1", "-2", 0, HalfUp, "-1"}, {"1", "1000", 2, HalfUp, "0"},
		{"0.01", "0.00001", 0, HalfEven, "1000"},
	} {
		t.Run(c.a+" by "+c.b, func(t *testing.T) {
			got, err := MustDecimal(c.a).Div(MustDecimal(c.b), c.places, c.mode)
			if err != nil || got.String() != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
	if _, err := NewDecimal(1).Div(Decimal{}, 2, HalfEven); err == nil {
		t.Error("a division by zero has a result")
	}
	if _, err := NewDecimal(1).Div(NewDecimal(3), math.MaxInt32, HalfEven); err == nil {
		t.Error("a division to two thousand million places was begun")
	}
}

// anyDecimal draws numbers on both sides of what 64 bits hold, together with the rational they are.
func anyDecimal(t *rapid.T, label string) (Decimal, *big.Rat) {
	text := rapid.StringMatching(`-?[0-9]{1,24}(\.[0-9]{1,24})?`).Draw(t, label)
	rat, _ := new(big.Rat).SetString(text)
	return MustDecimal(text), rat
}

func ratOf(d Decimal) *big.Rat {
	r, _ := new(big.Rat).SetString(d.String())
	return r
}

// TestArithmeticIsExact holds every operation against rationals.
func TestArithmeticIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, ra := anyDecimal(t, "a")
		b, rb := anyDecimal(t, "b")
		for _, c := range []struct {
			name string
			got  Decimal
			want *big.Rat
		}{
			{"a", a, ra},
			{"a+b", a.Add(b), new(big.Rat).Add(ra, rb)},
			{"a-b", a.Sub(b), new(big.Rat).Sub(ra, rb)},
			{"a*b", a.Mul(b), new(big.Rat).Mul(ra, rb)},
			{"-a", a.Neg(), new(big.Rat).Neg(ra)},
		} {
			if ratOf(c.got).Cmp(c.want) != 0 {
				t.Fatalf("%s = %s, want %s", c.name, c.got, c.want.FloatString(30))
			}
			if again := MustDecimal(c.got.String()); again != c.got {
				t.Fatalf("%s: %#v and %#v are one value in two forms", c.name, c.got, again)
			}
		}
		if a.Cmp(b) != ra.Cmp(rb) || a.Sign() != ra.Sign() || (a == b) != (ra.Cmp(rb) == 0) {
			t.Fatalf("%s and %s are in the wrong order", a, b)
		}
	})
}

// TestRoundingIsNearest holds Round and Div against the definition.
func TestRoundingIsNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, ra := anyDecimal(t, "a")
		b, rb := anyDecimal(t, "b")
		places := rapid.Int32Range(0, 20).Draw(t, "places")
		mode := rapid.SampledFrom([]Mode{HalfEven, HalfUp}).Draw(t, "mode")
		nearest(t, a.Round(places, mode), ra, places, mode)
		if b.IsZero() {
			return
		}
		q, err := a.Div(b, places, mode)
		if err != nil {
			t.Fatal(err)
		}
		nearest(t, q, new(big.Rat).Quo(ra, rb), places, mode)
	})
}

func nearest(t *rapid.T, got Decimal, exactly *big.Rat, places int32, mode Mode) {
	unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
	steps := new(big.Rat).Quo(ratOf(got), unit)
	off := new(big.Rat).Sub(ratOf(got), exactly)
	twice := new(big.Rat).Abs(new(big.Rat).Mul(off, big.NewRat(2, 1)))
	tie := twice.Cmp(unit) == 0
	switch {
	case !steps.IsInt(), twice.Cmp(unit) > 0,
		tie && mode == HalfEven && steps.Num().Bit(0) == 1,
		tie && mode == HalfUp && off.Sign() != exactly.Sign():
		t.Fatalf("%s rounded to %d places is not %s", exactly.FloatString(30), places, got)
	}
}

func TestDecimalJSON(t *testing.T) {
	var got []Decimal
	if err := json.Unmarshal([]byte(`["1.50", 1.5, 12345678901234567890]`), &got); err != nil {
		t.Fatal(err)
	}
	if want := []Decimal{MustDecimal("1.5"), MustDecimal("1.5"), MustDecimal("12345678901234567890")}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if text, err := json.Marshal(got); err != nil || string(text) != `["1.5","1.5","12345678901234567890"]` {
		t.Errorf("got %s, %v", text, err)
	}
	for _, bad := range []string{`null`, `true`, `"x"`, `"1e9999"`, `""`} {
		d := NewDecimal(7)
		// encoding/json calls UnmarshalJSON for null too; taking it for 0 would invent an amount.
		if err := json.Unmarshal([]byte(bad), &d); err == nil || d != NewDecimal(7) {
			t.Errorf("%s became %s, %v", bad, d, err)
		}
	}
}

func TestInt64(t *testing.T) {
	for in, fits := range map[string]bool{"5": true, "-9223372036854775808": true, "9223372036854775808": false, "1.5": false, "1e30": false} {
		if n, err := MustDecimal(in).Int64(); (err == nil) != fits {
			t.Errorf("%s: got %d, %v", in, n, err)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"1.50", "-.5", "1e-3", "9223372036854775808", "1e1000", "--1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDecimal(s)
		if err != nil {
			return
		}
		if want, ok := new(big.Rat).SetString(s); !ok || ratOf(d).Cmp(want) != 0 {
			t.Fatalf("%q was read as %s", s, d)
		}
		if again := MustDecimal(d.String()); again != d {
			t.Fatalf("%q: %#v and %#v are one value in two forms", s, d, again)
		}
	})
}
