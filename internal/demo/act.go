package demo

import (
	"context"
	"fmt"
	"maps"
	"strings"
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
