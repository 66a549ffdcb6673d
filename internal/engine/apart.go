package engine

import (
	"context"
	"errors"
	"slices"

	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/store"
)

// halt is what keeps a run from going on at one role's far side.
type halt struct {
	role  string
	err   error
	class hub.WriteClass // of the write that it befell

	about  hub.RecordID // what a person is asked about, and where
	sought hub.ConnectionID
}

// apart keeps the roles of a step independent: what fails at one far side holds up neither the
// others nor later steps that do without it. What concerns the run itself is handed on.
func (r *run) apart(role string, err error) error {
	if err == nil || errors.Is(err, store.ErrFenced) || errors.Is(err, context.Canceled) {
		return err
	}
	r.halted = append(r.halted, halt{role, err, r.class, r.about, r.sought})
	r.class, r.about, r.sought = "", "", ""
	return nil
}

// lacks reports whether one of the roles has failed in this run, so that a step that needs it
// cannot be carried out.
func (r *run) lacks(roles []string) bool {
	return slices.ContainsFunc(r.halted, func(h halt) bool { return slices.Contains(roles, h.role) })
}

// halts is how a run ends whose roles did not all come through. What mends itself in time goes
// first: a person who is called sees what is left then.
func (r *run) halts() error {
	var worst *halt
	for i, h := range r.halted {
		if worst == nil || urgency(h) < urgency(*worst) {
			worst = &r.halted[i]
		}
	}
	if worst == nil {
		return nil
	}
	r.class, r.about, r.sought = worst.class, worst.about, worst.sought
	return worst.err
}

func urgency(h halt) int {
	var p *pause
	var missing *mapping.Missing
	switch {
	case errors.As(h.err, &p) && p.on == "":
		return 0 // a moment's wait
	case errors.As(h.err, &p), errors.As(h.err, &missing):
		return 3 // until another record arrives, which may be never
	}
	e := hub.AsError(h.err)
	if e != nil && next(e, 0, h.class, 0).do == again && e.Kind != hub.Internal {
		return 1
	}
	return 2 // a person
}
