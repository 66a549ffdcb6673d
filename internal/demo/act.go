package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/simulator"
)

// act is one thing that people do; one of its fields is set.
type act struct {
	Log    *sheet     // hours, in the time tracker
	Spend  *spending  // an expense, in the time tracker
	Submit *span      // weeks that are handed in and approved
	Reopen *span      // weeks whose approval is taken back
	Change *change    // work that is corrected: its week is opened, and approved again
	Delete string     // the work with this note
	Tasks  *tasking   // a task, in the time tracker
	Mend   *mending   // the same for the records of all open exceptions with a code
	At     *atFarSide // something in a far side

	Release []string // in the ERP: the entries with these notes; "*" is all of them
	Bill    []string // in the ERP: what came of the entries with these notes is on an invoice
	Credit  string   // in the ERP: by a person, what came of the entry with this note

	Retry, Approve string // all open exceptions with this code
	Ignore         *ignoring
	Choose         *choice
	Amend          *amendment
	Link           *linking
	LookAgain      string // what waits for something of this name, such as "employee"
}

// tasking is a new task of a project of the tracker.
type tasking struct{ Of, Name string }

type sheet struct {
	Who, On      string
	Weeks, Days  []int
	Hours, Notes []string // one after the other, from the beginning again
}

type spending struct {
	Who, On, Category, Total, Currency, Note string
	Week, Day                                int
}

type span struct {
	Who   string // "*": everybody who has worked
	Weeks []int
}

type change struct {
	Note string
	put
}

// put is what is changed of a piece of work; what is empty stays.
type put struct {
	Hours, On, Text, Total string
	Week, Day              int // with Week set
	Fields                 map[string]any
}

type mending struct {
	Code string
	put
}

// atFarSide is what somebody does in a system, in its own words.
type atFarSide struct {
	In                     string // crm, erp, time
	Insert, Update, Remove string
	Move, Press            string
	Where, Fields          map[string]any
}

func (t *teller) act(ctx context.Context, a act) error {
	switch {
	case a.Log != nil:
		return t.log(a.Log)
	case a.Spend != nil:
		return t.spend(a.Spend)
	case a.Submit != nil:
		return t.each(a.Submit, t.submit)
	case a.Reopen != nil:
		return t.each(a.Reopen, t.reopen)
	case a.Change != nil:
		return t.change(a.Change.Note, a.Change.put)
	case a.Delete != "":
		return t.remove(a.Delete)
	case a.Tasks != nil:
		return t.task(a.Tasks)
	case a.At != nil:
		return t.at(a.At)
	case a.Release != nil:
		return t.release(a.Release)
	case a.Bill != nil:
		return t.bill(a.Bill)
	case a.Credit != "":
		return t.credit(a.Credit)
	}
	return t.resolve(ctx, a)
}

// with is a row's fields and those that every row of the customer's tracker has.
func (t *teller) with(lists ...map[string]any) map[string]any {
	out := maps.Clone(t.Account)
	for _, l := range lists {
		maps.Copy(out, l)
	}
	return out
}

// find is the one row that people mean by a name.
func (t *teller) find(far *Far, n named, name string, of string) (string, error) {
	rows, err := far.Rows(t.Customer, n.Entity)
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.Fields[n.Name] == name && (of == "" || r.Fields[n.Of] == of) {
			return r.ID, nil
		}
	}
	return "", fmt.Errorf("there is no %s %q", n.Entity, name)
}

// place is a project and a task of the tracker, of "Project > Task".
func (t *teller) place(on string) (project, task string, err error) {
	name, of, deep := strings.Cut(on, " > ")
	if on == "" {
		return "", "", nil
	}
	if project, err = t.find(t.Time, t.month.Tracker.Project, name, ""); err != nil || !deep {
		return project, "", err
	}
	task, err = t.find(t.Time, t.month.Tracker.Task, of, project)
	return project, task, err
}

// locate sets the fields of a piece of work that say where it belongs.
func (t *teller) locate(fields map[string]any, on, projectField, taskField string) error {
	project, task, err := t.place(on)
	if project != "" {
		fields[projectField] = project
	}
	if task != "" {
		fields[taskField] = task
	}
	return err
}

func (t *teller) task(k *tasking) error {
	w := t.month.Tracker.Task
	project, err := t.find(t.Time, t.month.Tracker.Project, k.Of, "")
	if err == nil {
		_, err = t.Time.Insert(t.Customer, w.Entity, t.with(map[string]any{w.Of: project, w.Name: k.Name}))
	}
	return err
}

func (t *teller) person(mail string) (string, error) {
	return t.find(t.Time, t.month.Tracker.Person, mail, "")
}

func (t *teller) log(s *sheet) error {
	who, err := t.person(s.Who)
	if err != nil {
		return err
	}
	w, n := t.month.Tracker.Entry, 0
	for _, week := range s.Weeks {
		for _, day := range s.Days {
			fields := t.with(w.Fields, map[string]any{w.Person: who, w.Note: s.Notes[n%len(s.Notes)]})
			if err := t.locate(fields, s.On, w.Project, w.Task); err != nil {
				return err
			}
			if err := t.span(fields, week, day, s.Hours[n%len(s.Hours)]); err != nil {
				return err
			}
			if _, err := t.Time.Insert(t.Customer, w.Entity, fields); err != nil {
				return fmt.Errorf("log %v: %w", fields, err)
			}
			t.mark(who, week)
			n++
		}
	}
	return nil
}

// span sets beginning and end of an entry: in the morning of the day, for so long.
func (t *teller) span(fields map[string]any, week, day int, hours string) error {
	d, err := t.month.day(week, day)
	if err != nil {
		return err
	}
	fields[t.month.Tracker.Entry.Start] = d.String() + "T08:00:00Z"
	return t.lasting(fields, hours)
}

func (t *teller) lasting(fields map[string]any, hours string) error {
	w := t.month.Tracker.Entry
	n, err := exact.ParseClock(hours)
	if err != nil {
		return err
	}
	begin, err := time.Parse(time.RFC3339, fmt.Sprint(fields[w.Start]))
	fields[w.End] = begin.Add(time.Duration(n) * time.Second).Format(time.RFC3339)
	return err
}

func (t *teller) mark(who string, week int) {
	if t.wrote[who] == nil {
		t.wrote[who] = map[int]bool{}
	}
	t.wrote[who][week] = true
}

func (t *teller) spend(s *spending) error {
	w := t.month.Tracker.Expense
	who, err := t.person(s.Who)
	if err != nil {
		return err
	}
	category, err := t.find(t.Time, t.month.Tracker.Category, s.Category, "")
	if err != nil {
		return err
	}
	d, err := t.month.day(s.Week, s.Day)
	if err != nil {
		return err
	}
	fields := t.with(w.Fields, map[string]any{w.Person: who, w.Category: category, w.Note: s.Note, w.Date: d.String(), w.Total: s.Total})
	if s.Currency != "" {
		fields[w.Currency] = s.Currency
	}
	if err := t.locate(fields, s.On, w.Project, w.Task); err != nil {
		return err
	}
	t.mark(who, s.Week)
	_, err = t.Time.Insert(t.Customer, w.Entity, fields)
	return err
}

// each does something with the weeks of a person, or of everybody who has worked in them.
func (t *teller) each(s *span, do func(who string, week int) error) error {
	people := slices.Sorted(maps.Keys(t.wrote))
	if s.Who != "*" {
		who, err := t.person(s.Who)
		if err != nil {
			return err
		}
		people = []string{who}
	}
	for _, week := range s.Weeks {
		for _, who := range people {
			if !t.wrote[who][week] {
				continue
			}
			if err := do(who, week); err != nil {
				return err
			}
		}
	}
	return nil
}

// approved is the request under which a person's week is approved; empty: none.
func (t *teller) approved(who string, week int) (string, error) {
	w := t.month.Tracker.Request
	monday, err := t.month.day(week, 0)
	if err != nil {
		return "", err
	}
	rows, err := t.Time.Rows(t.Customer, w.Entity)
	for _, r := range rows {
		if r.Fields[w.Person] == who && r.Fields[w.State] == w.Approved && strings.HasPrefix(instantText(r.Fields[w.Start]), monday.String()) {
			return r.ID, err
		}
	}
	return "", err
}

func instantText(v any) string {
	if at, ok := v.(time.Time); ok {
		return at.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

func (t *teller) submit(who string, week int) error {
	w := t.month.Tracker.Request
	monday, err := t.month.day(week, 0)
	if err != nil {
		return err
	}
	id, err := t.approved(who, week)
	if err != nil || id != "" {
		return err
	}
	if id, err = t.Time.Insert(t.Customer, w.Entity, t.with(map[string]any{w.Person: who, w.Start: monday.String() + "T00:00:00Z"})); err != nil {
		return fmt.Errorf("hand in week %d of %s: %w", week, who, err)
	}
	return t.Time.Update(t.Customer, w.Entity, id, map[string]any{w.State: w.Approved})
}

func (t *teller) reopen(who string, week int) error {
	w := t.month.Tracker.Request
	id, err := t.approved(who, week)
	if err != nil || id == "" {
		return err
	}
	return t.Time.Update(t.Customer, w.Entity, id, map[string]any{w.State: w.Withdrawn})
}

// work is an entry or an expense of the tracker.
type work struct {
	simulator.Row
	entity, who string
	week        int
}

// worked finds work by its note, or by its id.
func (t *teller) worked(note, id string) ([]work, error) {
	tr := t.month.Tracker
	var out []work
	for _, k := range []struct{ entity, person, note, date string }{
		{tr.Entry.Entity, tr.Entry.Person, tr.Entry.Note, tr.Entry.Start}, {tr.Expense.Entity, tr.Expense.Person, tr.Expense.Note, tr.Expense.Date},
	} {
		rows, err := t.Time.Rows(t.Customer, k.entity)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if id != "" && r.ID != id || id == "" && r.Fields[k.note] != note {
				continue
			}
			week, err := t.month.weekOf(instantText(r.Fields[k.date])[:10])
			if err != nil {
				return nil, err
			}
			out = append(out, work{r, k.entity, fmt.Sprint(r.Fields[k.person]), week})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no work %q %s", note, id)
	}
	return out, nil
}

func (t *teller) change(note string, p put) error {
	list, err := t.worked(note, "")
	if err != nil {
		return err
	}
	return t.changeAll(list, p)
}

// changeAll opens the weeks of pieces of work, changes them, and has the weeks approved again.
func (t *teller) changeAll(list []work, p put) error {
	weeks := map[string]map[int]bool{}
	for _, w := range list {
		for _, week := range []int{w.week, p.Week} {
			if week == 0 && p.Week == 0 && week != w.week {
				continue
			}
			if weeks[w.who] == nil {
				weeks[w.who] = map[int]bool{}
			}
			weeks[w.who][week] = true
		}
	}
	visit := func(do func(string, int) error) error {
		for _, who := range slices.Sorted(maps.Keys(weeks)) {
			for _, week := range slices.Sorted(maps.Keys(weeks[who])) {
				if err := do(who, week); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := visit(t.reopen); err != nil {
		return err
	}
	for _, w := range list {
		if err := t.put(w, p); err != nil {
			return fmt.Errorf("change %v: %w", w.Fields, err)
		}
	}
	return visit(func(who string, week int) error {
		t.mark(who, week)
		return t.submit(who, week)
	})
}

func (t *teller) put(w work, p put) error {
	e, x := t.month.Tracker.Entry, t.month.Tracker.Expense
	fields := map[string]any{}
	maps.Copy(fields, p.Fields)
	expense := w.entity == x.Entity
	if p.Text != "" {
		fields[e.Note] = p.Text
		if expense {
			delete(fields, e.Note)
			fields[x.Note] = p.Text
		}
	}
	if p.Total != "" {
		fields[x.Total] = p.Total
	}
	if err := t.locate(fields, p.On, e.Project, e.Task); err != nil {
		return err
	}
	if !expense && (p.Hours != "" || p.Week != 0) {
		if err := t.move(fields, w, p); err != nil {
			return err
		}
	}
	return t.Time.Update(t.Customer, w.entity, w.ID, fields)
}

// move changes how long an entry lasts, and on which day.
func (t *teller) move(fields map[string]any, w work, p put) error {
	e := t.month.Tracker.Entry
	begin, end := instantText(w.Fields[e.Start]), instantText(w.Fields[e.End])
	from, err := time.Parse(time.RFC3339, begin)
	if err != nil {
		return err
	}
	to, err := time.Parse(time.RFC3339, end)
	if err != nil {
		return err
	}
	hours := p.Hours
	if hours == "" {
		hours = exact.Seconds(to.Sub(from) / time.Second).Clock()
	}
	if p.Week != 0 {
		return t.span(fields, p.Week, p.Day, hours)
	}
	fields[e.Start] = begin
	return t.lasting(fields, hours)
}

// remove deletes work; its week is opened first and approved again.
func (t *teller) remove(note string) error {
	list, err := t.worked(note, "")
	if err != nil {
		return err
	}
	for _, w := range list {
		if err := t.reopen(w.who, w.week); err != nil {
			return err
		}
		if err := t.Time.Remove(t.Customer, w.entity, w.ID); err != nil {
			return err
		}
		if err := t.submit(w.who, w.week); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) far(role string) *Far {
	return map[string]*Far{"crm": t.CRM, "erp": t.ERP, "time": t.Time}[role]
}

// at does what somebody does in a far side, to every row that is meant.
func (t *teller) at(a *atFarSide) error {
	far := t.far(a.In)
	if a.Insert != "" {
		fields := maps.Clone(a.Fields)
		if far == t.Time {
			fields = t.with(fields)
		}
		_, err := far.Insert(t.Customer, a.Insert, fields)
		return err
	}
	entity := a.Update + a.Remove + a.Move
	rows, err := t.meant(far, entity, a.Where)
	if err != nil {
		return err
	}
	for _, r := range rows {
		switch {
		case a.Update != "":
			err = far.Update(t.Customer, entity, r.ID, a.Fields)
		case a.Remove != "":
			err = far.Remove(t.Customer, entity, r.ID)
		default:
			err = far.Move(t.Customer, entity, r.ID, a.Press)
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", entity, far.URL, err)
		}
	}
	return nil
}

// meant are the rows with these fields; there is at least one.
func (t *teller) meant(far *Far, entity string, where map[string]any) ([]simulator.Row, error) {
	rows, err := far.Rows(t.Customer, entity)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r simulator.Row) bool {
		for field, v := range where {
			if inside(r.Fields, field) != fmt.Sprint(v) {
				return true
			}
		}
		return false
	})
	if len(rows) == 0 {
		return nil, fmt.Errorf("there is no %s with %v", entity, where)
	}
	return rows, nil
}

// inside reads a field, or one of a nested object: "Contact.Email".
func inside(fields map[string]any, path string) string {
	first, rest, deep := strings.Cut(path, ".")
	if !deep {
		return fmt.Sprint(fields[first])
	}
	nested, _ := fields[first].(map[string]any)
	return inside(nested, rest)
}

// release is what a person does on a form of the ERP: from then on the work is in its books.
func (t *teller) release(notes []string) error {
	for _, k := range []struct{ entity, note, state, released string }{
		{t.month.ERP.Entry.Entity, t.month.ERP.Entry.Note, t.month.ERP.Entry.State, t.month.ERP.Entry.Released},
		{t.month.ERP.Receipt.Entity, t.month.ERP.Receipt.Note, t.month.ERP.Receipt.State, t.month.ERP.Receipt.Released},
	} {
		rows, err := t.ERP.Rows(t.Customer, k.entity)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Fields[k.state] == k.released || notes[0] != "*" && !slices.Contains(notes, inside(r.Fields, k.note)) {
				continue
			}
			if err := t.ERP.Update(t.Customer, k.entity, r.ID, map[string]any{k.state: k.released}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines are the transactions that came of work, with their one line.
func (t *teller) lines(note string) ([]simulator.Row, error) {
	w := t.month.ERP.Transaction
	return t.meant(t.ERP, w.Entity, map[string]any{w.Note: note})
}

func (t *teller) bill(notes []string) error {
	w := t.month.ERP.Transaction
	for _, note := range notes {
		rows, err := t.lines(note)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := t.ERP.Update(t.Customer, w.Entity, r.ID, map[string]any{w.Lines: changed(r.Fields[w.Lines], map[string]any{w.Billed: true})}); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed are lines with some fields changed.
func changed(lines any, fields map[string]any) []any {
	var out []any
	list, _ := lines.([]any)
	for _, l := range list {
		line, _ := l.(map[string]any)
		line = maps.Clone(line)
		maps.Copy(line, fields)
		out = append(out, line)
	}
	return out
}

// credit is what a person does who has told us to leave it to them.
func (t *teller) credit(note string) error {
	w := t.month.ERP.Transaction
	rows, err := t.lines(note)
	if err != nil {
		return err
	}
	for _, r := range rows {
		list, _ := r.Fields[w.Lines].([]any)
		for _, l := range list {
			line, _ := l.(map[string]any)
			q, err := exact.ParseDecimal(fmt.Sprint(line[w.Quantity]))
			if err != nil {
				return err
			}
			back := changed([]any{line}, map[string]any{w.Quantity: q.Neg().String(), w.Marker: nil})
			delete(back[0].(map[string]any), "TransactionID")
			if _, err := t.ERP.Insert(t.Customer, w.Entity, map[string]any{w.Note: "Credit: " + note, w.Lines: back, w.State: w.Released}); err != nil {
				return err
			}
		}
	}
	return nil
}
