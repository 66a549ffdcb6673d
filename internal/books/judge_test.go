package books

import (
	"slices"
	"strings"
	"testing"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
)

const (
	alder = hub.RecordID("rec_alder")
	birch = hub.RecordID("rec_birch")
)

var november = period("2026-11")

func period(s string) Period {
	p, err := ParsePeriod(s)
	if err != nil {
		panic(err)
	}
	return p
}

func day(s string) exact.Date {
	d, err := exact.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func eur(s string) exact.Money { return exact.Money{Amount: exact.MustDecimal(s), Currency: "EUR"} }

// work is eight hours of Ana's on Alder, at 100 EUR.
func work(change ...func(*Facts)) Facts {
	f := Facts{Employee: "rec_ana", Project: alder, Task: "rec_task", Date: day("2026-11-03"), Seconds: 28800, Timed: true, Billable: yes}
	for _, c := range change {
		c(&f)
	}
	return f
}

func hours(n int64) func(*Facts) { return func(f *Facts) { f.Seconds = n * 3600 } }

func on(p hub.RecordID) func(*Facts) { return func(f *Facts) { f.Project = p } }

func priced(s string) func(*Facts) { return func(f *Facts) { f.Amount = eur(s) } }

func entry(content string, change ...func(*Facts)) *Entry {
	return &Entry{Vendor: "e1", Content: content, Wanted: true, Approved: true, Facts: work(change...)}
}

// later is an entry that counts, on a day of the month after.
func later(content string) *Entry {
	e := entry(content, func(f *Facts) { f.Date = day("2026-12-01") })
	e.Approved = false
	return e
}

// line is a posted line that was found in the ERP as it was sent.
func line(n int64, id, reverses hub.RecordID, there string, change ...func(*Facts)) Line {
	return Line{ID: id, Reverses: reverses, N: n, State: store.Posted, Type: "time_entry", There: there, Content: "a", Sent: work(append([]func(*Facts){priced("800")}, change...)...), Met: there != ""}
}

const (
	first  = hub.RecordID("rec_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	second = hub.RecordID("rec_aaaaaaaaaabbbbbbbbbbbbbbbb")
	third  = hub.RecordID("rec_aaaaaaaaaacccccccccccccccc")
)

func not(l Line, change func(*Line)) Line {
	l.Met = false
	change(&l)
	return l
}

func says(change ...func(*Facts)) func(*Line) {
	return func(l *Line) { l.Found = &Row{Type: l.Type, ID: l.There, Facts: work(change...)} }
}

func gone(*Line) {}

func sending(l Line) Line {
	l.State, l.Met = store.Sending, false
	return l
}

func keptLine(content string) Line {
	return Line{ID: third, N: 2, State: store.Kept, Type: "time_entry", Content: content, Sent: work(priced("800"))}
}

func stopped(code string) *Why {
	return &Why{State: hub.Stopped, Exception: &store.Exception{State: "open", Code: code}, Amount: eur("800")}
}

var idle = &Why{State: hub.Idle}

// TestJudge: each case says where its hours count (in the order of the columns) and what is found.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name  string
		c     Case
		hours string // column hours, for each that is not nought: A approved, E in ERP, W, X exception, R refused, D decided, r rounding, U unexplained
		money string
		finds string
	}{
		{"it stands as it is", Case{Entry: entry("a"), Lines: []Line{line(1, first, "", "t1")}}, "A8 E8", "A800 E800", ""},
		{"what was rounded is told", Case{Entry: entry("a", func(f *Facts) { f.Seconds = 28800 + 3600 }), Lines: []Line{line(1, first, "", "t1")}}, "A9 E8 r1", "A800 E800", ""},
		{"it waits", Case{Entry: entry("a"), Why: &Why{State: hub.Waiting, Reason: "Waits.", Amount: eur("800")}}, "A8 W8", "A800 W800", ""},
		{"a person is asked", Case{Entry: entry("a"), Why: stopped("rule.rate_found")}, "A8 X8", "A800 X800", ""},
		{"a person left it out", Case{Entry: entry("a"), Why: &Why{State: hub.Stopped, Exception: &store.Exception{State: "ignored", Resolution: "ignore: goodwill"}}}, "A8 R8", "", ""},
		{"from before the flow", Case{Entry: entry("a"), Why: &Why{Early: true}}, "A8 R8", "", ""},
		{"it was just changed", Case{Entry: entry("a"), Why: &Why{State: hub.Idle, Unseen: true}}, "A8 W8", "", ""},
		{"just changed, which explains nothing in the ERP", Case{Entry: entry("b", hours(6)), Lines: []Line{not(line(1, first, "", "t1"), gone)}, Why: &Why{State: hub.Idle, Unseen: true}}, "A6 W-2 U8", "A600 W-200 U800", Missing},
		{"taken back while the books were read", Case{Lines: []Line{not(line(1, first, "", "t1"), gone)}, Why: &Why{State: hub.Idle, Ran: true}}, "", "", ""},
		{"nothing was made of it", Case{Entry: entry("a"), Why: &Why{}}, "A8 U8", "", NotCarried},
		{"parked, but nobody is asked", Case{Entry: entry("a"), Why: &Why{State: hub.Stopped}}, "A8 U8", "", NotCarried},
		{"deleted there", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), gone)}, Why: idle}, "A8 U8", "A800 U800", Missing},
		{"hours altered there", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), says(hours(5)))}, Why: idle}, "A8 E5 U3", "A800 E500 U300", Altered},
		{"on another project there", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), says(on(birch)))}, Why: idle}, "A8 E8", "A800 E800", Altered},
		{"another person's there", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), says(func(f *Facts) { f.Employee = "rec_bo" }))}, Why: idle}, "A8 E8", "A800 E800", Altered},
		{"moved out of the period there", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), says(func(f *Facts) { f.Date = day("2026-12-01") }))}, Why: idle}, "A8 U8", "A800 U800", Altered},
		{"it cannot be read there", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), func(l *Line) { l.Found = &Row{Unreadable: "no date"} })}, Why: idle}, "A8 E8", "A800 E800", Unreadable},
		{"twice there", Case{Entry: entry("a"), Lines: []Line{line(1, first, "", "t1")}, Extra: []Row{{Type: "time_entry", ID: "t2", Marker: first.Marker(), Facts: work()}}, Why: idle}, "A8 E16 U-8", "A800 E1600 U-800", Duplicate},
		{"not approved any more", Case{Entry: &Entry{Facts: work()}, Lines: []Line{line(1, first, "", "t1")}, Why: idle}, "E8 U-8", "E800 U-800", Orphan},
		{"gone, and noticed", Case{Lines: []Line{line(1, first, "", "t1")}, Why: &Why{State: hub.Ready}}, "E8 W-8", "E800 W-800", ""},
		{"gone, and not noticed", Case{Lines: []Line{line(1, first, "", "t1")}, Why: idle}, "E8 U-8", "E800 U-800", Orphan},
		{"changed, and noticed", Case{Entry: entry("b", hours(6)), Lines: []Line{line(1, first, "", "t1")}, Why: &Why{State: hub.Running}}, "A6 E8 W-2", "A600 E800 W-200", ""},
		{"changed after it was billed: a person is asked", Case{Entry: entry("b", hours(6)), Lines: []Line{line(1, first, "", "t1")}, Why: &Why{State: hub.Stopped, Exception: &store.Exception{State: "open", Code: "posting.fixed"}}}, "A6 E8 X-2", "A600 E800 X-200", ""},
		{"changed, and not noticed", Case{Entry: entry("b", hours(6)), Lines: []Line{line(1, first, "", "t1")}, Why: idle}, "A6 E8 U-2", "A600 E800 U-200", NotNoticed},
		{"changed, and left by a person", Case{Entry: entry("b", hours(6)), Lines: []Line{line(1, first, "", "t1"), keptLine("b")}}, "A6 E8 D-2", "A600 E800 D-200", ""},
		{"moved to the next month, and left by a person", Case{Entry: later("b"), Lines: []Line{line(1, first, "", "t1"), keptLine("b")}}, "E8 D-8", "E800 D-800", ""},
		{"moved here from the month before, and left by a person there", Case{Entry: entry("b"), Why: &Why{State: hub.Idle, Left: true}}, "A8 D8", "", ""},
		{"left as withdrawn, then counts in the next month unnoticed", Case{Entry: later("b"), Lines: []Line{line(1, first, "", "t1"), keptLine("withdrawn")}, Why: idle}, "E8 U-8", "E800 U-800", Orphan},
		{"withdrawn, and left by a person", Case{Lines: []Line{line(1, first, "", "t1"), keptLine("withdrawn")}}, "E8 D-8", "E800 D-800", ""},
		{"left by a person, then withdrawn unnoticed", Case{Lines: []Line{line(1, first, "", "t1"), keptLine("b")}, Why: idle}, "E8 U-8", "E800 U-800", Orphan},
		{"taken back by deleting, and posted anew", Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", ""), gone), line(2, second, first, ""), line(3, third, "", "t3")}}, "A8 E8", "A800 E800", ""},
		{"taken back by a record with the opposite sign", Case{Lines: []Line{line(1, first, "", "t1"), line(2, second, first, "t2", hours(-8), priced("-800"))}}, "", "", ""},
		{"what took back is gone there", Case{Lines: []Line{line(1, first, "", "t1"), not(line(2, second, first, "t2", hours(-8), priced("-800")), gone)}, Why: idle}, "E8 U-8", "E800 U-800", Missing},
		{"credited by a person there", Case{Lines: []Line{line(1, first, "", "t1"), line(2, second, first, "")}}, "", "", ""},
		{"taken back, but stands there", Case{Lines: []Line{not(line(1, first, "", ""), gone), line(2, second, first, "")}, Extra: []Row{{Type: "time_entry", ID: "t9", Marker: first.Marker(), Facts: work()}}, Why: idle}, "E8 U-8", "E800 U-800", Duplicate},
		{"being sent, and there already", Case{Entry: entry("a"), Lines: []Line{sending(line(1, first, "", ""))}, Extra: []Row{{Type: "time_entry", ID: "t1", Marker: first.Marker(), Facts: work()}}, Why: &Why{State: hub.Running, Amount: eur("800")}}, "A8 E8", "A800 E800", ""},
		{"being taken back, and gone already", Case{Lines: []Line{not(line(1, first, "", "t1"), gone), sending(line(2, second, first, ""))}, Why: &Why{State: hub.Running}}, "", "", ""},
		{"it cannot be read, and a person is asked", Case{Broken: "no day", Why: stopped("record.invalid")}, "", "", ""},
		{"it cannot be read, and nobody knows", Case{Broken: "no day", Why: &Why{}}, "", "", Unreadable},
		{"an expense says its money itself", Case{Entry: &Entry{Content: "a", Approved: true, Facts: Facts{Project: alder, Date: day("2026-11-03"), Amount: eur("84.50")}},
			Lines: []Line{{ID: first, N: 1, State: store.Posted, Type: "expense", There: "r1", Content: "a", Met: true, Sent: Facts{Project: alder, Date: day("2026-11-03"), Amount: eur("84.50")}}}}, "", "A84.5 E84.5", ""},
		{"an expense's amount was altered there", Case{Entry: &Entry{Content: "a", Approved: true, Facts: Facts{Project: alder, Date: day("2026-11-03"), Amount: eur("84.50")}}, Why: idle,
			Lines: []Line{{ID: first, N: 1, State: store.Posted, Type: "expense", There: "r1", Content: "a", Found: &Row{Facts: Facts{Date: day("2026-11-03"), Amount: eur("90")}}, Sent: Facts{Project: alder, Date: day("2026-11-03"), Amount: eur("84.50")}}}}, "", "A84.5 E90 U-5.5", Altered},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Judge(&c.c, november)
			var s Statement
			s.add(v.Parts)
			balances(t, &s)
			seconds, money := told(&s)
			if seconds != c.hours || money != c.money {
				t.Errorf("counts %q, %q; want %q, %q", seconds, money, c.hours, c.money)
			}
			var finds []string
			for _, f := range v.Findings {
				finds = append(finds, f.What)
			}
			if got := strings.Join(finds, " "); got != c.finds {
				t.Errorf("finds %q, want %q", got, c.finds)
			}
			if c.c.Why == nil && v.Open != (c.finds != "") {
				t.Errorf("to be looked up: %v", v.Open)
			}
		})
	}
}

// balances holds the one equation for every row: approved is what all other columns hold together.
func balances(t *testing.T, s *Statement) {
	t.Helper()
	rows := slices.Clone(s.Totals)
	for _, p := range s.Projects {
		rows = append(rows, &p.Total)
	}
	for _, r := range rows {
		left := r.Sums[Approved]
		for _, c := range []Column{InERP, Waiting, InException, Refused, Decided, Rounding, Unexplained} {
			left.Seconds -= r.Sums[c].Seconds
			left.Amount = left.Amount.Sub(r.Sums[c].Amount)
		}
		if left.Seconds != 0 || !left.Amount.IsZero() {
			t.Errorf("a row in %q is out by %d s and %s", r.Currency, left.Seconds, left.Amount)
		}
	}
}

// told is what stands in the columns, all currencies and projects together.
func told(s *Statement) (hours, money string) {
	var h, m []string
	for c, letter := range []string{"A", "E", "W", "X", "R", "D", "r", "U"} {
		sum := Sum{}
		for _, t := range s.Totals {
			sum.Seconds += t.Sums[c].Seconds
			sum.Amount = sum.Amount.Add(t.Sums[c].Amount)
		}
		if sum.Seconds != 0 {
			h = append(h, letter+exact.Seconds(sum.Seconds).Hours(2, exact.HalfEven).String())
		}
		if !sum.Amount.IsZero() {
			m = append(m, letter+sum.Amount.String())
		}
	}
	return strings.Join(h, " "), strings.Join(m, " ")
}

func TestOnAnotherProjectShowsInBoth(t *testing.T) {
	var s Statement
	s.add(Judge(&Case{Entry: entry("a"), Lines: []Line{not(line(1, first, "", "t1"), says(on(birch)))}, Why: idle}, november).Parts)
	for project, want := range map[hub.RecordID]int64{alder: 28800, birch: -28800} {
		if got := s.project(projectKey{project, "EUR"}).Sums[Unexplained].Seconds; got != want {
			t.Errorf("%s has %d unexplained, want %d", project, got, want)
		}
	}
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct{ text, from, to string }{
		{"2026-11", "2026-11-01", "2026-11-30"},
		{"2028-02", "2028-02-01", "2028-02-29"},
		{"2026-11-02..2026-11-08", "2026-11-02", "2026-11-08"},
		{"2026-11-02..2026-11-02", "2026-11-02", "2026-11-02"},
		{"2026-11-08..2026-11-02", "", ""},
		{"2026-13", "", ""},
		{"november", "", ""},
		{"", "", ""},
	} {
		p, err := ParsePeriod(c.text)
		if c.from == "" {
			if e := hub.AsError(err); e == nil || e.Code != "books.period" {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		if err != nil || p != (Period{day(c.from), day(c.to)}) {
			t.Errorf("%q is %v (%v)", c.text, p, err)
		}
	}
}
