package remote

import (
	"math/rand/v2"
	"testing"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// TestNoSpanHoldsMoreThanTheLimit makes calls as fast as the limit lets them, at random moments, and
// looks at every span of the limit's length.
func TestNoSpanHoldsMoreThanTheLimit(t *testing.T) {
	for name, rate := range map[string]specfile.Rate{
		"a hundred a minute": {N: 100, Per: time.Minute},
		"ten a second":       {N: 10, Per: time.Second},
		"one a minute":       {N: 1, Per: time.Minute},
		"many a day":         {N: 20000, Per: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			var u Use
			var calls []time.Time
			rnd := rand.New(rand.NewPCG(1, uint64(rate.N)))
			begin := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
			now := begin
			for now.Sub(begin) < 5*rate.Per {
				got, wait := u.Take(rate, 1, now)
				if got == 1 {
					calls = append(calls, now)
					wait = time.Duration(rnd.Int64N(int64(rate.Per) / (4 * int64(rate.N))))
				} else if wait <= 0 {
					t.Fatalf("no call and no time to wait at %s", now)
				}
				now = now.Add(max(wait, time.Nanosecond))
			}
			for i := int(rate.N); i < len(calls); i++ {
				if span := calls[i].Sub(calls[i-int(rate.N)]); span < rate.Per {
					t.Fatalf("%d calls within %s, the limit is %d in %s", rate.N+1, span, rate.N, rate.Per)
				}
			}
			if least := int(rate.N) * 5 * 9 / 10; len(calls) < least {
				t.Errorf("%d calls in five spans, at least %d were allowed", len(calls), least)
			}
		})
	}
}

// TestALimitWhoseSpanChanges: what was used by the old one is not in the way of the new one for longer than its
// span, and counts until then. So it is where a clock that was ahead is set right.
func TestALimitWhoseSpanChanges(t *testing.T) {
	begin := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		was, is specfile.Rate
		back    time.Duration
	}{
		"from an hour to a day":     {specfile.Rate{N: 10, Per: time.Hour}, specfile.Rate{N: 10, Per: 24 * time.Hour}, 0},
		"from a day to an hour":     {specfile.Rate{N: 10, Per: 24 * time.Hour}, specfile.Rate{N: 10, Per: time.Hour}, 0},
		"a clock that is set back":  {specfile.Rate{N: 10, Per: time.Hour}, specfile.Rate{N: 10, Per: time.Hour}, 300 * time.Hour},
		"to twice as many a minute": {specfile.Rate{N: 5, Per: 30 * time.Second}, specfile.Rate{N: 5, Per: time.Minute}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var u Use
			u.Take(c.was, int(c.was.N), begin)
			now := begin.Add(-c.back)
			if got, _ := u.Take(c.is, 1, now); got != 0 {
				t.Error("what was used a moment ago is forgotten")
			}
			for range 2 { // and again: it is no matter of the first span
				now = now.Add(c.is.Per + c.is.Per/slots)
				if got, wait := u.Take(c.is, int(c.is.N), now); got != int(c.is.N) {
					t.Fatalf("%d calls a span later, and %s to wait", got, wait)
				}
			}
		})
	}
}

func TestTheFarSidesWordIsObeyed(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	u := Use{Held: now.Add(30 * time.Second)}
	if got, wait := u.Take(specfile.Rate{N: 10, Per: time.Second}, 1, now); got != 0 || wait != 30*time.Second {
		t.Errorf("%d calls, wait %s; want none for 30 s", got, wait)
	}
	if got, _ := u.Take(specfile.Rate{N: 10, Per: time.Second}, 3, now.Add(30*time.Second)); got != 3 {
		t.Errorf("%d calls after the wait, want 3", got)
	}
}

func TestWaitersComeBackOneAfterTheOther(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	k := &limit{}
	k.Rate = specfile.Rate{N: 10, Per: time.Second}
	last := time.Duration(0)
	for range 5 {
		wait := k.turn(time.Second, now)
		if wait <= last {
			t.Fatalf("a turn after %s, then one after %s", last, wait)
		}
		last = wait
	}
	if want := time.Second + 400*time.Millisecond; last != want {
		t.Errorf("the fifth waits %s, want %s", last, want)
	}
}

// TestTurnsDoNotRunAhead: a million that wait for a day's quota are not sent away for a year.
func TestTurnsDoNotRunAhead(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	k := &limit{}
	k.Rate = specfile.Rate{N: 1000, Per: 24 * time.Hour}
	longest := time.Duration(0)
	for range 10_000 {
		longest = max(longest, k.turn(20*time.Hour, now))
	}
	if longest < 43*time.Hour || longest > 45*time.Hour {
		t.Errorf("the last waits %s, want 20 hours and a day at most", longest)
	}
}

func TestAnAccountMaySayItsOwnLimit(t *testing.T) {
	file := &connector.File{Limits: []connector.Limit{{Rate: specfile.Rate{N: 100, Per: time.Minute}, Setting: "calls"}}}
	for own, want := range map[string]specfile.Rate{"": {N: 100, Per: time.Minute}, "7 per second": {N: 7, Per: time.Second}} {
		conn := &Connection{Connector: &connector.Connector{File: file}, Settings: map[string]any{"calls": own}}
		if got := conn.open().list[0].Rate; got != want {
			t.Errorf("with %q the limit is %v, want %v", own, got, want)
		}
	}
	if _, err := file.Limits[0].In("plenty"); hub.KindOf(err) != hub.Invalid {
		t.Errorf("a rate that is none: %v", err)
	}
}
