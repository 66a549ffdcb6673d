// Package hook is the door for webhooks: it reads a delivery whole, hands it to package ingest, and
// answers. A 2xx is sent only for what is stored (R1).
//
// A stranger learns nothing here: an address that is not there, one of another customer and a wrong
// signature get the same answer. What was wrong stands in the log.
package hook

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/ingest"
)

const (
	maxBody = 10 << 20
	maxHeld = 128 << 20 // of all deliveries in hand together: a signature is checked over the whole body
	large   = 1 << 20   // such a delivery takes ten times its size while it is understood: one after the other

	firstRoom = 64 << 10
)

var statuses = map[hub.Kind]int{
	hub.Invalid: http.StatusUnprocessableEntity, hub.NotFound: http.StatusUnauthorized, hub.Unauthenticated: http.StatusUnauthorized,
	hub.Unavailable: http.StatusServiceUnavailable, hub.Throttled: http.StatusTooManyRequests,
}

type door struct {
	ingest   *ingest.Ingest
	external string
	log      *slog.Logger
	held     budget
	large    chan struct{} // holds who understands a large one
}

// Handler serves POST /hooks/{customer}/{connection}. External is the address under which vendors
// reach us ("https://hooks.partner.example"): some sign it.
func Handler(in *ingest.Ingest, external string, log *slog.Logger) http.Handler {
	d := &door{ingest: in, external: external, log: log, held: budget{left: maxHeld}, large: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/{customer}/{connection}", d.deliver)
	return mux
}

func (d *door) deliver(w http.ResponseWriter, r *http.Request) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		http.Error(w, "Send the delivery without Content-Encoding.", http.StatusUnsupportedMediaType)
		return
	}
	if r.ContentLength > maxBody {
		tooLarge(w)
		return
	}
	body, held, err := d.read(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	defer d.held.give(held)
	if errors.Is(err, errFull) {
		later(w, http.StatusServiceUnavailable, nil)
		return
	}
	if err != nil {
		broken(w, err)
		return
	}
	if len(body) > large {
		select {
		case d.large <- struct{}{}:
			defer func() { <-d.large }()
		case <-r.Context().Done():
			later(w, http.StatusServiceUnavailable, r.Context().Err()) // the sender has gone, and will send again
			return
		}
	}
	d.accept(w, r, body)
}

var errFull = errors.New("deliveries in hand hold as much as they may")

// read reads the whole body. Room is taken as it arrives, not as it is announced: who announces much and sends nothing
// holds up nobody. Held is what was taken.
func (d *door) read(from io.Reader, size int64) (body []byte, held int64, err error) {
	most := size
	if size < 0 {
		most = maxBody + 1 // it does not say; the reader ends before
	}
	for {
		room := min(max(2*held, firstRoom), most)
		if !d.held.take(room - held) {
			return nil, held, errFull
		}
		held, body = room, append(make([]byte, 0, room), body...)
		for err == nil && int64(len(body)) < room {
			var n int
			n, err = from.Read(body[len(body):room])
			body = body[:int64(len(body))+int64(n)]
		}
		switch whole := int64(len(body)) == size; {
		case whole, size < 0 && err == io.EOF:
			return body, held, nil
		case err == io.EOF:
			return nil, held, io.ErrUnexpectedEOF
		case err != nil:
			return nil, held, err
		}
	}
}

func (d *door) accept(w http.ResponseWriter, r *http.Request, body []byte) {
	tenant, connection := hub.TenantID(r.PathValue("customer")), hub.ConnectionID(r.PathValue("connection"))
	_, err := d.ingest.Accept(r.Context(), tenant, connection, connector.Delivery{Method: r.Method, URL: d.external + r.URL.RequestURI(), Header: r.Header, Body: body})
	if err != nil {
		d.log.Warn("refused a delivery", "customer", tenant, "connection", connection, "bytes", len(body), "error", err)
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func broken(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		tooLarge(w)
		return
	}
	http.Error(w, "The delivery did not arrive whole.", http.StatusBadRequest)
}

func tooLarge(w http.ResponseWriter) {
	w.Header().Set("Connection", "close") // what is still on its way is not read
	http.Error(w, "The delivery is larger than 10 MB.", http.StatusRequestEntityTooLarge)
}

// refuse answers without detail.
func refuse(w http.ResponseWriter, err error) {
	status, ok := statuses[hub.KindOf(err)]
	if !ok {
		status = http.StatusServiceUnavailable // not stored: the sender shall send again
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		later(w, status, err)
		return
	}
	http.Error(w, http.StatusText(status), status)
}

// later asks the sender to send again.
func later(w http.ResponseWriter, status int, err error) {
	after := 5
	if e := hub.AsError(err); e != nil && e.After > 0 {
		after = int(e.After.Seconds()) + 1
	}
	w.Header().Set("Retry-After", strconv.Itoa(after))
	http.Error(w, http.StatusText(status), status)
}
