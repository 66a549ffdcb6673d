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
type shares struct {
	mu    sync.Mutex
	hands int
	held  map[hub.TenantID]int
	all   int
	slow  map[flowName]time.Time // until when the flow rests
	now   func() time.Time
}

type flowName struct {
	tenant hub.TenantID
	flow   hub.DeploymentID
}

const (
	perFree     = 7
	trickle     = 8                      // records at once of a flow that can only wait
	trickleRest = 250 * time.Millisecond // and how often
	longWait    = time.Second            // a shorter one is the ordinary course of a limit
)

func newShares(hands int, now func() time.Time) *shares {
	return &shares{hands: hands, held: map[hub.TenantID]int{}, slow: map[flowName]time.Time{}, now: now}
}

func (s *shares) hold(t hub.TenantID, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all += n
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
	if held == 0 {
		return max(room, 1)
	}
	return max(room, 0)
}

// Slow reports whether any of the tenant's flows is handed out by the trickle.
func (s *shares) Slow(t hub.TenantID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.slow {
		if f.tenant == t {
			return true
		}
	}
	return false
}

// Pace is how many of want records of a flow are handed out now.
func (s *shares) Pace(t hub.TenantID, d hub.DeploymentID, want int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, slow := s.slow[flowName{t, d}]
	switch {
	case !slow:
		return want
	case s.now().Before(until):
		return 0
	}
	return min(want, trickle)
}

// told is how a record of the flow has fared: it reached its far side, or had only to wait.
func (s *shares) told(t hub.TenantID, d hub.DeploymentID, reached bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case reached:
		delete(s.slow, flowName{t, d})
	case wait >= longWait:
		s.slow[flowName{t, d}] = s.now().Add(trickleRest)
	}
}
