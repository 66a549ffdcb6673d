package store

import (
	"context"
	"time"

	"throughline/internal/hub"
)

// Journal commits what many goroutines record at the same moment in one transaction, so that one
// sync to disk serves them all. What costs is the commit, not the entry.
type Journal struct {
	store   *Store
	hands   Hands // of the node; nil: it carries nothing
	entries *crowd[*entry]
}

// entry is what one caller wants recorded: a step, arrivals, or a claim.
type entry struct {
	ctx     context.Context
	step    *Step
	arrival []Arrival
	claim   *claim
	busy    []string
	fresh   []bool
	err     error
	done    chan struct{}
}

// Journal makes a journal on the store. A process has one.
func (s *Store) Journal() *Journal {
	j := &Journal{store: s}
	j.entries = newCrowd(1024, 8*time.Millisecond, j.write)
	return j
}

// Lend lets what arrives be put into a node's hands at once (see Hands). It is called before the journal is used.
func (j *Journal) Lend(h Hands) { j.hands = h }

// Accept stores arrivals durably (R1) and says which of them were new.
func (j *Journal) Accept(ctx context.Context, list ...Arrival) (fresh []bool, err error) {
	e := &entry{ctx: ctx, arrival: list, done: make(chan struct{})}
	j.commit(e)
	return e.fresh, e.err
}

// Take is Accept for what a person brings, with the audit entry of that.
func (j *Journal) Take(ctx context.Context, tenant hub.TenantID, audit AuditEntry, list ...Arrival) (fresh []bool, err error) {
	e := &entry{ctx: ctx, step: &Step{Tenant: tenant, Audit: []AuditEntry{audit}, Arrive: list}, done: make(chan struct{})}
	j.commit(e)
	return e.fresh, e.err
}

// Record stores one durable point of a run. Busy names intents that must not be sent (see Step).
func (j *Journal) Record(ctx context.Context, st Step) (busy []string, err error) {
	e := &entry{ctx: ctx, step: &st, done: make(chan struct{})}
	j.commit(e)
	return e.busy, e.err
}

// Claim hands out up to n rows of ready work under the node's lease (see hand); n is at least one.
func (j *Journal) Claim(ctx context.Context, epoch int64, n int, turn *Turn, runID func() hub.RunID) ([]Claim, error) {
	e := &entry{ctx: ctx, claim: &claim{epoch: epoch, n: n, turn: turn, runID: runID}, done: make(chan struct{})}
	j.commit(e)
	if e.err != nil {
		return nil, e.err
	}
	return e.claim.got, nil
}

// ClaimSuspect hands out one row that was in hand when its process died twice. Its node carries it
// alone.
func (j *Journal) ClaimSuspect(ctx context.Context, epoch int64, runID func() hub.RunID) ([]Claim, error) {
	return j.Claim(ctx, epoch, 0, nil, runID)
}

func (e *entry) arrivals() []Arrival {
	if e.step != nil {
		return e.step.Arrive
	}
	return e.arrival
}

// promises reports whether somebody outside goes by the entry as soon as its caller does.
func (e *entry) promises() bool {
	return len(e.arrivals()) > 0 || e.step != nil && len(e.step.Open) > 0
}

// commit adds an entry and waits until it is recorded.
func (j *Journal) commit(e *entry) {
	j.entries.add(e)
	<-e.done
}

// write commits a batch and tells who waits. If one of its entries cannot be recorded, each is tried alone, so that
// it fails alone. Where nobody knows whether the batch was committed, repeating is right for all but
// claims: rows that a claim was given are in the node's hand then, and a second one gives others. Who
// claims hears that it failed, and gives back what it does not know of (GiveBack).
func (j *Journal) write(batch []*entry) {
	settle, unheard, err := j.together(batch)
	if err == nil {
		tell(batch, settle)
		return
	}
	for _, e := range batch {
		if len(batch) == 1 || unheard && e.claim != nil {
			e.err = err
			close(e.done)
			continue
		}
		one := []*entry{e}
		if settle, _, e.err = j.together(one); e.err != nil {
			settle = nil
		}
		tell(one, settle)
	}
}

// tell lets the callers of a commit go on. Who promises something to the outside waits until the commit is on the
// disk: who acknowledges what arrived, and who sends what was intended. All else is only ordered: should the
// machine die before, it has not happened yet, as a moment earlier.
func tell(batch []*entry, settle func() error) {
	var wait []*entry
	for _, e := range batch {
		if settle != nil && e.promises() {
			wait = append(wait, e)
			continue
		}
		close(e.done)
	}
	if settle == nil {
		return
	}
	go func() {
		err := settle()
		for _, e := range wait {
			e.err = err
			close(e.done)
		}
	}()
}

// together commits a batch; what of it is no text is made one.
func (j *Journal) together(batch []*entry) (settle func() error, unheard bool, err error) {
	settle, unheard, err = j.once(batch)
	if !noText(err) {
		return settle, unheard, err
	}
	for _, e := range batch {
		e.onlyText()
	}
	return j.once(batch)
}

// once commits a batch; unheard says that it failed in the commit itself, which may have been made
// all the same.
func (j *Journal) once(batch []*entry) (settle func() error, unheard bool, err error) {
	ctx := context.WithoutCancel(batch[0].ctx) // a caller who leaves must not undo the others
	given := &giving{hands: j.hands}
	settle, err = j.store.db.commit(ctx, func(t tx) error {
		err := j.store.record(ctx, t, batch, given)
		unheard = err == nil
		return err
	})
	given.end(unheard, err)
	return settle, unheard, err
}
