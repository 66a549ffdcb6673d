package exact

import (
	"encoding/json"
	"fmt"
	"time"
)

// Date is a business date: the day that a person wrote on a time sheet or an invoice. It has no
// clock and no zone, so nothing can shift it. The zero Date is no date.
type Date struct {
	year       int32
	month, day uint8
}

// NewDate refuses days that are in no calendar, and years outside 1 to 9999.
func NewDate(year int, month time.Month, day int) (Date, error) {
	d := civil(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
	if d.Year() != year || d.Month() != month || d.Day() != day || !d.writable() {
		return Date{}, fmt.Errorf("there is no day %04d-%02d-%02d", year, month, day)
	}
	return d, nil
}

// ParseDate reads "2026-03-01".
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || !civil(t).writable() {
		return Date{}, fmt.Errorf("%q is not a date such as 2026-03-01", abridged(s))
	}
	return civil(t), nil
}

// DateOf is the day on which t falls for somebody in that place.
func DateOf(t time.Time, place *time.Location) Date { return civil(t.In(place)) }

func civil(t time.Time) Date {
	year, month, day := t.Date()
	return Date{int32(year), uint8(month), uint8(day)}
}

// Year is the year; 0 for the zero Date.
func (d Date) Year() int { return int(d.year) }

// Month is the month; 0 for the zero Date.
func (d Date) Month() time.Month { return time.Month(d.month) }

// Day is the day of the month; 0 for the zero Date.
func (d Date) Day() int { return int(d.day) }

// Weekday is the day of the week.
func (d Date) Weekday() time.Weekday { return d.midnight().Weekday() }

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d == Date{} }

// AddDays counts in days of the calendar; summer time does not come into it.
func (d Date) AddDays(n int) Date { return civil(d.midnight().AddDate(0, 0, n)) }

// DaysSince is how many days after o the date d is.
func (d Date) DaysSince(o Date) int {
	// Unix seconds, because a time.Duration ends after 292 years.
	return int((d.midnight().Unix() - o.midnight().Unix()) / (24 * 60 * 60))
}

// Compare is -1, 0 or 1 as d is before, on or after o.
func (d Date) Compare(o Date) int { return d.midnight().Compare(o.midnight()) }

// midnight is in UTC, where every day has 24 hours.
func (d Date) midnight() time.Time {
	return time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, time.UTC)
}

// writable reports whether four digits hold the year.
func (d Date) writable() bool { return d.year >= 1 && d.year <= 9999 }

// String is "2026-03-01", and empty for the zero Date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	if !d.writable() {
		return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
	}
	return string(d.append(make([]byte, 0, len(time.DateOnly))))
}

// MarshalJSON writes "2026-03-01"; a date that no reader would take is an error.
func (d Date) MarshalJSON() ([]byte, error) { return d.appendJSON(nil) }

func (d Date) appendJSON(dst []byte) ([]byte, error) {
	if !d.writable() {
		return dst, fmt.Errorf("the date %q cannot be written: its year is not between 1 and 9999", d)
	}
	return append(d.append(append(dst, '"')), '"'), nil
}

// append writes a date that is writable.
func (d Date) append(dst []byte) []byte {
	y, m, day := int(d.year), int(d.month), int(d.day)
	digit := func(n int) byte { return byte('0' + n%10) }
	return append(dst, digit(y/1000), digit(y/100), digit(y/10), digit(y), '-', digit(m/10), digit(m), '-', digit(day/10), digit(day))
}

// UnmarshalJSON reads "2026-03-01".
func (d *Date) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("read date: %w", err)
	}
	read, err := ParseDate(text)
	if err != nil {
		return err
	}
	*d = read
	return nil
}
