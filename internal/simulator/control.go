package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// Control is the back door over HTTP, for a demo that is driven with curl. Serve it under /_sim/
// beside the simulator, and only where nobody else can reach it.
//
//	GET    /_sim/accounts
//	GET    /_sim/rows/{entity}?account=
//	GET    /_sim/rows/{entity}/{id}
//	POST   /_sim/rows/{entity}            {fields}
//	PATCH  /_sim/rows/{entity}/{id}       {fields}
//	DELETE /_sim/rows/{entity}/{id}
//	POST   /_sim/rows/{entity}/{id}/{action}
//	GET    /_sim/effects
//	POST   /_sim/faults                   {"next": 1, "fault": "drop_answer", "match": {…}} or {"odds": {…}}
//	POST   /_sim/advance                  {"by": "90s"}
//	POST   /_sim/deliver                  sends the webhooks that are due
//	POST   /_sim/reset
func (s *Simulator) Control() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request) (any, error){
		"GET /_sim/accounts":                     s.getAccounts,
		"GET /_sim/rows/{entity}":                s.getRows,
		"GET /_sim/rows/{entity}/{id}":           s.getRow,
		"POST /_sim/rows/{entity}":               s.postRow,
		"PATCH /_sim/rows/{entity}/{id}":         s.patchRow,
		"DELETE /_sim/rows/{entity}/{id}":        s.deleteRow,
		"POST /_sim/rows/{entity}/{id}/{action}": s.postMove,
		"GET /_sim/effects":                      s.getEffects,
		"POST /_sim/faults":                      s.postFaults,
		"POST /_sim/advance":                     s.postAdvance,
		"POST /_sim/deliver":                     s.postDeliver,
		"POST /_sim/reset":                       s.postReset,
	} {
		mux.HandleFunc(pattern, control(h))
	}
	return mux
}

func control(h func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := h(r)
		status := http.StatusOK
		if err != nil {
			status, v = http.StatusInternalServerError, map[string]string{"error": err.Error()}
			switch hub.KindOf(err) {
			case hub.NotFound:
				status = http.StatusNotFound
			case hub.Invalid:
				status = http.StatusUnprocessableEntity
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(v) //nolint:errcheck // the reader went away
	}
}

func (s *Simulator) getAccounts(*http.Request) (any, error) { return s.AccountNames(), nil }

func (s *Simulator) getRows(r *http.Request) (any, error) {
	return s.Rows(r.FormValue("account"), r.PathValue("entity"))
}

func (s *Simulator) getRow(r *http.Request) (any, error) {
	return s.Row(r.FormValue("account"), r.PathValue("entity"), r.PathValue("id"))
}

func (s *Simulator) postRow(r *http.Request) (any, error) {
	fields, err := readFields(r)
	if err != nil {
		return nil, err
	}
	id, err := s.Insert(r.URL.Query().Get("account"), r.PathValue("entity"), fields)
	return map[string]string{"id": id}, err
}

func (s *Simulator) patchRow(r *http.Request) (any, error) {
	fields, err := readFields(r)
	if err != nil {
		return nil, err
	}
	account, entity, id := r.URL.Query().Get("account"), r.PathValue("entity"), r.PathValue("id")
	if err := s.Update(account, entity, id, fields); err != nil {
		return nil, err
	}
	return s.Row(account, entity, id)
}

func (s *Simulator) deleteRow(r *http.Request) (any, error) {
	return struct{}{}, s.Remove(r.FormValue("account"), r.PathValue("entity"), r.PathValue("id"))
}

func (s *Simulator) postMove(r *http.Request) (any, error) {
	account, entity, id := r.URL.Query().Get("account"), r.PathValue("entity"), r.PathValue("id")
	if err := s.Move(account, entity, id, r.PathValue("action")); err != nil {
		return nil, err
	}
	return s.Row(account, entity, id)
}

func (s *Simulator) getEffects(*http.Request) (any, error) {
	if list := s.Effects(); list != nil {
		return list, nil
	}
	return []Effect{}, nil
}

func (s *Simulator) postFaults(r *http.Request) (any, error) {
	var in struct {
		Next  int   `json:"next"`
		Fault Fault `json:"fault"`
		Odds  Odds  `json:"odds"`
		Match struct {
			Account, Method, Path, Entity string
			Writes                        bool
			Skip                          int
		} `json:"match"`
	}
	if err := readInto(r, &in); err != nil {
		return nil, err
	}
	m := Match{Account: in.Match.Account, Method: in.Match.Method, Entity: in.Match.Entity, Writes: in.Match.Writes, Skip: in.Match.Skip}
	if in.Match.Path != "" {
		p, err := regexp.Compile(in.Match.Path)
		if err != nil {
			return nil, invalid("the path is not a regular expression: %v", err)
		}
		m.Path = p
	}
	if in.Next > 0 {
		return struct{}{}, s.FailNext(in.Next, in.Fault, m)
	}
	return struct{}{}, s.SetOdds(in.Odds, m)
}

func (s *Simulator) postAdvance(r *http.Request) (any, error) {
	var in struct {
		By string `json:"by"`
	}
	if err := readInto(r, &in); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(in.By)
	if err != nil || d < 0 {
		return nil, invalid("by must be a time such as 90s or 2h")
	}
	s.Advance(d)
	return struct{}{}, nil
}

func (s *Simulator) postDeliver(r *http.Request) (any, error) {
	n, err := s.DeliverDue(r.Context())
	return map[string]int{"arrived": n}, err
}

func (s *Simulator) postReset(*http.Request) (any, error) { return struct{}{}, s.Reset() }

func readFields(r *http.Request) (map[string]any, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	v, err := exact.DecodeJSON(data)
	fields, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, invalid("the body must be a JSON object")
	}
	return fields, nil
}

func readInto(r *http.Request, into any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return invalid("the body does not fit: %v", err)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &hub.Error{Kind: hub.Invalid, Code: "simulator.invalid", Message: fmt.Sprintf(format, args...)}
}
