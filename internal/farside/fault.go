package farside

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// Fault is a way in which a far side goes wrong.
type Fault string

// The faults. The first two strike before anything has happened; the others do what was asked and
// spoil the answer.
const (
	none     Fault = ""
	Down     Fault = "down"     // 503
	Throttle Fault = "throttle" // 429, come back in a second
	Drop     Fault = "drop"     // the connection ends without an answer
	Reset    Fault = "reset"    // the connection is torn down (RST)
	Truncate Fault = "truncate" // the answer ends in the middle
	Gateway  Fault = "gateway"  // 502 from something in between, in HTML
	HTML     Fault = "html"     // 200 with a login page
	Empty    Fault = "empty"    // 200 without a body
	Drip     Fault = "drip"     // the answer comes byte by byte, one a second
)

// Faults are all of them but the drip, which takes a caller's patience: a minute.
var Faults = []Fault{Down, Throttle, Drop, Reset, Truncate, Gateway, HTML, Empty}

// Plan says what goes wrong, in which share of the calls. The same seed draws the same faults.
type Plan struct {
	Seed  uint64  `json:"seed"`
	Share float64 `json:"share"`
	Kinds []Fault `json:"kinds"`
	// Lag is the longest time for which searches do not find what was made.
	Lag time.Duration `json:"lag"`
}

// String is the plan in words.
func (p Plan) String() string {
	if p.Share == 0 {
		return "no faults"
	}
	words := make([]string, len(p.Kinds))
	for i, k := range p.Kinds {
		words[i] = string(k)
	}
	return fmt.Sprintf("%s in %g %% of the calls (seed %d)", strings.Join(words, ", "), p.Share*100, p.Seed)
}

type faults struct {
	plan   Plan
	rand   *rand.Rand
	spoilt map[string]int
}

func (f *Far) setFaults(p Plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.plan, f.faults.rand = p, rand.New(rand.NewPCG(p.Seed, p.Seed))
}

func (f *Far) drawFault() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.faults.plan
	if len(p.Kinds) == 0 || f.faults.rand.Float64() >= p.Share {
		return none
	}
	kind := p.Kinds[f.faults.rand.IntN(len(p.Kinds))]
	f.faults.spoilt[string(kind)]++
	return kind
}

func (x Fault) before() bool { return x == Down || x == Throttle }

// loses reports whether the caller cannot tell from the answer what has happened.
func (x Fault) loses() bool { return x != none && !x.before() }

// spoil answers, or does not, as the fault says.
func (x Fault) spoil(w http.ResponseWriter, out reply) {
	switch x {
	case Down:
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	case Throttle:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case Gateway:
		page(w, http.StatusBadGateway, "<html><h1>502 Bad Gateway</h1></html>")
	case HTML:
		page(w, http.StatusOK, "<html><form>Please log in</form></html>")
	case Empty:
		w.WriteHeader(http.StatusOK)
	case Truncate:
		cut(w, out)
	case Drip:
		drip(w, out)
	case Drop, Reset:
		hangUp(w, x == Reset)
	}
}

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// cut announces the whole answer, sends half of it, and hangs up.
func cut(w http.ResponseWriter, out reply) {
	var body bytes.Buffer
	_ = json.NewEncoder(&body).Encode(out.body)
	w.Header().Set("Content-Length", fmt.Sprint(body.Len()))
	w.WriteHeader(out.status)
	_, _ = w.Write(body.Bytes()[:body.Len()/2])
	panic(http.ErrAbortHandler)
}

// drip answers so slowly that it would take minutes.
func drip(w http.ResponseWriter, out reply) {
	body, _ := json.Marshal(out.body) // what it says does not matter: nobody waits for its end
	flow := http.NewResponseController(w)
	w.WriteHeader(out.status)
	for len(body) > 0 {
		if _, err := w.Write(body[:1]); err != nil {
			return
		}
		if err := flow.Flush(); err != nil {
			return // the caller has gone
		}
		body = body[1:]
		time.Sleep(time.Second)
	}
}

func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // closing answers with RST
	}
	_ = conn.Close()
}
