package engine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"throughline/internal/hub"
)

// Schedule says when something is looked at again: every so long, or at an hour of the customer's day.
// The zero value is never.
type Schedule struct {
	every time.Duration
	clock time.Duration // since midnight
	zone  *time.Location
}

var (
	dailyAt  = regexp.MustCompile(`^daily at ([01][0-9]|2[0-3]):([0-5][0-9])$`)
	spans    = map[string]time.Duration{"hourly": time.Hour, "on approval": time.Minute} // where no webhook tells of an approval, the shortest interval does
	shortest = time.Second
)

// ParseSchedule reads "5m", "1h", "hourly", "nightly" (at 02:00), "daily at 18:30" and "on approval".
func ParseSchedule(text, zone string) (Schedule, error) {
	place, err := time.LoadLocation(zone)
	if err != nil {
		return Schedule{}, &hub.Error{Kind: hub.Invalid, Code: "flow.zone", Field: "zone", Message: fmt.Sprintf("There is no time zone %q.", zone), Hint: "Write it like Europe/Amsterdam."}
	}
	if text == "nightly" {
		text = "daily at 02:00"
	}
	if m := dailyAt.FindStringSubmatch(text); m != nil {
		h, _ := strconv.Atoi(m[1]) // digits, by the expression
		min, _ := strconv.Atoi(m[2])
		return Schedule{clock: time.Duration(h)*time.Hour + time.Duration(min)*time.Minute, zone: place}, nil
	}
	every, known := spans[text]
	if !known {
		every, err = time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	}
	if err != nil || every < shortest {
		return Schedule{}, &hub.Error{Kind: hub.Invalid, Code: "flow.poll", Message: fmt.Sprintf("%q is no schedule.", text),
			Hint: "Write 5m or 1h, hourly, nightly, on approval, or daily at 18:30."}
	}
	return Schedule{every: every}, nil
}

// Set reports whether there is a schedule at all.
func (s Schedule) Set() bool { return s.every > 0 || s.zone != nil }

// Next is the first time after now. An hour that a day does not have, when clocks go forward, comes as
// much later as they went; one that it has twice comes once.
func (s Schedule) Next(now time.Time) time.Time {
	if s.every > 0 {
		return now.Add(s.every)
	}
	local := now.In(s.zone)
	for day := 0; ; day++ {
		if at := s.on(local.Year(), local.Month(), local.Day()+day); at.After(now) {
			return at.UTC()
		}
	}
}

func (s Schedule) on(year int, month time.Month, day int) time.Time {
	at := time.Date(year, month, day, 0, 0, 0, 0, s.zone).Add(s.clock)
	wall := time.Date(year, month, day, int(s.clock/time.Hour), int(s.clock%time.Hour/time.Minute), 0, 0, s.zone)
	if wall.Hour()*60+wall.Minute() == int(s.clock/time.Minute) {
		return wall
	}
	return at
}

// PerDay is how often it comes on an ordinary day.
func (s Schedule) PerDay() int64 {
	switch {
	case s.every > 0:
		return int64(24 * time.Hour / s.every)
	case s.zone != nil:
		return 1
	}
	return 0
}
