package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"throughline/internal/access"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// Causes lists what holds up a customer's records, the largest first: exceptions with the same cause, and
// records that wait for the same one.
func (c *Control) Causes(ctx context.Context, by access.Principal, tenant hub.TenantID, flow hub.DeploymentID, limit int) ([]store.Cause, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	if err := c.named(ctx, tenant, flow); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).Causes(ctx, flow, limit)
}

// Members lists a page of those that a cause holds up, and where the next page begins.
func (c *Control) Members(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.CauseID, after string, limit int) ([]store.Member, string, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, "", err
	}
	t := c.store.Tenant(tenant)
	cause, err := t.Cause(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if cause == nil {
		return nil, "", errNoCause
	}
	return t.Members(ctx, *cause, store.Page{After: after, Limit: limit})
}

var errNoCause = &hub.Error{Kind: hub.NotFound, Code: "cause.unknown", Message: "There is no such cause, or it holds up nothing any more.", Hint: "List those that are open: throughline exceptions CUSTOMER."}

// Edits lists a page of what people have changed of a flow's records, with what they have changed it to.
func (c *Control) Edits(ctx context.Context, by access.Principal, tenant hub.TenantID, flow hub.DeploymentID, after string, limit int) ([]store.Edit, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	if err := c.flow(ctx, tenant, flow); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).EditsAfter(ctx, flow, after, limit)
}

// EndEdit lets a flow read a record as it comes again, and runs it. Doing it twice does it once.
func (c *Control) EndEdit(ctx context.Context, by access.Principal, tenant hub.TenantID, flow hub.DeploymentID, record string) error {
	if err := c.may(ctx, by, access.ResolveExceptions, tenant); err != nil {
		return err
	}
	list, err := c.store.Tenant(tenant).Edits(ctx, flow, record)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return &hub.Error{Kind: hub.NotFound, Code: "edit.unknown", Message: fmt.Sprintf("Nobody has changed %s in the flow %s.", record, flow), Hint: "List what was changed: throughline edits CUSTOMER FLOW."}
	}
	if _, err := c.store.Tenant(tenant).EndEdits(ctx, flow, record, by.Entry(c.now(), "record.edit_ended", record, string(flow))); err != nil {
		return err
	}
	c.changed()
	return nil
}

// edited are the edits that a write was made under.
func (c *Control) edited(ctx context.Context, t *store.Tenant, w store.Write) ([]store.Edit, error) {
	list, err := t.Edits(ctx, w.Deployment, w.Key)
	return slices.DeleteFunc(list, func(e store.Edit) bool {
		return e.Made.After(w.Started) || !e.Ended.IsZero() && e.Ended.Before(w.Started)
	}), err
}

// target is one cause with what is chosen of it: all, or the members that were named.
type target struct {
	store.Cause
	members []store.Member
}

// targets are whom an action is for, named ones gathered by their cause.
func (r *resolver) targets(ctx context.Context) ([]target, error) {
	if len(r.Causes)+len(r.Exceptions) == 0 {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "select.empty", Message: "Nothing is chosen.", Hint: "Name causes or exceptions."}
	}
	if len(r.Exceptions) > maxNamed {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "select.too_many", Message: fmt.Sprintf("More than %d exceptions are named.", maxNamed), Hint: "Choose them by their cause."}
	}
	var out []target
	for _, id := range r.Causes {
		cause, err := r.cause(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, target{Cause: *cause})
	}
	for _, id := range r.Exceptions {
		e, err := r.t.Exception(ctx, id)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, errNoException
		}
		if slices.Contains(r.Causes, e.Cause) {
			continue // chosen with its cause
		}
		open := e.State == "open"
		if out, err = gathered(out, *e, open != (r.How == Reopen)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxNamed bounds what one request names.
const maxNamed = 1000

var errNoException = &hub.Error{Kind: hub.NotFound, Code: "exception.unknown", Message: "There is no such exception.", Hint: "List those that are open: throughline exceptions CUSTOMER."}

// cause finds a cause; one that was dealt with before holds up nobody.
func (r *resolver) cause(ctx context.Context, id hub.CauseID) (*store.Cause, error) {
	find := r.t.Cause
	if r.How == Reopen {
		find = r.t.IgnoredCause
	}
	cause, err := find(ctx, id)
	if err != nil || cause != nil {
		return cause, err
	}
	known, _, err := r.t.Members(ctx, store.Cause{ID: id}, store.Page{Limit: 1, State: "any"})
	if err != nil {
		return nil, err
	}
	if len(known) == 0 && r.After == "" { // what waited may have gone on while an action goes on
		return nil, errNoCause
	}
	return &store.Cause{ID: id}, nil
}

// gathered adds a named exception to the target of its cause. One that was dealt with before is not due: it stays among
// the members, by whose targets an action goes on, and counts for nothing.
func gathered(list []target, e store.Exception, due bool) ([]target, error) {
	i := slices.IndexFunc(list, func(t target) bool { return t.ID == e.Cause })
	if i < 0 {
		i, list = len(list), append(list, target{Cause: store.Cause{ID: e.Cause, Deployment: e.Deployment, Class: e.Class, Code: e.Code, Field: e.Field, Value: e.Value, Message: e.Message, Hint: e.Hint, Oldest: e.Opened}})
	}
	t := &list[i]
	t.members = append(t.members, e)
	if !due {
		return list, nil
	}
	t.Count++
	t.Seconds += e.Seconds
	if e.Amount == "" {
		return list, nil
	}
	m, err := exact.ParseMoney(e.Amount)
	if err != nil {
		return nil, fmt.Errorf("read an amount at risk: %w", err)
	}
	t.Amounts = addMoney(t.Amounts, m)
	return list, nil
}

// addMoney adds an amount to the sum of its currency.
func addMoney(sums []exact.Money, m exact.Money) []exact.Money {
	for i, s := range sums {
		if s.Currency == m.Currency {
			sums[i].Amount = s.Amount.Add(m.Amount)
			return sums
		}
	}
	sums = append(slices.Clone(sums), m)
	slices.SortFunc(sums, func(a, b exact.Money) int { return cmp.Compare(a.Currency, b.Currency) })
	return sums
}

// mark says how far an action has come: in which target, and after which member.
type mark struct {
	Target int       `json:"t"`
	After  string    `json:"a"`
	Begun  time.Time `json:"b"` // who came later is not meant
}

func (m mark) String() string {
	text, err := json.Marshal(m)
	if err != nil {
		return "" // plain texts always encode
	}
	return string(text)
}

func parseMark(s string, now time.Time) (mark, error) {
	m := mark{Begun: now}
	if s == "" {
		return m, nil
	}
	if err := json.Unmarshal([]byte(s), &m); err != nil || m.Target < 0 {
		return m, &hub.Error{Kind: hub.Invalid, Code: "resolve.after", Field: "after", Message: "This is no place to go on from.", Hint: "Send what the last answer said."}
	}
	return m, nil
}
