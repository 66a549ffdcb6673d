package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// lead is how long before the flows' next look people begin, so that they are done by then.
const lead = 400 * time.Millisecond

func (t *teller) tenant() *store.Tenant { return t.App.Store.Tenant(t.customer.tenant()) }

// flows are those of hours and expenses.
func (t *teller) flows() []hub.DeploymentID {
	return []hub.DeploymentID{hub.DeploymentID(t.month.Flows.Hours), hub.DeploymentID(t.month.Flows.Expenses)}
}

// ticks are the rows that look for changes, by flow and kind, with the time of their next turn; one
// whose turn it is has none.
func (t *teller) ticks(ctx context.Context) (map[string]time.Time, error) {
	due := map[string]time.Time{}
	for _, flow := range t.flows() {
		for _, key := range []string{ingest.PollKey, ingest.SweepKey} {
			rows, err := t.tenant().Work(ctx, store.Filter{Deployment: flow, Key: key, Limit: 1})
			if err != nil || len(rows) == 0 {
				return nil, fmt.Errorf("find the %s of %s: %w", key, flow, err)
			}
			name := string(flow) + "/" + key
			if due[name] = (time.Time{}); rows[0].State == hub.Later && rows[0].Reason == "" { // else it comes again for what it has not done
				due[name] = rows[0].Due
			}
		}
	}
	return due, nil
}

// between waits for a moment in which no poll is under way nor will be at once.
func (t *teller) between(ctx context.Context) error {
	return wait(ctx, func() (bool, error) {
		due, err := t.ticks(ctx)
		for name, at := range due {
			if strings.HasSuffix(name, ingest.PollKey) && time.Until(at) < lead {
				return false, err
			}
		}
		return true, err
	})
}

// rest waits until the flows have looked at what is there now, and all that came of it is done.
func (t *teller) rest(ctx context.Context) error {
	before, err := t.ticks(ctx)
	if err != nil {
		return err
	}
	err = wait(ctx, func() (bool, error) {
		now, err := t.ticks(ctx)
		for name, was := range before {
			switch {
			case now[name].IsZero():
				return false, err // under way
			case was.IsZero():
				before[name] = now[name] // it may have begun too early: the next one counts
				return false, err
			case !now[name].After(was):
				return false, err
			}
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return wait(ctx, func() (bool, error) {
		for _, flow := range t.flows() {
			for _, state := range []hub.WorkState{hub.Ready, hub.Running, hub.Later} {
				rows, err := t.tenant().Work(ctx, store.Filter{Deployment: flow, State: string(state), Limit: 10})
				if err != nil {
					return false, err
				}
				for _, w := range rows {
					if strings.Contains(w.Key, "/") {
						return false, nil
					}
				}
			}
		}
		return true, nil
	})
}

// exceptions are the open ones of hours and expenses.
func (t *teller) exceptions(ctx context.Context) ([]store.Exception, error) {
	var all []store.Exception
	for _, flow := range t.flows() {
		list, err := t.tenant().Exceptions(ctx, store.Filter{Deployment: flow, State: "open", Limit: 10_000})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// waiting are the rows that wait for a record.
func (t *teller) waiting(ctx context.Context) ([]hub.Work, error) {
	var all []hub.Work
	for _, flow := range t.flows() {
		list, err := t.tenant().Work(ctx, store.Filter{Deployment: flow, State: string(hub.Waiting), Limit: 10_000})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// open counts what waits for people, by code.
func (t *teller) open(ctx context.Context) (map[string]int, error) {
	list, err := t.exceptions(ctx)
	if err != nil {
		return nil, err
	}
	n := map[string]int{}
	for _, e := range list {
		n[e.Code]++
	}
	waits, err := t.waiting(ctx)
	if len(waits) > 0 {
		n["waiting"] = len(waits)
	}
	return n, err
}

// unlike tells a story that went another way than it should.
func (t *teller) unlike(ctx context.Context, r round, open map[string]int) error {
	list, err := t.exceptions(ctx)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("open are %v, expected %v", open, r.Expect)
	for _, e := range list {
		if open[e.Code] != r.Expect[e.Code] {
			text += fmt.Sprintf("\n  %s: %s: %s %s", e.Code, e.Label, e.Message, e.Value)
		}
	}
	waits, err := t.waiting(ctx)
	for _, w := range waits {
		text += fmt.Sprintf("\n  %s %s %s", w.Key, w.Reason, w.Cause)
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s", text)
}
