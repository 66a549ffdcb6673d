// Package api is the REST door: decode, call one use case, encode. Its OpenAPI 3.1 description is
// made from the same types and served at /openapi.json; errors are problems (RFC 9457).
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"throughline/internal/access"
	"throughline/internal/control"
)

// API serves the routes.
type API struct {
	huma.API
	control *control.Control
	keys    *access.Keys
	log     *slog.Logger
}

// maxBody bounds what a request may bring.
const maxBody = 10 << 20

// Handler builds the routes under /v1. What is nobody's fault but ours goes to the log.
func Handler(c *control.Control, k *access.Keys, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("Service API", "1")
	cfg.DocsPath = ""
	cfg.CreateHooks = nil // no $schema links: answers hold what they are about
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", Description: "An API key, made by: throughline key NAME"}}
	a := &API{API: humago.New(mux, cfg), control: c, keys: k, log: log}
	a.UseMiddleware(a.authenticate, a.patient)
	a.ledger()
	a.exceptions()
	a.causes()
	a.records()
	a.customers()
	a.flows()
	a.balance()
	a.service()
	mux.HandleFunc("/", noRoute)
	return mux
}

// OfCustomer is a request about one customer.
type OfCustomer struct {
	Customer string `path:"customer"`
}

type callerKey struct{}

// authenticate asks who calls before anything else is looked at: a stranger learns nothing from what
// is wrong with the request.
func (a *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	by, err := a.keys.Caller(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		a.refuse(ctx, err)
		return
	}
	next(huma.WithValue(ctx, callerKey{}, by))
}

// handle makes a route of a use case: who calls, then the use case, then the answer or a problem.
func handle[I, O any](a *API, method, path, id, summary string, use func(context.Context, access.Principal, *I) (O, error)) {
	type answer struct{ Body O }
	op := huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Errors: []int{401, 403, 404, 413, 422}, MaxBodyBytes: maxBody + 1, // huma refuses what is as long as its limit
		Security: []map[string][]string{{"key": {}}}}
	huma.Register(a, op, func(ctx context.Context, in *I) (*answer, error) {
		by, ok := ctx.Value(callerKey{}).(access.Principal)
		if !ok {
			return nil, a.problem(errors.New("a request came past authenticate"))
		}
		out, err := use(ctx, by, in)
		if err != nil {
			return nil, a.problem(err)
		}
		return &answer{out}, nil
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
