package engine

import (
	"time"

	"throughline/internal/hub"
)

// schedule is the published retry schedule (R8): how long to wait after the nth failed attempt.
var schedule = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour}

type action int

const (
	park  action = iota // a person has to look
	again               // try again later
)

// verdict is what becomes of a run after a failure.
type verdict struct {
	do     action
	wait   time.Duration
	counts bool // as a failed attempt
}

// next decides, from the failure's kind alone, what becomes of a run. Class is that of the write
// under way, "" for a read. Attempts are those that failed before; jitter lies in [-0.2, 0.2].
func next(e *hub.Error, attempts int, class hub.WriteClass, jitter float64) verdict {
	switch e.Kind {
	case hub.Throttled:
		// Waiting is not failing: the far side told us when to come back.
		return verdict{do: again, wait: max(e.After, 100*time.Millisecond)}
	case hub.Uncertain:
		if class == hub.ClassX {
			return verdict{do: park} // nothing protects a repeat: never by itself
		}
		return retry(e, attempts, jitter)
	case hub.Unavailable:
		return retry(e, attempts, jitter)
	case hub.Expired:
		if e.Code == "far.session_expired" && attempts < 2 {
			return retry(e, attempts, jitter) // the new session had ended, too, before the call came there
		}
	case hub.Internal:
		if attempts < 2 {
			return retry(e, attempts, jitter)
		}
	case hub.Conflict:
		if attempts < 3 {
			return retry(e, attempts, jitter) // read again, write again: it mends itself as a rule
		}
	}
	return verdict{do: park}
}

func retry(e *hub.Error, attempts int, jitter float64) verdict {
	if attempts >= len(schedule) {
		return verdict{do: park}
	}
	wait := schedule[attempts]
	wait += time.Duration(float64(wait) * jitter)
	return verdict{do: again, wait: max(wait, e.After), counts: true}
}
