package books_test

import (
	"strings"
	"testing"

	"throughline/internal/books"
)

// TestRowsThatDoNotSayWhoseTheyAre: the statement names them, with their place and what was there, and does not
// balance; all else is accounted for. One of another month, or that is put right meanwhile, is not told.
func TestRowsThatDoNotSayWhoseTheyAre(t *testing.T) {
	odd := worked{Who: "p1", Project: "j1", Day: "2026-11-05", Seconds: 3600, State: "approved"}
	for name, definitions := range readings {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t, definitions)
			put := func(list *[]worked, w worked) {
				m.mu.Lock()
				defer m.mu.Unlock()
				*list = append((*list)[:60:60], append([]worked{w}, (*list)[60:]...)...)
			}
			take := func(list *[]worked) { *list = append((*list)[:60:60], (*list)[61:]...) }
			for list, says := range map[*[]worked]string{&m.time: "Row 61 of the time tracker's list time/entry", &m.erp: "Row 61 of the ERP's list erp/entry"} {
				put(list, odd)
				s := m.balance()
				if len(s.Findings) != 1 {
					t.Fatalf("found are %+v, want the row", s.Findings)
				}
				f := s.Findings[0]
				if f.What != books.Unreadable || !strings.HasPrefix(f.Says, says) || !strings.Contains(f.Says, `"seconds":3600`) || f.Date.String() != odd.Day || f.Seconds != odd.Seconds || !strings.Contains(f.Entry, "/unreadable-") {
					t.Errorf("told is %+v", f)
				}
				m.whole(s)
				m.mu.Lock()
				(*list)[60].Day = "2026-10-05"
				m.mu.Unlock()
				if s := m.balance(); len(s.Findings) != 0 {
					t.Errorf("of another month is told %+v", s.Findings)
				}
				m.mu.Lock()
				(*list)[60] = odd
				m.mu.Unlock()
				clear(m.times)
				host := map[bool]string{true: "time.example", false: "erp.example"}[list == &m.time]
				m.meanwhile(host, func(reading, read int) {
					if reading == 1 && read == 100 {
						take(list)
					}
				})
				if s := m.balance(); len(s.Findings) != 0 {
					t.Errorf("put right meanwhile, it is told as %+v", s.Findings)
				}
				m.mu.Lock()
				m.served = nil
				m.mu.Unlock()
			}
		})
	}
}
