// Package api is the REST door: decode, call one use case, encode. Its OpenAPI 3.1 description is
// made from the same types and served at /openapi.json; errors are problems (RFC 9457).
package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"throughline/internal/access"
	"throughline/internal/control"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// API serves the routes.
type API struct {
	control *control.Control
	keys    *access.Keys
}

// Handler builds the routes under /v1.
func Handler(c *control.Control, k *access.Keys) http.Handler {
	a := &API{c, k}
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("Service API", "1")
	cfg.DocsPath = ""
	cfg.CreateHooks = nil // no $schema links: answers hold what they are about
	h := humago.New(mux, cfg)
	a.routes(h)
	return mux
}

var statuses = map[hub.Kind]int{
	hub.Invalid: 422, hub.NotFound: 404, hub.Exists: 409, hub.Conflict: 412, hub.Blocked: 422, hub.Unauthenticated: 401, hub.Forbidden: 403,
	hub.Unavailable: 503, hub.Throttled: 429, hub.Expired: 409, hub.Uncertain: 502, hub.Internal: 500,
}

// problem turns an error into RFC 9457. A defect of ours is told without detail.
func problem(err error) error {
	if err == nil {
		return nil
	}
	e := hub.AsError(err)
	if e == nil || e.Kind == hub.Internal {
		return &huma.ErrorModel{Status: 500, Type: "/errors/defect", Title: "Something went wrong on our side.", Detail: "Tell support."}
	}
	p := &huma.ErrorModel{Status: statuses[e.Kind], Type: "/errors/" + e.Code, Title: e.Message, Detail: e.Hint}
	if prefix, _, ok := strings.Cut(err.Error(), e.Message); ok && prefix != "" {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: strings.TrimSuffix(prefix, ": "), Location: e.Field})
	} else if e.Field != "" {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: e.Message, Location: e.Field})
	}
	return p
}

// Caller is what every request carries.
type Caller struct {
	Authorization string `header:"Authorization" doc:"Bearer and an API key"`
}

// OfCustomer is a request about one customer.
type OfCustomer struct {
	Caller
	Customer string `path:"customer"`
}

func (a *API) who(ctx context.Context, c Caller) (access.Principal, error) {
	return a.keys.Caller(ctx, c.Authorization)
}

// handle makes a route of a use case: who calls, then the use case, then the answer or a problem.
func handle[I, O any](a *API, h huma.API, method, path, id, summary string, of func(*I) Caller, use func(context.Context, access.Principal, *I) (O, error)) {
	type answer struct{ Body O }
	huma.Register(h, huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Errors: []int{401, 403, 404, 422}},
		func(ctx context.Context, in *I) (*answer, error) {
			by, err := a.who(ctx, of(in))
			if err != nil {
				return nil, problem(err)
			}
			out, err := use(ctx, by, in)
			if err != nil {
				return nil, problem(err)
			}
			return &answer{out}, nil
		})
}

// List is a list of things.
type List[T any] struct {
	Items []T `json:"items"`
}

// Run is an ended run.
type Run struct {
	ID       string    `json:"id"`
	Flow     string    `json:"flow"`
	Record   string    `json:"record" doc:"connection, kind and id of the record that started it"`
	Label    string    `json:"label"`
	Outcome  string    `json:"outcome" enum:"written,unchanged,filtered,superseded,parked"`
	Message  string    `json:"message,omitempty"`
	Calls    int       `json:"calls"`
	Revision int64     `json:"revision"`
	Accepted time.Time `json:"accepted"`
	Ended    time.Time `json:"ended"`
}

// Exception is a parked run that waits for a person.
type Exception struct {
	ID         string    `json:"id"`
	Flow       string    `json:"flow"`
	Record     string    `json:"record"`
	Label      string    `json:"label"`
	Class      string    `json:"class"`
	Code       string    `json:"code"`
	Field      string    `json:"field,omitempty"`
	Message    string    `json:"message"`
	Hint       string    `json:"hint,omitempty"`
	State      string    `json:"state"`
	Resolution string    `json:"resolution,omitempty"`
	Opened     time.Time `json:"opened"`
}

// Record is a canonical record and where it is known.
type Record struct {
	ID     string         `json:"id"`
	Type   string         `json:"type"`
	Label  string         `json:"label"`
	Fields map[string]any `json:"fields"`
	Known  []Known        `json:"known"`
}

// Known is a record's cross-reference in one connection.
type Known struct {
	Connection string `json:"connection"`
	Kind       string `json:"kind"`
	ID         string `json:"id"`
	Number     string `json:"number,omitempty"`
	Link       string `json:"link,omitempty"`
}

// Write is a write with the rules behind it.
type Write struct {
	Connection string         `json:"connection"`
	Operation  string         `json:"operation"`
	Class      string         `json:"class"`
	State      string         `json:"state"`
	Run        string         `json:"run"`
	Started    time.Time      `json:"started"`
	Sent       map[string]any `json:"sent"`
	Rules      []control.Rule `json:"rules"`
}

func (a *API) routes(h huma.API) {
	type filter struct {
		OfCustomer
		Flow  string `query:"flow"`
		State string `query:"state" doc:"an outcome of runs, or a state of exceptions"`
		Limit int    `query:"limit" default:"50" minimum:"1" maximum:"1000"`
	}
	handle(a, h, "GET", "/v1/customers/{customer}/runs", "list-runs", "Ended runs, newest first", func(f *filter) Caller { return f.Caller },
		func(ctx context.Context, by access.Principal, f *filter) (List[Run], error) {
			list, err := a.control.Runs(ctx, by, hub.TenantID(f.Customer), store.Filter{Deployment: hub.DeploymentID(f.Flow), Outcome: hub.Outcome(f.State), Limit: f.Limit})
			return each(list, viewRun), err
		})
	handle(a, h, "GET", "/v1/customers/{customer}/exceptions", "list-exceptions", "Exceptions, newest first", func(f *filter) Caller { return f.Caller },
		func(ctx context.Context, by access.Principal, f *filter) (List[Exception], error) {
			list, err := a.control.Exceptions(ctx, by, hub.TenantID(f.Customer), store.Filter{Deployment: hub.DeploymentID(f.Flow), State: f.State, Limit: f.Limit})
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
	handle(a, h, "POST", "/v1/customers/{customer}/exceptions/{exception}/{how}", "resolve-exception", "Retry, ignore or approve", func(r *resolve) Caller { return r.Caller },
		func(ctx context.Context, by access.Principal, r *resolve) (struct{}, error) {
			return struct{}{}, a.control.ResolveException(ctx, by, hub.TenantID(r.Customer), hub.ExceptionID(r.ID), r.How, r.Body.Reason)
		})
	type search struct {
		OfCustomer
		Type  string `query:"type"`
		Text  string `query:"text" doc:"a name, an id or a number in any system"`
		Limit int    `query:"limit" default:"20" minimum:"1" maximum:"200"`
	}
	handle(a, h, "GET", "/v1/customers/{customer}/records", "list-records", "Records and where they are known", func(s *search) Caller { return s.Caller },
		func(ctx context.Context, by access.Principal, s *search) (List[Record], error) {
			list, err := a.control.Records(ctx, by, hub.TenantID(s.Customer), s.Type, s.Text, s.Limit)
			return each(list, viewRecord), err
		})
	type explain struct {
		OfCustomer
		Record string `path:"record"`
	}
	handle(a, h, "GET", "/v1/customers/{customer}/records/{record}/writes", "explain-record", "What was written of a record, and by which rules", func(e *explain) Caller { return e.Caller },
		func(ctx context.Context, by access.Principal, e *explain) (List[Write], error) {
			list, err := a.control.Explain(ctx, by, hub.TenantID(e.Customer), hub.RecordID(e.Record))
			return each(list, viewWrite), err
		})
	type file struct {
		Caller
		DryRun  bool   `query:"dry_run"`
		Name    string `query:"name" default:"customer.yaml" doc:"the file's name, for messages"`
		RawBody []byte `contentType:"application/yaml"`
	}
	handle(a, h, "POST", "/v1/apply", "apply-customer", "Make a customer as the file describes it", func(f *file) Caller { return f.Caller },
		func(ctx context.Context, by access.Principal, f *file) (List[control.Change], error) {
			if f.DryRun {
				changes, _, err := a.control.Plan(ctx, by, f.Name, f.RawBody)
				return List[control.Change]{changes}, err
			}
			changes, err := a.control.Apply(ctx, by, f.Name, f.RawBody)
			return List[control.Change]{changes}, err
		})
}

func each[T, V any](list []T, view func(T) V) List[V] {
	out := List[V]{Items: make([]V, len(list))}
	for i, t := range list {
		out.Items[i] = view(t)
	}
	return out
}

var errNoKey = errors.New("no key")

// Client is the commands' way to the API.
type Client struct {
	Server string
	Key    string
	HTTP   *http.Client
}

func (c *Client) check() error {
	if c.Key == "" {
		return fmt.Errorf("%w: give it with --key, or in THROUGHLINE_KEY", errNoKey)
	}
	return nil
}
