package oracle

import (
	"encoding/json"
	"fmt"
	"io"
)

// Trial names what is needed to run again what went wrong.
type Trial struct {
	Seed uint64 `json:"seed"`
	Plan string `json:"plan"` // faults and kills, in words
}

// told is how many findings a report tells in full; the rest is counted.
const told = 5

// Report prints what is wrong: the trial, and each finding with its key's history in S, F and L.
func Report(w io.Writer, t Trial, l Ledgers, v Verdict) error {
	if v.Good() {
		return nil
	}
	p := &printer{w: w}
	p.line("seed %d, plan: %s", t.Seed, t.Plan)
	for i, f := range v.Findings {
		if i == told {
			p.line("and %d more", len(v.Findings)-told)
			break
		}
		p.line("%s: %s %s: %s", f.Set, f.Tenant, f.Key, f.Says)
		p.history(f, l)
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format+"\n", args...); p.err == nil {
		p.err = err
	}
}

func (p *printer) history(f Finding, l Ledgers) {
	for _, o := range l.Source {
		if o.Tenant == f.Tenant && o.Key == f.Key {
			p.json("S", o)
		}
	}
	for _, e := range l.Effects {
		if e.Owner == f.Tenant && e.Key == f.Key {
			p.json("F", e)
		}
	}
	for _, o := range l.Outcomes {
		if o.Tenant == f.Tenant && o.Key == f.Key {
			p.json("L", o)
		}
	}
}

func (p *printer) json(ledger string, v any) {
	data, err := json.Marshal(v)
	if p.err == nil {
		p.err = err
	}
	p.line("  %s %s", ledger, data)
}
