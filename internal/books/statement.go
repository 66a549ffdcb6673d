package books

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// Sum is how much there is of something.
type Sum struct {
	Entries int
	Seconds int64
	Amount  exact.Decimal
}

func (s *Sum) add(p Part) {
	s.Entries += p.Entries
	s.Seconds += p.Seconds
	s.Amount = s.Amount.Add(p.Amount.Amount)
}

// Total is what stands in each column, in one currency.
type Total struct {
	Currency string // "": no price is known
	Sums     [columns]Sum
	By       [columns]map[string]*Sum // InException by code, Refused and Decided by reason
}

func (t *Total) add(p Part) {
	t.Sums[p.Column].add(p)
	if p.Column != InException && p.Column != Refused && p.Column != Decided {
		return
	}
	if t.By[p.Column] == nil {
		t.By[p.Column] = map[string]*Sum{}
	}
	s := t.By[p.Column][p.Why]
	if s == nil {
		s = &Sum{}
		t.By[p.Column][p.Why] = s
	}
	s.add(p)
}

// Project is a row of the statement.
type Project struct {
	ID     hub.RecordID // "": none
	Number string
	Name   string
	Total
}

// Detail is one entry in the statement.
type Detail struct {
	Flow     hub.DeploymentID
	Entry    string // the record's key in the time tracker
	There    string // the ERP's id of what stands
	Date     exact.Date
	Project  hub.RecordID
	Employee hub.RecordID
	Parts    []Part
}

// Statement says whether a period balances.
type Statement struct {
	Customer  hub.TenantID
	Period    Period
	Flows     []hub.DeploymentID
	Read      time.Time
	NotAtRest []string // lists that moved whenever they were read: "time/entry"
	Projects  []*Project
	Totals    []*Total // by currency
	Findings  []Finding
	Details   []Detail // where they were asked for
	Labels    map[hub.RecordID]string

	byProject map[projectKey]*Project
	byTotal   map[string]*Total
}

type projectKey struct {
	project  hub.RecordID
	currency string
}

// Unexplained are the findings' number: a period balances where it is nought. Sums alone do not tell, for
// what is too much may outweigh what is missing.
func (s *Statement) Unexplained() int { return len(s.Findings) }

func (s *Statement) add(parts []Part) {
	for _, p := range parts {
		s.project(projectKey{p.Project, p.Amount.Currency}).add(p)
		s.total(p.Amount.Currency).add(p)
	}
}

func (s *Statement) project(k projectKey) *Project {
	row := s.byProject[k]
	if row == nil {
		row = &Project{ID: k.project, Total: Total{Currency: k.currency}}
		if s.byProject == nil {
			s.byProject = map[projectKey]*Project{}
		}
		s.byProject[k] = row
		s.Projects = append(s.Projects, row)
	}
	return row
}

func (s *Statement) total(currency string) *Total {
	t := s.byTotal[currency]
	if t == nil {
		t = &Total{Currency: currency}
		if s.byTotal == nil {
			s.byTotal = map[string]*Total{}
		}
		s.byTotal[currency] = t
		s.Totals = append(s.Totals, t)
	}
	return t
}

// sort brings rows and findings into an order that does not change from reading to reading.
func (s *Statement) sort() {
	slices.SortFunc(s.Projects, func(a, b *Project) int {
		return cmp.Or(strings.Compare(a.Number, b.Number), strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)), strings.Compare(a.Currency, b.Currency))
	})
	slices.SortFunc(s.Totals, func(a, b *Total) int { return strings.Compare(a.Currency, b.Currency) })
	slices.SortFunc(s.Findings, func(a, b Finding) int {
		return cmp.Or(a.Date.Compare(b.Date), strings.Compare(a.Entry, b.Entry), strings.Compare(a.There, b.There), strings.Compare(a.What, b.What))
	})
	slices.SortFunc(s.Details, func(a, b Detail) int { return cmp.Or(a.Date.Compare(b.Date), strings.Compare(a.Entry, b.Entry)) })
}
