package trial

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// Filler fills a ledger through the store's own ways, as work would.
type Filler struct {
	Store   *store.Store
	Journal *store.Journal
	Flow    hub.DeploymentID
	n       int // records so far
}

const fillPage = 2000

// Waiting makes n rows of work, spread over the tenants.
func (f *Filler) Waiting(ctx context.Context, n int, lane hub.Lane, tenants ...string) error {
	for n > 0 {
		list := make([]store.Arrival, min(n, fillPage))
		for i := range list {
			list[i] = f.arrival(tenants[f.n%len(tenants)], lane)
		}
		if _, err := f.Journal.Accept(ctx, list...); err != nil {
			return fmt.Errorf("fill the queue: %w", err)
		}
		n -= len(list)
	}
	return nil
}

func (f *Filler) arrival(tenant string, lane hub.Lane) store.Arrival {
	f.n++
	key := hub.RecordKey{Connection: "crm", Kind: "opportunity", ID: fmt.Sprint(f.n)}
	id := hub.TenantID(tenant)
	return store.Arrival{Lane: lane, Deployments: []hub.DeploymentID{f.Flow}, RunID: f.runID,
		Event: hub.Event{Tenant: id, ID: hub.EventIDFor(id, key.Connection, key.Kind, key.ID, ""), Key: key, Source: "webhook", Received: time.Now()}}
}

func (f *Filler) runID() hub.RunID {
	f.n++
	return hub.RunID(fmt.Sprintf("run_%016d", f.n))
}

// Ended makes n ended runs, one in a thousand of them parked.
func (f *Filler) Ended(ctx context.Context, n int, seen func(done, all int), tenants ...string) error {
	epoch, err := f.Store.Join(ctx, "fill", time.Hour)
	if err != nil {
		return err
	}
	turn := &store.Turn{}
	for done := 0; done < n; {
		if err := f.Waiting(ctx, min(n-done, fillPage), hub.Normal, tenants...); err != nil {
			return err
		}
		for {
			got, err := f.Journal.Claim(ctx, epoch, fillPage, turn, f.runID)
			if err != nil {
				return err
			}
			if len(got) == 0 {
				break
			}
			if err := f.end(ctx, got); err != nil {
				return err
			}
			done += len(got)
		}
		seen(done, n)
	}
	return f.Store.Leave(ctx, epoch)
}

func (f *Filler) end(ctx context.Context, list []store.Claim) error {
	var hands sync.WaitGroup
	failed := make([]error, len(list))
	for i, c := range list {
		hands.Go(func() { _, failed[i] = f.Journal.Record(ctx, ended(c)) })
	}
	hands.Wait()
	for _, err := range failed {
		if err != nil {
			return fmt.Errorf("end a run: %w", err)
		}
	}
	return nil
}

// ended is how a claimed run ends: as a rule well.
func ended(c store.Claim) store.Step {
	now := time.Now()
	run := store.Run{Tenant: c.Tenant, ID: c.Run, Deployment: c.Deployment, Key: c.Key, Event: c.Work.Event, Revision: 1, Outcome: hub.Written,
		Message: "Written to erp and time.", Label: "Deal " + c.Key, Calls: 5, Accepted: c.Due, Ended: now}
	end := &store.Finish{Work: c.Work, Run: run}
	if strings.HasSuffix(c.Key, "000") {
		end.Run.Outcome, end.Run.Code = hub.Parked, "far.invalid"
		end.Exception = &store.Exception{ID: hub.ExceptionID("exc_" + string(c.Run)), Deployment: c.Deployment, Key: c.Key, Run: c.Run, Class: "validation", Code: "far.invalid",
			Message: "The ERP refuses it.", Hint: "Correct it.", Label: end.Run.Label, State: "open", Opened: now}
	}
	return store.Step{Epoch: c.Epoch, Tenant: c.Tenant, Finish: end}
}
