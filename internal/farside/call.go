package farside

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"throughline/internal/oracle"
)

// reply is what a call is answered with, unless a fault spoils it.
type reply struct {
	status int
	body   any
}

// call answers one call of the API. Each takes the latency; what it changes is in the ledger before
// it is answered; a fault strikes before or after that, as its kind says.
func (f *Far) call(w http.ResponseWriter, r *http.Request) {
	name, kind, id, marker := route(r.URL.Path)
	if kind == "" {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	time.Sleep(f.latency)
	if !f.admits(name, r) {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	fault := f.drawFault()
	if fault.before() {
		fault.spoil(w, reply{})
		return
	}
	var out reply
	if marker != "" {
		out, err = f.upsert(r.Method, name, kind, marker, body, fault.loses())
	} else {
		out, err = f.carryOut(r, name, kind, id, body, fault.loses())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if fault != none {
		fault.spoil(w, out)
		return
	}
	if out.body == nil {
		w.WriteHeader(out.status)
		return
	}
	answer(w, out.status, out.body)
}

func (f *Far) carryOut(r *http.Request, name, kind, id string, body []byte, lost bool) (reply, error) {
	switch {
	case kind == Read && r.Method == http.MethodGet && id == "":
		return f.list(name, r.URL.Query().Get("since")), nil
	case kind == Read && r.Method == http.MethodGet:
		return f.read(name, id), nil
	case kind == Read && r.Method == http.MethodPatch:
		return f.writeBack(name, id, body, lost)
	case r.Method == http.MethodPost && id == "batch":
		return f.batch(name, kind, body, lost)
	case r.Method == http.MethodPost:
		return f.create(name, kind, r.Header.Get("Idempotency-Key"), body, lost)
	case r.Method == http.MethodPatch:
		return f.update(name, kind, id, body, lost)
	case r.Method == http.MethodGet:
		return f.find(name, kind, r.URL.Query().Get("externalId")), nil
	}
	return reply{http.StatusMethodNotAllowed, nil}, nil
}

func (f *Far) read(name, id string) reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(Read, name+"/"+id)
	return reply{http.StatusOK, opportunity(name, id, f.account(name).versions[id])}
}

// create makes a thing, once for each key where the caller names one.
func (f *Far) create(name, kind, key string, body []byte, lost bool) (reply, error) {
	var sent sent
	if err := json.Unmarshal(body, &sent); err != nil {
		return reply{http.StatusBadRequest, nil}, nil
	}
	f.mu.Lock()
	a := f.account(name)
	if o := a.byKey[kind+" "+key]; o != nil && key != "" {
		f.mu.Unlock()
		return reply{http.StatusCreated, o}, nil // as it was answered the first time
	}
	o, line := f.make(a, kind, sent)
	if key != "" {
		a.byKey[kind+" "+key] = o
	}
	f.mu.Unlock()
	line.Lost = lost
	return reply{http.StatusCreated, o}, f.note(line)
}

// make makes a thing; f.mu is held.
func (f *Far) make(a *account, kind string, sent sent) (*object, oracle.Effect) {
	f.count(kind, a.name+"/"+sent.ExternalID)
	f.nextID++
	o, line := a.make(kind, strconv.Itoa(f.nextID), sent)
	if lag := f.faults.plan.Lag; lag > 0 {
		o.shown = time.Now().Add(time.Duration(f.faults.rand.Int64N(int64(lag))))
	}
	return o, line
}

// upsert makes the thing with a marker, or changes it.
func (f *Far) upsert(method, name, kind, marker string, body []byte, lost bool) (reply, error) {
	var sent sent
	if err := json.Unmarshal(body, &sent); err != nil || method != http.MethodPut || kind == Read {
		return reply{http.StatusBadRequest, nil}, nil
	}
	sent.ExternalID = marker
	f.mu.Lock()
	a := f.account(name)
	o, line, status := a.marked[kind][marker], oracle.Effect{}, http.StatusOK
	if o == nil {
		o, line = f.make(a, kind, sent)
		status = http.StatusCreated
	} else {
		f.count(kind+".patch", name+"/"+o.ID)
		o, line = a.change(kind, o.ID, sent)
	}
	f.mu.Unlock()
	line.Lost = lost
	return reply{status, o}, f.note(line)
}

func (f *Far) update(name, kind, id string, body []byte, lost bool) (reply, error) {
	var sent sent
	if err := json.Unmarshal(body, &sent); err != nil {
		return reply{http.StatusBadRequest, nil}, nil
	}
	f.mu.Lock()
	f.count(kind+".patch", name+"/"+id)
	o, line := f.account(name).change(kind, id, sent)
	f.mu.Unlock()
	if o == nil {
		return reply{http.StatusNotFound, nil}, nil
	}
	line.Lost = lost
	return reply{http.StatusOK, o}, f.note(line)
}

func (f *Far) find(name, kind, marker string) reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.account(name).marked[kind][marker]; o != nil && !time.Now().Before(o.shown) {
		return reply{http.StatusOK, []*object{o}}
	}
	return reply{http.StatusOK, []*object{}}
}

func (f *Far) writeBack(name, id string, body []byte, lost bool) (reply, error) {
	var sent struct{ ProjectNumber, Project string }
	if err := json.Unmarshal(body, &sent); err != nil {
		return reply{http.StatusBadRequest, nil}, nil
	}
	if sent.ProjectNumber == "" {
		sent.ProjectNumber = sent.Project // as the bare loop sends it
	}
	f.mu.Lock()
	f.count(WriteBack, name+"/"+id)
	line := f.account(name).writeBack(id, sent.ProjectNumber)
	f.mu.Unlock()
	line.Lost = lost
	return reply{http.StatusNoContent, nil}, f.note(line)
}
