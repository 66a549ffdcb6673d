package exact

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestMoney(t *testing.T) {
	for in, want := range map[string]string{
		"250000 EUR": "250000.00 EUR", "-1.5 USD": "-1.50 USD", "100 JPY": "100 JPY", "0.1 KWD": "0.100 KWD", "12.3456 EUR": "12.3456 EUR",
	} {
		m, err := ParseMoney(in)
		if err != nil || m.String() != want {
			t.Errorf("%s: got %s, %v; want %s", in, m, err, want)
		}
		var again Money
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil || again != m {
			t.Errorf("%s came back as %s, %v", text, again, err)
		}
	}
	for _, bad := range []string{"", "12", "EUR", "12 eur", "12 XYZ", "12  EUR", "12 EUR ", "EUR 12", "1,5 EUR"} {
		if m, err := ParseMoney(bad); err == nil {
			t.Errorf("%q was read as %s", bad, m)
		}
	}
}

func TestTwoCurrenciesDoNotMix(t *testing.T) {
	euro, dollar := Money{NewDecimal(1), "EUR"}, Money{NewDecimal(1), "USD"}
	_, add := euro.Add(dollar)
	_, sub := euro.Sub(dollar)
	_, cmp := euro.Cmp(dollar)
	for _, err := range []error{add, sub, cmp} {
		if err == nil || !strings.Contains(err.Error(), "different currencies") {
			t.Errorf("got %v", err)
		}
	}
	if sum, err := euro.Add(euro); err != nil || sum.String() != "2.00 EUR" {
		t.Errorf("got %s, %v", sum, err)
	}
}

func TestMoneyJSONIsStrict(t *testing.T) {
	for _, bad := range []string{`{"amount":"1"}`, `{"currency":"EUR"}`, `{"amount":"1","currency":"EUR","rate":2}`, `{"amount":"1","currency":"euro"}`, `"1 EUR"`, `null`} {
		var m Money
		if err := json.Unmarshal([]byte(bad), &m); err == nil {
			t.Errorf("%s was read as %s", bad, m)
		}
	}
}

func TestDate(t *testing.T) {
	for _, bad := range []string{"", "2026-02-30", "2026-2-3", "26-01-01", "0000-01-01", "2026-01-01T00:00:00Z", "01.02.2026"} {
		if d, err := ParseDate(bad); err == nil {
			t.Errorf("%q was read as %s", bad, d)
		}
	}
	d, err := ParseDate("2024-02-28")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.AddDays(2).String(); got != "2024-03-01" {
		t.Errorf("two days on is %s", got)
	}
	if got := d.AddDays(366).DaysSince(d); got != 366 {
		t.Errorf("the distance is %d", got)
	}
	if d.Weekday() != time.Wednesday || d.Compare(d.AddDays(1)) != -1 || d.Compare(d) != 0 {
		t.Error("the weekday or the order is wrong")
	}
	if _, err := json.Marshal(Date{}); err == nil {
		t.Error("no date was written as one")
	}
	if _, err := NewDate(2026, 13, 1); err == nil {
		t.Error("a thirteenth month was accepted")
	}
}

func TestADateDoesNotShift(t *testing.T) {
	for _, c := range []struct{ name, zone, instant, want string }{
		{"before midnight in New York on the gap day", "America/New_York", "2026-03-08T04:59:00Z", "2026-03-07"},
		{"after the gap", "America/New_York", "2026-03-08T07:30:00Z", "2026-03-08"},
		{"the hour that comes twice", "America/New_York", "2026-11-01T06:30:00Z", "2026-11-01"},
		{"a day without midnight", "Africa/Cairo", "2026-04-23T22:30:00Z", "2026-04-24"},
		{"fourteen hours ahead", "Pacific/Kiritimati", "2026-01-01T10:00:00Z", "2026-01-02"},
		{"eleven hours behind", "Pacific/Pago_Pago", "2026-01-01T10:59:00Z", "2025-12-31"},
		{"a quarter hour off", "Asia/Kathmandu", "2026-01-01T18:15:00Z", "2026-01-02"},
	} {
		t.Run(c.name, func(t *testing.T) {
			place, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Skipf("no zone data: %v", err)
			}
			at, err := time.Parse(time.RFC3339, c.instant)
			if err != nil {
				t.Fatal(err)
			}
			if got := DateOf(at, place).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	for _, c := range []struct {
		iso, clock string
		want       Seconds
	}{
		{"PT1H30M", "01:30", 5400}, {"PT0S", "00:00", 0}, {"PT45S", "00:00:45", 45}, {"-PT15M", "-00:15", -900}, {"PT26H0M1S", "26:00:01", 93601},
	} {
		t.Run(c.iso, func(t *testing.T) {
			iso, err := ParseISODuration(c.iso)
			if err != nil || iso != c.want {
				t.Errorf("ISO: got %d, %v", iso, err)
			}
			clock, err := ParseClock(c.clock)
			if err != nil || clock != c.want || clock.Clock() != c.clock {
				t.Errorf("clock: got %d, %s, %v", clock, clock, err)
			}
			if again, err := ParseISODuration(c.want.ISO()); err != nil || again != c.want {
				t.Errorf("%s came back as %d, %v", c.want.ISO(), again, err)
			}
		})
	}
}

func TestParseISODuration(t *testing.T) {
	for in, want := range map[string]Seconds{"PT1.5H": 5400, "PT0,25H": 900, "P1DT2H": 93600, "P1D": 86400, "PT90M": 5400, "PT30.0S": 30} {
		if got, err := ParseISODuration(in); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{
		"", "P", "PT", "-P", "1H", "PT1", "P1Y", "P1M", "P1W", "PT0.5S", "PT1.5H30M", "PT30M1H", "PT1H1H", "P1H", "PTT1H",
		"PT1HT2M", "PT-1H", "P1DT", "PT1h", "PT99999999999999999999H", "PT1e3S", "PT1é",
	} {
		if got, err := ParseISODuration(bad); err == nil {
			t.Errorf("%q was read as %d", bad, got)
		}
	}
}

func TestParseClockRefuses(t *testing.T) {
	for _, bad := range []string{"", "1", ":30", "1:", "1:5", "1:60", "1:30:60", "1:30:1", "1:2:3:4", "--1:30", "+1:30", "1 :30", "9999999999:00"} {
		if got, err := ParseClock(bad); err == nil {
			t.Errorf("%q was read as %d", bad, got)
		}
	}
}

func TestHours(t *testing.T) {
	if s, err := FromHours(MustDecimal("1.25")); err != nil || s != 4500 {
		t.Errorf("got %d, %v", s, err)
	}
	for _, bad := range []string{"0.3333", "1e30"} {
		if s, err := FromHours(MustDecimal(bad)); err == nil {
			t.Errorf("%s hours became %d", bad, s)
		}
	}
	for _, c := range []struct {
		s      Seconds
		places int32
		want   string
	}{{5400, 2, "1.5"}, {1200, 2, "0.33"}, {-1200, 4, "-0.3333"}, {1, 0, "0"}, {5400, -1, "2"}} {
		if got := c.s.Hours(c.places, HalfEven).String(); got != c.want {
			t.Errorf("%d s: got %s, want %s", c.s, got, c.want)
		}
	}
	if got := Seconds(math.MinInt64).ISO(); got != "-PT2562047788015215H30M8S" {
		t.Errorf("the smallest number of seconds is %s", got)
	}
}

func FuzzSeconds(f *testing.F) {
	for _, s := range []string{"PT1H30M", "-P1DT2H", "PT1.5H", "01:30", "-1:30:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseISODuration(text); err == nil {
			if again, err := ParseISODuration(s.ISO()); err != nil || again != s {
				t.Fatalf("%q: %s came back as %d, %v", text, s.ISO(), again, err)
			}
		}
		if s, err := ParseClock(text); err == nil {
			if again, err := ParseClock(s.Clock()); err != nil || again != s {
				t.Fatalf("%q: %s came back as %d, %v", text, s.Clock(), again, err)
			}
		}
	})
}
