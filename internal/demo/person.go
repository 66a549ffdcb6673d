package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"throughline/internal/access"
	"throughline/internal/control"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// What a person of the customer's does in Throughline.

var operator = access.Principal{Name: "demo", Role: "admin", Tenant: access.Everyone}

type ignoring struct{ Code, Reason string }

type choice struct{ Note, What string }

// amendment changes the customer's file.
type amendment struct{ Find, Put string }

// linking says which record of the ERP one of the tracker is.
type linking struct{ Kind, Time, Of, ERP string }

func (t *teller) resolve(ctx context.Context, a act) error {
	switch {
	case a.Retry != "":
		return t.all(ctx, a.Retry, control.Retry, "")
	case a.Approve != "":
		return t.all(ctx, a.Approve, control.Approve, "")
	case a.Ignore != nil:
		return t.all(ctx, a.Ignore.Code, control.Ignore, a.Ignore.Reason)
	case a.Mend != nil:
		return t.mend(ctx, a.Mend)
	case a.Choose != nil:
		return t.choose(ctx, a.Choose)
	case a.Amend != nil:
		return t.amend(ctx, a.Amend)
	case a.Link != nil:
		return t.link(ctx, a.Link)
	case a.LookAgain != "":
		return t.lookAgain(ctx, func(w hub.Work) bool { return strings.HasPrefix(w.Cause, a.LookAgain) })
	}
	return fmt.Errorf("the act says nothing")
}

// coded are the open exceptions with a code; there is at least one.
func (t *teller) coded(ctx context.Context, code string) ([]store.Exception, error) {
	all, err := t.exceptions(ctx)
	var out []store.Exception
	for _, e := range all {
		if e.Code == code {
			out = append(out, e)
		}
	}
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("nothing is open with the code %s", code)
	}
	return out, err
}

func (t *teller) all(ctx context.Context, code, how, reason string) error {
	list, err := t.coded(ctx, code)
	if err != nil {
		return err
	}
	q := control.Resolving{How: how, Reason: reason}
	for _, e := range list {
		q.Exceptions = append(q.Exceptions, e.ID)
	}
	return t.resolved(ctx, q)
}

// resolved asks for it; so few are dealt with at once.
func (t *teller) resolved(ctx context.Context, q control.Resolving) error {
	done, err := t.App.Control.Resolve(ctx, operator, t.customer.tenant(), q)
	if err == nil && done.Done == 0 {
		err = fmt.Errorf("nothing was done by %s: %v", q.How, done.Does)
	}
	return err
}

// mend corrects in the tracker what exceptions are about.
func (t *teller) mend(ctx context.Context, m *mending) error {
	list, err := t.coded(ctx, m.Code)
	if err != nil {
		return err
	}
	var all []work
	for _, e := range list {
		key, _ := hub.ParseRecordKey(e.Key)
		found, err := t.worked("", key.ID)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	return t.changeAll(all, m.put)
}

// choose says what becomes of work that was on an invoice when it changed.
func (t *teller) choose(ctx context.Context, c *choice) error {
	list, err := t.coded(ctx, "posting.fixed")
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Label != c.Note {
			continue
		}
		return t.resolved(ctx, control.Resolving{Exceptions: []hub.ExceptionID{e.ID}, How: c.What})
	}
	return fmt.Errorf("nobody is asked about %q", c.Note)
}

// amend changes the customer's file and applies it.
func (t *teller) amend(ctx context.Context, a *amendment) error {
	t.mu.Lock()
	text := t.files[t.Customer]
	t.mu.Unlock()
	if strings.Count(text, a.Find) != 1 {
		return fmt.Errorf("the customer's file has %d times %q", strings.Count(text, a.Find), a.Find)
	}
	text = strings.Replace(text, a.Find, a.Put, 1)
	t.mu.Lock()
	t.files[t.Customer] = text
	t.mu.Unlock()
	_, err := t.App.Control.Apply(ctx, operator, t.Customer+".yaml", []byte(text))
	return err
}

// link says that a record of the tracker is one that the ERP has; what waited for it goes on.
func (t *teller) link(ctx context.Context, l *linking) error {
	n := map[string]named{"project": t.month.Tracker.Project, "task": t.month.Tracker.Task}[l.Kind]
	of := ""
	if l.Of != "" {
		var err error
		if of, err = t.find(t.Time, t.month.Tracker.Project, l.Of, ""); err != nil {
			return err
		}
	}
	id, err := t.find(t.Time, n, l.Time, of)
	if err != nil {
		return err
	}
	record := hub.RecordIDFor(t.customer.tenant(), "time", l.Kind, id)
	number := l.ERP[strings.LastIndex(l.ERP, "|")+1:]
	link := store.Link{Record: record, Connection: "erp", Kind: l.Kind, ExternalID: l.ERP, Number: number, Updated: time.Now()}
	if err := t.tenant().PutLink(ctx, link, operator.Entry(time.Now(), "record.link", string(record), l.ERP)); err != nil {
		return err
	}
	return t.lookAgain(ctx, func(w hub.Work) bool { return w.WaitsOn == store.WaitsOn("erp", record) })
}

// lookAgain lets go on what waits.
func (t *teller) lookAgain(ctx context.Context, meant func(hub.Work) bool) error {
	rows, err := t.waiting(ctx)
	if err != nil {
		return err
	}
	var list []store.Member
	for _, w := range rows {
		if meant(w) {
			list = append(list, store.Member{Deployment: w.Deployment, Key: w.Key, Run: w.Run})
		}
	}
	_, err = t.tenant().Resolve(ctx, list, store.Resolution{State: "resolved", Retry: true}, func(m store.Member) store.AuditEntry {
		return operator.Entry(time.Now(), "exception.retry", m.Key, "")
	})
	return err
}
