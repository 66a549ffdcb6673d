package engine

import (
	"testing"
	"time"

	"throughline/internal/hub"
)

// fill lets tenants take what they have room for, one row after the other in turns, until none has any.
func fill(s *shares, tenants ...hub.TenantID) {
	for took := true; took; {
		took = false
		for _, t := range tenants {
			if s.all < s.hands && s.Room(t) > 0 {
				s.hold(hub.Work{Tenant: t}, 1)
				took = true
			}
		}
	}
}

func TestWhoTakesAllLeavesSome(t *testing.T) {
	for _, c := range []struct {
		name  string
		hands int
		heavy []hub.TenantID
		least int // hands that are left for another one
	}{
		{"one tenant leaves an eighth", 256, []hub.TenantID{"a"}, 32},
		{"two leave a fifteenth", 256, []hub.TenantID{"a", "b"}, 17},
		{"eight leave some", 256, []hub.TenantID{"a", "b", "c", "d", "e", "f", "g", "h"}, 4},
		{"of eight hands one is left", 8, []hub.TenantID{"a"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShares(c.hands, time.Now)
			fill(s, c.heavy...)
			if left := s.hands - s.all; left < c.least || left > c.least+1 {
				t.Errorf("%d hands are left, want %d", left, c.least)
			}
			if s.Room("another") < 1 {
				t.Error("another tenant has no room")
			}
			for _, h := range c.heavy {
				if held := s.held[h]; held < (c.hands-c.least)/len(c.heavy)-1 {
					t.Errorf("%s holds %d", h, held)
				}
			}
		})
	}
	if s := newShares(1, time.Now); s.Room("a") != 1 {
		t.Error("with one hand nobody is served")
	}
}

func TestAFlowThatCanOnlyWaitTrickles(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	s := newShares(256, func() time.Time { return now })
	pace := func() int { return s.Pace("t1", "deals", 100) }
	s.told("t1", "deals", false, 50*time.Millisecond)
	if s.Slow("t1") || pace() != 100 {
		t.Error("a short wait has slowed the flow")
	}
	s.told("t1", "deals", false, 20*time.Second)
	if !s.Slow("t1") || pace() != 0 || s.Pace("t1", "hours", 100) != 100 || s.Slow("t2") {
		t.Error("a flow that can only wait does not rest, or others do")
	}
	now = now.Add(trickleRest)
	if pace() != trickle {
		t.Errorf("not %d rows after the rest", trickle)
	}
	if n := pace(); n != 0 {
		t.Errorf("%d more before anything is heard of the first ones", n)
	}
	s.told("t1", "deals", true, 0)
	if s.Slow("t1") || pace() != 100 {
		t.Error("a flow whose far side was reached is still slow")
	}
}

func TestNoMoreInHandThanTheMachineKeepsUpWith(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	s := newShares(256, func() time.Time { return now })
	for range 1000 {
		s.took(2*time.Second, 500*time.Millisecond)
	}
	now = now.Add(time.Minute)
	if s.Room("big") < 200 {
		t.Error("who is alone is held back")
	}
	s.hold(hub.Work{Tenant: "big"}, 1)
	s.hold(hub.Work{Tenant: "small"}, 1)
	if room := s.Room("big"); room != 256/16-1 {
		t.Errorf("beside another one there is room for %d more, want %d", room, 256/16-1)
	}
	for range 1000 {
		s.took(550*time.Millisecond, 500*time.Millisecond)
	}
	if s.Room("big") < 200 {
		t.Error("a machine that keeps up holds its tenants back")
	}
}

func TestFewOfThoseThatWereInHandAtACrashAreInHandAgain(t *testing.T) {
	s := newShares(256, time.Now)
	s.hold(hub.Work{Tenant: "a", Crashes: 1}, 1)
	s.hold(hub.Work{Tenant: "a"}, 1)
	if s.Shaken() != 31 {
		t.Errorf("%d more may be, want 31", s.Shaken())
	}
	s.hold(hub.Work{Tenant: "a", Crashes: 1}, -1)
	if s.Shaken() != 32 || newShares(4, time.Now).Shaken() != 1 {
		t.Error("what is no longer in hand still counts, or of few hands none is for them")
	}
}
