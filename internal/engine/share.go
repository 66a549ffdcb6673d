package engine

import (
	"math"
	"sync"
	"time"

	"throughline/internal/hub"
)

// shares sees to it that one tenant does not hold up the others (store.Shares).
//
// A tenant has at most seven hands for each that is left free: who comes alone has nearly all, and a
// tenant whose far side keeps every call until it times out leaves hands for the others; two such leave
// less to each other, not to the rest. A flow whose records can do nothing but wait, for a limit or for
// a far side that is down, is handed out by the trickle: the rest of its records stay where they are.
//
// While several tenants are at work, none has more in hand than the machine keeps up with: where runs take
// a quarter longer than their calls, what is in hand only waits for us, and the others with it.
type shares struct {
	mu    sync.Mutex
	hands int
	held  map[hub.TenantID]int
	all   int
	shook int                                             // of them were in hand when a process died
	slow  map[hub.TenantID]map[hub.DeploymentID]time.Time // until when a flow rests
	now   func() time.Time

	latest hub.TenantID // who was handed a record last
	turned time.Time    // when that last was another one than before
	most   float64      // that a tenant may have in hand while several are at work
}

const (
	perFree     = 7
	trickle     = 8                      // records at once of a flow that can only wait
	trickleRest = 250 * time.Millisecond // and how often, at most; a long wait is looked at less often
	longestRest = 2 * time.Second
	company     = 2 * time.Second // how long after another tenant's turn several are at work
	longWait    = time.Second     // a shorter one is the ordinary course of a limit
)

func newShares(hands int, now func() time.Time) *shares {
	return &shares{hands: hands, held: map[hub.TenantID]int{}, slow: map[hub.TenantID]map[hub.DeploymentID]time.Time{}, now: now, most: float64(hands)}
}

func (s *shares) hold(w hub.Work, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := w.Tenant
	if s.all += n; w.Crashes > 0 {
		s.shook += n
	}
	if n > 0 && t != s.latest {
		s.latest, s.turned = t, s.now()
	}
	if s.held[t] += n; s.held[t] == 0 {
		delete(s.held, t)
	}
}

// Room is how many more records the tenant may have in hand.
func (s *shares) Room(t hub.TenantID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.held[t]
	if s.hands == 0 {
		return math.MaxInt // nobody counts: whoever claims has its own measure
	}
	room := (perFree*(s.hands-s.all) - held) / (perFree + 1)
	if s.now().Sub(s.turned) < company {
		room = min(room, int(s.most)-held)
	}
	if held == 0 {
		return max(room, 1)
	}
	return max(room, 0)
}

// Shaken is how many more records that were in hand when a process died may be: an eighth of the hands. One of
// them may be what kills, and those that are beside it then will each be carried alone, with nothing else in
// hand.
func (s *shares) Shaken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hands == 0 {
		return math.MaxInt
	}
	return max(s.hands/8, 1) - s.shook
}

// Slow reports whether any of the tenant's flows is handed out by the trickle.
func (s *shares) Slow(t hub.TenantID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slow[t]) > 0
}

// Pace is how many of want records of a flow are handed out now.
func (s *shares) Pace(t hub.TenantID, d hub.DeploymentID, want int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, slow := s.slow[t][d]
	switch {
	case !slow:
		return want
	case s.now().Before(until):
		return 0
	}
	s.slow[t][d] = s.now().Add(trickleRest) // until these have told how they fare, which may take many claims
	return min(want, trickle)
}

// told is how a record of the flow has fared: it came to its end through its far sides, or has to wait. That one
// far side was reached on the way to another that cannot be is no sign that the flow gets on: what was asked there
// was asked in vain.
func (s *shares) told(t hub.TenantID, d hub.DeploymentID, ended bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ended:
		if delete(s.slow[t], d); len(s.slow[t]) == 0 {
			delete(s.slow, t)
		}
	case wait >= longWait:
		if s.slow[t] == nil {
			s.slow[t] = map[hub.DeploymentID]time.Time{}
		}
		s.slow[t][d] = s.now().Add(min(max(wait/100, trickleRest), longestRest))
	}
}

// took is how long a run took, and its calls: whether the machine keeps up with what is in hand.
func (s *shares) took(all, calls time.Duration) {
	if calls == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if 4*all > 5*calls {
		s.most = max(s.most*0.98, float64(s.hands)/16, 1)
		return
	}
	s.most = min(s.most+0.25, float64(s.hands))
}
