package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"throughline/internal/farside"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/oracle"
	"throughline/internal/store"
)

// Chaos is a trial by force.
type Chaos struct {
	Stage
	Seed     uint64
	Kills    int      // kill -9 at random moments
	Points   []string // crash points, each once
	Faults   farside.Plan
	Deals    int // to send while the far side goes wrong; 0: five seconds' worth
	Nodes    int
	Acts     []string      // how one of several nodes goes wrong: of the list of that name
	Restore  int           // deals after a backup, before it is restored
	Database string        // how the database goes wrong: one of DatabaseFaults
	Times    int           // how often it does, and how often nodes are killed, stopped and cut off; 0: as often as is usual
	Drain    time.Duration // how long everything may take to come to rest afterwards
	Log      io.Writer     // progress, for people
}

// Result is what a trial by force found.
type Result struct {
	Store          string         `json:"store"`
	Seed           uint64         `json:"seed"`
	Plan           string         `json:"plan"`
	SyncsPerS      float64        `json:"fdatasync_per_s"`
	Nodes          int            `json:"nodes"`
	Kills          int            `json:"kills"`
	PointsHit      []string       `json:"points_hit,omitempty"`
	PointsMissed   []string       `json:"points_missed,omitempty"` // never passed: nothing is proved of them
	LongestStart   float64        `json:"longest_start_s"`
	Slept          int            `json:"slept,omitempty"`      // nodes that were stopped for twice their lease and went on
	CutOff         int            `json:"cut_off,omitempty"`    // nodes that lost their database for twice their lease
	Takeover       float64        `json:"takeover_s,omitempty"` // the longest, from a node's death until others had all that it had in hand
	Takeovers      int            `json:"takeovers,omitempty"`  // nodes that died with something in hand
	Orphans        int            `json:"orphans,omitempty"`    // what they had in hand
	TakenLate      int            `json:"taken_late,omitempty"` // takeovers that took longer than the lease and takeoverAim
	TakenFrom      int            `json:"taken_from,omitempty"` // records that others took from nodes that slept or were cut off
	Lease          float64        `json:"lease_s"`
	Stop           float64        `json:"stop_s"`
	Attempts       int            `json:"attempts_counted_by_stop"`
	RefusedRoll    int            `json:"refused_in_rolling_restart"`
	Drained        float64        `json:"drained_s"`
	Unrested       int            `json:"unrested"` // records that did not come to rest in time
	DatabaseFaults int            `json:"database_faults,omitempty"`
	Reconnect      float64        `json:"reconnect_s,omitempty"` // from the end of a fault of the database until a webhook was acknowledged
	Refused        map[string]int `json:"refused,omitempty"`     // webhooks that were not acknowledged at once, by answer
	AfterBackup    int            `json:"effects_after_backup,omitempty"`
	SentHeld       int            `json:"calls_while_held"`
	Resumed        float64        `json:"resumed_s,omitempty"` // from the resumption until all was at rest
	Faults         map[string]int `json:"faults"`
	Unprotected    int            `json:"unprotected,omitempty"` // records of class X of whose creates an answer was lost
	Unasked        int            `json:"unasked,omitempty"`     // those that no person was asked about
	Logins         int            `json:"logins,omitempty"`      // sessions that the time tracker has given
	Batches        int            `json:"batches,omitempty"`     // calls that made several projects
	Revoked        int            `json:"revoked,omitempty"`     // consents that were lost by an old token
	Lost           int            `json:"lost"`
	Repeated       int            `json:"repeated"`
	oracle.Verdict
	Seconds float64 `json:"seconds"`
}

// Good reports that nothing is wrong: the oracle has no finding, all came to rest in time, and the
// end by SIGTERM counted no attempt.
func (r Result) Good() bool {
	return r.Verdict.Good() && r.TakenLate == 0 && r.RefusedRoll == 0 && r.SentHeld == 0 && r.Unrested == 0 && r.Attempts == 0 && r.Unasked == 0 && r.Revoked == 0 && r.Refused[noRetryAfter] == 0
}

// chaosRun is a Chaos under way.
type chaosRun struct {
	*Chaos
	rand    *rand.Rand
	fleet   *fleet
	far     *far
	traffic *traffic
	lookout *lookout // over several nodes
	proxy   *proxy   // before the database; nil: none
	result  Result
}

// Run carries the trial out and has the oracle judge it.
func (c *Chaos) Run(ctx context.Context) (Result, error) {
	begun := time.Now()
	if err := c.Open(ctx); err != nil {
		return Result{}, err
	}
	r := &chaosRun{Chaos: c, rand: rand.New(rand.NewPCG(c.Seed, c.Seed)), far: newFar(c.Stage.Far)}
	err := r.carryOut(ctx)
	r.result.Seconds = round(time.Since(begun).Seconds())
	return r.result, errors.Join(err, c.Close(ctx))
}

func (r *chaosRun) carryOut(ctx context.Context) (err error) {
	r.result = Result{Store: r.StoreName(), Seed: r.Seed, Nodes: r.Nodes, Lease: r.Stage.Lease.Seconds(),
		Plan: fmt.Sprintf("%d kills, %d crash points, %d nodes, %s", r.Kills, len(r.Points), r.Nodes, r.Faults)}
	if r.result.SyncsPerS, err = SyncsPerSecond(r.Dir); err != nil {
		return err
	}
	r.result.SyncsPerS = round(r.result.SyncsPerS)
	undo, err := r.prepareDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undo()) }()
	if r.fleet, err = r.open(ctx, r.Nodes); err != nil {
		return err
	}
	defer func() { r.fleet.kill() }()
	ledger, err := oracle.OpenLedger(r.offers())
	if err != nil {
		return err
	}
	defer ledger.Close()
	r.traffic = &traffic{tenants: r.Tenants, fleet: r.fleet, far: r.far, source: newSource(hands), ledger: ledger, pace: pace}
	if len(r.Acts) > 0 {
		r.traffic.pace = nodesPace
	}
	for _, act := range []func(context.Context) error{r.underFire, r.drain, r.rest, r.judge} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *chaosRun) say(format string, args ...any) { fmt.Fprintf(r.Log, format+"\n", args...) }

// underFire is the phase in which things go wrong.
func (r *chaosRun) underFire(ctx context.Context) error {
	if err := r.far.faults(ctx, r.Faults); err != nil {
		return err
	}
	if err := r.kills(ctx); err != nil {
		return err
	}
	if err := r.manyNodes(ctx); err != nil {
		return err
	}
	if r.Kills == 0 && len(r.Points) == 0 && len(r.Acts) == 0 && r.Restore == 0 && r.Database == "" {
		if err := r.nothingElse(ctx); err != nil {
			return err
		}
	}
	if err := r.points(ctx); err != nil {
		return err
	}
	if err := r.databaseFault(ctx); err != nil {
		return err
	}
	return r.restored(ctx)
}

// loaded does something while the sources send. What they had under way is acknowledged at its end.
func (r *chaosRun) loaded(ctx context.Context, do func(context.Context) error) error {
	end := r.traffic.begin(ctx)
	err := do(ctx)
	return errors.Join(err, end())
}

// nothingElse goes wrong but the far side.
func (r *chaosRun) nothingElse(ctx context.Context) error {
	if r.Deals == 0 {
		return r.loaded(ctx, func(ctx context.Context) error { return pause(ctx, 5*time.Second) })
	}
	if err := r.traffic.send(ctx, r.Deals); err != nil {
		return err
	}
	return r.wait(ctx, begun) // or most of them would be carried when nothing goes wrong any more
}

// kills ends a process by kill -9 at random moments under load. After every second one all comes to
// rest: a record that is in hand at three crashes is parked, rightly, and would prove nothing.
func (r *chaosRun) kills(ctx context.Context) error {
	for done := 0; done < r.Kills; {
		n := min(2, r.Kills-done)
		if err := r.loaded(ctx, func(ctx context.Context) error { return r.killTimes(ctx, n) }); err != nil {
			return err
		}
		done += n
		if err := r.calm(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *chaosRun) killTimes(ctx context.Context, n int) error {
	for range n {
		if err := pause(ctx, 300*time.Millisecond+time.Duration(r.rand.IntN(600))*time.Millisecond); err != nil {
			return err
		}
		victim := r.rand.IntN(r.Nodes)
		r.fleet.process(victim).Kill()
		r.result.Kills++
		r.say("kill %d of %d", r.result.Kills, r.Kills)
		if err := r.again(ctx, victim); err != nil {
			return err
		}
	}
	return nil
}

func (r *chaosRun) again(ctx context.Context, i int, env ...string) error {
	took, err := r.fleet.restart(ctx, i, env...)
	r.result.LongestStart = max(r.result.LongestStart, round(took.Seconds()))
	return err
}

// points lets the process die at each crash point in turn, at one of its first passings.
func (r *chaosRun) points(ctx context.Context) error {
	for _, point := range r.Points {
		r.fleet.process(0).Kill()
		r.Poll = 0
		if pollPoint(point) {
			r.Poll = time.Second
		}
		if err := r.again(ctx, 0, fmt.Sprintf("THROUGHLINE_CRASH=%s:%d", point, 1+r.rand.IntN(passings(point)))); err != nil {
			return err
		}
		struck := r.fleet.process(0).Ended()
		sent := make(chan error, 1)
		go func() { sent <- r.traffic.send(ctx, 24) }()
		select {
		case <-struck:
			r.result.PointsHit = append(r.result.PointsHit, point)
		case <-time.After(15 * time.Second): // another node's lease may have to end first
			r.result.PointsMissed = append(r.result.PointsMissed, point)
			r.fleet.process(0).Kill()
		}
		r.say("crash at %s", point)
		if err := r.again(ctx, 0); err != nil {
			return err
		}
		if err := <-sent; err != nil {
			return err
		}
		if err := r.calm(ctx); err != nil { // or the same records die three times and are parked, as they should
			return err
		}
	}
	if r.Poll == 0 {
		return nil
	}
	r.Poll = 0
	r.fleet.process(0).Kill()
	if err := r.again(ctx, 0); err != nil { // which polls no more, but for the turn that was due
		return err
	}
	return r.wait(ctx, still)
}

// passings is among how many of a point's first passings one is drawn: a poll comes round once a second, and each
// of three customers logs in once at least.
func passings(point string) int {
	if pollPoint(point) || strings.HasPrefix(point, "login.") || strings.HasPrefix(point, "batch.") {
		return 3
	}
	return 10
}

func pollPoint(point string) bool {
	return strings.HasPrefix(point, "page.") || strings.HasPrefix(point, "cursor.")
}

// drain ends the faults and waits until all work has come to rest.
func (r *chaosRun) drain(ctx context.Context) error {
	begun := time.Now()
	if err := r.far.faults(ctx, farside.Plan{}); err != nil {
		return err
	}
	err := r.calm(ctx)
	r.result.Drained = round(r.result.Drained + time.Since(begun).Seconds())
	return err
}

// calm waits until all work has come to rest.
func (r *chaosRun) calm(ctx context.Context) error { return r.wait(ctx, rests) }

// wait waits until every row of work is as it shall be.
func (r *chaosRun) wait(ctx context.Context, as func(hub.Work) bool) error {
	ctx, end := context.WithTimeout(ctx, r.Drain)
	defer end()
	s, err := store.Open(ctx, r.ledger(), time.Now)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		open, err := r.others(ctx, s, as, hub.Ready, hub.Running, hub.Later, hub.Waiting)
		if err == nil && open == 0 {
			open, err = r.others(ctx, s, as, "") // in one look: a row may have gone from one state to another between two
		}
		if err != nil {
			return err
		}
		if open == 0 {
			return nil
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			r.say("%d records did not come to rest within %s", open, r.Drain)
			r.result.Unrested += open
			return nil
		}
	}
}

// rests says whether a record has come to rest. A poll never does: it is enough that it has come round
// again since its process died.
func rests(w hub.Work) bool {
	if w.Key == ingest.PollKey {
		return w.Crashes == 0 && w.Attempts == 0
	}
	return still(w)
}

// still says whether a record, or a poll that is no longer wanted, does nothing more.
func still(w hub.Work) bool { return w.State == hub.Idle || w.State == hub.Stopped }

// begun says whether a record has been carried, if only to where something went wrong.
func begun(w hub.Work) bool { return w.State != hub.Ready && w.State != hub.Running }

// others counts the rows of work in some states ("" for all) that are not as they shall be.
func (r *chaosRun) others(ctx context.Context, s *store.Store, as func(hub.Work) bool, states ...hub.WorkState) (int, error) {
	open := 0
	for _, t := range r.Tenants {
		for _, state := range states {
			list, err := s.Tenant(hub.TenantID(t)).Work(ctx, store.Filter{State: string(state), Limit: 1 << 20})
			if err != nil {
				return 0, err
			}
			for _, w := range list {
				if !as(w) {
					open++
				}
			}
		}
	}
	return open, nil
}

// rest ends the product by SIGTERM while it works: clean, and no attempt is counted (C7).
func (r *chaosRun) rest(ctx context.Context) error {
	if err := r.traffic.send(ctx, 2*hands); err != nil {
		return err
	}
	took, err := r.fleet.stop()
	if err != nil {
		return err
	}
	r.result.Stop = round(took.Seconds())
	if err := r.countAttempts(ctx); err != nil {
		return err
	}
	if err := r.again(ctx, 0); err != nil {
		return err
	}
	if err := r.drain(ctx); err != nil {
		return err
	}
	_, err = r.fleet.process(0).Stop(stopLimit)
	return err
}

func (r *chaosRun) countAttempts(ctx context.Context) error {
	s, err := store.Open(ctx, r.ledger(), time.Now)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, t := range r.Tenants {
		list, err := s.Tenant(hub.TenantID(t)).Work(ctx, store.Filter{Limit: 1 << 20})
		if err != nil {
			return err
		}
		for _, w := range list {
			if w.State == hub.Ready || w.State == hub.Running || w.State == hub.Later {
				r.result.Attempts += w.Attempts + w.Crashes
			}
		}
	}
	return nil
}
