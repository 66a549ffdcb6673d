package api

import (
	"context"

	"throughline/internal/access"
	"throughline/internal/control"
	"throughline/internal/exact"
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

// causes: what holds up many, and what is done about it at once.
func (a *API) causes() {
	handle(a, "GET", "/v1/customers/{customer}/exceptions/causes", "list-causes", "What holds up records, the largest first",
		func(ctx context.Context, by access.Principal, f *listCauses) (List[Cause], error) {
			list, err := a.control.Causes(ctx, by, hub.TenantID(f.Customer), hub.DeploymentID(f.Flow), f.Limit)
			return each(list, viewCause), err
		})
	handle(a, "GET", "/v1/customers/{customer}/exceptions/causes/{cause}", "list-cause", "A page of those that a cause holds up",
		func(ctx context.Context, by access.Principal, m *listMembers) (Page[Exception], error) {
			list, next, err := a.control.Members(ctx, by, hub.TenantID(m.Customer), hub.CauseID(m.Cause), m.After, m.Limit)
			return Page[Exception]{each(list, viewException).Items, next}, err
		})
	handle(a, "POST", "/v1/customers/{customer}/exceptions/resolve", "resolve-exceptions", "Do the same with all of a cause, or say what it would do",
		func(ctx context.Context, by access.Principal, r *resolving) (Resolved, error) {
			b := r.Body
			out, err := a.control.Resolve(ctx, by, hub.TenantID(r.Customer), control.Resolving{Causes: b.Select.Causes, Exceptions: b.Select.Exceptions, How: b.Action.How, Reason: b.Action.Reason,
				Until: b.Action.Until, To: b.Action.To, Fields: b.Action.Fields, Preview: b.Preview, After: b.After})
			if err != nil {
				return Resolved{}, err
			}
			return viewResolved(out), nil
		})
	handle(a, "GET", "/v1/customers/{customer}/flows/{flow}/edits", "list-edits", "What people have changed of a flow's records",
		func(ctx context.Context, by access.Principal, e *listEdits) (List[Edit], error) {
			list, err := a.control.Edits(ctx, by, hub.TenantID(e.Customer), hub.DeploymentID(e.Flow), e.After, e.Limit)
			return each(list, viewEdit), err
		})
	handle(a, "POST", "/v1/customers/{customer}/flows/{flow}/edits/end", "end-edits", "Read a record as it comes again, and run it",
		func(ctx context.Context, by access.Principal, e *endEdits) (struct{}, error) {
			return struct{}{}, a.control.EndEdit(ctx, by, hub.TenantID(e.Customer), hub.DeploymentID(e.Flow), e.Body.Record)
		})
}

type listCauses struct {
	OfCustomer
	Flow  string `query:"flow"`
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"1000"`
}

type listMembers struct {
	OfCustomer
	Cause string `path:"cause"`
	After string `query:"after" doc:"of the page before"`
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"1000"`
}

type resolving struct {
	OfCustomer
	Body struct {
		Select  Select `json:"select"`
		Action  Action `json:"action"`
		Preview bool   `json:"preview,omitempty" doc:"only say what would happen"`
		After   string `json:"after,omitempty" doc:"of the answer before: go on there"`
	}
}

type listEdits struct {
	OfCustomer
	Flow  string `path:"flow"`
	After string `query:"after" doc:"a record: those after it"`
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"1000"`
}

type endEdits struct {
	OfCustomer
	Flow string `path:"flow"`
	Body struct {
		Record string `json:"record" doc:"connection, kind and id"`
	}
}

// Select says whom an action is for.
type Select struct {
	Causes     []hub.CauseID     `json:"causes,omitempty" doc:"all whom these hold up"`
	Exceptions []hub.ExceptionID `json:"exceptions,omitempty" doc:"these alone"`
}

// Action says what is done.
type Action struct {
	How    string            `json:"how" enum:"retry,ignore,approve,map,link,set,reopen,credit,next_invoice,leave"`
	Reason string            `json:"reason,omitempty" doc:"to ignore needs one"`
	Until  string            `json:"until,omitempty" doc:"ignore: the day on which they run again"`
	To     string            `json:"to,omitempty" doc:"map: what the value means; link: the id over there"`
	Fields map[string]string `json:"fields,omitempty" doc:"set: fields of the record that starts the flow; empty text takes one away"`
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
		Moved   bool   `query:"moved" doc:"connections with another address lead to the same accounts as before"`
		Name    string `query:"name" default:"customer.yaml" doc:"the file's name, for messages"`
		RawBody []byte `contentType:"application/yaml"`
	}
	handle(a, "POST", "/v1/apply", "apply-customer", "Make a customer as the file describes it",
		func(ctx context.Context, by access.Principal, f *file) (List[control.Change], error) {
			var options []control.Option
			if f.Moved {
				options = append(options, control.Moved)
			}
			if f.DryRun {
				changes, _, err := a.control.Plan(ctx, by, f.Name, f.RawBody, options...)
				return List[control.Change]{changes}, err
			}
			changes, err := a.control.Apply(ctx, by, f.Name, f.RawBody, options...)
			return List[control.Change]{changes}, err
		})
	handle(a, "GET", "/v1/customers/{customer}/connections", "list-connections", "Connections, without their secrets",
		func(ctx context.Context, by access.Principal, c *OfCustomer) (List[Connection], error) {
			list, err := a.control.Connections(ctx, by, hub.TenantID(c.Customer))
			return each(list, viewConnection), err
		})
	type table struct {
		OfCustomer
		Connection string `path:"connection"`
		Kind       string `path:"kind" doc:"the connector's own word for the record"`
		Check      bool   `query:"check" doc:"only look whether all rows could be taken, and what they say"`
		RawBody    []byte `contentType:"text/csv"`
	}
	handle(a, "POST", "/v1/customers/{customer}/connections/{connection}/records/{kind}", "upload-records", "Take records from a table, as if their system had told of them",
		func(ctx context.Context, by access.Principal, t *table) (Taken, error) {
			if t.Check {
				list, err := a.control.CheckUpload(ctx, by, hub.TenantID(t.Customer), hub.ConnectionID(t.Connection), t.Kind, t.RawBody)
				return Taken{Checked: each(list, viewRow).Items}, err
			}
			rows, fresh, err := a.control.Upload(ctx, by, hub.TenantID(t.Customer), hub.ConnectionID(t.Connection), t.Kind, t.RawBody)
			return Taken{Rows: rows, New: fresh}, err
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
	type backfill struct {
		OfCustomer
		Flow string `path:"flow"`
		Body struct {
			From string `json:"from" format:"date" doc:"the first business date"`
			To   string `json:"to" format:"date" doc:"the last one, included"`
			Stop bool   `json:"stop,omitempty" doc:"end one that is under way"`
		}
	}
	handle(a, "POST", "/v1/customers/{customer}/flows/{flow}/backfill", "backfill-flow", "Read a span of business dates again, or stop doing so",
		func(ctx context.Context, by access.Principal, b *backfill) (struct{}, error) {
			from, err := exact.ParseDate(b.Body.From)
			if err != nil {
				return struct{}{}, err
			}
			to, err := exact.ParseDate(b.Body.To)
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, a.control.Backfill(ctx, by, hub.TenantID(b.Customer), hub.DeploymentID(b.Flow), from, to, b.Body.Stop)
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
