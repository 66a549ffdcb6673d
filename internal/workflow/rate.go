package workflow

import (
	"fmt"
	"slices"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/exact"
)

// Rates are what a customer has agreed for an hour of work. They name people, projects and labour
// categories in the customer's own words: an e-mail address, a number, a code.
type Rates struct {
	Assignments []AgreedRate `spec:"assignments" json:"assignments,omitempty" doc:"a person's price in a project or task"`
	Cards       []RateCard   `spec:"cards" json:"cards,omitempty"`
}

// RateCard is a list of prices, for everybody or for one account or project.
type RateCard struct {
	Code    string       `spec:"code,required" json:"code"`
	Account string       `spec:"account" json:"account,omitempty" doc:"only for this one: its number in the ERP, or its name"`
	Project string       `spec:"project" json:"project,omitempty" doc:"only for this one"`
	From    string       `spec:"from" json:"from,omitempty" doc:"the first day on which it holds" pattern:"^\\d{4}-\\d{2}-\\d{2}$"`
	To      string       `spec:"to" json:"to,omitempty" doc:"the last day" pattern:"^\\d{4}-\\d{2}-\\d{2}$"`
	Rates   []AgreedRate `spec:"rates,required" json:"rates"`
}

// AgreedRate is one price of an hour. What it does not name, it does not ask for.
type AgreedRate struct {
	Employee       string `spec:"employee" json:"employee,omitempty"`
	Project        string `spec:"project" json:"project,omitempty"`
	Task           string `spec:"task" json:"task,omitempty"`
	LabourCategory string `spec:"labour_category" json:"labour_category,omitempty"`
	Rate           string `spec:"rate,required" json:"rate" doc:"such as 140 EUR"`
	From           string `spec:"from" json:"from,omitempty" pattern:"^\\d{4}-\\d{2}-\\d{2}$"`
	To             string `spec:"to" json:"to,omitempty" doc:"the last day" pattern:"^\\d{4}-\\d{2}-\\d{2}$"`
}

// Question is the work that a rate is looked for. Rates that stand on records are given along.
type Question struct {
	Employee, Project, Task, LabourCategory string
	Account                                 []string // all that it is called: by number, by name
	Date                                    exact.Date
	OfProject, OfEmployee, Default          *exact.Money
}

// Found is a rate and where it was found.
type Found struct {
	Rate   exact.Money
	Source string // assignment, project, rate_card, employee, default
	From   string // which of them, for people
}

// Find looks a rate up, the most particular agreement first: the person's assignment, the project, the
// rate card, the person, the default. Of several agreements of a kind the one that names more goes
// first, and of equals the first in the file. Ok is false where nothing is agreed.
func (r *Rates) Find(q Question) (f Found, ok bool, err error) {
	if r != nil {
		if f, ok, err = best(r.Assignments, q, "assignment", ""); ok || err != nil {
			return f, ok, err
		}
	}
	if q.OfProject != nil {
		return Found{*q.OfProject, "project", q.Project}, true, nil
	}
	if r != nil {
		for _, particular := range []bool{true, false} {
			for _, c := range r.Cards {
				if (c.Account+c.Project != "") != particular || !c.holds(q) {
					continue
				}
				if f, ok, err = best(c.Rates, q, "rate_card", c.Code); ok || err != nil {
					return f, ok, err
				}
			}
		}
	}
	if q.OfEmployee != nil {
		return Found{*q.OfEmployee, "employee", q.Employee}, true, nil
	}
	if q.Default != nil {
		return Found{*q.Default, "default", "default"}, true, nil
	}
	return Found{}, false, nil
}

func (c RateCard) holds(q Question) bool {
	called := slices.ContainsFunc(q.Account, func(name string) bool { return fits(c.Account, name) })
	return (c.Account == "" || called) && fits(c.Project, q.Project) && within(q.Date, c.From, c.To)
}

// best is the agreement that names most of what was asked.
func best(list []AgreedRate, q Question, source, card string) (Found, bool, error) {
	most, at := -1, 0
	for i, a := range list {
		if !a.holds(q) || source == "assignment" && a.Employee == "" {
			continue
		}
		named := 0
		for _, s := range []string{a.Employee, a.Project, a.Task, a.LabourCategory} {
			if s != "" {
				named++
			}
		}
		if a.Employee != "" {
			named += 4 // a person goes before a labour category
		}
		if named > most {
			most, at = named, i
		}
	}
	if most < 0 {
		return Found{}, false, nil
	}
	rate, err := exact.ParseMoney(list[at].Rate)
	if err != nil {
		return Found{}, false, fmt.Errorf("rate of %s: %w", list[at], err)
	}
	return Found{rate, source, strings.TrimSpace(card + " " + list[at].String())}, true, nil
}

func (a AgreedRate) holds(q Question) bool {
	return fits(a.Employee, q.Employee) && fits(a.Project, q.Project) && fits(a.Task, q.Task) && fits(a.LabourCategory, q.LabourCategory) && within(q.Date, a.From, a.To)
}

// String names what the agreement is about.
func (a AgreedRate) String() string {
	var parts []string
	for _, s := range []string{a.Employee, a.Project, a.Task, a.LabourCategory} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

func fits(wanted, given string) bool { return wanted == "" || strings.EqualFold(wanted, given) }

// within compares days as they are written: year, month, day.
func within(d exact.Date, from, to string) bool {
	day := d.String()
	return (from == "" || day >= from) && (to == "" || day <= to)
}

// Check finds rates that are no amounts of money, and those that hold on no day: another price would be billed.
func (r *Rates) Check() error {
	if r == nil {
		return nil
	}
	for _, c := range r.Cards {
		if err := span("card "+c.Code, c.From, c.To); err != nil {
			return err
		}
		if len(c.Rates) == 0 {
			return fmt.Errorf("card %s has no rates", c.Code)
		}
		for _, a := range c.Rates {
			if err := a.check(); err != nil {
				return err
			}
		}
	}
	for i, a := range r.Assignments {
		if err := a.check(); err != nil {
			return err
		}
		if a.Employee == "" {
			return fmt.Errorf("assignment %d names no employee", i+1)
		}
	}
	return nil
}

func (a AgreedRate) check() error {
	what := strings.TrimSpace("rate of " + a.String())
	m, err := exact.ParseMoney(a.Rate)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if m.Amount.Sign() < 0 {
		return fmt.Errorf("%s: %s is below nought", what, m)
	}
	return span(what, a.From, a.To)
}

// span finds days that there are not, and an end before the beginning.
func span(what, from, to string) error {
	for _, day := range []string{from, to} {
		if _, err := exact.ParseDate(day); day != "" && err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if to != "" && to < from {
		return fmt.Errorf("%s: it ends on %s, before it begins on %s", what, to, from)
	}
	return nil
}

// callRate is find_rate({"employee": …, "project": …, "date": …}); null where nothing is agreed.
func callRate(at any, args []any) (any, error) {
	given, _ := args[0].(map[string]any)
	text := func(name string) string { s, _ := given[name].(string); return s }
	money := func(name string) *exact.Money {
		if m, ok := given[name].(exact.Money); ok {
			return &m
		}
		return nil
	}
	q := Question{Employee: text("employee"), Project: text("project"), Account: called(given["account"]), Task: text("task"), LabourCategory: text("labour_category"),
		OfProject: money("project_rate"), OfEmployee: money("employee_rate"), Default: money("default_rate")}
	q.Date, _ = given["date"].(exact.Date)
	f, ok, err := at.(*Place).Rates.Find(q)
	if err != nil || !ok {
		return nil, err
	}
	return map[string]any{"rate": f.Rate, "source": f.Source, "from": f.From}, nil
}

// called are the names of a record: texts, and of a reference the id that it has where it was seen.
func called(v any) (names []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case canonical.Ref:
		return []string{v.Key.ID}
	case []any:
		for _, e := range v {
			names = append(names, called(e)...)
		}
	}
	return names
}
