// Package engine carries out runs. It claims work, reads the record, checks it, writes what the
// template says to the far sides, and records at every durable point what it is about to do and
// what came of it, so that it can be stopped anywhere and started again: nothing is lost, and
// nothing written twice (R1 to R4).
//
// A run that is started again begins at the front. It finds what it has done already in the ledger
// and does only the rest; there is no other state of a run to restore.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"throughline/internal/crashpoint"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// Flows opens deployments; revision 0 is the newest.
type Flows interface {
	Flow(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID, revision int64) (*Flow, error)
}

// Ticker does what is due by the clock rather than by an event: polls (package ingest).
type Ticker interface {
	Tick(ctx context.Context, flow *Flow, w hub.Work) (store.Step, error)
}

// Journal makes durable what runs record, and hands out work (package store).
type Journal interface {
	Record(ctx context.Context, st store.Step) (busy []string, err error)
	Claim(ctx context.Context, epoch int64, n int, turn *store.Turn, runID func() hub.RunID) ([]store.Claim, error)
	ClaimSuspect(ctx context.Context, epoch int64, runID func() hub.RunID) ([]store.Claim, error)
	Lend(store.Hands)
}

// Options are the engine's surroundings, passed in so that the whole can run in simulated time.
type Options struct {
	Store   *store.Store
	Journal Journal
	Remote  *remote.Client
	Flows   Flows
	Ticker  Ticker
	Now     func() time.Time
	Sync    func(context.Context) error // sets the clock that Now reads by the store's; nil: it is the store's
	NewID   func(prefix string) string
	Rand    *rand.Rand
	Log     *slog.Logger
	Workers int           // records in hand at once
	Gather  time.Duration // how long a write waits for others to share a call with; 0: each goes alone
	Lease   time.Duration // of the node
	Sole    bool          // no other process has this store
	Name    string        // of the node, for people
}

// Engine is one node's engine.
type Engine struct {
	Options
	epoch   int64
	expires time.Time // of the lease, by this process's clock; checked before every send
	mu      sync.Mutex
	turn    store.Turn
	wake    chan struct{}
	hand    map[string]int // how often this node carries a row, by tenant, deployment and key: its next run may begin before the last one let go
	free    chan struct{}  // its hands that carry nothing
	lends   bool           // nothing waits in the queue: what arrives may have a free hand
	carries sync.WaitGroup
	gather  gather
	known   known
	shares  *shares
	suspect bool // rows wait to be carried alone; known to the loop that claims
	unsure  bool // a claim or an end may have been recorded without our knowing, or not been
	ledger  store.Standing
}

// New makes an engine; Run starts it.
func New(o Options) *Engine {
	s := newShares(o.Workers, o.Now)
	e := &Engine{Options: o, wake: make(chan struct{}, 1), hand: map[string]int{}, free: make(chan struct{}, max(o.Workers, 1)),
		gather: gather{wait: o.Gather, open: map[place]*bundle{}}, shares: s, turn: store.Turn{Shares: s}}
	for range o.Workers {
		e.free <- struct{}{}
	}
	o.Journal.Lend(e)
	return e
}

// Wake tells the engine that there may be new work. It never blocks.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

const (
	idle     = 200 * time.Millisecond // how long a quiet engine waits before it looks for work of other nodes
	recovery = 2 * time.Second        // how often it looks for dead nodes; with a short lease, at a third of it
	trouble  = time.Second            // how long it waits when the store fails
)

// Run works until the context ends; what is in hand then is finished first. Only then is the lease given back: who is
// ended in the midst of it leaves it to run out.
func (e *Engine) Run(ctx context.Context) error {
	err := e.enter(ctx)
	switch {
	case ctx.Err() != nil:
		err = nil // ended before it began
	case err == nil:
		e.work(ctx)
	}
	e.leave(context.WithoutCancel(ctx)) // also where it ends half way into joining
	return err
}

// enter joins. A store that was not heard is no reason to end: a lease that it may have given all the same runs out,
// with nothing in hand. What a person has to mend is one.
func (e *Engine) enter(ctx context.Context) error {
	for {
		err := e.Join(ctx)
		if err == nil || ctx.Err() != nil || hub.AsError(err) != nil {
			return err
		}
		e.Log.Error("the node cannot join; trying again", "error", err)
		e.pause(ctx, trouble)
	}
}

// work goes on until the context ends, and what is in hand then.
func (e *Engine) work(ctx context.Context) {
	defer e.carries.Wait()
	defer e.lend(false)
	recovered := e.Now()
	for ctx.Err() == nil {
		list, err := e.more(ctx, &recovered)
		if err != nil && ctx.Err() == nil {
			e.Log.Error("the store does not do as asked; trying again", "error", err)
			e.pause(ctx, trouble)
		}
		for _, w := range list {
			e.hold(w.Work, true)
			e.carries.Add(1)
		}
		e.beginAll(ctx, list)
		if len(list) == 0 {
			e.pause(ctx, idle)
		}
	}
}

// beginAll carries rows of one claim, for each of which a hand is held. How their records are known is asked for
// many of them at once.
func (e *Engine) beginAll(ctx context.Context, list []store.Claim) {
	for some := range slices.Chunk(list, store.Together) {
		if !store.WorthAsking(some) {
			e.beginEach(ctx, some)
			continue
		}
		go func() {
			if err := e.Store.LookUp(context.WithoutCancel(ctx), some); err != nil {
				e.Log.Debug("each run asks how its record is known", "error", err)
			}
			e.beginEach(ctx, some)
		}()
	}
}

func (e *Engine) beginEach(ctx context.Context, list []store.Claim) {
	for _, w := range list {
		go e.begin(ctx, w)
	}
}

// begin carries a row for which a hand is held, and frees the hand.
func (e *Engine) begin(ctx context.Context, w store.Claim) {
	defer e.carries.Done()
	defer e.letGo(w.Work)
	e.Carry(context.WithoutCancel(ctx), w)
}

func (e *Engine) letGo(w hub.Work) {
	e.hold(w, false)
	e.free <- struct{}{}
	e.Wake()
}

// more looks after the lease, and claims what there are free hands for.
func (e *Engine) more(ctx context.Context, recovered *time.Time) ([]store.Claim, error) {
	if err := e.keep(ctx, recovered); err != nil {
		e.lend(false)
		return nil, err
	}
	if held, err := e.held(ctx); held || err != nil {
		e.lend(false)
		return nil, err
	}
	if e.suspect {
		e.lend(false)
		return e.alone(ctx)
	}
	return e.claim(ctx)
}

// alone claims a row that was in hand when its process died twice, once nothing else is in hand: if
// the process dies again, it was this one. Bystanders are never parked for it.
func (e *Engine) alone(ctx context.Context) ([]store.Claim, error) {
	if len(e.free) < e.Workers {
		return nil, nil
	}
	list, err := e.Journal.ClaimSuspect(ctx, e.term(), e.RunID)
	if err != nil {
		e.doubt()
		return nil, err
	}
	e.suspect = len(list) > 0
	for range list {
		<-e.free
	}
	return list, nil
}

// Join takes a lease and takes over the work of dead nodes. Under a lease whose ledger it could not look at it does
// nothing: joining may have held it.
func (e *Engine) Join(ctx context.Context) error {
	if err := e.sync(ctx); err != nil {
		return err
	}
	before := e.Now()
	asking, asked := outliving(ctx, settling)
	epoch, err := e.Store.Join(asking, e.Name, e.Lease)
	asked()
	if epoch != 0 {
		e.hasLease(epoch, time.Time{}) // known, so that it can be given back
	}
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	n, err := e.Store.Recover(ctx, epoch, e.Sole)
	if err == nil && n > 0 {
		e.Log.Info("took over work", "rows", n)
	}
	if err := errors.Join(err, e.look(ctx)); err != nil {
		return err
	}
	e.hasLease(epoch, before.Add(e.Lease))
	return nil
}

// settling is how long who is to end waits for the store's answer to what it has begun: unheard, a lease that was given
// would hold up restores and other nodes until it runs out.
const settling = 5 * time.Second

// outliving is a context that ends a while after ctx does.
func outliving(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, end) })
	return longer, func() { stop(); end() }
}

func (e *Engine) hasLease(epoch int64, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch, e.expires = epoch, until
}

func (e *Engine) sync(ctx context.Context) error {
	if e.Sync == nil {
		return nil
	}
	return e.Sync(ctx)
}

// leave ends the lease of a node that has nothing in hand any more. Where that fails, it runs out.
func (e *Engine) leave(ctx context.Context) {
	if err := e.Store.Leave(ctx, e.term()); err != nil {
		e.Log.Warn("the lease was not given back", "error", err)
	}
}

// keep renews the lease at a third of its length and looks after dead nodes. A store that does not
// answer is no reason to end: without a lease nothing is claimed or sent, and the next turn tries again.
func (e *Engine) keep(ctx context.Context, recovered *time.Time) error {
	now := e.Now()
	e.mu.Lock()
	epoch, left := e.epoch, e.expires.Sub(now)
	e.mu.Unlock()
	if left < 2*e.Lease/3 {
		if err := e.renew(ctx, epoch); err != nil {
			return err
		}
		epoch = e.term() // another one, where it had to join anew
	}
	if err := e.Store.Learn(ctx); err != nil {
		return fmt.Errorf("let the store learn its size: %w", err)
	}
	if now.Sub(*recovered) <= min(recovery, e.Lease/3) {
		return nil
	}
	*recovered = now
	if err := e.tidy(ctx, epoch); err != nil {
		return fmt.Errorf("give back what is not in hand: %w", err)
	}
	if _, err := e.Store.Recover(ctx, epoch, false); err != nil {
		return fmt.Errorf("look after dead nodes: %w", err)
	}
	suspect, err := e.Store.Suspects(ctx)
	e.suspect = e.suspect || suspect
	return errors.Join(err, e.look(ctx))
}

// renew prolongs the lease. The clock is set first, so that here it ends when it does in the store.
func (e *Engine) renew(ctx context.Context, epoch int64) error {
	if err := e.sync(ctx); err != nil {
		return err
	}
	before := e.Now()
	err := e.Store.Renew(ctx, epoch, e.Lease)
	if errors.Is(err, store.ErrFenced) {
		e.Log.Warn("lost the lease; joining anew")
		return e.Join(ctx)
	}
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	if err := e.look(ctx); err != nil {
		return err
	}
	e.hasLease(epoch, before.Add(e.Lease))
	return nil
}

func handle(w hub.Work) string { return string(w.Tenant) + "/" + string(w.Deployment) + "/" + w.Key }

func (e *Engine) hold(w hub.Work, held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := handle(w)
	if held {
		e.hand[h]++
		e.shares.hold(w, 1)
		return
	}
	e.shares.hold(w, -1)
	if e.hand[h]--; e.hand[h] == 0 {
		delete(e.hand, h)
	}
}

// doubt notes that what the store answered was not heard: tidy finds out.
func (e *Engine) doubt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unsure = true
}

// tidy gives back the rows that stand under our lease and that we do not carry. Only the loop that
// claims calls it, so that no claim is under way.
func (e *Engine) tidy(ctx context.Context, epoch int64) error {
	e.mu.Lock()
	unsure := e.unsure
	e.unsure = false
	e.mu.Unlock()
	if !unsure {
		return nil
	}
	n, err := e.Store.GiveBack(ctx, epoch, func(w hub.Work) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.hand[handle(w)] > 0
	})
	if err != nil {
		e.doubt()
		return err
	}
	if n > 0 {
		e.Log.Warn("gave back rows whose claim or end was not heard of", "rows", n)
	}
	return nil
}

// claim takes as many rows as there are free hands. Where it leaves none, what arrives from now on may have
// a hand at once.
func (e *Engine) claim(ctx context.Context) ([]store.Claim, error) {
	hands := 0
	for hands < e.Workers && e.reach() {
		hands++
	}
	if hands == 0 {
		return nil, nil
	}
	list, err := e.Claim(ctx, hands)
	crashpoint.At("claim.taken")
	e.lend(err == nil && !e.turn.Left)
	for range hands - len(list) {
		e.free <- struct{}{}
	}
	if errors.Is(err, store.ErrFenced) {
		return nil, e.Join(ctx)
	}
	if err != nil {
		e.doubt()
	}
	return list, err
}

// reach takes a free hand, if there is one.
func (e *Engine) reach() bool {
	select {
	case <-e.free:
		return true
	default:
		return false
	}
}

// Claim takes up to n rows of work for this node.
func (e *Engine) Claim(ctx context.Context, n int) ([]store.Claim, error) {
	return e.Journal.Claim(ctx, e.term(), n, &e.turn, e.RunID)
}

// term is the epoch under which the node works now.
func (e *Engine) term() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.epoch
}

// pause waits for a wake-up or a moment.
func (e *Engine) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-e.wake:
	case <-t.C:
	}
}

// jitter is a share of a wait in [-0.2, 0.2), so that what failed together is not tried together.
func (e *Engine) jitter() float64 {
	e.mu.Lock() // the source of randomness is not made for many at once
	defer e.mu.Unlock()
	return e.Rand.Float64()*0.4 - 0.2
}

// leased reports whether the lease under which something was begun still holds: a node that slept must not
// send, even if it has joined anew meanwhile.
func (e *Engine) leased(epoch int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if epoch == e.epoch && e.Now().Before(e.expires) {
		return nil
	}
	return store.ErrFenced
}

// Carry carries out one claimed row to its next durable point: an outcome, or a pause. What cannot
// be recorded because the lease is gone is left to the node that took over; where none did, since the lease
// was renewed just in time, tidy gives it back.
func (e *Engine) Carry(ctx context.Context, w store.Claim) {
	r := &run{e: e, ctx: ctx, work: w.Work, event: w.Event, tenant: e.Store.Unwalled(w.Tenant), started: e.Now(), resumed: w.Again,
		asked: w.Asked, found: w.Known}
	err := r.end(r.guarded())
	e.shares.told(w.Tenant, w.Deployment, r.ended && r.reached.Load(), r.waits)
	e.shares.took(e.Now().Sub(r.started), time.Duration(r.called.Load()))
	if e := hub.AsError(err); e != nil && !errors.Is(err, store.ErrFenced) {
		err = r.end(err) // what it wanted recorded cannot be, and that is how it ends
	}
	if err == nil {
		return
	}
	e.doubt()
	if !errors.Is(err, store.ErrFenced) {
		e.Log.Error("record a run's end", "run", w.Run, "key", w.Key, "error", err)
	}
}

// guarded turns a panic in one record into an error of that record.
func (r *run) guarded() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = stumbled(p)
		}
	}()
	if r.work.Crashes >= store.MaxCrashes {
		return &hub.Error{Kind: hub.Invalid, Code: "engine.crashes", Message: fmt.Sprintf("The process died %d times with this record in hand.", r.work.Crashes),
			Hint: "Tell support before it is tried again."}
	}
	return r.carry()
}

func stumbled(p any) error {
	return &hub.Error{Kind: hub.Internal, Code: "engine.panic", Message: "The record made the engine stumble.", Hint: "Tell support; the other records are not affected.",
		Err: fmt.Errorf("%v\n%s", p, debug.Stack())}
}
