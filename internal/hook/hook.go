// Package hook is the door for webhooks: it reads a delivery whole, hands it to package ingest, and
// answers. A 2xx is sent only for what is stored (R1).
package hook

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/ingest"
)

const maxBody = 10 << 20

var statuses = map[hub.Kind]int{
	hub.Invalid: http.StatusUnprocessableEntity, hub.NotFound: http.StatusNotFound, hub.Unauthenticated: http.StatusUnauthorized,
	hub.Unavailable: http.StatusServiceUnavailable, hub.Throttled: http.StatusTooManyRequests,
}

// Handler serves POST /hooks/{customer}/{connection}. External is the address under which vendors
// reach us ("https://hooks.partner.example"): some sign it.
func Handler(in *ingest.Ingest, external string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/{customer}/{connection}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				http.Error(w, "The delivery is larger than 10 MB.", http.StatusRequestEntityTooLarge)
				return
			}
			http.Error(w, "The delivery did not arrive whole.", http.StatusBadRequest)
			return
		}
		d := connector.Delivery{Method: r.Method, URL: external + r.URL.RequestURI(), Header: r.Header, Body: body}
		_, err = in.Accept(r.Context(), hub.TenantID(r.PathValue("customer")), hub.ConnectionID(r.PathValue("connection")), d)
		if err != nil {
			refuse(w, err)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

// refuse answers without detail: a stranger learns nothing here.
func refuse(w http.ResponseWriter, err error) {
	status, ok := statuses[hub.KindOf(err)]
	if !ok {
		status = http.StatusServiceUnavailable // not stored: the sender shall send again
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		after := 5
		if e := hub.AsError(err); e != nil && e.After > 0 {
			after = int(e.After.Seconds()) + 1
		}
		w.Header().Set("Retry-After", strconv.Itoa(after))
	}
	http.Error(w, http.StatusText(status), status)
}
