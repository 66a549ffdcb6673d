package store

import (
	"context"
	"sync"
)

// Journal commits what many goroutines record at the same moment in one transaction, so that one
// sync to disk serves them all. It adds no delay: while one commit is under way the next ones
// gather behind it.
type Journal struct {
	store *Store
	limit int // entries per transaction

	mu      sync.Mutex
	waiting []*entry
	busy    bool
}

type entry struct {
	ctx     context.Context
	step    *Step
	arrival []Arrival
	busy    []string
	fresh   []bool
	err     error
	done    chan struct{}
}

// Journal makes a journal on the store. A process has one.
func (s *Store) Journal() *Journal { return &Journal{store: s, limit: 256} }

// Accept stores arrivals durably (R1) and says which of them were new.
func (j *Journal) Accept(ctx context.Context, list ...Arrival) (fresh []bool, err error) {
	e := &entry{ctx: ctx, arrival: list, done: make(chan struct{})}
	j.commit(e)
	return e.fresh, e.err
}

// Record stores one durable point of a run. Busy names intents that must not be sent (see Step).
func (j *Journal) Record(ctx context.Context, st Step) (busy []string, err error) {
	e := &entry{ctx: ctx, step: &st, done: make(chan struct{})}
	j.commit(e)
	return e.busy, e.err
}

// commit adds an entry and, unless somebody is at it, commits in turns until nothing waits: the
// goroutine that finds the journal free serves the others.
func (j *Journal) commit(e *entry) {
	j.mu.Lock()
	j.waiting = append(j.waiting, e)
	if j.busy {
		j.mu.Unlock()
		<-e.done
		return
	}
	j.busy = true
	j.mu.Unlock()
	for j.turn() {
	}
}

func (j *Journal) turn() bool {
	j.mu.Lock()
	batch := j.waiting
	if len(batch) > j.limit {
		batch = batch[:j.limit]
	}
	j.waiting = j.waiting[len(batch):]
	if len(batch) == 0 {
		j.busy = false
		j.mu.Unlock()
		return false
	}
	j.mu.Unlock()
	j.write(batch)
	for _, e := range batch {
		close(e.done)
	}
	return true
}

// write commits a batch. If one of its entries cannot be recorded, each is tried alone, so that it
// fails alone.
func (j *Journal) write(batch []*entry) {
	err := j.together(batch)
	if err == nil {
		return
	}
	if len(batch) == 1 {
		batch[0].err = err
		return
	}
	for _, e := range batch {
		e.err = j.together([]*entry{e})
	}
}

func (j *Journal) together(batch []*entry) error {
	ctx := batch[0].ctx
	if len(batch) > 1 {
		ctx = context.WithoutCancel(ctx) // one caller who leaves must not undo the others
	}
	return j.store.db.change(ctx, func(t tx) error {
		for _, e := range batch {
			var err error
			if e.step != nil {
				e.busy, e.fresh, err = j.store.apply(ctx, t, *e.step)
			} else {
				e.fresh, err = j.store.accept(ctx, t, e.arrival)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
