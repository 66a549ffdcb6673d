package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"throughline/internal/catalog"
	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/oracle"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// world is one seed under way.
type world struct {
	plan    Plan
	seams   seams
	catalog *catalog.Catalog
	store   *store.Store
	chance  *chance
	far     *far
	begun   time.Time

	mu     sync.Mutex
	nodes  []*node
	turn   int
	passed map[string]int // how often each node passed each kind of point
	ends   map[hub.RunID]time.Time
	polls  map[string]int // complete polls of each flow since nothing goes wrong any more
	offers []oracle.Offer
	faults []string // what is wrong beyond what the oracle sees
	steps  int      // durable points
	jobs   sync.WaitGroup
	locks  map[string]chan struct{} // of connections' sessions, as a database of many nodes has them
}

// seams are where the product can be broken on purpose.
type seams struct {
	trace   func(line string) // told what happens inside; nil: nobody asks
	journal func(*node) engine.Journal
	ticker  func(*ingest.Ingest) engine.Ticker
	logins  func(*node) remote.Sessions
	now     func(*node) func() time.Time // the clock that leases are looked at by
}

func sane() seams {
	return seams{journal: func(n *node) engine.Journal { return journal{n} }, ticker: func(in *ingest.Ingest) engine.Ticker { return in },
		logins: func(n *node) remote.Sessions { return sessions{n} }, now: func(n *node) func() time.Time { return n.now }}
}

// Run carries out a plan on an empty store. It is called in a bubble, in which the store was opened.
func Run(ctx context.Context, p Plan, c *catalog.Catalog, s *store.Store) (Result, error) {
	return run(ctx, p, c, s, sane())
}

func run(ctx context.Context, p Plan, c *catalog.Catalog, s *store.Store, with seams) (Result, error) {
	luck := newChance(p.Seed)
	w := &world{plan: p, seams: with, catalog: c, store: s, chance: luck, far: newFar(p, luck), begun: time.Now(), passed: map[string]int{}, polls: map[string]int{}, ends: map[hub.RunID]time.Time{}, locks: map[string]chan struct{}{}}
	w.far.begun, w.far.fault = w.begun, w.fault
	if err := w.apply(ctx); err != nil {
		return Result{}, err
	}
	for at := range p.Nodes {
		w.nodes = append(w.nodes, w.start(at, 0))
		time.Sleep(time.Millisecond)
	}
	for _, t := range p.Tenants {
		for _, d := range t.Deals {
			w.offer(t, d)
		}
	}
	err := w.drain(ctx)
	w.jobs.Wait()
	for _, n := range w.nodes {
		n.stop()
		<-n.ended
	}
	time.Sleep(2 * time.Minute) // what is on its way still ends
	if err != nil {
		return Result{}, err
	}
	return w.judge(ctx)
}

func (w *world) since() time.Duration { return time.Since(w.begun) }

// say tells the trace, if there is one.
func (w *world) say(format string, args ...any) {
	if w.seams.trace != nil {
		w.seams.trace(time.Now().Format(stamp) + " " + fmt.Sprintf(format, args...))
	}
}

// fault notes what is wrong.
func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// apply makes the tenants, their connections and flows.
func (w *world) apply(ctx context.Context) error {
	now := time.Now()
	for _, t := range w.plan.Tenants {
		id := hub.TenantID(t.Name)
		setup := store.Setup{Customer: store.Customer{ID: id, Name: t.Name, Zone: "UTC", Currency: "USD", Created: now}}
		for _, role := range []string{"crm", "erp", "time"} {
			setup.Connections = append(setup.Connections, t.connection(role))
		}
		for f := range t.Flows {
			name, poll := hub.DeploymentID(fmt.Sprint("deals-", f)), ""
			if t.polls() {
				poll = `,"poll":"` + pollGap.String() + `"`
				setup.Polls = append(setup.Polls, hub.Work{Tenant: id, Deployment: name, Key: ingest.PollKey, Due: now.Add(w.chance.of("poll "+t.Name+string(name)).span(0, pollGap))})
			}
			setup.Deployments = append(setup.Deployments, store.Deployment{Tenant: id, ID: name, Revision: 1, State: "active", Created: now,
				Spec: `{"template":"won-deal","version":1,"roles":{"crm":"crm","erp":"erp","time":"time"}` + poll + `}`})
		}
		if err := w.store.Apply(ctx, setup); err != nil {
			return fmt.Errorf("apply %s: %w", t.Name, err)
		}
	}
	return nil
}

// connection is a tenant's link to one of its systems, as it is new.
func (t Tenant) connection(role string) store.Connection {
	system := map[string]string{"crm": "far-crm", "erp": "far-erp-" + lower(t.ERP), "time": "far-time-" + lower(t.Time)}[role]
	if role == "time" && t.Batch {
		system += batched
	}
	if role == t.Login {
		system += loggedIn
	}
	return store.Connection{Tenant: hub.TenantID(t.Name), ID: hub.ConnectionID(role), Connector: system, State: "active", Updated: time.Now(),
		Settings: fmt.Sprintf(`{"url":"https://%s.%s.example"}`, role, t.Name)}
}

func lower(class string) string { return string(class[0] + 'a' - 'A') }

func (t Tenant) polls() bool { return t.Hears == "poll" || t.Hears == "both" }

// strikes reports whether a node dies at this passing of a point, and has it started again later.
func (w *world) strikes(n *node, at string, after bool) bool {
	if w.since() > w.plan.Fire {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n.live() // it may have died at this instant
	point := fmt.Sprint(n.at, at, after)
	w.passed[point]++
	for _, k := range w.plan.Kills {
		if k.Node == n.at && k.At == at && k.After == after && k.N == w.passed[point] {
			n.dead.Store(true)
			w.jobs.Go(func() {
				<-n.ended // not before its last goroutine
				time.Sleep(k.Down)
				again := w.start(n.at, n.life+1)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.nodes[n.at] = again
			})
			return true
		}
	}
	return false
}

// node is one that takes webhooks, in turns; nil while all are down.
func (w *world) anyone() *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.nodes {
		w.turn++
		if n := w.nodes[w.turn%len(w.nodes)]; !n.dead.Load() && n.asleep() <= 0 {
			return n
		}
	}
	return nil
}

// stir tells all nodes that there may be work.
func (w *world) stir() {
	w.mu.Lock()
	nodes := slices.Clone(w.nodes)
	w.mu.Unlock()
	for _, n := range nodes {
		n.nudge()
	}
}

// offer lets a deal go through its versions, and tells of each.
func (w *world) offer(t Tenant, d Deal) {
	for i, v := range d.Versions {
		version := int64(i + 1)
		w.jobs.Go(func() {
			time.Sleep(v.At + w.chance.of(fmt.Sprint("offer ", t.Name, d.ID, version)).span(0, time.Millisecond))
			w.far.change(t.Name, d.ID, version, v.Poison)
			// What is listed need not be told: the poll has to find it.
			w.noted(oracle.Offer{At: time.Now(), Tenant: t.Name, Key: d.ID, Version: version, Acked: t.polls(), Expect: expect(t.Name, d.ID, version), Unwanted: v.Poison == lost})
			if t.Hears == "poll" {
				return
			}
			carried := w.far.shown(t.Name, d.ID)
			for nth, after := range v.Events {
				w.jobs.Go(func() {
					label := fmt.Sprint("tell ", t.Name, d.ID, version, nth)
					time.Sleep(after + w.chance.of(label).span(0, time.Millisecond))
					w.tell(t, d.ID, version, carried, label)
				})
			}
		})
	}
}

// tell sends a webhook until it is acknowledged.
func (w *world) tell(t Tenant, id string, version int64, carried map[string]any, label string) {
	event := map[string]any{"id": id, "version": version, "key": fmt.Sprint(version)}
	if t.Hears == "fat" {
		event["deal"] = carried
	}
	body, err := json.Marshal(event)
	if err != nil {
		w.fault("an event cannot be written: %v", err)
		return
	}
	for range 1000 {
		if n := w.anyone(); n != nil && n.deliver(t.Name, label, body) {
			w.noted(oracle.Offer{At: time.Now(), Tenant: t.Name, Key: id, Version: version, Acked: true})
			return
		}
		time.Sleep(w.chance.of(label).span(time.Second, 2*time.Second))
	}
	w.fault("%s deal %s version %d was never acknowledged", t.Name, id, version)
}

func (w *world) noted(o oracle.Offer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offers = append(w.offers, o)
}

// shown is a deal as an event carries it.
func (f *far) shown(tenant, id string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tenants[tenant].deal(id).json(tenant)
}

// quiet is when all that is to be heard of can be.
func (p Plan) quiet() time.Duration { return p.Fire + declared + 2*pollGap }

// endless is more durable points than any plan has use for: something is done again and again.
const endless = 10_000

// busy counts a durable point, and ends the trial where there is no end to them.
func (w *world) busy(n *node, label string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.steps++; w.steps == endless {
		w.faults = append(w.faults, "does the same again and again: "+label)
	}
	if w.steps >= endless {
		n.dead.Store(true)
		n.stop()
	}
}

// recorded notes what has come to be durable: the end of a run, when it was by no node's clock, and that
// a flow has read all that there is.
func (w *world) recorded(st store.Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if st.Finish != nil {
		w.ends[st.Finish.Run.ID] = time.Now()
	}
	if st.Cursor != nil && w.since() >= w.plan.quiet() {
		w.polls[string(st.Tenant)+string(st.Cursor.Deployment)]++
	}
}

// heard reports whether a flow has polled since all could be heard of: the second poll began then.
func (w *world) heard(t Tenant, d hub.DeploymentID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.polls[t.Name+string(d)] >= 2
}

// patience is how long everything may take to come to rest once nothing goes wrong any more: what
// failed a few times waits for minutes, and each round of a person's retries may add as much.
const (
	patience = 4 * time.Hour
	rounds   = 4
)

// drain waits until nothing goes wrong any more and all has come to rest; what was parked for a
// reason that has passed, a person tries again.
func (w *world) drain(ctx context.Context) (err error) {
	time.Sleep(w.plan.quiet())
	w.jobs.Wait()
	end := time.Now().Add(patience)
	var waiting []string
	for range rounds {
		for {
			time.Sleep(5*time.Second + 777*time.Microsecond)
			var open []string
			if open, waiting, err = w.unfinished(ctx); err != nil {
				return err
			}
			if len(open) == 0 || w.steps >= endless {
				break
			}
			if time.Now().After(end) {
				w.fault("did not come to rest within %s: %v", patience, open)
				return nil
			}
		}
		again, err := w.retry(ctx)
		if err != nil {
			return err
		}
		if again == 0 {
			break
		}
	}
	if len(waiting) > 0 {
		w.fault("waits, and nothing is left that could wake it: %v", waiting)
	}
	return nil
}

// unfinished are the rows of work that have yet to end, and those that wait for another record. Who waits
// for what a person has to look at, waits rightly.
func (w *world) unfinished(ctx context.Context) (open, waiting []string, err error) {
	for _, t := range w.plan.Tenants {
		tenant := w.store.Tenant(hub.TenantID(t.Name))
		list, err := tenant.Work(ctx, store.Filter{Limit: 1000})
		if err != nil {
			return nil, nil, err
		}
		for _, x := range list {
			busy := x.State == hub.Ready || x.State == hub.Running || x.State == hub.Later
			if x.Key == ingest.PollKey {
				busy = !w.heard(t, x.Deployment) && x.State != hub.Stopped // which a person has to look at first
			}
			if x.State == hub.Waiting && !personal(t) {
				waiting = append(waiting, fmt.Sprintf("%s %s %s (%s)", t.Name, x.Deployment, x.Key, x.Reason))
			}
			if busy {
				open = append(open, fmt.Sprintf("%s %s %s is %s (%s), due %s", t.Name, x.Deployment, x.Key, x.State, x.Reason, x.Due.Format(time.TimeOnly)))
			}
		}
	}
	return open, waiting, nil
}

// personal reports whether a person has to look before all of a record's work can end: nothing tells what
// became of a write of class X.
func personal(t Tenant) bool { return t.ERP == "X" || t.Time == "X" }

// retry is the person who tries again what was parked, unless the record itself is wrong or nobody
// knows what became of a write that nothing protects.
func (w *world) retry(ctx context.Context) (n int, err error) {
	for _, t := range w.plan.Tenants {
		tenant := w.store.Tenant(hub.TenantID(t.Name))
		if err := w.reconnect(ctx, t); err != nil {
			return n, err
		}
		list, err := tenant.Exceptions(ctx, store.Filter{State: "open", Limit: 1000})
		if err != nil {
			return n, err
		}
		for _, e := range list {
			if e.Code == "write.uncertain" || w.poisoned(t, e.Key) {
				continue
			}
			entry := store.AuditEntry{At: time.Now(), Who: "person", Action: "exception.retry", Object: string(e.ID)}
			if _, err := tenant.CloseException(ctx, e.ID, "resolved", "tried again", true, entry); err != nil {
				return n, err
			}
			n++
		}
	}
	w.stir()
	return n, nil
}

// poisoned reports whether a deal's newest version is not to be written.
func (w *world) poisoned(t Tenant, key string) bool {
	k, ok := hub.ParseRecordKey(key)
	for _, d := range t.Deals {
		if ok && d.ID == k.ID {
			return d.Versions[len(d.Versions)-1].Poison != sound
		}
	}
	return false
}
