// Package drill runs the whole product in simulated time: store, journal, engines, ingest, remote
// client, connectors and a template, in one process, against a far side that answers late, wrongly
// or not at all. A seed picks what happens; the same seed makes it happen again. In the end the
// oracle compares the three ledgers.
//
// It needs a bubble of testing/synctest around it: in there hours pass in milliseconds. Each call
// and each durable point has an instant of its own, which follows from the seed and from what it
// is, so that no choice of the scheduler shows. What only real time, real disks and real processes
// show is the business of package trial.
package drill

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Plan is all that a seed picks.
type Plan struct {
	Seed    uint64
	Tenants []Tenant
	Nodes   []time.Duration // by how much each one's clock is wrong
	Workers int             // records in hand at once, per node
	Lease   time.Duration
	Fire    time.Duration // how long things go wrong
	Latency time.Duration // a call takes up to so long on its way, and an answer on its way back
	Slow    float64       // the share of calls that take up to slowest instead
	Lag     time.Duration // the far sides' searches and lists are behind by up to this
	Share   float64       // of the calls that go wrong
	Faults  []Fault
	Gather  time.Duration // how long a write waits for others to share a call with
	Spoilt  float64       // the share of records in batches that do not fare well
	Deaf    float64       // the share of durable points whose answer is lost, whether recorded or not
	Kills   []Kill
	Sleeps  []Sleep
}

// Tenant is one customer and its records. All tenants use the same record ids.
type Tenant struct {
	Name  string
	Hears string // thin: events name a record; fat: they carry it; poll: there are none; both: thin, and polls
	Flows int    // deployments of the same template: they compete for the same records
	ERP   string // write class of its creates
	Time  string
	Login string // the role whose system asks for tokens that expire; empty: none does
	Batch bool   // the time tracker takes many projects in one call, with an outcome for each
	Deals []Deal
}

// Deal is a record of the source with its versions, the first of which is 1.
type Deal struct {
	ID       string
	Versions []Version
}

// Version is one state of a deal.
type Version struct {
	At     time.Duration   // after the beginning
	Poison Poison          // what is wrong with it
	Events []time.Duration // when it is told of, after At: several are repeats, none is a lost one
}

// Poison is what is wrong with a record.
type Poison string

// The poisons. One that is not written ends parked, or filtered where the flow does not want it.
const (
	sound   Poison = ""
	empty   Poison = "without an amount" // a rule blocks it
	refused Poison = "refused"           // the ERP takes no such project
	lost    Poison = "lost"              // the flow is about deals that were won
)

// Kill ends a node's process at its nth call or durable point, before or after it happens.
type Kill struct {
	Node  int
	At    string // call, commit or claim
	After bool
	N     int
	Down  time.Duration // until it is started again
}

// Sleep stops a node as SIGSTOP does, and lets it go on.
type Sleep struct {
	Node int
	At   time.Duration
	For  time.Duration
}

const (
	slowest  = 25 * time.Second // one way; a call is given up after 60 s
	declared = 30 * time.Second // with slowest, less than the minute after which connectors' searches are believed
	skewed   = 5 * time.Minute  // as far as clocks that nobody keeps disagree
	pollGap  = 15 * time.Second
)

// Draw makes the plan of a seed.
func Draw(seed uint64) Plan {
	r := dice{rand.New(rand.NewPCG(seed, 0))}
	p := Plan{Seed: seed, Workers: 1 + r.IntN(8), Fire: r.span(20*time.Second, 60*time.Second), Latency: r.span(5*time.Millisecond, 2*time.Second)}
	for i := range 1 + r.IntN(3) {
		skew := time.Duration(0)
		if i > 0 && r.odds(0.3) {
			skew = r.span(-skewed, skewed)
		}
		p.Nodes = append(p.Nodes, skew)
	}
	p.Lease = r.span(65*time.Second, 90*time.Second) // longer than the longest call
	if r.odds(0.5) {
		p.Lag = r.span(0, declared)
	}
	if r.odds(0.3) {
		p.Slow = 0.1
	}
	if r.odds(0.8) {
		p.Share = 0.3 * r.Float64()
		p.Faults = r.some(Faults)
	}
	if r.odds(0.3) {
		p.Deaf = 0.05
	}
	for range r.IntN(4) {
		p.Kills = append(p.Kills, Kill{Node: r.IntN(len(p.Nodes)), At: []string{"call", "commit", "claim"}[r.IntN(3)], After: r.odds(0.5), N: 1 + r.IntN(25), Down: r.span(time.Second, 30*time.Second)})
	}
	if r.odds(0.3) {
		p.Sleeps = append(p.Sleeps, Sleep{Node: r.IntN(len(p.Nodes)), At: r.span(0, p.Fire), For: r.span(time.Second, 2*p.Lease)})
	}
	for _, name := range []string{"north", "south", "east", "west"}[:2+r.IntN(3)] {
		p.Tenants = append(p.Tenants, r.tenant(name, p.Fire))
	}
	if p.Gather = 5 * time.Millisecond; seed%5 >= 3 { // the others stay as they were when they found something
		p.more(dice{rand.New(rand.NewPCG(seed, 1))})
	}
	return p
}

// more picks logins and batches. Deals that are won together are what batches are made of.
func (p *Plan) more(r dice) {
	p.Gather, p.Workers, p.Spoilt = r.span(500*time.Millisecond, 8*time.Second), max(p.Workers, 4), 0.5*r.Float64()
	for i := range p.Tenants {
		t := &p.Tenants[i]
		if r.odds(0.5) {
			t.Login = []string{"crm", "erp", "time"}[r.IntN(3)]
		}
		if !r.odds(0.5) {
			continue
		}
		t.Time, t.Batch = "S", true
		for id := len(t.Deals) + 1; id <= 7; id++ {
			t.Deals = append(t.Deals, Deal{ID: fmt.Sprint(id), Versions: []Version{r.version(0)}})
		}
		first := r.span(0, p.Fire/4)
		for _, d := range t.Deals {
			late := d.Versions[0].At - first
			for v := range d.Versions {
				d.Versions[v].At -= late
			}
		}
	}
}

// dice are the seed's choices.
type dice struct{ *rand.Rand }

func (r dice) odds(share float64) bool { return r.Float64() < share }

func (r dice) span(from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

func (r dice) some(list []Fault) (out []Fault) {
	for _, f := range list {
		if r.odds(0.5) {
			out = append(out, f)
		}
	}
	return out
}

func (r dice) tenant(name string, fire time.Duration) Tenant {
	classes := []string{"K", "U", "S", "S", "X"}
	t := Tenant{Name: name, Hears: []string{"thin", "fat", "poll", "both"}[r.IntN(4)], Flows: 1, ERP: classes[r.IntN(5)], Time: classes[r.IntN(5)]}
	if r.odds(0.2) {
		t.Flows = 2
	}
	for i := range 1 + r.IntN(4) {
		d := Deal{ID: fmt.Sprint(i + 1)}
		at := r.span(0, fire*3/4)
		for range 1 + r.IntN(3) {
			d.Versions = append(d.Versions, r.version(at))
			at += r.span(10*time.Millisecond, 20*time.Second)
		}
		t.Deals = append(t.Deals, d)
	}
	return t
}

func (r dice) version(at time.Duration) Version {
	v := Version{At: at}
	if r.odds(0.1) {
		v.Poison = []Poison{empty, refused, lost}[r.IntN(3)]
	}
	v.Events = append(v.Events, r.span(0, 5*time.Second))
	for r.odds(0.3) {
		v.Events = append(v.Events, r.span(0, 30*time.Second))
	}
	return v
}

// String is the plan in words, for whoever looks at a seed that failed.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes (clocks wrong by %v), %d workers, lease %s, under fire for %s\n", p.Seed, len(p.Nodes), p.Nodes, p.Workers, p.Lease, p.Fire)
	fmt.Fprintf(&b, "  calls take up to %s each way, %.0f %% of them up to %s; searches are behind by up to %s\n", p.Latency, p.Slow*100, slowest, p.Lag)
	fmt.Fprintf(&b, "  %.0f %% of the calls go wrong: %v; %.0f %% of the commits are not heard of\n", p.Share*100, p.Faults, p.Deaf*100)
	for _, k := range p.Kills {
		when := "before"
		if k.After {
			when = "after"
		}
		fmt.Fprintf(&b, "  node %d dies %s %s %d and is away for %s\n", k.Node, when, k.At, k.N, k.Down)
	}
	for _, s := range p.Sleeps {
		fmt.Fprintf(&b, "  node %d sleeps at %s for %s\n", s.Node, s.At, s.For)
	}
	for _, t := range p.Tenants {
		fmt.Fprintf(&b, "  %s hears by %s, %d flows, ERP %s, time %s, logs in to %q, batches %v (gathered for %s, %.0f %% spoilt)\n", t.Name, t.Hears, t.Flows, t.ERP, t.Time, t.Login, t.Batch, p.Gather, p.Spoilt*100)
		for _, d := range t.Deals {
			for v, x := range d.Versions {
				fmt.Fprintf(&b, "    deal %s version %d at %s, told after %v %s\n", d.ID, v+1, x.At, x.Events, x.Poison)
			}
		}
	}
	return b.String()
}
