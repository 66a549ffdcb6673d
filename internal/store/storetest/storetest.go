// Package storetest is the one suite that every store must pass, on whatever database it stands.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// Opener opens an empty store whose clock is now.
type Opener func(t *testing.T, now func() time.Time) *store.Store

// Clock is a clock that tests set.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock starts at a fixed instant.
func NewClock() *Clock { return &Clock{t: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

// Now reads it.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

// Add moves it.
func (c *Clock) Add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

type bench struct {
	*testing.T
	ctx   context.Context
	clock *Clock
	store *store.Store
	log   *store.Journal
	epoch int64
	turn  store.Turn
	ids   int
}

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*bench){
		"an event is stored once, however often it arrives":              repeats,
		"events on a waiting record join, the older is superseded":       joins,
		"an outcome that is told twice does not end the next run":        toldTwice,
		"an event on a running record runs next":                         remembered,
		"an older version never takes a newer one's place":               stale,
		"what came last of a record is known":                            lastCame,
		"what a login gave outlives edits of something else":             sessionsOfEdits,
		"what one node applies, the others see":                          changesAreSeen,
		"tenants take turns, however much one of them has waiting":       fair,
		"a tenant's flows take turns":                                    flowsTakeTurns,
		"a tenant is handed no more than it has room for":                roomIsKept,
		"what a tenant leaves of its share goes to the others":           allIsGiven,
		"a flow that can only wait is handed out slowly":                 paceIsKept,
		"a lane goes before the next":                                    lanes,
		"a retry is due when its time comes, and keeps its run":          retries,
		"a record that waits for another goes on when that one comes":    releases,
		"a record that waits for what came meanwhile goes on at once":    cameMeanwhile,
		"a record that waits for a write goes on when it is refused":     refusedReleases,
		"who waits for a write that was refused meanwhile goes on":       refusedMeanwhile,
		"a refused write belongs to who takes it up":                     takenUp,
		"a write that its flow has left is taken over, once":             leftWrite,
		"a write whose flow waits for a person is taken over":            leftByParked,
		"who waits until a time goes on at whichever is first":           untilATime,
		"a newer form that another flow has written stays":               newerStays,
		"a record that is known is not created again":                    knownNotCreated,
		"work of a dead node goes on elsewhere and counts the crash":     recovers,
		"who was there at two crashes is carried alone":                  suspects,
		"of those that were in hand at a crash few are at once":          shakenAreFew,
		"a row that its node does not carry is given back":               givesBack,
		"a node without a lease records nothing":                         fenced,
		"one write at a time per record and far side":                    oneWrite,
		"a write's outcome and its link are kept together":               outcome,
		"an id that stands for another record is told as such":           takenID,
		"a parked run opens an exception, a retry runs it again, once":   parks,
		"what many record at once is all kept":                           together,
		"what is used of a limit is counted once by all":                 limits,
		"the audit chain shows a change":                                 audit,
		"a tenant does not see another's rows":                           isolation,
		"a tenant's first key stays until it is wrapped anew":            firstKey,
		"who waits for what comes at that moment goes on":                cameAtThatMoment,
		"of two that open a write of one record at that moment one does": openedAtThatMoment,
		"a flow that is resumed at that moment goes on":                  resumedAtThatMoment,
		"a paused flow's rows wait until it is resumed":                  paused,
		"a newer revision pauses and resumes too":                        pausedByFile,
		"lines are read by their days, with how they are known there":    linesByDay,
		"what has one cause is one line, with exact sums":                causes,
		"what is done with a cause is done once with each":               resolves,
		"who is held up later is not of an action":                       cameLater,
		"what is ignored stays until its day, or is opened again":        ignores,
		"a cause is gone when nobody is held up by it":                   mendsItself,
		"a choice is answered until it is opened again":                  chooses,
		"an edit stands beside what came until it is ended":              editing,
		"who waits for what an edit has set looks again":                 endingWait,
		"a person says who a record is over there":                       linking,
		"how the records of a claim are known is asked at once":          lookedUp,
		"a write whose flow is paused is taken over":                     leftByPaused,
		"a record is named by its whole name, not by a part":             named,
		"edits of one record are on one page":                            editedTwice,
	} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			s := open(t, clock.Now)
			b := &bench{T: t, ctx: context.Background(), clock: clock, store: s, log: s.Journal()}
			b.epoch = b.join("a")
			test(b)
		})
	}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) join(name string) int64 {
	b.Helper()
	e, err := b.store.Join(b.ctx, name, 30*time.Second)
	b.must(err)
	return e
}

func (b *bench) runID() hub.RunID {
	b.ids++
	return hub.RunID(fmt.Sprintf("run_%d", b.ids))
}

func (b *bench) arrival(tenant, id, dedupe string, version int64, lane hub.Lane) store.Arrival {
	return store.Arrival{
		Event: hub.Event{ID: hub.EventID("evt_" + dedupe), Tenant: hub.TenantID(tenant), Key: hub.RecordKey{Connection: "crm", Kind: "deal", ID: id},
			Version: version, Payload: []byte(`{}`), Source: "webhook", Received: b.clock.Now()},
		Deployments: []hub.DeploymentID{"deals"}, Lane: lane, RunID: b.runID,
	}
}

func (b *bench) accept(tenant, id, dedupe string, version int64) bool {
	b.Helper()
	fresh, err := b.log.Accept(b.ctx, b.arrival(tenant, id, dedupe, version, hub.Normal))
	b.must(err)
	return fresh[0]
}

func (b *bench) claim(n int) []store.Claim {
	b.Helper()
	list, err := b.log.Claim(b.ctx, b.epoch, n, &b.turn, b.runID)
	b.must(err)
	return list
}

func (b *bench) one() hub.Work {
	b.Helper()
	list := b.claim(10)
	if len(list) != 1 {
		b.Fatalf("claimed %d rows, want 1", len(list))
	}
	return list[0].Work
}

func (b *bench) finish(w hub.Work, o hub.Outcome, closed ...store.WriteDone) {
	b.Helper()
	_, err := b.log.Record(b.ctx, b.ending(w, o, closed...))
	b.must(err)
}

func (b *bench) ending(w hub.Work, o hub.Outcome, closed ...store.WriteDone) store.Step {
	f := &store.Finish{Work: w, Run: store.Run{Tenant: w.Tenant, ID: w.Run, Deployment: w.Deployment, Key: w.Key, Event: w.Event,
		Outcome: o, Accepted: b.clock.Now(), Ended: b.clock.Now()}}
	if o == hub.Parked {
		f.Exception = &store.Exception{ID: hub.ExceptionID("exc_" + string(w.Run)), Class: "validation", Code: "x", Message: "No amount.", Opened: b.clock.Now()}
	}
	return store.Step{Epoch: w.Epoch, Tenant: w.Tenant, Finish: f, Close: closed}
}

func (b *bench) outcomes(tenant string) map[hub.Outcome]int {
	b.Helper()
	runs, err := b.store.Tenant(hub.TenantID(tenant)).Runs(b.ctx, store.Filter{})
	b.must(err)
	n := map[hub.Outcome]int{}
	for _, r := range runs {
		n[r.Outcome]++
	}
	return n
}
