package books_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/app"
	"throughline/internal/books"
)

// moving is a month of 240 entries in pages of fifty, three of which nobody can post. While a page is under way,
// somebody works in one of the systems.
type moving struct {
	*testing.T
	*plainFar
	app   *app.App
	times map[string]int // how often each list was begun
}

const (
	months   = 240
	unposted = 3
)

// readings are the ways in which the systems can be asked for one record: by its id, or only in a list (and in the
// ERP by its marker).
var readings = map[string]fstest.MapFS{"records are read alone": small(), "records are only listed": small("entry: {path: /entries, ", "entry: {", "list: {}, sweep", "list: {get: /entries}, sweep", "create: {", "create: {post: /entries, ")}

// small are the plain systems in pages of fifty, with other texts for what they say of entries.
func small(changes ...string) fstest.MapFS {
	out := maps.Clone(plain)
	for _, name := range []string{"time", "erp"} {
		file := "connectors/plain-" + name + "/connector.yaml"
		text := strings.NewReplacer(append(changes, "max: 1000", "max: 50")...).Replace(string(plain[file].Data))
		out[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func newMoving(t *testing.T, definitions fstest.MapFS) *moving {
	f, a := openOf(t, months, definitions)
	m := &moving{t, f, a, map[string]int{}}
	for i := range unposted {
		f.time[i*70+10].Project = "nobody" // has made it in the ERP
	}
	carry(t, a, months-unposted)
	return m
}

// meanwhile lets somebody work while a list is read: after each page, with which reading it is, and up to where
// the list has been read.
func (m *moving) meanwhile(host string, do func(reading, read int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.served = func(h string, from int) {
		if h != host {
			return
		}
		if from == 0 {
			m.times[h]++
		}
		do(m.times[h], from+50)
	}
}

// touched comes to stand before all others, as in a list that begins with what was changed last.
func touched(list []worked, i int) {
	w := list[i]
	copy(list[1:], list[:i])
	list[0] = w
}

func (m *moving) balance() *books.Statement {
	m.Helper()
	s, err := m.app.Control.Balance(m.Context(), admin, "plain", "2026-11", false)
	if err != nil {
		m.Fatal(err)
	}
	return s
}

// entries is how many there are in some columns, in all currencies.
func entries(s *books.Statement, columns ...books.Column) (n int) {
	for _, t := range s.Totals {
		for _, c := range columns {
			n += t.Sums[c].Entries
		}
	}
	return n
}

// whole holds a statement against all that there is.
func (m *moving) whole(s *books.Statement) {
	m.Helper()
	approved, left, there := entries(s, books.Approved), entries(s, books.InException, books.Waiting), entries(s, books.InERP)
	if approved != months || left != unposted || there != months-unposted {
		m.Errorf("approved are %d, waiting or in exception %d, in the ERP %d; want %d, %d, %d", approved, left, there, months, unposted, months-unposted)
	}
}

// TestAListThatMovesHidesNothing: each page that is read lets an entry that is still to come slip before it.
func TestAListThatMovesHidesNothing(t *testing.T) {
	for name, definitions := range readings {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t, definitions)
			m.meanwhile("time.example", func(reading, read int) {
				if reading == 1 && read < months {
					at := slices.IndexFunc(m.time[read:], func(w worked) bool { return w.Project == "nobody" })
					touched(m.time, read+max(at, 0))
				}
			})
			s := m.balance()
			for _, f := range s.Findings {
				t.Errorf("unexplained: %+v", f)
			}
			m.whole(s)
			if len(s.NotAtRest) > 0 || m.times["time.example"] < 2 {
				t.Errorf("read %d times, it is said to move: %v", m.times["time.example"], s.NotAtRest)
			}
		})
	}
}

// TestAListThatRestsIsReadOnce: what nobody touches costs no second call.
func TestAListThatRestsIsReadOnce(t *testing.T) {
	m := newMoving(t, readings["records are only listed"])
	for _, host := range []string{"time.example", "erp.example"} {
		m.meanwhile(host, func(int, int) {})
		m.whole(m.balance())
		if m.times[host] != 1 {
			t.Errorf("%s was read %d times", host, m.times[host])
		}
	}
}

// TestAListThatNeverRests is told of.
func TestAListThatNeverRests(t *testing.T) {
	m := newMoving(t, readings["records are only listed"])
	m.meanwhile("time.example", func(reading, read int) {
		if read < months {
			touched(m.time, min(read+7*reading, months-1))
		}
	})
	s := m.balance()
	if !slices.Equal(s.NotAtRest, []string{"time/entry"}) {
		t.Errorf("after %d readings not at rest are %v", m.times["time.example"], s.NotAtRest)
	}
	for _, f := range s.Findings {
		t.Errorf("unexplained: %+v", f)
	}
	m.whole(s)
}

// TestWhatIsPutRightMeanwhile: only what stands in two readings is a difference.
func TestWhatIsPutRightMeanwhile(t *testing.T) {
	var last worked // what was there before
	for name, c := range map[string]struct {
		host     string
		do, undo func(m *moving)
		standing string // what it is, where nobody puts it right
	}{
		"an ERP's record that says something else": {host: "erp.example", standing: books.Altered,
			do: func(m *moving) { last = m.erp[5]; m.erp[5].Seconds += 900 }, undo: func(m *moving) { m.erp[5] = last }},
		"a record that is there twice": {host: "erp.example", standing: books.Duplicate,
			do: func(m *moving) { twin := m.erp[5]; twin.ID = "twin"; m.erp = append([]worked{twin}, m.erp...) }, undo: func(m *moving) { m.erp = m.erp[1:] }},
		"a record with a marker that nobody knows": {host: "erp.example", standing: books.Unknown,
			do: func(m *moving) {
				m.erp = append([]worked{{ID: "alien", Who: "Ep1", Project: "Ej1", Day: "2026-11-05", Seconds: 60, Marker: "kaaaaaaaaaaaaaaa"}}, m.erp...)
			},
			undo: func(m *moving) { m.erp = m.erp[1:] }},
		"an entry of which nothing was made": {host: "time.example", standing: books.NotCarried,
			do: func(m *moving) {
				m.time = append([]worked{{ID: "new", V: 1, Who: "p1", Project: "j1", Day: "2026-11-05", Seconds: 60, State: "approved"}}, m.time...)
			},
			undo: func(m *moving) { m.time = m.time[1:] }},
		"an entry that was changed": {host: "time.example", standing: books.NotNoticed,
			do: func(m *moving) { last = m.time[5]; m.time[5].Seconds += 900 }, undo: func(m *moving) { m.time[5] = last }},
		"an approval that was withdrawn": {host: "time.example", standing: books.Orphan,
			do: func(m *moving) { last = m.time[5]; m.time[5].State = "open" }, undo: func(m *moving) { m.time[5] = last }},
	} {
		for how, definitions := range readings {
			t.Run(name+", "+how, func(t *testing.T) {
				m := newMoving(t, definitions)
				m.mu.Lock()
				c.do(m)
				m.mu.Unlock()
				s := m.balance()
				if len(s.Findings) != 1 || s.Findings[0].What != c.standing {
					t.Errorf("left alone, it is found as %+v", s.Findings)
				}
				m.meanwhile(c.host, func(reading, read int) {
					if reading == 1 && read == 100 {
						c.undo(m)
					}
				})
				s = m.balance()
				for _, f := range s.Findings {
					t.Errorf("put right meanwhile, it is found as %+v", f)
				}
			})
		}
	}
}

// TestAHiddenRecordIsFound: a further record with our marker slips before the page that is being read.
func TestAHiddenRecordIsFound(t *testing.T) {
	m := newMoving(t, readings["records are only listed"])
	m.mu.Lock()
	twin := m.erp[5]
	twin.ID = "twin"
	m.erp = append(m.erp, twin)
	m.mu.Unlock()
	m.meanwhile("erp.example", func(reading, read int) {
		if reading == 1 && read == 100 {
			touched(m.erp, len(m.erp)-1)
		}
	})
	if s := m.balance(); len(s.Findings) != 1 || s.Findings[0].What != books.Duplicate {
		t.Errorf("found are %+v", s.Findings)
	}
}

// TestDriftsInListsThatMove: twenty drifts among rows that never rest, all found, and no other.
func TestDriftsInListsThatMove(t *testing.T) {
	for name, definitions := range readings {
		t.Run(name, func(t *testing.T) {
			f, a := openOf(t, months, definitions)
			carry(t, a, months)
			want := f.drift()
			m := &moving{t, f, a, map[string]int{}}
			m.mu.Lock()
			m.served = func(host string, from int) {
				list := m.list(host)
				if next := from + 50; next < len(list) {
					m.times[host]++
					touched(list, next+m.times[host]*11%(len(list)-next))
				}
			}
			m.mu.Unlock()
			s := m.balance()
			onlyPlanted(t, s, want)
			if n := entries(s, books.Approved); n != months-3 { // three of the drifts are orphans
				t.Errorf("approved are %d, want %d", n, months-3)
			}
		})
	}
}
