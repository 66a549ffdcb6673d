package farside

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// reply is what a call is answered with, unless a fault spoils it.
type reply struct {
	status int
	body   any
}

// call answers one call of the API. Each takes the latency; what it changes is in the ledger before
// it is answered; a fault strikes before or after that, as its kind says.
func (f *Far) call(w http.ResponseWriter, r *http.Request) {
	name, kind, id := route(r.URL.Path)
	if kind == "" {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	time.Sleep(f.latency)
	fault := f.drawFault()
	if fault.before() {
		fault.spoil(w, reply{})
		return
	}
	out, err := f.carryOut(r, name, kind, id, body, fault.loses())
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
	case r.Method == http.MethodPost:
		return f.create(name, kind, body, lost)
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

func (f *Far) create(name, kind string, body []byte, lost bool) (reply, error) {
	var sent sent
	if err := json.Unmarshal(body, &sent); err != nil {
		return reply{http.StatusBadRequest, nil}, nil
	}
	f.mu.Lock()
	f.count(kind, name+"/"+sent.ExternalID)
	f.nextID++
	o, line := f.account(name).make(kind, strconv.Itoa(f.nextID), sent)
	f.mu.Unlock()
	line.Lost = lost
	return reply{http.StatusCreated, o}, f.note(line)
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
	if o := f.account(name).marked[kind][marker]; o != nil {
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
