package engine_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"throughline/internal/hub"
)

// TestABookThatIsRestored: lines that the lost time has brought into the books are found again, and what stands there
// in the end is what the entry says, once.
func TestABookThatIsRestored(t *testing.T) {
	for name, c := range map[string]struct {
		before, lost []string // what was told before the backup, and after it
		state        string   // how far the lines have come there by the restore; "": as they are
		now          string
		want         []string
	}{
		"posted, and nothing else":                    {nil, []string{"e1 u1 p1 2026-03-02 3600 approved"}, "", "e1 u1 p1 2026-03-02 3600 approved", []string{"P1 2026-03-02 3600 completed"}},
		"posted, and edited since":                    {nil, []string{"e1 u1 p1 2026-03-02 3600 approved"}, "", "e1 u1 p1 2026-03-02 5400 approved", []string{"P1 2026-03-02 5400 completed"}},
		"posted, and edited in the lost time":         {nil, []string{"e1 u1 p1 2026-03-02 3600 approved", "e1 u1 p1 2026-03-02 5400 approved"}, "", "e1 u1 p1 2026-03-02 5400 approved", []string{"P1 2026-03-02 5400 completed"}},
		"known, and edited in the lost time":          {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved"}, "", "e1 u1 p1 2026-03-02 5400 approved", []string{"P1 2026-03-02 5400 completed"}},
		"known, and edited twice in it":               {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved", "e1 u1 p1 2026-03-02 7200 approved"}, "", "e1 u1 p1 2026-03-02 7200 approved", []string{"P1 2026-03-02 7200 completed"}},
		"known, edited in it and since":               {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved"}, "", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 1800 completed"}},
		"known, and edited back since":                {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved"}, "", "e1 u1 p1 2026-03-02 3600 approved", []string{"P1 2026-03-02 3600 completed"}},
		"known, withdrawn in it, approved since":      {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 3600 open"}, "", "e1 u1 p1 2026-03-02 3600 approved", []string{"P1 2026-03-02 3600 completed"}},
		"posted, and deleted since":                   {nil, []string{"e1 u1 p1 2026-03-02 3600 approved"}, "", "", nil},
		"posted, and withdrawn since":                 {nil, []string{"e1 u1 p1 2026-03-02 3600 approved"}, "", "e1 u1 p1 2026-03-02 3600 open", nil},
		"posted, and moved since":                     {nil, []string{"e1 u1 p1 2026-03-02 3600 approved"}, "", "e1 u1 p1 2026-03-03 3600 approved", []string{"P1 2026-03-03 3600 completed"}},
		"posted, and a rule forbids it since":         {nil, []string{"e1 u1 p1 2026-03-02 3600 approved"}, "", "e1 u1 p1 2026-03-02 0 approved", nil},
		"reversed in it":                              {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved"}, "posted", "e1 u1 p1 2026-03-02 5400 approved", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 3600 posted", "P1 2026-03-02 5400 completed"}},
		"reversed in it, and withdrawn since":         {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved"}, "posted", "e1 u1 p1 2026-03-02 5400 open", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 3600 posted"}},
		"posted and reversed in it":                   {nil, []string{"e1 u1 p1 2026-03-02 3600 approved", "e1 u1 p1 2026-03-02 5400 approved"}, "posted", "e1 u1 p1 2026-03-02 5400 approved", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 3600 posted", "P1 2026-03-02 5400 completed"}},
		"posted and reversed in it, and edited since": {nil, []string{"e1 u1 p1 2026-03-02 3600 approved", "e1 u1 p1 2026-03-02 5400 approved"}, "posted", "e1 u1 p1 2026-03-02 1800 approved", []string{"P1 2026-03-02 -3600 open", "P1 2026-03-02 3600 posted", "P1 2026-03-02 1800 completed"}},
		"known, edited in it and withdrawn now":       {[]string{"e1 u1 p1 2026-03-02 3600 approved"}, []string{"e1 u1 p1 2026-03-02 5400 approved"}, "", "e1 u1 p1 2026-03-02 5400 open", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBooks(t)
			for _, e := range c.before {
				h.log(e)
				h.drain()
			}
			taken := h.backup()
			tell := func(e string) {
				if e == "" {
					h.gone("e1")
				} else {
					h.log(e)
				}
				h.drain()
			}
			for i, e := range c.lost {
				if i == len(c.lost)-1 && c.state != "" {
					for _, l := range h.books.lines {
						l.State = c.state
					}
				}
				tell(e)
			}
			h.restore(taken)
			for range 2 { // the second time nothing more comes of it
				tell(c.now)
				h.stands(c.want...)
			}
			sum := 0
			for _, l := range c.want {
				var project, day, state string
				var seconds int
				_, _ = fmt.Sscan(l, &project, &day, &seconds, &state)
				if day == "2026-03-02" {
					sum += seconds
				}
			}
			if day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02"); day.Seconds != int64(sum) {
				t.Errorf("the day's tally is %d s, what stands is %d s", day.Seconds, sum)
			}
		})
	}
}

// TestABookThatIsRestoredAtEveryPoint takes the backup at each durable point of an entry's way into the books and out
// again; what comes afterwards is lost. In the end the books say what the entry does, once.
func TestABookThatIsRestoredAtEveryPoint(t *testing.T) {
	for _, state := range []string{"completed", "posted"} {
		for n := 1; n <= 9; n++ {
			for _, now := range []string{"5400 approved", "3600 approved", "7200 approved", "5400 open"} {
				t.Run(fmt.Sprintf("%s, commit %d, now %s", state, n, now), func(t *testing.T) {
					h := newBooks(t)
					var taken []byte
					h.commit = func(i int, when string) bool {
						if i == n && when == "before" {
							taken = h.backup()
						}
						return false
					}
					h.log("e1 u1 p1 2026-03-02 3600 approved")
					h.drain()
					for _, l := range h.books.lines {
						l.State = state
					}
					h.log("e1 u1 p1 2026-03-02 5400 approved")
					h.drain()
					if taken == nil {
						taken = h.backup()
					}
					h.restore(taken)
					h.log("e1 u1 p1 2026-03-02 " + now)
					h.drain()
					want := 0
					if f := strings.Fields(now); f[1] == "approved" {
						want, _ = strconv.Atoi(f[0])
					}
					sum := 0
					for _, list := range []map[string]*line{h.books.lines, h.books.reversals} {
						for _, l := range list {
							sum += l.Seconds
						}
					}
					day := h.tally("day", string(hub.RecordIDFor("t1", "time", "user", "u1"))+"2026-03-02")
					if open := h.exceptions(); sum != want || day.Seconds != int64(want) || len(open) > 0 {
						t.Errorf("there stand %d s, the day's tally is %d s, want %d; %q, exceptions %+v", sum, day.Seconds, want, h.books.standing(), open)
					}
				})
			}
		}
	}
}
