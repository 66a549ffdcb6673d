package engine

import (
	"testing"
	"time"
)

func TestSchedules(t *testing.T) {
	for _, c := range []struct{ schedule, zone, now, next string }{
		{"5m", "UTC", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z"},
		{"hourly", "UTC", "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z"},
		{"nightly", "Europe/Amsterdam", "2026-03-02T10:00:00Z", "2026-03-03T01:00:00Z"},
		{"daily at 18:30", "Europe/Amsterdam", "2026-07-02T10:00:00Z", "2026-07-02T16:30:00Z"},
		{"daily at 18:30", "Europe/Amsterdam", "2026-07-02T16:30:00Z", "2026-07-03T16:30:00Z"},
		// 02:30 is not there on the day on which the clocks go forward.
		{"daily at 02:30", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T07:30:00Z"},
		{"daily at 02:30", "America/New_York", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"},
		{"daily at 00:30", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:30:00Z"},
		// After a long sleep it comes once.
		{"daily at 18:30", "UTC", "2026-03-05T09:00:00Z", "2026-03-05T18:30:00Z"},
	} {
		s, err := ParseSchedule(c.schedule, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(now).Format(time.RFC3339); got != c.next {
			t.Errorf("%s in %s after %s: %s, want %s", c.schedule, c.zone, c.now, got, c.next)
		}
	}
}

// TestAnHourThatComesTwiceCountsOnce walks through the day on which clocks go back.
func TestAnHourThatComesTwiceCountsOnce(t *testing.T) {
	s, err := ParseSchedule("daily at 01:30", "America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	now := time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC) // midnight there
	for due := s.Next(now); due.Before(now.Add(25 * time.Hour)); due = s.Next(due) {
		times++
	}
	if times != 1 {
		t.Errorf("it comes %d times that day, want once", times)
	}
}

func TestWhatIsNoSchedule(t *testing.T) {
	for _, text := range []string{"", "soon", "0s", "-5m", "daily at 25:00", "daily at 2:30"} {
		if s, err := ParseSchedule(text, "UTC"); err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}
