package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"throughline/internal/hub"
)

var statuses = map[hub.Kind]int{
	hub.Invalid: 422, hub.NotFound: 404, hub.Exists: 409, hub.Conflict: 412, hub.Blocked: 422, hub.Unauthenticated: 401, hub.Forbidden: 403,
	hub.Unavailable: 503, hub.Throttled: 429, hub.Expired: 409, hub.Uncertain: 502, hub.Internal: 500,
}

// problem turns an error into RFC 9457. A defect of ours is logged, and told without detail.
func (a *API) problem(err error) *huma.ErrorModel {
	e := hub.AsError(err)
	if e == nil || e.Kind == hub.Internal {
		a.log.Error("a request failed", "error", err)
		return &huma.ErrorModel{Status: 500, Type: typeOf("defect"), Title: "Something went wrong on our side.", Detail: "Tell support."}
	}
	p := &huma.ErrorModel{Status: statuses[e.Kind], Type: typeOf(e.Code), Title: e.Message, Detail: e.Hint}
	if prefix, _, ok := strings.Cut(err.Error(), e.Message); ok && prefix != "" {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: strings.TrimSuffix(prefix, ": "), Location: e.Field})
	} else if e.Field != "" {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: e.Message, Location: e.Field})
	}
	return p
}

// typeOf names a problem's type: the code, as docs/errors.md lists it.
func typeOf(code string) string { return "/errors/" + code }

// refuse answers before a route is reached.
func (a *API) refuse(ctx huma.Context, err error) {
	p := a.problem(err)
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	ctx.SetHeader("Content-Type", "application/problem+json")
	ctx.SetStatus(p.Status)
	if err := json.NewEncoder(ctx.BodyWriter()).Encode(p); err != nil {
		a.log.Debug("the caller has gone", "error", err)
	}
}

// huma words its own refusals (a field of the wrong type, a body that is too large) by this one
// function; with ours, they are problems with a type like all others.
func init() { huma.NewError = malformed }

// codes of what is wrong with a request before a use case sees it.
var codes = map[int]string{
	http.StatusBadRequest: "request.malformed", http.StatusUnprocessableEntity: "request.invalid", http.StatusRequestEntityTooLarge: "request.too_large",
	http.StatusRequestTimeout: "request.slow", http.StatusUnsupportedMediaType: "request.media_type", http.StatusNotAcceptable: "request.not_acceptable", http.StatusNotFound: "request.unknown_address",
}

func malformed(status int, message string, causes ...error) huma.StatusError {
	code, known := codes[status]
	if !known {
		code = "defect"
	}
	p := &huma.ErrorModel{Status: status, Type: typeOf(code), Title: sentence(message), Detail: "See /openapi.json for what is expected."}
	for _, cause := range causes {
		if told, ok := cause.(huma.ErrorDetailer); ok {
			p.Errors = append(p.Errors, told.ErrorDetail())
		} else if cause != nil {
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: cause.Error()})
		}
	}
	return p
}

// sentence makes a sentence of a message that begins small and ends without a full stop.
func sentence(s string) string {
	if s == "" {
		return "The request cannot be understood."
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

// noRoute answers for addresses that are not there.
func noRoute(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(malformed(http.StatusNotFound, "there is no "+r.Method+" at this address")) // an error here: the caller has gone
}
