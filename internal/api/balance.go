package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"throughline/internal/access"
	"throughline/internal/books"
	"throughline/internal/exact"
	"throughline/internal/hub"
)

// Statement says whether a period balances: for each project and currency, approved = in the ERP + waiting
// + in exception + refused + decided + rounding + unexplained.
type Statement struct {
	Customer    string         `json:"customer"`
	From        string         `json:"from" doc:"the first business day"`
	To          string         `json:"to" doc:"the last one"`
	Flows       []string       `json:"flows"`
	Read        time.Time      `json:"read" doc:"when reading began"`
	Balanced    bool           `json:"balanced" doc:"nothing is unexplained"`
	NotAtRest   []string       `json:"not_at_rest,omitempty" doc:"lists that moved each time that they were read: what is told of them may be older than now, or not all"`
	Projects    []Balance      `json:"projects"`
	Totals      []Balance      `json:"totals" doc:"by currency"`
	Unexplained []Discrepancy  `json:"unexplained"`
	Entries     []BalanceEntry `json:"entries,omitempty" doc:"where they were asked for"`
}

// Balance is a row of a statement. Currency is empty where no price is known.
type Balance struct {
	Project     string            `json:"project,omitempty"`
	Number      string            `json:"number,omitempty" doc:"of the project, in the ERP"`
	Name        string            `json:"name,omitempty"`
	Currency    string            `json:"currency"`
	Approved    Amount            `json:"approved" doc:"in the time tracker"`
	InERP       Amount            `json:"in_erp" doc:"of ours, as it stands there"`
	Waiting     Amount            `json:"waiting" doc:"on its way; below nought: being taken back"`
	InException Amount            `json:"in_exception"`
	Exceptions  map[string]Amount `json:"exceptions" doc:"the same by code"`
	Refused     Amount            `json:"refused" doc:"left out by a person, or from before the flow's beginning"`
	Refusals    map[string]Amount `json:"refusals" doc:"the same by reason"`
	Decided     Amount            `json:"decided" doc:"a person has decided that what stands in the ERP stays"`
	Rounding    Amount            `json:"rounding"`
	Unexplained Amount            `json:"unexplained"`
	NotOurs     Amount            `json:"not_ours" doc:"typed into the ERP; in no sum"`
}

// Amount is so many entries, so much work and so much money.
type Amount struct {
	Entries int    `json:"entries"`
	Seconds int64  `json:"seconds"`
	Amount  string `json:"amount"`
}

// Discrepancy is something that nobody has explained.
type Discrepancy struct {
	What     string `json:"what" enum:"missing,altered,duplicate,stray,unknown,not_carried,not_noticed,orphan,unreadable"`
	Says     string `json:"says"`
	Flow     string `json:"flow"`
	Entry    string `json:"entry,omitempty" doc:"connection, kind and id in the time tracker"`
	ERP      string `json:"erp,omitempty" doc:"the id in the ERP"`
	Project  string `json:"project,omitempty"`
	Date     string `json:"date,omitempty"`
	Seconds  int64  `json:"seconds"`
	Amount   string `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// BalanceEntry is one entry of a statement, with where it counts.
type BalanceEntry struct {
	Flow     string        `json:"flow"`
	Entry    string        `json:"entry"`
	ERP      string        `json:"erp,omitempty"`
	Date     string        `json:"date"`
	Project  string        `json:"project,omitempty"`
	Employee string        `json:"employee,omitempty"`
	Parts    []BalancePart `json:"parts"`
}

// BalancePart is what an entry adds to a column.
type BalancePart struct {
	Column   string `json:"column" enum:"approved,in_erp,waiting,in_exception,refused,decided,rounding,unexplained,not_ours"`
	Why      string `json:"why,omitempty"`
	Seconds  int64  `json:"seconds"`
	Amount   string `json:"amount"`
	Currency string `json:"currency,omitempty"`
}

var columnNames = map[books.Column]string{books.Approved: "approved", books.InERP: "in_erp", books.Waiting: "waiting", books.InException: "in_exception", books.Refused: "refused",
	books.Decided: "decided", books.Rounding: "rounding", books.Unexplained: "unexplained", books.NotOurs: "not_ours"}

func (a *API) balance() {
	type ask struct {
		OfCustomer
		Period  string `query:"period" required:"true" doc:"a month (2026-11), or two days (2026-11-02..2026-11-08)"`
		Entries bool   `query:"entries" doc:"name every entry"`
	}
	handle(a, "GET", "/v1/customers/{customer}/balance", "balance", "Whether what was approved in a period is accounted for; reads both far sides",
		func(ctx context.Context, by access.Principal, q *ask) (Statement, error) {
			s, err := a.control.Balance(ctx, by, hub.TenantID(q.Customer), q.Period, q.Entries)
			if err != nil {
				return Statement{}, err
			}
			return viewStatement(s), nil
		})
}

// patience is how long reading two far sides may take.
const patience = 15 * time.Minute

// patient gives an answer that has to be read from far sides first more time than others have.
func (a *API) patient(ctx huma.Context, next func(huma.Context)) {
	if strings.HasSuffix(ctx.Operation().Path, "/balance") {
		_, w := humago.Unwrap(ctx)
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			a.log.Debug("an answer has no more time than others", "error", err)
		}
	}
	next(ctx)
}

func viewStatement(s *books.Statement) Statement {
	out := Statement{Customer: string(s.Customer), From: s.Period.From.String(), To: s.Period.To.String(), Read: s.Read, Balanced: s.Unexplained() == 0, NotAtRest: s.NotAtRest,
		Projects: make([]Balance, len(s.Projects)), Totals: make([]Balance, len(s.Totals)), Unexplained: make([]Discrepancy, len(s.Findings))}
	for _, f := range s.Flows {
		out.Flows = append(out.Flows, string(f))
	}
	for i, p := range s.Projects {
		out.Projects[i] = viewBalance(&p.Total)
		out.Projects[i].Project, out.Projects[i].Number, out.Projects[i].Name = string(p.ID), p.Number, p.Name
	}
	for i, t := range s.Totals {
		out.Totals[i] = viewBalance(t)
	}
	for i, f := range s.Findings {
		out.Unexplained[i] = viewFinding(f, s.Labels)
	}
	for _, d := range s.Details {
		out.Entries = append(out.Entries, viewDetail(d, s.Labels))
	}
	return out
}

func viewBalance(t *books.Total) Balance {
	sum := func(c books.Column) Amount { return viewSum(&t.Sums[c], t.Currency) }
	by := func(c books.Column) map[string]Amount {
		out := map[string]Amount{}
		for why, s := range t.By[c] {
			out[why] = viewSum(s, t.Currency)
		}
		return out
	}
	return Balance{Currency: t.Currency, Approved: sum(books.Approved), InERP: sum(books.InERP), Waiting: sum(books.Waiting), InException: sum(books.InException),
		Exceptions: by(books.InException), Refused: sum(books.Refused), Refusals: by(books.Refused), Decided: sum(books.Decided), Rounding: sum(books.Rounding),
		Unexplained: sum(books.Unexplained), NotOurs: sum(books.NotOurs)}
}

func viewSum(s *books.Sum, currency string) Amount {
	return Amount{s.Entries, s.Seconds, s.Amount.Fixed(exact.MinorUnits(currency))}
}

func viewFinding(f books.Finding, labels map[hub.RecordID]string) Discrepancy {
	d := Discrepancy{What: f.What, Says: f.Says, Flow: string(f.Flow), Entry: f.Entry, ERP: f.There, Project: labels[f.Project], Seconds: f.Seconds, Currency: f.Amount.Currency}
	if !f.Date.IsZero() {
		d.Date = f.Date.String()
	}
	if f.Amount.Currency != "" {
		d.Amount = f.Amount.Amount.Fixed(exact.MinorUnits(f.Amount.Currency))
	}
	return d
}

func viewDetail(d books.Detail, labels map[hub.RecordID]string) BalanceEntry {
	e := BalanceEntry{Flow: string(d.Flow), Entry: d.Entry, ERP: d.There, Project: labels[d.Project], Employee: labels[d.Employee]}
	if !d.Date.IsZero() {
		e.Date = d.Date.String()
	}
	for _, p := range d.Parts {
		e.Parts = append(e.Parts, BalancePart{columnNames[p.Column], p.Why, p.Seconds, p.Amount.Amount.Fixed(exact.MinorUnits(p.Amount.Currency)), p.Amount.Currency})
	}
	slices.SortStableFunc(e.Parts, func(a, b BalancePart) int { return strings.Compare(a.Column, b.Column) })
	return e
}
