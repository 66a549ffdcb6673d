package engine_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// fire is a house of books to which everything happens, as a seed says.
type fire struct {
	*bookHouse
	dice    *rand.Rand
	entries map[string]string // as they are now; "": gone
	backup  []byte
	since   map[string]int // how often each was changed since
	behind  map[string]int // likewise before the last restore, where nobody has told of it again
	did     []string
}

// most is how often an entry may change between a backup and its restore: beyond that nobody looks for its lines.
const most = 4

func (f *fire) say(format string, args ...any) { f.did = append(f.did, fmt.Sprintf(format, args...)) }

// tell changes an entry, or tells of it once more, and lets it be carried; a fault may strike one of its calls.
func (f *fire) tell(id string, change bool) {
	if change {
		f.since[id]++
		f.entries[id] = fmt.Sprintf("%s u%d p%d 2026-03-0%d %d %s", id, 1+f.dice.IntN(2), 1+f.dice.IntN(2), 2+f.dice.IntN(2), 600*(1+f.dice.IntN(5)), []string{"approved", "approved", "approved", "open"}[f.dice.IntN(4)])
		if f.dice.IntN(8) == 0 {
			f.entries[id] = ""
		}
	}
	f.say("%s: %q", id, f.entries[id])
	delete(f.behind, id)
	if e := f.entries[id]; e != "" {
		f.log(e)
	} else {
		f.gone(id)
	}
	f.carry()
}

// carry drains; a process that was killed is started again.
func (f *fire) carry() {
	for {
		f.drain()
		select {
		case <-f.far.killed:
			f.say("started again")
			f.far.on(nil)
			f.start()
			continue
		default:
		}
		ready, err := f.store.Tenant("t1").Work(f.Context(), store.Filter{State: "ready"})
		if err != nil {
			f.Fatal(err)
		}
		if len(ready) == 0 && !f.answer() {
			return
		}
		f.clock.Add(time.Second) // the flow has a turn again soon
	}
}

// answer lets a person choose that what was invoiced goes with the opposite sign on the next invoice.
func (f *fire) answer() (any bool) {
	for _, x := range f.exceptions() {
		if x.Code == "posting.fixed" {
			f.say("%s: next invoice", x.Key)
			f.choose(x, "next_invoice")
			any = true
		}
	}
	return any
}

// strike lets one or more of the next calls go wrong: the process dies, the answer is lost, it is turned away or fails.
func (f *fire) strike() {
	faults := map[string]int{}
	for range 1 + f.dice.IntN(3) {
		what, when := []int{0, -1, leaveAlone, 503}[f.dice.IntN(4)], "before"
		if what >= -1 && what <= 0 && f.dice.IntN(2) == 0 {
			when = "after"
		}
		faults[fmt.Sprint(f.far.calls+1+f.dice.IntN(12), " ", when)] = what
	}
	f.say("at calls %v", faults)
	f.far.on(func(n int, when string) (int, bool) {
		what, strikes := faults[fmt.Sprint(n, " ", when)]
		return what, strikes
	})
}

func (f *fire) step(restores bool) {
	switch f.dice.IntN(12) {
	case 0:
		state := []string{"posted", "invoiced"}[f.dice.IntN(2)]
		f.say("the lines are %s there", state)
		f.books.mu.Lock()
		for _, l := range f.books.lines {
			l.State = state
		}
		f.books.mu.Unlock()
	case 1:
		f.say("backed up")
		f.backup, f.since = f.house.backup(), maps.Clone(f.behind)
	case 2:
		if restores && f.backup != nil && (len(f.since) == 0 || slices.Max(slices.Collect(maps.Values(f.since))) <= most) {
			f.say("restored")
			f.restore(f.backup)
			f.behind = maps.Clone(f.since)
		}
	default:
		if f.dice.IntN(2) == 0 {
			f.strike()
		}
		f.tell(fmt.Sprint("e", 1+f.dice.IntN(3)), true)
		f.far.on(nil)
	}
}

// TestBooksUnderFire: whatever happens, in the end the books over there say of each day and project what the entries do,
// and so do the sums.
func TestBooksUnderFire(t *testing.T) {
	seeds := 30
	if n, err := strconv.Atoi(os.Getenv("FIRE_SEEDS")); err == nil {
		seeds = n
	}
	first := 1
	if n, err := strconv.Atoi(os.Getenv("FIRE_SEED")); err == nil {
		first, seeds = n, 1
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			f := &fire{bookHouse: newBooks(t), dice: rand.New(rand.NewPCG(uint64(seed), 7)), entries: map[string]string{}, since: map[string]int{}, behind: map[string]int{}}
			f.books.projects["P1"]["budget"] = 100000
			f.books.projects["P2"] = map[string]any{"id": "P2", "name": "Beta", "budget": 100000}
			f.knows("p2", "P2")
			for range 24 {
				f.step(seed%2 == 0)
			}
			for _, id := range slices.Sorted(maps.Keys(f.entries)) {
				f.tell(id, false)
			}
			f.judge()
		})
	}
}

func (f *fire) judge() {
	f.Helper()
	want, there, days := map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range f.entries {
		if p := strings.Fields(e); e != "" && p[5] == "approved" {
			seconds, _ := strconv.Atoi(p[4])
			want[strings.ToUpper(p[2])+" "+p[3]] += seconds
			days[p[1]+" "+p[3]] += seconds
		}
	}
	for _, list := range []map[string]*line{f.books.lines, f.books.reversals} {
		for _, l := range list {
			there[l.Project+" "+l.Day] += l.Seconds
		}
	}
	maps.DeleteFunc(there, func(_ string, n int) bool { return n == 0 })
	if open := f.exceptions(); !maps.Equal(want, there) || len(open) > 0 {
		f.Errorf("there stand %v, want %v; %q, exceptions %+v\n%s", there, want, f.books.standing(), open, strings.Join(f.did, "\n"))
	}
	for _, user := range []string{"u1", "u2"} {
		for _, day := range []string{"2026-03-02", "2026-03-03"} {
			if sum := f.tally("day", string(hub.RecordIDFor("t1", "time", "user", user))+day); sum.Seconds != int64(days[user+" "+day]) {
				f.Errorf("%s %s: the tally is %d s, want %d\n%s", user, day, sum.Seconds, days[user+" "+day], strings.Join(f.did, "\n"))
			}
		}
	}
}
