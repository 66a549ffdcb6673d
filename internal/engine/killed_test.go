package engine_test

import (
	"fmt"
	"testing"

	"throughline/internal/hub"
)

// TestKilledWhilePosting kills the process before and after each call and each commit of an entry that is
// posted, edited and withdrawn: over there stands in the end what should, whatever died when.
func TestKilledWhilePosting(t *testing.T) {
	story := []struct{ log, want string }{
		{"e1 u1 p1 2026-03-02 3600 approved", "P1 2026-03-02 3600 completed"},
		{"e1 u1 p1 2026-03-02 1800 approved", "P1 2026-03-02 1800 completed"},
		{"e1 u1 p1 2026-03-02 1800 open", ""},
	}
	for _, kind := range []string{"call", "lost", "commit"} {
		for chapter := range story {
			for n := 1; n <= 8; n++ {
				for _, when := range []string{"before", "after"} {
					t.Run(fmt.Sprintf("%s/%d/%d/%s", kind, chapter, n, when), func(t *testing.T) {
						h := newBooks(t)
						for i, s := range story {
							if i == chapter {
								h.arm(kind, n, when)
							}
							h.log(s.log)
							h.drain()
							h.disarm()
							h.restart()
							h.drain()
							var want []string
							if s.want != "" {
								want = []string{s.want}
							}
							h.stands(want...)
						}
						if day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02"); day.Seconds != 0 {
							t.Errorf("the day's tally is %d s, want none", day.Seconds)
						}
					})
				}
			}
		}
	}
}

func (h *bookHouse) arm(kind string, n int, when string) {
	from, done := 0, false
	if kind == "commit" {
		h.commit = func(_ int, at string) bool {
			if at == "before" {
				from++
			}
			hit := !done && from == n && at == when
			done = done || hit
			return hit
		}
		return
	}
	h.far.on(func(_ int, at string) (int, bool) {
		if at == "before" {
			from++
		}
		if done || from != n || at != when {
			return 0, false
		}
		done = true
		if kind == "lost" {
			return -1, true
		}
		return 0, true
	})
}

func (h *bookHouse) disarm() { h.commit = nil; h.far.on(nil) }

// restart starts the process anew, where the old one died.
func (h *bookHouse) restart() {
	select {
	case <-h.far.killed:
		h.start()
	default:
	}
}
