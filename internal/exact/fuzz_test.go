package exact

import "testing"

// FuzzParseDate: what is read as a day is written the same way.
func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2026-03-01", "0000-01-01", "9999-12-31", "2026-02-30", "2026-3-1", "+2026-03-01", "２０２６-03-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDate(s)
		if err == nil && d.String() != s {
			t.Fatalf("%q is read as %s", s, d)
		}
	})
}

// FuzzParseMoney: what is read as money is read the same from what it is written as.
func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"125.50 EUR", "-0 EUR", "1e3 USD", "1200 JPY", "0.001 KWD", "12.345 EUR", " 1 EUR", "1  EUR"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMoney(s)
		if err != nil {
			return
		}
		again, err := ParseMoney(m.String())
		if err != nil || again.String() != m.String() {
			t.Fatalf("%q is read as %s, and that as %s, %v", s, m, again, err)
		}
	})
}

// FuzzParseDuration: the two ways in which vendors write a span of time.
func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"PT1H30M", "P1DT2H", "PT0.5S", "PT999999999999999999H", "01:30", "1:30:15", "-0:30", "99999999999:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (Seconds, error){ParseISODuration, ParseClock} {
			if n, err := parse(s); err == nil && len(s) > 0 && s[0] != '-' && n < 0 {
				t.Fatalf("%q is read as %d seconds: it has wrapped around", s, n)
			}
		}
	})
}
