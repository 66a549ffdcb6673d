package engine

import (
	"testing"
	"time"

	"throughline/internal/hub"
)

func TestNext(t *testing.T) {
	kind := func(k hub.Kind) *hub.Error { return &hub.Error{Kind: k} }
	after := func(k hub.Kind, d time.Duration) *hub.Error { return &hub.Error{Kind: k, After: d} }
	for _, c := range []struct {
		name     string
		err      *hub.Error
		attempts int
		class    hub.WriteClass
		want     verdict
	}{
		{"a throttled call does not use up attempts", after(hub.Throttled, time.Minute), 99, hub.ClassX, verdict{do: again, wait: time.Minute}},
		{"a far side that is down is tried again on the schedule", kind(hub.Unavailable), 0, "", verdict{again, 5 * time.Second, true}},
		{"the schedule goes on", kind(hub.Unavailable), 9, "", verdict{again, 12 * time.Hour, true}},
		{"the schedule ends with a person", kind(hub.Unavailable), 10, "", verdict{do: park}},
		{"Retry-After counts where it is longer", after(hub.Unavailable, time.Hour), 0, "", verdict{again, time.Hour, true}},
		{"a lost answer is looked up when we can search", kind(hub.Uncertain), 0, hub.ClassS, verdict{again, 5 * time.Second, true}},
		{"a lost answer is repeated under a key", kind(hub.Uncertain), 0, hub.ClassK, verdict{again, 5 * time.Second, true}},
		{"a lost answer without protection goes to a person", kind(hub.Uncertain), 0, hub.ClassX, verdict{do: park}},
		{"a wrong value goes to a person at once", kind(hub.Invalid), 0, hub.ClassU, verdict{do: park}},
		{"a defect of ours is tried twice", kind(hub.Internal), 1, "", verdict{again, 30 * time.Second, true}},
		{"and then goes to a person", kind(hub.Internal), 2, "", verdict{do: park}},
		{"an expired connection goes to a person", kind(hub.Expired), 0, "", verdict{do: park}},
		{"a session that ended before the call got there is renewed once more", &hub.Error{Kind: hub.Expired, Code: "far.session_expired"}, 1, "", verdict{again, 30 * time.Second, true}},
		{"and then goes to a person, too", &hub.Error{Kind: hub.Expired, Code: "far.session_expired"}, 2, "", verdict{do: park}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := next(c.err, c.attempts, c.class, 0); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
