package api

import (
	"context"

	"throughline/internal/access"
	"throughline/internal/control"
	"throughline/internal/hub"
	"throughline/internal/store"
)

type filter struct {
	OfCustomer
	Flow  string `query:"flow"`
	State string `query:"state" doc:"an outcome of runs, or a state of exceptions or of work"`
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"1000"`
}

func (f *filter) store() store.Filter {
	return store.Filter{Deployment: hub.DeploymentID(f.Flow), State: f.State, Limit: f.Limit}
}

// ledger: what ran, and what is on its way.
func (a *API) ledger() {
	handle(a, "GET", "/v1/customers/{customer}/runs", "list-runs", "Ended runs, newest first",
		func(ctx context.Context, by access.Principal, f *filter) (List[Run], error) {
			list, err := a.control.Runs(ctx, by, hub.TenantID(f.Customer), store.Filter{Deployment: hub.DeploymentID(f.Flow), Outcome: hub.Outcome(f.State), Limit: f.Limit})
			return each(list, viewRun), err
		})
	handle(a, "GET", "/v1/customers/{customer}/work", "list-work", "Records on their way, each with why it waits",
		func(ctx context.Context, by access.Principal, f *filter) (List[Work], error) {
			list, err := a.control.Waiting(ctx, by, hub.TenantID(f.Customer), f.store())
			return each(list, viewWork), err
		})
}

func (a *API) exceptions() {
	handle(a, "GET", "/v1/customers/{customer}/exceptions", "list-exceptions", "Exceptions, newest first",
		func(ctx context.Context, by access.Principal, f *filter) (List[Exception], error) {
			list, err := a.control.Exceptions(ctx, by, hub.TenantID(f.Customer), f.store())
			return each(list, viewException), err
		})
	type resolve struct {
		OfCustomer
		ID   string `path:"exception"`
		How  string `path:"how" enum:"retry,ignore,approve"`
		Body struct {
			Reason string `json:"reason,omitempty"`
		}
	}
	handle(a, "POST", "/v1/customers/{customer}/exceptions/{exception}/{how}", "resolve-exception", "Retry, ignore or approve",
		func(ctx context.Context, by access.Principal, r *resolve) (struct{}, error) {
			return struct{}{}, a.control.ResolveException(ctx, by, hub.TenantID(r.Customer), hub.ExceptionID(r.ID), r.How, r.Body.Reason)
		})
}

func (a *API) records() {
	type search struct {
		OfCustomer
		Type  string `query:"type"`
		Text  string `query:"text" doc:"a name, an id or a number in any system"`
		Limit int    `query:"limit" default:"20" minimum:"1" maximum:"200"`
	}
	handle(a, "GET", "/v1/customers/{customer}/records", "list-records", "Records and where they are known",
		func(ctx context.Context, by access.Principal, s *search) (List[Record], error) {
			list, err := a.control.Records(ctx, by, hub.TenantID(s.Customer), s.Type, s.Text, s.Limit)
			return each(list, viewRecord), err
		})
	type explain struct {
		OfCustomer
		Record string `path:"record"`
	}
	handle(a, "GET", "/v1/customers/{customer}/records/{record}/writes", "explain-record", "What was written of a record, and by which rules",
		func(ctx context.Context, by access.Principal, e *explain) (List[Write], error) {
			list, err := a.control.Explain(ctx, by, hub.TenantID(e.Customer), hub.RecordID(e.Record))
			return each(list, viewWrite), err
		})
}

func (a *API) customers() {
	type file struct {
		DryRun  bool   `query:"dry_run"`
		Name    string `query:"name" default:"customer.yaml" doc:"the file's name, for messages"`
		RawBody []byte `contentType:"application/yaml"`
	}
	handle(a, "POST", "/v1/apply", "apply-customer", "Make a customer as the file describes it",
		func(ctx context.Context, by access.Principal, f *file) (List[control.Change], error) {
			if f.DryRun {
				changes, _, err := a.control.Plan(ctx, by, f.Name, f.RawBody)
				return List[control.Change]{changes}, err
			}
			changes, err := a.control.Apply(ctx, by, f.Name, f.RawBody)
			return List[control.Change]{changes}, err
		})
	handle(a, "GET", "/v1/customers/{customer}/connections", "list-connections", "Connections, without their secrets",
		func(ctx context.Context, by access.Principal, c *OfCustomer) (List[Connection], error) {
			list, err := a.control.Connections(ctx, by, hub.TenantID(c.Customer))
			return each(list, viewConnection), err
		})
}

func (a *API) flows() {
	handle(a, "GET", "/v1/customers/{customer}/flows", "list-flows", "Flows, each in its newest revision",
		func(ctx context.Context, by access.Principal, c *OfCustomer) (List[Flow], error) {
			list, err := a.control.Flows(ctx, by, hub.TenantID(c.Customer))
			return each(list, viewFlow), err
		})
	type set struct {
		OfCustomer
		Flow string `path:"flow"`
		How  string `path:"how" enum:"pause,resume"`
	}
	handle(a, "POST", "/v1/customers/{customer}/flows/{flow}/{how}", "set-flow", "Pause or resume",
		func(ctx context.Context, by access.Principal, s *set) (struct{}, error) {
			return struct{}{}, a.control.SetFlow(ctx, by, hub.TenantID(s.Customer), hub.DeploymentID(s.Flow), s.How)
		})
}

// service: the whole, for the partner's own people.
func (a *API) service() {
	handle(a, "GET", "/v1/status", "status", "How the service stands: whether it is held, and what it may not know",
		func(ctx context.Context, by access.Principal, _ *struct{}) (Status, error) {
			st, err := a.control.Standing(ctx, by)
			return viewStatus(st), err
		})
	handle(a, "POST", "/v1/resume", "resume", "Let a ledger that is held go on; says what becomes of each flow",
		func(ctx context.Context, by access.Principal, _ *struct{}) (List[control.Caught], error) {
			list, err := a.control.ResumeLedger(ctx, by)
			return List[control.Caught]{list}, err
		})
	handle(a, "POST", "/v1/trust", "trust", "End the lost time: creates no longer look first",
		func(ctx context.Context, by access.Principal, _ *struct{}) (struct{}, error) {
			return struct{}{}, a.control.TrustLedger(ctx, by)
		})
}
