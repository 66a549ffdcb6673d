package books

import (
	"fmt"
	"slices"
	"strings"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// Column is where in the statement something counts.
type Column int

// The columns. For each project and currency: approved = in the ERP + waiting + in exception + refused +
// decided + rounding + unexplained. Not ours stands beside that.
const (
	Approved Column = iota
	InERP
	Waiting
	InException
	Refused
	Decided
	Rounding
	Unexplained
	NotOurs
	columns
)

// Part is what a case adds to a column.
type Part struct {
	Column  Column
	Why     string // the exception's code, the reason of a refusal
	Project hub.RecordID
	Entries int
	Seconds int64
	Amount  exact.Money
}

// What is found where a case is not explained.
const (
	Missing    = "missing"     // posted, but not in the ERP any more
	Altered    = "altered"     // the ERP's record says something else than was sent
	Duplicate  = "duplicate"   // the ERP has a further record with our marker
	Stray      = "stray"       // a record of ours stands in the period that it was not sent for
	Unknown    = "unknown"     // it bears a marker like ours that our ledger does not know
	NotCarried = "not_carried" // approved, and nothing was made of it
	NotNoticed = "not_noticed" // changed since it was posted, and nothing was made of that
	Orphan     = "orphan"      // stands in the ERP, but is not approved any more, or gone
	Unreadable = "unreadable"  // cannot be read, so nobody knows what it says
)

// Finding is something that nobody has explained.
type Finding struct {
	Flow    hub.DeploymentID
	Entry   string // the record's key in the time tracker, or our own id where it is not known there
	There   string // the ERP's id
	What    string
	Says    string // for people
	Project hub.RecordID
	Date    exact.Date
	Seconds int64
	Amount  exact.Money
}

// Verdict is what became of a case.
type Verdict struct {
	Open     bool // it does not simply balance: look up why, then judge again
	Parts    []Part
	Findings []Finding
}

// judgement is a case being judged.
type judgement struct {
	*Case
	period Period
	stands *Line // what is posted and not taken back
	left   bool  // by a person's decision, though the entry has changed
	moving bool  // a line is being sent
	Verdict
}

// Judge says where a case counts, and what of it is not explained.
func Judge(c *Case, p Period) Verdict {
	j := &judgement{Case: c, period: p}
	j.stands, j.left = c.left()
	j.moving = slices.ContainsFunc(c.Lines, func(l Line) bool { return l.State == store.Sending })
	j.farSide()
	j.source()
	return j.Verdict
}

// farSide holds the lines against what stands in the ERP.
func (j *judgement) farSide() {
	for i := range j.Lines {
		l := &j.Lines[i]
		if !j.expects(l) {
			continue
		}
		sent := worth(&l.Sent, l)
		switch {
		case l.Met:
			j.add(InERP, "", 1, sent)
		case l.Found == nil:
			j.apart(Missing, l.There, "It was posted, but the ERP does not have it any more.", &l.Sent, sent)
		case l.Found.Unreadable != "":
			j.add(InERP, "", 1, sent) // what it says is not known: only the finding tells
			j.apart(Unreadable, l.There, "The ERP's record cannot be read: "+l.Found.Unreadable, &l.Sent)
		default:
			j.altered(l, sent)
		}
	}
	for i := range j.Extra {
		j.further(&j.Extra[i])
	}
}

func (j *judgement) altered(l *Line, sent Part) {
	row := &l.Found.Facts
	says := "In the ERP it says something else than was sent: " + strings.Join(differ(&l.Sent, row), ", ") + "."
	if !j.period.Has(row.Date) && !row.Date.IsZero() {
		j.apart(Altered, l.There, says+" It stands on "+row.Date.String()+" there, outside the period.", row, sent)
		return
	}
	there := worth(row, l)
	if there.Project == "" {
		there.Project = sent.Project
	}
	j.add(InERP, "", 1, there)
	j.apart(Altered, l.There, says, row, sent, less(there))
}

// further judges a record with the marker of a line that is known by another id, or by none.
func (j *judgement) further(r *Row) {
	i := slices.IndexFunc(j.Lines, func(l Line) bool { return l.ID.Marker() == r.Marker })

	l := &j.Lines[i]
	there := worth(&r.Facts, l)
	if there.Project == "" {
		there.Project = l.Sent.Project
	}
	says := "The ERP has a further record with the same marker."
	if !j.expects(l) {
		says = "The ERP has a record of what was taken back, or never came to be."
	}
	j.add(InERP, "", 1, there)
	j.apart(Duplicate, r.ID, says, &r.Facts, less(there))
}

// apart is a difference between our ledger and the ERP: explained only while a line is on its way.
func (j *judgement) apart(what, there, says string, about *Facts, parts ...Part) {
	column, why, explained := j.reason()
	if explained && column == Waiting && (j.moving || j.Why.Ran) || explained && column == InException && j.moving {
		for _, p := range parts {
			j.add(column, why, 0, p)
		}
		return
	}
	j.finding(what, there, says, about, parts...)
}

func (j *judgement) finding(what, there, says string, about *Facts, parts ...Part) {
	j.Open = true
	for _, p := range parts {
		j.add(Unexplained, what, 0, p)
	}
	f := Finding{There: there, What: what, Says: says, Project: about.Project, Date: about.Date, Seconds: about.Seconds, Amount: about.Amount}
	if j.Entry != nil {
		f.Entry = j.Entry.Vendor
	}
	if f.Amount.Currency == "" && len(parts) > 0 {
		f.Amount = parts[0].Amount
	}
	j.Findings = append(j.Findings, f)
}

// source holds the entry, as it is now, against what our ledger says is posted.
func (j *judgement) source() {
	approved := j.Entry != nil && j.Entry.Approved
	switch {
	case j.Broken != "":
		j.broken()
	case approved && j.stands != nil && j.stands.Content == j.Entry.Content:
		j.same()
	case approved && j.left:
		mine := j.mine()
		j.add(Approved, "", 1, mine)
		j.both(Decided, "kept", mine)
	case approved:
		mine := j.mine()
		j.add(Approved, "", 1, mine)
		j.explain(mine)
	case j.left:
		j.both(Decided, "kept")
	case j.stands != nil:
		j.explain()
	}
}

// broken is an entry that cannot be read: what it says is not known, so what stands is all that counts.
func (j *judgement) broken() {
	j.Open = true
	column, why, ok := j.reason()
	if ok {
		j.both(column, why)
		return
	}
	var parts []Part
	about := &Facts{}
	if j.stands != nil {
		about, parts = &j.stands.Sent, []Part{less(worth(&j.stands.Sent, j.stands))}
	}
	j.finding(Unreadable, "", "The time tracker's record cannot be read: "+j.Broken, about, parts...)
}

// same is an entry that stands as it is: what differs is rounding.
func (j *judgement) same() {
	mine, sent := j.mine(), worth(&j.stands.Sent, j.stands)
	j.add(Approved, "", 1, mine)
	rest := mine
	rest.Seconds -= sent.Seconds
	rest.Amount.Amount = rest.Amount.Amount.Sub(sent.Amount.Amount)
	if rest.Seconds != 0 || !rest.Amount.Amount.IsZero() {
		j.add(Rounding, "", 1, rest)
	}
}

// both counts what is approved and, with the opposite sign, what stands, where they are not the same.
func (j *judgement) both(column Column, why string, approved ...Part) {
	n := 1
	for _, p := range approved {
		j.add(column, why, n, p)
		n = 0
	}
	if j.stands != nil {
		j.add(column, why, n, less(worth(&j.stands.Sent, j.stands)))
	}
}

// explain counts an entry that does not stand as it is now under the reason for that.
func (j *judgement) explain(approved ...Part) {
	j.Open = true
	if column, why, ok := j.reason(); ok {
		j.both(column, why, approved...)
		return
	}
	parts := approved
	if j.stands != nil {
		parts = append(parts, less(worth(&j.stands.Sent, j.stands)))
	}
	switch {
	case j.stands == nil:
		j.finding(NotCarried, "", "It is approved, but nothing was made of it and nothing says why.", &j.Entry.Facts, parts...)
	case len(approved) > 0:
		j.finding(NotNoticed, j.stands.There, "It was changed after it had been posted, and nothing was made of that.", &j.Entry.Facts, parts...)
	case j.Entry == nil && j.Hidden:
		j.finding(Orphan, j.stands.There, "It stands in the ERP, but is not in the time tracker any more, unless it is a row there that does not say whose it is.", &j.stands.Sent, parts...)
	case j.Entry == nil:
		j.finding(Orphan, j.stands.There, "It stands in the ERP, but is not in the time tracker any more.", &j.stands.Sent, parts...)
	default:
		j.finding(Orphan, j.stands.There, "It stands in the ERP, but is not approved any more, or not for this period.", &j.stands.Sent, parts...)
	}
}

// reason is why an entry is not, or not yet, as it should be.
func (j *judgement) reason() (c Column, why string, ok bool) {
	w := j.Why
	if w == nil {
		return 0, "", false
	}
	open := w.Exception != nil && w.Exception.State == "open"
	switch w.State {
	case hub.Ready, hub.Running, hub.Later, hub.Waiting:
		return Waiting, w.Reason, true
	case hub.Stopped:
		if open {
			return InException, w.Exception.Code, true
		}
		if w.Exception != nil {
			return Refused, refusal(w.Exception), true
		}
	}
	switch {
	case w.Left:
		return Decided, "kept", true
	case w.Ran || w.Unseen:
		return Waiting, "It has just been changed.", true
	case w.Early:
		return Refused, "From before the flow's beginning.", true
	}
	return 0, "", false
}

// refusal is why a person has left an entry as it is.
func refusal(e *store.Exception) string {
	_, reason, ok := strings.Cut(e.Resolution, ": ")
	if !ok || reason == "" {
		return e.State
	}
	return reason
}

// mine is what the entry is about: its own hours, and the money that its line says, or that the flow
// thought it worth; an expense says its money itself.
func (j *judgement) mine() Part {
	e := j.Entry
	p := Part{Project: e.Project, Seconds: e.Seconds}
	switch {
	case !e.Timed:
		p.Amount = e.Amount
	case j.stands != nil && j.stands.Content == e.Content:
		p.Amount = j.stands.Sent.Amount
	case j.Why != nil && j.Why.Amount.Currency != "":
		p.Amount = j.Why.Amount
	case j.stands != nil:
		p.Amount = share(j.stands.Sent.Amount, e.Seconds, j.stands.Sent.Seconds)
	}
	return p
}

func (j *judgement) add(c Column, why string, entries int, p Part) {
	p.Column, p.Why, p.Entries = c, why, entries
	j.Parts = append(j.Parts, p)
}

// worth is what a record is about. An ERP's record of hours names no money: then it is the line's share.
func worth(f *Facts, l *Line) Part {
	p := Part{Project: f.Project, Seconds: f.Seconds, Amount: f.Amount}
	if !f.Timed {
		p.Seconds = l.Sent.Seconds
	}
	if p.Amount.Currency == "" && l.Sent.Amount.Currency != "" {
		p.Amount = share(l.Sent.Amount, p.Seconds, l.Sent.Seconds)
	}
	return p
}

// share is the money for some of the hours.
func share(m exact.Money, part, whole int64) exact.Money {
	if part == whole || m.Currency == "" || whole == 0 {
		return m
	}
	all, err := m.Amount.Mul(exact.NewDecimal(part)).Div(exact.NewDecimal(whole), exact.MinorUnits(m.Currency), exact.HalfEven)
	if err != nil {
		panic(fmt.Sprintf("%s for %d of %d seconds: %v", m, part, whole, err)) // whole is not nought
	}
	return exact.Money{Amount: all, Currency: m.Currency}
}

func less(p Part) Part {
	p.Seconds, p.Amount = -p.Seconds, p.Amount.Neg()
	return p
}
