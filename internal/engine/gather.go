package engine

import (
	"fmt"
	"sync"
	"time"

	"throughline/internal/connector"
	"throughline/internal/crashpoint"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

// gather lets writes that are ready at the same moment leave in one call, where the far side takes
// many at once. It changes nothing else: each write has its own intent before the call and its own
// outcome after it, and an answer that is lost is settled for each as if it had been sent alone.
type gather struct {
	wait time.Duration // for others to come; 0: each is sent alone

	mu   sync.Mutex
	open map[place]*bundle
}

// place is where writes can meet: one operation of one connection.
type place struct {
	conn  *remote.Connection
	op    *connector.Op
	epoch int64 // who has lost its lease sends nothing, nor keeps others from it
}

// bundle is one call in the making. Who opens it sends it; the others wait until it is sent.
type bundle struct {
	list  []*write
	full  chan struct{}
	sent  chan struct{}
	apart bool // the call as a whole was refused: each is to be sent alone
}

// add sends the write with others of its kind.
func (g *gather) add(w *write) {
	defer w.run.calling(w.run.e.Now())
	at := place{w.end.Conn, w.op, w.run.work.Epoch}
	g.mu.Lock()
	b := g.open[at]
	if b == nil {
		b = &bundle{list: []*write{w}, full: make(chan struct{}), sent: make(chan struct{})}
		g.open[at] = b
		g.mu.Unlock()
		g.lead(at, b)
	} else {
		b.list = append(b.list, w)
		if len(b.list) == w.op.Batch.Spec.Max {
			delete(g.open, at)
			close(b.full)
		}
		g.mu.Unlock()
		<-b.sent
	}
	if b.apart {
		w.alone()
	}
}

// lead waits for others and sends the bundle.
func (g *gather) lead(at place, b *bundle) {
	t := time.NewTimer(g.wait)
	defer t.Stop()
	select {
	case <-b.full:
	case <-t.C:
	}
	g.mu.Lock()
	if g.open[at] == b {
		delete(g.open, at)
	}
	g.mu.Unlock()
	defer close(b.sent)
	if len(b.list) == 1 {
		b.apart = true
		return
	}
	defer func() {
		if p := recover(); p != nil {
			b.failed(stumbled(p))
		}
	}()
	b.send(at)
}

func (b *bundle) send(at place) {
	first, batch := b.list[0], at.op.Batch
	items := make([]connector.BatchItem, len(b.list))
	for i, w := range b.list {
		items[i] = connector.BatchItem{Marker: w.res.record.ID.Marker(), Key: w.intent.OpKey, Fields: w.fields}
		if w.link != nil {
			items[i].ID = w.link.ExternalID
		}
	}
	vars := remote.Vars(batch.Vars(items))
	if err := first.run.reads(first.end, batch.With, vars); err != nil {
		b.failed(err)
		return
	}
	crashpoint.At("batch.send")
	answer, err := first.run.call(first.end, batch.Op, vars)
	crashpoint.At("batch.answered")
	if err != nil {
		b.apart = refusedWhole(err)
		b.failed(err)
		return
	}
	outcomes, err := batch.Outcomes(first.m.Kind, answer, items, first.end.Conn.Settings)
	if err != nil { // the answer cannot be told apart: anything may have been written
		b.failed(&hub.Error{Kind: hub.Uncertain, Code: "far.batch_unreadable", Message: fmt.Sprintf("%s: the answer does not say what became of which record.", batch.Name), Err: err})
		return
	}
	for i, w := range b.list {
		w.id, w.err = outcomes[i].ID, outcomes[i].Err
	}
}

// refusedWhole reports whether the far side took nothing because of something in one of the records:
// alone, each gets its own answer.
func refusedWhole(err error) bool {
	switch hub.KindOf(err) {
	case hub.Invalid, hub.NotFound, hub.Exists, hub.Conflict, hub.Blocked:
		return true
	}
	return false
}

func (b *bundle) failed(err error) {
	for _, w := range b.list {
		w.err = err
	}
}
