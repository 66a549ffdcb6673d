package drill

import (
	"context"
	"os"
	"testing"
	"time"

	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// breaks are ways in which the product could be wrong. Each changes what passes a seam, as if the
// product had done so itself; seed is one that finds it.
var breaks = []struct {
	name  string
	seed  uint64
	seams func(*seams)
	lag   string
}{
	{name: "a write without an intent", seed: 2, seams: recording(func(_ *node, st store.Step) store.Step { st.Open = nil; return st })},
	{name: "a node that slept does not know of it, and is not fenced", seed: 816, seams: func(s *seams) { recording(unfenced)(s); s.now = drowsy }},
	{name: "a cursor ahead of what was read", seed: 3, seams: func(s *seams) { s.ticker = func(in *ingest.Ingest) engine.Ticker { return hasty{in} } }},
	{name: "an outcome forgotten", seed: 1, seams: recording(func(_ *node, st store.Step) store.Step { st.Close = nil; return st })},
	{name: "a create in the grey zone", seed: 5, lag: "1ms"},
	{name: "each node logs in for itself", seed: 8, seams: func(s *seams) { s.logins = func(n *node) remote.Sessions { return solitary{sessions{n}} } }},
	{name: "what a login gave is not kept", seed: 3, seams: func(s *seams) { s.logins = func(n *node) remote.Sessions { return forgetful{sessions{n}} } }},
}

// meddler changes what is recorded.
type meddler struct {
	engine.Journal
	n    *node
	with func(*node, store.Step) store.Step
}

func (m meddler) Record(ctx context.Context, st store.Step) ([]string, error) {
	return m.Journal.Record(ctx, m.with(m.n, st))
}

func recording(with func(*node, store.Step) store.Step) func(*seams) {
	return func(s *seams) { s.journal = func(n *node) engine.Journal { return meddler{journal{n}, n, with} } }
}

// unfenced lets a node record under whichever lease has the row, by what it knew before it slept: the ledger is
// not asked again whether a record has come to be.
func unfenced(n *node, st store.Step) store.Step {
	st.Epoch = 0
	for i := range st.Open {
		st.Open[i].Creates = false
	}
	epoch := func(w *hub.Work) {
		list, err := n.store.Tenant(w.Tenant).Work(context.Background(), store.Filter{Deployment: w.Deployment, Key: w.Key})
		if err == nil && len(list) == 1 {
			w.Epoch = list[0].Epoch
		}
	}
	if st.Finish != nil {
		epoch(&st.Finish.Work)
	}
	if st.Defer != nil {
		epoch(&st.Defer.Work)
	}
	return st
}

// drowsy is the clock of a machine on which no time passes while it sleeps: its lease seems to last.
func drowsy(n *node) func() time.Time {
	return func() time.Time {
		slept := time.Duration(0)
		for _, s := range n.plan.Sleeps {
			if s.Node == n.at {
				slept += min(max(n.since()-s.At, 0), s.For)
			}
		}
		return n.now().Add(-slept)
	}
}

// hasty says that all until now was read, late rows included.
type hasty struct{ engine.Ticker }

func (h hasty) Tick(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	st, err := h.Ticker.Tick(ctx, f, w)
	if err == nil {
		st.Cursor.Value = time.Now().Add(40 * time.Second).UTC().Format(time.RFC3339Nano) // the overlap is read again
	}
	return st, err
}

// solitary logs in without waiting for others who do.
type solitary struct{ sessions }

func (s solitary) Renew(ctx context.Context, t hub.TenantID, id hub.ConnectionID, stale int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	return s.renew(ctx, t, id, stale, login)
}

// forgetful uses what a login gave, and does not keep it.
type forgetful struct{ sessions }

func (s forgetful) Renew(ctx context.Context, t hub.TenantID, id hub.ConnectionID, stale int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	before, version, err := s.Load(ctx, t, id)
	if err != nil {
		return nil, 0, err
	}
	session, err := login(before)
	return session, version + 1, err
}

// TestBreaksAreFound breaks the product on purpose and has a seed find it. With DRILL_BREAK it looks how
// many seeds that takes.
func TestBreaksAreFound(t *testing.T) {
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			cat, err := Definitions(b.lag)
			if err != nil {
				t.Fatal(err)
			}
			with := sane()
			if b.seams != nil {
				b.seams(&with)
			}
			from, to := b.seed, b.seed
			if os.Getenv("DRILL_BREAK") != "" {
				from, to = 1, 1000
			}
			for seed := from; seed <= to; seed++ {
				if r := playWith(t, Draw(seed), with, cat); !r.Good() {
					t.Logf("found by seed %d: %s", seed, r.first())
					return
				}
			}
			t.Errorf("not found by seeds %d to %d", from, to)
		})
	}
}

// first is one thing that is wrong.
func (r Result) first() string {
	for _, f := range r.Verdict.Findings {
		return f.Set + ": " + f.Says
	}
	return r.Faults[0]
}
