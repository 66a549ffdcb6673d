package trial

import (
	"context"
	"time"

	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/oracle"
	"throughline/internal/store"
)

// judge reads the three ledgers and has the oracle compare them.
func (r *chaosRun) judge(ctx context.Context) error {
	l, err := r.ledgers(ctx)
	if err != nil {
		return err
	}
	stats, err := r.far.stats(ctx)
	if err != nil {
		return err
	}
	r.result.Faults, r.result.Refused = stats.Faults, r.traffic.source.answers()
	r.result.Logins, r.result.Batches, r.result.Revoked = stats.Calls[farside.Login].Calls, stats.Calls[farside.Batch].Calls, stats.Revoked
	r.result.Verdict = oracle.Check(l)
	r.asked(l)
	r.result.Lost, r.result.Repeated = r.result.Count(oracle.Lost), r.result.Count(oracle.Duplicated)
	return oracle.Report(r.Log, oracle.Trial{Seed: r.Seed, Plan: r.result.Plan}, l, r.result.Verdict)
}

// asked counts the records that nothing protects, of whose creates an answer was lost: each is a person's
// business, and none may be told as written without having been asked about.
func (r *chaosRun) asked(l oracle.Ledgers) {
	parked, unprotected := map[[2]string]bool{}, map[[2]string]bool{}
	for _, o := range l.Outcomes {
		if o.State == "parked" {
			parked[[2]string{o.Tenant, o.Key}] = true
		}
	}
	for _, e := range l.Effects {
		if e.Lost && e.Op == oracle.Create && e.Entity != farside.TimeWork && r.class(e.Account) == "X" {
			unprotected[[2]string{e.Owner, e.Key}] = true
		}
	}
	r.result.Unprotected = len(unprotected)
	for key := range unprotected {
		if !parked[key] {
			r.result.Unasked++
		}
	}
}

func (r *chaosRun) ledgers(ctx context.Context) (l oracle.Ledgers, err error) {
	if l.Source, err = oracle.ReadLedger[oracle.Offer](r.offers()); err != nil {
		return l, err
	}
	if l.Effects, err = oracle.ReadLedger[oracle.Effect](r.effects()); err != nil {
		return l, err
	}
	s, err := store.Open(ctx, r.ledger(), time.Now)
	if err != nil {
		return l, err
	}
	defer s.Close()
	for _, t := range r.Tenants {
		runs, err := s.Tenant(hub.TenantID(t)).Runs(ctx, store.Filter{Limit: 1 << 20})
		if err != nil {
			return l, err
		}
		for _, run := range runs {
			key, _ := hub.ParseRecordKey(run.Key)
			l.Outcomes = append(l.Outcomes, oracle.Outcome{At: run.Ended, Tenant: t, Key: key.ID, Flow: string(run.Deployment), State: string(run.Outcome), Code: run.Code})
		}
		if _, err := s.Tenant(hub.TenantID(t)).VerifyAudit(ctx); err != nil {
			return l, err
		}
	}
	return l, nil
}
