// Package books tells whether a customer's period balances (N1): what is approved in the time tracker
// against what stands in the ERP, down to the entry, with a reason for every difference. It reads both
// far sides as they are now and holds our own ledger against them; it never believes the ledger alone.
//
// Judging (judge.go) and summing (statement.go) are pure. Reading is apart: the ledger (ledger.go), the
// time tracker (tracker.go) and the ERP (erp.go), their lists until they are at rest (list.go), and what looks
// unexplained once more (anew.go). Nothing here changes anything, anywhere.
package books

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// Period is the business days from one to the other, both included.
type Period struct{ From, To exact.Date }

// ParsePeriod reads a month, "2026-11", or two days, "2026-11-02..2026-11-08".
func ParsePeriod(s string) (Period, error) {
	wrong := &hub.Error{Kind: hub.Invalid, Code: "books.period", Field: "period", Message: fmt.Sprintf("%q is no period.", s), Hint: "Write a month (2026-11), or two days (2026-11-02..2026-11-08)."}
	if from, to, ok := strings.Cut(s, ".."); ok {
		p, err := Period{}, error(nil)
		if p.From, err = exact.ParseDate(from); err == nil {
			p.To, err = exact.ParseDate(to)
		}
		if err != nil || p.To.Compare(p.From) < 0 {
			return Period{}, wrong
		}
		return p, nil
	}
	first, err := time.Parse("2006-01", s)
	if err != nil {
		return Period{}, wrong
	}
	return Period{exact.DateOf(first, time.UTC), exact.DateOf(first.AddDate(0, 1, -1), time.UTC)}, nil
}

// Has reports whether a day lies in the period.
func (p Period) Has(d exact.Date) bool { return p.From.Compare(d) <= 0 && d.Compare(p.To) <= 0 }

// Facts are what can be compared between an entry, the line that was sent of it, and the ERP's record.
// What is not told there is zero.
type Facts struct {
	Employee, Project, Task hub.RecordID
	Amount                  exact.Money
	Seconds                 int64
	Date                    exact.Date
	Timed                   bool // it has seconds
	Billable                flag
}

// flag is a yes or no that may be missing.
type flag int8

const (
	yes flag = 1
	no  flag = -1
)

// differ names what two records say differently. What one of them does not tell is no difference.
func differ(a, b *Facts) (list []string) {
	ref := func(name string, a, b hub.RecordID) {
		if a != b && a != "" && b != "" {
			list = append(list, name)
		}
	}
	ref("employee", a.Employee, b.Employee)
	ref("project", a.Project, b.Project)
	ref("task", a.Task, b.Task)
	if a.Date != b.Date && !a.Date.IsZero() && !b.Date.IsZero() {
		list = append(list, "date")
	}
	if a.Seconds != b.Seconds && a.Timed && b.Timed {
		list = append(list, "seconds")
	}
	if a.Amount != b.Amount && a.Amount.Currency != "" && b.Amount.Currency != "" {
		list = append(list, "amount")
	}
	if a.Billable != b.Billable && a.Billable != 0 && b.Billable != 0 {
		list = append(list, "billable")
	}
	return list
}

// Entry is a record of the time tracker as it is there now.
type Entry struct {
	Vendor   string // its id there
	Version  int64
	Content  string // of the fields by which what is posted stands
	Wanted   bool   // by the flow's trigger
	Approved bool   // wanted, and in the period
	look     int    // the reading that showed it
	Facts
}

// Line is one line of what our ledger says was brought into the ERP.
type Line struct {
	ID, Reverses hub.RecordID
	N            int64
	State        store.PostingState
	Type         string
	There        string // the ERP's id; "" where it knows it no longer, or not yet
	Content      string
	Sent         Facts
	Met          bool // a record that says the same was found there
	Found        *Row // what was found there, where it says something else
}

// Row is a record of the ERP.
type Row struct {
	Type       string
	ID         string
	Marker     string
	Unreadable string // why it cannot be read
	Facts
}

// Case is one entry with all that is known about it.
type Case struct {
	ID    hub.RecordID
	Entry *Entry // nil: the time tracker has none, any more
	Lines []Line // by number
	Extra []Row  // further records of the ERP that bear the marker of one of the lines
	Why   *Why   // nil: not looked up yet

	Broken string // why the time tracker's record cannot be read
	Moved  bool   // of two looks at the time tracker, the second one saw another form of it, or none
	Hidden bool   // a row of the time tracker does not say whose it is, and may be this one
	told   bool   // it is in the statement
}

// back finds the line that takes another one back.
func (c *Case) back(id hub.RecordID) *Line {
	i := slices.IndexFunc(c.Lines, func(l Line) bool { return l.State == store.Posted && l.Reverses == id })
	if i < 0 {
		return nil
	}
	return &c.Lines[i]
}

// expects reports whether the ERP has to have a record of the line. What was taken back there by
// deleting it, or credited by a person, has none that counts; what takes back has one where it was written.
func (c *Case) expects(l *Line) bool {
	if l.State != store.Posted {
		return false
	}
	if l.Reverses != "" {
		return l.There != ""
	}
	back := c.back(l.ID)
	return back == nil || back.There != ""
}

// stands is the line that is posted and not taken back, or nil; kept is the content that a person has
// decided it may stand by.
func (c *Case) stands() (line *Line, kept string) {
	for i := range c.Lines {
		l := &c.Lines[i]
		switch {
		case l.State == store.Kept:
			kept = l.Content
		case l.State == store.Posted && l.Reverses == "":
			line, kept = l, ""
		case l.State == store.Posted && line != nil && l.Reverses == line.ID:
			line, kept = nil, ""
		}
	}
	return line, kept
}

// left reports whether a person has decided that what stands stays though the entry is as it is now.
func (c *Case) left() (line *Line, left bool) {
	line, kept := c.stands()
	now := workflow.Withdrawn
	if c.Entry != nil && c.Entry.Wanted {
		now = c.Entry.Content
	}
	return line, line != nil && kept == now
}

// Why is what our ledger knows of an entry that does not simply balance.
type Why struct {
	State     hub.WorkState // of its row of work; "": there is none
	Reason    string
	Exception *store.Exception // the last one; nil: never
	Early     bool             // from before the flow's beginning, and never looked at
	Ran       bool             // a run of it ended while the books were read
	Left      bool             // a person has decided that what stands of it in another period stays
	Unseen    bool             // it changed since the last poll, or while the books were read
	Amount    exact.Money      // what the flow thought it worth
}
