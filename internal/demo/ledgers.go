package demo

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"throughline/internal/control"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/simulator"
	"throughline/internal/specfile"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// Sums are amounts of money, by currency.
type Sums map[string]exact.Decimal

// String is "12.00 EUR + 3.50 GBP", or "0".
func (m Sums) String() string {
	var list []string
	for _, currency := range slices.Sorted(maps.Keys(m)) {
		if !m[currency].IsZero() {
			list = append(list, m[currency].Fixed(2)+" "+currency)
		}
	}
	if len(list) == 0 {
		return "0"
	}
	return strings.Join(list, " + ")
}

// MarshalText is the same in JSON.
func (m Sums) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m Sums) add(amount exact.Decimal, currency string) { m[currency] = m[currency].Add(amount) }

func (m Sums) addAll(o Sums, sign int64) {
	for currency, amount := range o {
		m.add(amount.Mul(exact.NewDecimal(sign)), currency)
	}
}

// apart adds amounts without their signs: what is too much in one place must not make up for what is too little in another.
func (m Sums) apart(o Sums) {
	for currency, amount := range o {
		m.add(amount.Abs(), currency)
	}
}

func (m Sums) zero() bool { return m.String() == "0" }

// Hours is what became of the approved work, by the time tracker's and the ERP's own ledgers; what has
// not arrived, ours explains.
type Hours struct {
	EntriesApproved    int   `json:"entries_approved"`
	SecondsApproved    int64 `json:"seconds_approved"`
	SecondsPosted      int64 `json:"seconds_posted"`
	SecondsWaiting     int64 `json:"seconds_waiting"`
	SecondsParked      int64 `json:"seconds_parked"`
	SecondsRefused     int64 `json:"seconds_refused"` // a person has decided that they are not billed
	SecondsRounded     int64 `json:"seconds_rounded"` // as the flow declares
	SecondsKept        int64 `json:"seconds_kept"`    // a person has decided that what was invoiced stays
	UnexplainedSeconds int64 `json:"unexplained_seconds"`
	AmountPosted       Sums  `json:"amount_posted"`      // what stands in the ERP, at the declared prices
	UnexplainedAmount  Sums  `json:"unexplained_amount"` // our ledger's lines say otherwise
	Reversals          int   `json:"reversals"`          // what was released, taken back by us in the ERP's books
	Deleted            int   `json:"deleted"`            // what was not, deleted there again
	Warnings           int   `json:"warnings"`

	ExpensesApproved    int  `json:"expenses_approved"`
	ExpenseApproved     Sums `json:"expense_amount_approved"`
	ExpensePosted       Sums `json:"expense_amount_posted"`
	ExpenseWaiting      Sums `json:"expense_amount_waiting"`
	ExpenseParked       Sums `json:"expense_amount_parked"`
	ExpenseRefused      Sums `json:"expense_amount_refused"`
	ExpenseKept         Sums `json:"expense_amount_kept"`
	UnexplainedExpenses Sums `json:"unexplained_expense_amount"`
	ExpenseReversals    int  `json:"expense_reversals"`
}

func newHours() Hours {
	return Hours{AmountPosted: Sums{}, UnexplainedAmount: Sums{}, ExpenseApproved: Sums{}, ExpensePosted: Sums{}, ExpenseWaiting: Sums{}, ExpenseParked: Sums{},
		ExpenseRefused: Sums{}, ExpenseKept: Sums{}, UnexplainedExpenses: Sums{}}
}

// Good reports whether nothing is unexplained.
func (h Hours) Good() bool {
	return h.UnexplainedSeconds == 0 && h.UnexplainedAmount.zero() && h.UnexplainedExpenses.zero()
}

func (h *Hours) add(o Hours) {
	h.EntriesApproved += o.EntriesApproved
	h.SecondsApproved += o.SecondsApproved
	h.SecondsPosted += o.SecondsPosted
	h.SecondsWaiting += o.SecondsWaiting
	h.SecondsParked += o.SecondsParked
	h.SecondsRefused += o.SecondsRefused
	h.SecondsRounded += o.SecondsRounded
	h.SecondsKept += o.SecondsKept
	h.UnexplainedSeconds += max(o.UnexplainedSeconds, -o.UnexplainedSeconds)
	h.Reversals += o.Reversals
	h.Deleted += o.Deleted
	h.Warnings += o.Warnings
	h.ExpensesApproved += o.ExpensesApproved
	h.ExpenseReversals += o.ExpenseReversals
	for to, from := range map[*Sums]Sums{&h.AmountPosted: o.AmountPosted, &h.UnexplainedAmount: o.UnexplainedAmount, &h.ExpenseApproved: o.ExpenseApproved, &h.ExpensePosted: o.ExpensePosted,
		&h.ExpenseWaiting: o.ExpenseWaiting, &h.ExpenseParked: o.ExpenseParked, &h.ExpenseRefused: o.ExpenseRefused, &h.ExpenseKept: o.ExpenseKept, &h.UnexplainedExpenses: o.UnexplainedExpenses} {
		to.addAll(from, 1)
	}
}

// ledgers reads a customer's far sides and compares them.
type ledgers struct {
	*teller
	ctx      context.Context
	h        Hours
	projects map[string]int64 // approved less posted and explained, by the project's number in the ERP
	amounts  map[string]Sums  // what our lines are worth less what stands there, likewise
	claims   map[string]Sums  // expenses, as projects
	rates    *workflow.Rates
	mails    map[string]string // people by their number in the ERP
	lines    map[hub.RecordID][]store.Posting
}

// hours compares one customer's month.
func (t *teller) hours(ctx context.Context) (Hours, error) {
	l := &ledgers{teller: t, ctx: ctx, h: newHours(), projects: map[string]int64{}, amounts: map[string]Sums{}, claims: map[string]Sums{}, mails: map[string]string{}, lines: map[hub.RecordID][]store.Posting{}}
	for _, part := range []func() error{l.declared, l.people, l.booked, l.entries, l.standing, l.transactions, l.expenses, l.receipts, l.warnings} {
		if err := part(); err != nil {
			return l.h, err
		}
	}
	h := &l.h
	h.UnexplainedSeconds = h.SecondsApproved - h.SecondsPosted - h.SecondsWaiting - h.SecondsParked - h.SecondsRefused - h.SecondsRounded - h.SecondsKept
	for _, n := range l.projects {
		if n != 0 {
			h.UnexplainedSeconds += max(n, -n) // two projects' differences must not make up for each other
		}
	}
	for _, of := range l.amounts {
		h.UnexplainedAmount.apart(of)
	}
	for _, of := range l.claims {
		h.UnexplainedExpenses.apart(of)
	}
	return *h, nil
}

// in are the sums of a project.
func in(projects map[string]Sums, number string) Sums {
	if projects[number] == nil {
		projects[number] = Sums{}
	}
	return projects[number]
}

// declared reads the prices that the customer has declared.
func (l *ledgers) declared() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &control.CustomerFile{}
	err := specfile.Decode(l.Customer, []byte(l.files[l.Customer]), f).Err()
	l.rates = f.Rates
	return err
}

// price is what an hour costs: a person's price in a project goes before the card's of the kind of work.
func (l *ledgers) price(person, project, category string) (*big.Rat, string, error) {
	var text string
	for _, a := range l.rates.Assignments {
		if a.Employee == l.mails[person] && a.Project == project {
			text = a.Rate
		}
	}
	for _, c := range l.rates.Cards {
		for _, a := range c.Rates {
			if text == "" && a.LabourCategory == category {
				text = a.Rate
			}
		}
	}
	amount, currency, _ := strings.Cut(text, " ")
	r, ok := new(big.Rat).SetString(amount)
	if !ok {
		return nil, "", fmt.Errorf("%s has declared no price for %s of %s on %s", l.Customer, category, l.mails[person], project)
	}
	return r, currency, nil
}

// charge adds work at its price: cents, half of one to the even one.
func (l *ledgers) charge(person, project, category string, seconds int64) error {
	rate, currency, err := l.price(person, project, category)
	if err != nil {
		return err
	}
	cents := rate.Mul(rate, big.NewRat(seconds*100, 3600))
	whole, rest := new(big.Int).QuoRem(cents.Num(), cents.Denom(), new(big.Int))
	twice := new(big.Int).Abs(rest.Mul(rest, big.NewInt(2)))
	if c := twice.Cmp(cents.Denom()); c > 0 || c == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(int64(cents.Sign())))
	}
	amount := exact.NewDecimal(whole.Int64()).Mul(exact.MustDecimal("0.01"))
	l.h.AmountPosted.add(amount, currency)
	in(l.amounts, project).add(amount.Neg(), currency)
	return nil
}

func (l *ledgers) people() error {
	w := l.month.ERP.Person
	rows, err := l.ERP.Rows(l.Customer, w.Entity)
	for _, r := range rows {
		l.mails[fmt.Sprint(r.Fields[w.Number])] = inside(r.Fields, w.Contact+"."+w.Email)
	}
	return err
}

// booked reads the lines of our own ledger, and what they say is worth.
func (l *ledgers) booked() error {
	first, err := l.month.day(-50, 0)
	if err != nil {
		return err
	}
	for after := hub.RecordID(""); ; {
		page, err := l.tenant().LinesBetween(l.ctx, first, first.AddDays(1000), after, 500)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			after = p.Record
			l.lines[p.Entry] = append(l.lines[p.Entry], p.Posting)
			if p.State != store.Posted || p.Amount == "" || string(p.Deployment) != l.month.Flows.Hours {
				continue
			}
			m, err := exact.ParseMoney(p.Amount)
			if err != nil {
				return err
			}
			project, err := l.numberOf(p.Project)
			if err != nil {
				return err
			}
			in(l.amounts, project).add(m.Amount, m.Currency)
		}
	}
}

// ours is an entry's place in our ledger.
type ours struct {
	state  string // posted, waiting, parked, refused
	kept   bool
	stands int64
	amount Sums
}

func (l *ledgers) ours(flow, kind, id string) (o ours, err error) {
	o = ours{state: "posted", amount: Sums{}}
	key := hub.RecordKey{Connection: "time", Kind: kind, ID: id}
	rows, err := l.tenant().Work(l.ctx, store.Filter{Deployment: hub.DeploymentID(flow), Key: key.String(), Limit: 1})
	if err != nil {
		return o, err
	}
	if len(rows) == 1 && rows[0].State == hub.Waiting {
		o.state = "waiting"
	}
	if len(rows) == 1 && rows[0].State == hub.Stopped {
		last, err := l.tenant().Exceptions(l.ctx, store.Filter{Deployment: hub.DeploymentID(flow), Key: key.String(), State: "open", Limit: 1})
		if err != nil {
			return o, err
		}
		o.state = map[bool]string{true: "refused", false: "parked"}[len(last) == 0]
	}
	lines := l.lines[hub.RecordIDFor(l.customer.tenant(), "time", kind, id)]
	slices.SortFunc(lines, func(a, b store.Posting) int { return int(a.N - b.N) })
	for _, p := range lines {
		o.kept = p.State == store.Kept
		if p.State != store.Posted {
			continue
		}
		o.stands += p.Seconds
		if m, err := exact.ParseMoney(p.Amount); err == nil {
			o.amount.add(m.Amount, m.Currency)
		}
	}
	return o, nil
}

// number is how the ERP calls a project of the tracker.
func (l *ledgers) number(project string) (string, error) {
	link, err := l.tenant().LinkOf(l.ctx, "time", "project", project)
	if err != nil {
		return "", err
	}
	id := hub.RecordIDFor(l.customer.tenant(), "time", "project", project)
	if link != nil {
		id = link.Record
	}
	return l.numberOf(id)
}

// numberOf is how the ERP calls a project of ours.
func (l *ledgers) numberOf(id hub.RecordID) (string, error) {
	there, err := l.tenant().Link(l.ctx, id, "erp")
	if err != nil || there == nil {
		return "", err
	}
	return there.Number, nil
}

// live reports whether a row of the tracker is approved.
func (l *ledgers) live(request any) (bool, error) {
	w := l.month.Tracker.Request
	if request == nil || request == "" {
		return false, nil
	}
	r, err := l.Time.Row(l.Customer, w.Entity, fmt.Sprint(request))
	return err == nil && r.Fields[w.State] == w.Approved, err
}

// entries adds up what is approved in the time tracker, and what has become of it.
func (l *ledgers) entries() error {
	w := l.month.Tracker.Entry
	rows, err := l.Time.Rows(l.Customer, w.Entity)
	if err != nil {
		return err
	}
	for _, r := range rows {
		approved, err := l.live(r.Fields[w.Request])
		if err != nil {
			return err
		}
		o, err := l.ours(l.month.Flows.Hours, l.month.Kinds.Entry, r.ID)
		if err != nil {
			return err
		}
		n := int64(0)
		if approved {
			if n, err = seconds(instantText(r.Fields[w.Start]), instantText(r.Fields[w.End])); err != nil {
				return err
			}
			l.h.EntriesApproved++
		}
		if !approved && !o.kept {
			continue
		}
		project, err := l.number(fmt.Sprint(r.Fields[w.Project]))
		if err != nil {
			return err
		}
		l.explain(o, n, project)
	}
	return nil
}

// explain says where an entry's seconds are.
func (l *ledgers) explain(o ours, n int64, project string) {
	l.h.SecondsApproved += n
	switch {
	case o.kept:
		l.h.SecondsKept += n - o.stands
		n = o.stands
	case o.state == "waiting":
		l.h.SecondsWaiting += n
		n = 0
	case o.state == "parked":
		l.h.SecondsParked += n - o.stands
		n = o.stands
	case o.state == "refused":
		l.h.SecondsRefused += n - o.stands
		n = o.stands
	default:
		whole := nearest(n, l.Round)
		l.h.SecondsRounded += n - whole
		n = whole
	}
	l.projects[project] += n
}

// nearest rounds to the step; half of it to the even one.
func nearest(n, step int64) int64 {
	if step <= 1 {
		return n
	}
	down, rest := n/step, n%step
	if 2*rest > step || 2*rest == step && down%2 == 1 {
		down++
	}
	return down * step
}

// made are the rows of an entity that we made, and no person.
func (l *ledgers) made(entity string) map[string]bool {
	ids := map[string]bool{}
	for _, e := range created(l.ERP.Effects()) {
		if e.Account == l.Customer && e.Entity == entity {
			ids[e.ID] = true
		}
	}
	return ids
}

// standing adds up what stands in the ERP as work from outside.
func (l *ledgers) standing() error {
	w := l.month.ERP.Entry
	rows, err := l.ERP.Rows(l.Customer, w.Entity)
	if err != nil {
		return err
	}
	made := l.made(w.Entity)
	l.h.Deleted = len(made)
	for _, r := range rows {
		if !made[r.ID] {
			continue
		}
		l.h.Deleted--
		n, err := exact.ParseClock(fmt.Sprint(r.Fields[w.Spent]))
		if err != nil {
			return err
		}
		if err := l.stand(text(r, w.Person), text(r, w.Project), text(r, w.Category), int64(n), r.Fields[w.Billable] == true); err != nil {
			return err
		}
	}
	return nil
}

func text(r simulator.Row, field string) string { return fmt.Sprint(r.Fields[field]) }

func (l *ledgers) stand(person, project, category string, n int64, billable bool) error {
	l.h.SecondsPosted += n
	l.projects[project] -= n
	if !billable {
		return nil
	}
	return l.charge(person, project, category, n)
}

// transactions adds what takes work back in the books: ours, and what people credited themselves.
func (l *ledgers) transactions() error {
	w := l.month.ERP.Transaction
	rows, err := l.ERP.Rows(l.Customer, w.Entity)
	if err != nil {
		return err
	}
	made := l.made(w.Entity)
	for _, r := range rows {
		list, _ := r.Fields[w.Lines].([]any)
		for _, item := range list {
			line, _ := item.(map[string]any)
			q, err := exact.ParseDecimal(fmt.Sprint(line[w.Quantity]))
			if err != nil {
				return err
			}
			if q.Sign() >= 0 {
				continue
			}
			if err := l.back(line, q, made[r.ID]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *ledgers) back(line map[string]any, q exact.Decimal, made bool) error {
	w, e := l.month.ERP.Transaction, l.month.ERP.Entry
	if line[w.Unit] != w.Hour {
		amount, err := exact.ParseDecimal(fmt.Sprint(line[w.Amount]))
		l.h.ExpensePosted.add(amount, "EUR")
		in(l.claims, fmt.Sprint(line[w.Project])).add(amount.Neg(), "EUR")
		if made {
			l.h.ExpenseReversals++
		}
		return err
	}
	n, err := exact.FromHours(q)
	if err != nil {
		return err
	}
	if made {
		l.h.Reversals++
	}
	return l.stand(fmt.Sprint(line[e.Person]), fmt.Sprint(line[w.Project]), fmt.Sprint(line[w.Item]), int64(n), line[e.Billable] == true)
}

// expenses adds up the approved ones of the time tracker, which counts in cents.
func (l *ledgers) expenses() error {
	w := l.month.Tracker.Expense
	rows, err := l.Time.Rows(l.Customer, w.Entity)
	if err != nil {
		return err
	}
	for _, r := range rows {
		approved, err := l.live(r.Fields[w.Request])
		if err != nil {
			return err
		}
		o, err := l.ours(l.month.Flows.Expenses, l.month.Kinds.Expense, r.ID)
		if err != nil {
			return err
		}
		if !approved {
			continue
		}
		cents, err := exact.ParseDecimal(text(r, w.Total))
		if err != nil {
			return err
		}
		l.h.ExpensesApproved++
		total := Sums{text(r, w.Currency): cents.Mul(exact.MustDecimal("0.01"))}
		l.h.ExpenseApproved.addAll(total, 1)
		project, err := l.number(text(r, w.Project))
		if err != nil {
			return err
		}
		into := map[string]Sums{"waiting": l.h.ExpenseWaiting, "parked": l.h.ExpenseParked, "refused": l.h.ExpenseRefused}[o.state]
		if o.kept {
			into = l.h.ExpenseKept
		}
		if into != nil {
			into.addAll(total, 1)
			into.addAll(o.amount, -1)
			total = o.amount
		}
		in(l.claims, project).addAll(total, 1)
	}
	return nil
}

// receipts adds up what stands in the ERP.
func (l *ledgers) receipts() error {
	w := l.month.ERP.Receipt
	rows, err := l.ERP.Rows(l.Customer, w.Entity)
	if err != nil {
		return err
	}
	made := l.made(w.Entity)
	for _, r := range rows {
		if !made[r.ID] {
			continue
		}
		amount, err := exact.ParseDecimal(inside(r.Fields, w.Amount))
		if err != nil {
			return err
		}
		l.h.ExpensePosted.add(amount, inside(r.Fields, w.Currency))
		in(l.claims, inside(r.Fields, w.Project)).add(amount.Neg(), inside(r.Fields, w.Currency))
	}
	return nil
}

// warnings counts the runs that told people of something without stopping.
func (l *ledgers) warnings() error {
	for _, flow := range l.flows() {
		runs, err := l.tenant().Runs(l.ctx, store.Filter{Deployment: flow, Limit: 100_000})
		if err != nil {
			return err
		}
		for _, r := range runs {
			if r.Code == "warned" {
				l.h.Warnings++
			}
		}
	}
	return nil
}
