package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throughline/internal/connector"
	"throughline/internal/egress"
	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// node is one process of the product, from its start to its end. All of its seams pass through it,
// so that it can be ended between any two instants: whatever it does next, does not happen.
type node struct {
	*world
	at   int
	skew time.Duration
	life int

	dead   atomic.Bool
	ids    atomic.Int64
	journl *store.Journal
	clock  *store.Clock
	ingest *ingest.Ingest
	engine *engine.Engine
	stop   context.CancelFunc
	ended  chan struct{}

	mu   sync.Mutex
	poke chan struct{} // closed when there is new work
}

// start begins a process on the store that is there.
func (w *world) start(at, life int) *node {
	n := &node{world: w, at: at, life: life, skew: w.plan.Nodes[at], ended: make(chan struct{}), poke: make(chan struct{})}
	n.clock = w.store.Clock(func() time.Time { return time.Now().Add(n.skew) })
	loader := engine.NewLoader(w.store, w.catalog, func(context.Context, hub.TenantID, hub.ConnectionID, []byte) ([]byte, error) { return nil, nil }, n.now)
	client := remote.New(egress.New(egress.Options{Transport: n}), w.seams.logins(n), nil, n.now)
	n.journl = w.store.Journal()
	tick := &ticker{node: n}
	n.engine = engine.New(engine.Options{Store: w.store, Journal: w.seams.journal(n), Remote: client, Flows: loader, Ticker: tick, Now: w.seams.now(n), Sync: n.sync, NewID: n.newID,
		Rand: rand.New(byClock(w.plan.Seed)), Log: slog.New(slog.DiscardHandler), Workers: w.plan.Workers, Gather: w.plan.Gather,
		Lease: w.plan.Lease, Sole: len(w.plan.Nodes) == 1, Name: fmt.Sprint("node ", at)})
	ctx, stop := context.WithCancel(context.Background())
	n.ingest = ingest.New(w.store, n.journl, loader, client.PatientFor(ingest.Patience, remote.Rest(ctx.Done())), n.now, n.newID, func() { n.engine.Wake(); w.stir() })
	tick.Ticker = w.seams.ticker(n.ingest)
	n.stop = stop
	go func() {
		defer close(n.ended)
		if err := n.engine.Run(ctx); err != nil {
			w.fault("node %d ended: %v", at, err)
		}
	}()
	return n
}

// live ends the goroutine that asks, where its process has ended.
func (n *node) live() {
	if n.dead.Load() {
		runtime.Goexit()
	}
}

// gate is passed at each instant at which the process does something: not while it sleeps, and never
// after its end.
func (n *node) gate(label string) {
	n.live()
	for {
		left := n.asleep()
		if left <= 0 {
			return
		}
		time.Sleep(left + n.chance.of("wake "+label).span(0, time.Millisecond))
		n.live()
	}
}

func (n *node) asleep() (left time.Duration) {
	since := n.since()
	for _, s := range n.plan.Sleeps {
		if s.Node == n.at && since >= s.At && since < s.At+s.For {
			left = max(left, s.At+s.For-since)
		}
	}
	return left
}

// pause gives what follows an instant of its own.
func (n *node) pause(label string) {
	time.Sleep(n.chance.of(label).span(10*time.Microsecond, 2*time.Millisecond))
	n.gate(label)
}

// now is the time as the process knows it. It is asked in the midst of commits, too, so that no process may
// end here: the store is everybody's.
func (n *node) now() time.Time { return n.clock.Now() }

// sync sets the process's clock.
func (n *node) sync(ctx context.Context) error {
	n.live()
	return n.clock.Set(ctx)
}

func (n *node) newID(prefix string) string {
	return fmt.Sprintf("%s_%d_%d_%d", prefix, n.at, n.life, n.ids.Add(1))
}

// passes ends the process if this is the point at which it shall die.
func (n *node) passes(at string, after bool) {
	if n.world.strikes(n, at, after) {
		n.say("node %d dies at %s", n.at, at)
		n.stop()
		runtime.Goexit()
	}
}

// journal is the node's journal, with a life to lose.
type journal struct{ n *node }

// Lend lets what arrives be put into the node's hands at once.
func (j journal) Lend(h store.Hands) { j.n.journl.Lend(lent{h, j.n}) }

type lent struct {
	store.Hands
	n *node
}

// Begin gives each run an instant of its own. A process that has ended has no hands.
func (l lent) Begin(list []store.Claim) {
	for _, c := range list {
		go func() {
			begun := false
			defer func() {
				if !begun {
					l.Hands.Drop([]store.Claim{c}, false)
				}
			}()
			l.n.pause(fmt.Sprintf("begin %s %s %s", c.Tenant, c.Deployment, c.Key))
			l.n.passes("claim", true)
			begun = true
			l.n.say("node %d: took %s %s %s run %s event %s", l.n.at, c.Tenant, c.Deployment, c.Key, c.Run, c.Work.Event)
			l.Hands.Begin([]store.Claim{c})
		}()
	}
}

func labelOf(st store.Step) string {
	switch {
	case st.Finish != nil:
		return "finish " + string(st.Tenant) + string(st.Finish.Work.Deployment) + st.Finish.Work.Key
	case st.Defer != nil:
		return "defer " + string(st.Tenant) + string(st.Defer.Work.Deployment) + st.Defer.Work.Key
	case len(st.Open) > 0:
		return "open " + string(st.Tenant) + string(st.Open[0].Deployment) + st.Open[0].OpKey
	}
	return "step " + string(st.Tenant)
}

// told is a durable point in words, for the trace.
func told(st store.Step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "recorded %s", st.Tenant)
	for _, w := range st.Close {
		fmt.Fprintf(&b, ", %s %s in %s %s", w.State, w.OpKey, w.Connection, w.Link.ExternalID)
	}
	for _, w := range st.Open {
		fmt.Fprintf(&b, ", opens %s %s for %s %s", w.Operation, w.OpKey, w.Key, w.Body)
	}
	if f := st.Finish; f != nil {
		fmt.Fprintf(&b, ", ends run %s of %s: %s %s", f.Run.ID, f.Work.Key, f.Run.Outcome, f.Run.Message)
	}
	if d := st.Defer; d != nil {
		fmt.Fprintf(&b, ", sets run %s of %s aside: %s %s %s", d.Work.Run, d.Work.Key, d.Work.State, d.Work.Due.Format(time.TimeOnly), d.Work.Reason)
	}
	return b.String()
}

var errDeaf = errors.New("the database's answer was not heard")

func (j journal) Record(ctx context.Context, st store.Step) ([]string, error) {
	n, label := j.n, labelOf(st)
	n.busy(n, label)
	n.pause(label)
	n.passes("commit", false)
	deaf := n.deaf(label)
	if deaf == 1 {
		n.say("node %d: lost: %s", n.at, told(st))
		return nil, errDeaf // nothing was recorded
	}
	busy, err := n.journl.Record(ctx, st)
	n.say("node %d: %s, busy %v, error %v, heard %v", n.at, told(st), busy, err, deaf == 0)
	n.pause("recorded " + label)
	n.passes("commit", true)
	if err == nil {
		n.recorded(st)
	}
	if st.Finish != nil || st.Defer != nil {
		n.nudge()
	}
	if deaf == 2 {
		return nil, errDeaf // it was
	}
	return busy, err
}

// deaf is 1 where a commit fails, 2 where its answer is lost, else 0.
func (n *node) deaf(label string) int {
	luck := n.chance.of("deaf " + label)
	if n.since() > n.plan.Fire || !luck.odds(n.plan.Deaf) {
		return 0
	}
	return 1 + luck.IntN(2)
}

// Claim hands out work. Where there is none it waits for some, as a slow database would: an idle hour
// costs little.
func (j journal) Claim(ctx context.Context, epoch int64, most int, turn *store.Turn, runID func() hub.RunID) ([]store.Claim, error) {
	for end := time.Now().Add(idle); ; {
		j.n.pause(fmt.Sprintf("claim %d", j.n.at))
		poke := j.n.poked() // whoever pokes from now on is heard
		list, err := j.claim(ctx, epoch, most, turn, runID)
		if err != nil || len(list) > 0 || ctx.Err() != nil || !time.Now().Before(end) {
			return list, err
		}
		j.n.rest(ctx, poke, time.Until(end))
	}
}

// idle is how long a node may look for work before its engine looks after its lease again.
const idle = 15 * time.Second

func (j journal) claim(ctx context.Context, epoch int64, most int, turn *store.Turn, runID func() hub.RunID) ([]store.Claim, error) {
	n := j.n
	n.passes("claim", false)
	deaf := n.deaf(fmt.Sprintf("claim %d", n.at))
	if deaf == 1 {
		return nil, errDeaf
	}
	// One row at a time: each run begins at an instant of its own.
	list, err := n.journl.Claim(ctx, epoch, min(most, 1), turn, runID)
	for _, c := range list {
		n.say("node %d: claimed %s %s %s run %s event %s, error %v, heard %v", n.at, c.Tenant, c.Deployment, c.Key, c.Run, c.Work.Event, err, deaf == 0)
	}
	if len(list) > 0 {
		n.passes("claim", true)
	}
	if deaf == 2 {
		return nil, errDeaf
	}
	return list, err
}

func (j journal) ClaimSuspect(ctx context.Context, epoch int64, runID func() hub.RunID) ([]store.Claim, error) {
	j.n.pause(fmt.Sprintf("suspect %d", j.n.at))
	return j.n.journl.ClaimSuspect(ctx, epoch, runID)
}

// rest waits until somebody pokes or work comes due, but no longer than most.
func (n *node) rest(ctx context.Context, poke chan struct{}, most time.Duration) {
	if due, err := n.store.NextDue(ctx); err == nil && !due.IsZero() {
		most = min(most, max(time.Until(due), time.Millisecond))
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-poke:
	case <-t.C:
	}
}

func (n *node) poked() chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.poke
}

// nudge ends the rest: there may be work.
func (n *node) nudge() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.poke)
	n.poke = make(chan struct{})
}

// ticker is what polls, known once the engine is.
type ticker struct {
	engine.Ticker
	node *node
}

// Tick lets calls tell who asks: two flows that poll one list, and have waited for the same login, ask the same at
// the same instant.
func (t *ticker) Tick(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	return t.Ticker.Tick(context.WithValue(ctx, asker{}, fmt.Sprint(t.node.at, f.ID)), f, w)
}

type asker struct{}

// asking is who asks for a call, where that is known.
func asking(ctx context.Context) string {
	name, _ := ctx.Value(asker{}).(string)
	return name
}

// RoundTrip is the way out: the request takes its time to the far side, happens there whether or not
// anybody still waits for it, and the answer takes its time back.
func (n *node) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	label := r.Method + r.URL.String() + string(body)
	// What else goes on in the process at this instant, such as the engine's next claim, is not to meet the call, or its death by it.
	time.Sleep(n.chance.of("call "+asking(r.Context())+label).span(10*time.Microsecond, 2*time.Millisecond))
	if n.asleep() > 0 { // a timer has woken it, which does not happen to a process that is stopped: it has not come to this yet
		n.gate(label)
		return nil, &hub.Error{Kind: hub.Unavailable, Code: "egress.unreachable", Message: "it slept before it could send"}
	}
	n.live()
	n.passes("call", false)
	luck := n.chance.of(label)
	fault := n.plan.draw(luck, n.since())
	answered := make(chan func() (*http.Response, error), 1)
	go func() {
		var good reply
		time.Sleep(n.plan.latency(luck))
		if !fault.early() {
			good = n.far.answer(r, body, fault != well)
		}
		n.say("far side: node %d: %s %s %s: %d %s %s", n.at, r.Method, r.URL, body, good.status, good.body, fault)
		time.Sleep(n.plan.latency(luck))
		if fault == Hang {
			return
		}
		out, err := fault.spoil(good, luck)
		answered <- func() (*http.Response, error) {
			if err != nil {
				return nil, err
			}
			return out.response(r), nil
		}
	}()
	select {
	case <-r.Context().Done():
		n.pause("gave up " + label)
		return nil, r.Context().Err()
	case out := <-answered:
		n.gate("answered " + label)
		n.passes("call", true)
		if fault == well {
			n.far.arrived(r)
		}
		return out()
	}
}

// latency is how long a call takes one way.
func (p Plan) latency(luck dice) time.Duration {
	if luck.odds(p.Slow) {
		return luck.span(0, slowest)
	}
	return luck.span(100*time.Microsecond, p.Latency)
}

// deliver hands a webhook to the node and reports whether it was answered 202.
func (n *node) deliver(tenant, label string, body []byte) (acked bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.gate(label)
		_, err := n.ingest.Accept(context.Background(), hub.TenantID(tenant), "crm", connector.Delivery{Method: "POST", Body: body})
		n.live()
		acked = err == nil
	}()
	<-done
	return acked
}
