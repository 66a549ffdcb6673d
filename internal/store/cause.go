package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// Cause is what many exceptions of a flow have in common, so that a person deals with it once. Rows that
// wait for one and the same record are one cause as well, though none of them is parked.
type Cause struct {
	ID         hub.CauseID
	Deployment hub.DeploymentID
	Class      string
	Code       string
	Field      string
	Value      string
	Message    string // of one of them
	Hint       string
	WaitsOn    string // what the rows wait for; empty: they are parked
	Count      int64
	Seconds    int64         // of work at risk
	Amounts    []exact.Money // of money at risk, one per currency
	Oldest     time.Time
}

// Member is one of those that a cause holds up: an exception, or without an id a row that waits.
type Member = Exception

// causeOf says which exceptions belong together: same flow, same code, same value in the same field.
func causeOf(d hub.DeploymentID, e *Exception) hub.CauseID {
	return hub.CauseIDFor(d, e.Code, e.Field, e.Value)
}

// awaited is what the causes of rows that wait for a record have in common.
var awaited = Cause{Class: hub.NotFound.Class(), Code: "reference.awaited",
	Hint: "Nothing, if it is on its way: they go on by themselves when it is there. Else link it to what is there already, or set another one."}

func waitCause(d hub.DeploymentID, on string) hub.CauseID {
	return hub.CauseIDFor(d, awaited.Code, on)
}

// awaiting are the rows that wait for a record, not for a flow that is paused or for a write under way.
const awaiting = ` FROM work WHERE tenant = ? AND state = 'waiting' AND cause <> '' AND waits_on <> '' AND waits_on NOT LIKE 'flow:%' `

// Causes lists what holds up a tenant's records, the largest first.
func (t *Tenant) Causes(ctx context.Context, d hub.DeploymentID, limit int) ([]Cause, error) {
	parked, err := t.parkedCauses(ctx, "open", d, "", limit)
	if err != nil {
		return nil, err
	}
	waiting, err := t.waitCauses(ctx, d, "", limit)
	if err != nil {
		return nil, err
	}
	list := append(parked, waiting...)
	slices.SortStableFunc(list, func(a, b Cause) int { return cmp.Or(cmp.Compare(b.Count, a.Count), a.Oldest.Compare(b.Oldest)) })
	list = list[:min(len(list), limit)]
	return list, t.addAmounts(ctx, list)
}

// Cause reads one, or nil where nothing is held up by it.
func (t *Tenant) Cause(ctx context.Context, id hub.CauseID) (*Cause, error) {
	list, err := t.parkedCauses(ctx, "open", "", id, 1)
	if err == nil && len(list) == 0 {
		list, err = t.waitCause(ctx, id)
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], t.addAmounts(ctx, list)
}

// IgnoredCause reads what is ignored under a cause, or nil.
func (t *Tenant) IgnoredCause(ctx context.Context, id hub.CauseID) (*Cause, error) {
	c, err := one(t.parkedCauses(ctx, "ignored", "", id, 1))
	if err != nil || c == nil {
		return nil, err
	}
	sums := map[string]exact.Decimal{}
	err = t.parkedAmounts(ctx, "ignored", []Cause{*c}, func(_ hub.CauseID, amount string, n int64) error { return addTo(sums, amount, n) })
	c.Amounts = amounts(sums)
	return c, err
}

func (t *Tenant) parkedCauses(ctx context.Context, state string, d hub.DeploymentID, id hub.CauseID, limit int) ([]Cause, error) {
	where, args := `tenant = ? AND state = ?`, []any{t.id, state}
	if d != "" {
		where, args = where+` AND deployment = ?`, append(args, d)
	}
	if id != "" {
		where, args = where+` AND cause = ?`, append(args, id)
	}
	q := `
		SELECT cause, MIN(deployment), MIN(class), MIN(code), MIN(field), MIN(value), MIN(message), MIN(hint), COUNT(*), CAST(SUM(seconds) AS BIGINT), MIN(opened_at)
		FROM exception WHERE ` + where + ` GROUP BY cause ORDER BY COUNT(*) DESC, cause LIMIT ?`
	r, err := t.db.query(ctx, q, append(args, limit)...)
	return all(r, err, func(r rows, c *Cause) error {
		var oldest int64
		err := r.Scan(&c.ID, &c.Deployment, &c.Class, &c.Code, &c.Field, &c.Value, &c.Message, &c.Hint, &c.Count, &c.Seconds, &oldest)
		c.Oldest = instant(oldest)
		return err
	})
}

func (t *Tenant) waitCauses(ctx context.Context, d hub.DeploymentID, on string, limit int) ([]Cause, error) {
	where, args := "", []any{t.id}
	if d != "" {
		where, args = where+` AND deployment = ?`, append(args, d)
	}
	if on != "" {
		where, args = where+` AND waits_on = ?`, append(args, on)
	}
	q := `SELECT deployment, waits_on, MIN(cause), COUNT(*), CAST(SUM(seconds) AS BIGINT), MIN(due_at)` + awaiting + where + `
		GROUP BY deployment, waits_on ORDER BY COUNT(*) DESC, waits_on LIMIT ?`
	r, err := t.db.query(ctx, q, append(args, limit)...)
	return all(r, err, scanWaitCause)
}

func scanWaitCause(r rows, c *Cause) error {
	var oldest int64
	if err := r.Scan(&c.Deployment, &c.WaitsOn, &c.Value, &c.Count, &c.Seconds, &oldest); err != nil {
		return err
	}
	c.ID, c.Oldest, c.Class, c.Code, c.Hint = waitCause(c.Deployment, c.WaitsOn), instant(oldest), awaited.Class, awaited.Code, awaited.Hint
	c.Message = waitMessage(c.Count, c.Value)
	return nil
}

func waitMessage(n int64, what string) string {
	if n == 1 {
		return "One record waits for " + what + "."
	}
	return fmt.Sprintf("%d records wait for %s.", n, what)
}

// waitCause finds which wait an id stands for.
func (t *Tenant) waitCause(ctx context.Context, id hub.CauseID) ([]Cause, error) {
	type wait struct {
		d  hub.DeploymentID
		on string
	}
	const q = `SELECT DISTINCT deployment, waits_on` + awaiting + `AND (deployment > ? OR deployment = ? AND waits_on > ?) ORDER BY deployment, waits_on LIMIT 1000`
	for last := (wait{}); ; {
		r, err := t.db.query(ctx, q, t.id, last.d, last.d, last.on)
		list, err := all(r, err, func(r rows, w *wait) error { return r.Scan(&w.d, &w.on) })
		if err != nil || len(list) == 0 {
			return nil, err
		}
		for _, w := range list {
			if waitCause(w.d, w.on) == id {
				return t.waitCauses(ctx, w.d, w.on, 1)
			}
		}
		last = list[len(list)-1]
	}
}

// addAmounts sums up exactly what money is at risk. It reads one row per cause and amount, and keeps none.
func (t *Tenant) addAmounts(ctx context.Context, list []Cause) error {
	sums := map[hub.CauseID]map[string]exact.Decimal{}
	for _, c := range list {
		sums[c.ID] = map[string]exact.Decimal{}
	}
	add := func(id hub.CauseID, amount string, n int64) error {
		if sums[id] == nil {
			return nil
		}
		return addTo(sums[id], amount, n)
	}
	if err := t.parkedAmounts(ctx, "open", list, add); err != nil {
		return err
	}
	if err := t.waitAmounts(ctx, list, add); err != nil {
		return err
	}
	for i, c := range list {
		list[i].Amounts = amounts(sums[c.ID])
	}
	return nil
}

// addTo adds an amount, n times.
func addTo(sums map[string]exact.Decimal, amount string, n int64) error {
	m, err := exact.ParseMoney(amount)
	if err != nil {
		return fmt.Errorf("read an amount at risk: %w", err)
	}
	sums[m.Currency] = sums[m.Currency].Add(m.Amount.Mul(exact.NewDecimal(n)))
	return nil
}

func amounts(sums map[string]exact.Decimal) (out []exact.Money) {
	for currency, sum := range sums {
		out = append(out, exact.Money{Amount: sum, Currency: currency})
	}
	slices.SortFunc(out, func(a, b exact.Money) int { return cmp.Compare(a.Currency, b.Currency) })
	return out
}

type addAmount func(id hub.CauseID, amount string, n int64) error

func (t *Tenant) parkedAmounts(ctx context.Context, state string, list []Cause, add addAmount) error {
	q, args := `SELECT cause, amount, COUNT(*) FROM exception WHERE tenant = ? AND state = ? AND amount <> ''`, []any{t.id, state}
	if len(list) == 1 {
		q, args = q+` AND cause = ?`, append(args, list[0].ID)
	}
	r, err := t.db.query(ctx, q+` GROUP BY cause, amount`, args...)
	return every(r, err, func(r rows) error {
		var id hub.CauseID
		var amount string
		var n int64
		if err := r.Scan(&id, &amount, &n); err != nil {
			return err
		}
		return add(id, amount, n)
	})
}

func (t *Tenant) waitAmounts(ctx context.Context, list []Cause, add addAmount) error {
	q, args := `SELECT deployment, waits_on, amount, COUNT(*)`+awaiting+`AND amount <> ''`, []any{t.id}
	if len(list) == 1 {
		q, args = q+` AND deployment = ? AND waits_on = ?`, append(args, list[0].Deployment, list[0].WaitsOn)
	}
	r, err := t.db.query(ctx, q+` GROUP BY deployment, waits_on, amount`, args...)
	return every(r, err, func(r rows) error {
		var d hub.DeploymentID
		var on, amount string
		var n int64
		if err := r.Scan(&d, &on, &amount, &n); err != nil {
			return err
		}
		return add(waitCause(d, on), amount, n)
	})
}

// every hands each row of a result to f.
func every(r rows, err error, f func(rows) error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := f(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// Page is a part of a cause's members: those after the one that the last page ended with.
type Page struct {
	After  string
	Limit  int
	State  string    // of the exceptions: open where it is empty, or "any"
	Before time.Time // only what was there by then; zero: all
}

// next is where the page after a member begins.
func (m Member) next() string { return cmp.Or(string(m.ID), m.Key) }

// Members reads a page of those that a cause holds up, and says where the next page begins; "" where
// this was the last.
func (t *Tenant) Members(ctx context.Context, c Cause, p Page) (list []Member, next string, err error) {
	before := int64(1<<63 - 1)
	if !p.Before.IsZero() {
		before = micros(p.Before)
	}
	switch {
	case c.WaitsOn != "":
		const q = `SELECT deployment, record_key, run, cause, reason, seconds, amount, due_at` + awaiting + `AND deployment = ? AND waits_on = ? AND record_key > ? AND due_at <= ? ORDER BY record_key LIMIT ?`
		r, err := t.db.query(ctx, q, t.id, c.Deployment, c.WaitsOn, p.After, before, p.Limit)
		list, err = all(r, err, func(r rows, m *Member) error { return scanWaiting(r, m, c) })
		if err != nil {
			return nil, "", err
		}
	default:
		state, args := ` AND state = ?`, []any{t.id, c.ID, p.After, before, cmp.Or(p.State, "open")}
		if p.State == "any" {
			state, args = "", args[:4]
		}
		q := `SELECT ` + exceptionColumns + ` FROM exception WHERE tenant = ? AND cause = ? AND id > ? AND opened_at <= ?` + state + ` ORDER BY id LIMIT ?`
		r, err := t.db.query(ctx, q, append(args, p.Limit)...)
		if list, err = all(r, err, scanException); err != nil {
			return nil, "", err
		}
	}
	if len(list) == p.Limit {
		next = list[len(list)-1].next()
	}
	return list, next, nil
}

func scanWaiting(r rows, m *Member, c Cause) error {
	var since int64
	err := r.Scan(&m.Deployment, &m.Key, &m.Run, &m.Value, &m.Message, &m.Seconds, &m.Amount, &since)
	m.Class, m.Code, m.Hint, m.State, m.Cause, m.Opened = c.Class, c.Code, c.Hint, "waiting", c.ID, instant(since)
	return err
}
