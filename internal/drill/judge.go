package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/oracle"
	"throughline/internal/store"
)

// Result is what became of a plan.
type Result struct {
	Ledgers oracle.Ledgers
	Verdict oracle.Verdict
	Faults  []string // what is wrong beyond what the oracle sees
	Counts  map[string]int
}

// Good reports that nothing is wrong.
func (r Result) Good() bool { return r.Verdict.Good() && len(r.Faults) == 0 }

// String tells what is wrong, with the history of each record concerned.
func (r Result) String() string {
	var b strings.Builder
	for _, f := range r.Faults {
		fmt.Fprintln(&b, f)
	}
	told := map[string]bool{}
	for _, f := range r.Verdict.Findings {
		fmt.Fprintf(&b, "%s: %s deal %s: %s\n", f.Set, f.Tenant, f.Key, f.Says)
		if name := f.Tenant + "/" + f.Key; !told[name] {
			told[name] = true
			for _, line := range r.history(f.Tenant, f.Key) {
				fmt.Fprintln(&b, "   ", line)
			}
		}
	}
	return b.String()
}

// history is what the three ledgers say of a record, in order.
func (r Result) history(tenant, key string) []string {
	var list []string
	for _, o := range r.Ledgers.Source {
		if o.Tenant == tenant && o.Key == key {
			what := "offered"
			if o.Acked {
				what = "acknowledged"
			}
			list = append(list, fmt.Sprintf("%s %s version %d", o.At.Format(stamp), what, o.Version))
		}
	}
	for _, e := range r.Ledgers.Effects {
		if e.Owner == tenant && e.Key == key {
			list = append(list, effectLine(e))
		}
	}
	for _, o := range r.Ledgers.Outcomes {
		if o.Tenant == tenant && o.Key == key {
			list = append(list, fmt.Sprintf("%s outcome %s %s", o.At.Format(stamp), o.State, o.Code))
		}
	}
	slices.Sort(list)
	return list
}

const stamp = "15:04:05.000000000"

func effectLine(e oracle.Effect) string {
	lost := ""
	if e.Lost {
		lost = ", answer lost"
	}
	return fmt.Sprintf("%s %s %s %s in %s: %s%s", e.At.Format(stamp), e.Op, e.Entity, e.ID, e.Account, e.Content, lost)
}

// History is what happened outside, and how all ended, each with its instant: two runs of a seed have the same.
func (r Result) History() []string {
	var list []string
	for _, e := range r.Ledgers.Effects {
		list = append(list, effectLine(e))
	}
	for _, o := range r.Ledgers.Outcomes {
		list = append(list, fmt.Sprintf("%s %s/%s %s %s", o.At.Format(stamp), o.Tenant, o.Key, o.State, o.Code))
	}
	slices.Sort(list)
	return list
}

// judge reads the ledgers and has the oracle compare them.
func (w *world) judge(ctx context.Context) (Result, error) {
	l := oracle.Ledgers{Source: w.offers, Effects: w.far.effects}
	for _, t := range w.plan.Tenants {
		tenant := w.store.Tenant(hub.TenantID(t.Name))
		runs, err := tenant.Runs(ctx, store.Filter{Limit: 10_000})
		if err != nil {
			return Result{}, err
		}
		if err := w.ended(ctx, t, tenant); err != nil {
			return Result{}, err
		}
		l.Outcomes = append(l.Outcomes, w.outcomes(t, runs)...)
		if _, err := tenant.VerifyAudit(ctx); err != nil {
			w.fault("%s: the audit does not hold: %v", t.Name, err)
		}
	}
	return Result{Ledgers: l, Verdict: oracle.Check(l), Faults: w.faults, Counts: w.far.counts}, nil
}

// outcomes are the runs' as the oracle reads them. One that was parked or filtered and ran again
// counts as it ended then.
func (w *world) outcomes(t Tenant, runs []store.Run) (list []oracle.Outcome) {
	last := map[string]time.Time{}
	for _, r := range runs {
		name := string(r.Deployment) + r.Key
		if at := w.ends[r.ID]; at.After(last[name]) {
			last[name] = at
		}
	}
	for _, r := range runs {
		at, state := w.ends[r.ID], string(r.Outcome)
		if at.Before(last[string(r.Deployment)+r.Key]) && (r.Outcome == hub.Parked || r.Outcome == hub.Filtered) {
			state = "passed"
		}
		if r.Outcome == hub.Superseded {
			at = r.Ended
		}
		key, _ := hub.ParseRecordKey(r.Key)
		list = append(list, oracle.Outcome{At: at, Tenant: t.Name, Key: key.ID, Flow: string(r.Deployment), State: state, Code: r.Code})
	}
	return list
}

// ended checks what the oracle cannot: that nothing is parked but what has to be, and that what has
// to be is.
func (w *world) ended(ctx context.Context, t Tenant, tenant *store.Tenant) error {
	open, err := tenant.Exceptions(ctx, store.Filter{State: "open", Limit: 10_000})
	if err != nil {
		return err
	}
	for _, e := range open {
		uncertain := e.Code == "write.uncertain" && (t.ERP == "X" || t.Time == "X")
		if !uncertain && !w.poisoned(t, e.Key) {
			w.fault("%s %s stays parked: %s %s", t.Name, e.Key, e.Code, e.Message)
		}
	}
	return nil
}
