package simulator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"throughline/internal/hub"
)

// Options are what a Simulator takes from outside. All may be left out.
type Options struct {
	Now       func() time.Time                                 // the clock
	Rand      *rand.Rand                                       // ids, odds and order come from it
	Sleep     func(ctx context.Context, d time.Duration) error // how time passes while a call waits
	Ledger    Ledger                                           // where effects are written, besides memory
	Deliver   func(*http.Request) error                        // sends a webhook; an error means try again
	Accounts  []Account                                        // besides those of the description
	Only      bool                                             // leave out the accounts of the description
	Empty     bool                                             // leave out the seed
	BaseURL   string                                           // how callers reach the simulator, for links and signatures
	Lag       func(*rand.Rand) time.Duration                   // how long searches stay behind a write; nil: as described
	Latency   func(*rand.Rand) time.Duration                   // how long each call takes
	Unlimited bool                                             // rate limits are not enforced
}

// Account is one customer's account at the far side, with the secrets that open it.
type Account struct {
	Name    string
	Secrets map[string]string
}

// Simulator is one far side: several accounts, one set of rules. It is an http.Handler, and safe for
// use by many at once.
type Simulator struct {
	plan    *plan
	opt     Options
	journal *journal

	mu       sync.Mutex // guards everything below
	rand     *rand.Rand
	chance   chance
	worlds   []*world
	byName   map[string]*world
	keys     map[string]*world // secret's name and value: account
	sessions map[string]*session
	tokens   map[string]*token
	ahead    time.Duration // how far Advance has moved the clock
	posts    []*post       // webhooks on their way
	stirred  chan struct{} // a webhook was added, or the clock moved
}

// world is everything that one account holds.
type world struct {
	account     string
	secrets     map[string]any
	collections map[string]*collection
	windows     map[string]*window
	jobs        map[string]*job
	waiting     []*job // those that are not carried out yet
}

// New makes a Simulator from a description. An error is a *hub.Error that lists what is wrong with
// the description.
func New(d *Description, opt Options) (*Simulator, error) {
	p, err := compile(d)
	if err != nil {
		return nil, err
	}
	s := &Simulator{plan: p, opt: withDefaults(opt), journal: &journal{out: opt.Ledger}, stirred: make(chan struct{}, 1)}
	s.rand = s.opt.Rand
	s.chance.rand = s.opt.Rand
	return s, s.Reset()
}

func withDefaults(o Options) Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(1, 2))
	}
	if o.Sleep == nil {
		o.Sleep = Sleep
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://simulator.invalid"
	}
	return o
}

// Sleep waits in real time, unless the context ends first: then it says why.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Reset puts every account back to its seed and forgets effects, sessions and faults.
func (s *Simulator) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worlds, s.byName, s.keys = nil, map[string]*world{}, map[string]*world{}
	s.sessions, s.tokens, s.posts = map[string]*session{}, map[string]*token{}, nil
	s.chance.odds, s.chance.ordered = nil, nil
	s.journal.forget()
	list := s.opt.Accounts
	if !s.opt.Only {
		list = append(append([]Account(nil), s.plan.accounts...), list...)
	}
	for _, a := range list {
		if err := s.open(a); err != nil {
			return err
		}
	}
	return nil
}

// Open adds an account, with the seed of the description.
func (s *Simulator) Open(a Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(a)
}

func (s *Simulator) open(a Account) error {
	if a.Name == "" || s.byName[a.Name] != nil {
		return fmt.Errorf("open account %q: the name is empty or taken", a.Name)
	}
	w := &world{
		account: a.Name, secrets: map[string]any{"name": a.Name},
		collections: map[string]*collection{}, windows: map[string]*window{}, jobs: map[string]*job{},
	}
	for name, value := range a.Secrets {
		w.secrets[name] = value
	}
	for name, k := range s.plan.kinds {
		w.collections[name] = newCollection(k)
	}
	for _, key := range s.plan.keys {
		if v := a.Secrets[key.Secret]; v != "" {
			s.keys[key.Secret+"\x00"+v] = w
		}
	}
	s.worlds = append(s.worlds, w)
	s.byName[a.Name] = w
	if s.opt.Empty {
		return nil
	}
	return s.plant(w)
}

// plant fills an account with the seed, which was always there: no effects, no webhooks.
func (s *Simulator) plant(w *world) error {
	c := s.newCall(w, "seed")
	for _, group := range s.plan.seed {
		for n, one := range group.rows {
			v, err := one.value(c)
			if err != nil {
				return fmt.Errorf("seed %s %d: %w", group.collection, n+1, err)
			}
			fields, ok := v.(map[string]any)
			if !ok {
				return fmt.Errorf("seed %s %d: this is not a row", group.collection, n+1)
			}
			if _, err := c.create(w.collections[group.collection], fields, nil); err != nil {
				return fmt.Errorf("seed %s %d: %w", group.collection, n+1, err)
			}
		}
	}
	return nil
}

// now is the far side's clock. Callers hold the lock.
func (s *Simulator) now() time.Time { return s.opt.Now().Add(s.ahead) }

// stamp writes a moment as the vendor does.
func (s *Simulator) stamp(t time.Time) string { return t.UTC().Format(s.plan.instants) }

func (s *Simulator) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return s.opt.Sleep(ctx, d)
}

func (s *Simulator) lag(by string) time.Duration {
	switch {
	case by == "seed":
		return 0
	case s.opt.Lag != nil:
		return s.opt.Lag(s.rand)
	}
	return s.plan.lag
}

// handle carries out one call, and returns when its effects are in the ledger.
func (s *Simulator) handle(r *http.Request, body []byte) answer {
	s.mu.Lock()
	a := s.serve(r, body)
	if s.opt.Latency != nil {
		a.waiting += s.opt.Latency(s.rand)
	}
	s.mu.Unlock()
	if err := s.journal.settle(); err != nil {
		return s.broken(err)
	}
	return a
}

// broken is the answer when the simulator itself is at fault: never to be taken for the vendor's.
func (s *Simulator) broken(err error) answer {
	slog.Error("the simulator cannot answer", "simulator", s.plan.name, "error", err)
	return answer{
		status: http.StatusNotImplemented,
		header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Simulator-Error": {"1"}},
		body:   []byte("simulator " + s.plan.name + ": " + err.Error() + "\n"),
	}
}

// ids. Callers hold the lock, so that a seed repeats them.

func (s *Simulator) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rand.Uint32())
	}
	return b
}

func (s *Simulator) hex(n int) string { return hex.EncodeToString(s.random(n)) }

func (s *Simulator) uuid() string {
	b := s.random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// SetOdds makes calls that match go wrong by chance from now on.
func (s *Simulator) SetOdds(odds Odds, only Match) error {
	for f := range odds {
		if !f.Known() {
			return unknownFault(f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chance.odds, s.chance.only = odds, only
	return nil
}

// FailNext makes the next n calls that match go wrong.
func (s *Simulator) FailNext(n int, f Fault, m Match) error {
	if !f.Known() {
		return unknownFault(f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chance.ordered = append(s.chance.ordered, &order{fault: f, match: m, left: n})
	return nil
}

func unknownFault(f Fault) error {
	return &hub.Error{Kind: hub.Invalid, Code: "simulator.unknown_fault", Message: fmt.Sprintf("There is no fault called %q.", f)}
}

// Advance moves the simulator's own clock ahead of the injected one.
func (s *Simulator) Advance(d time.Duration) {
	s.mu.Lock()
	s.ahead += d
	s.mu.Unlock()
	s.stir()
}

// Effects lists what has happened since the last Reset, seed not included.
func (s *Simulator) Effects() []Effect { return s.journal.list() }

// isRefusal tells the vendor's no from a defect of the description.
func isRefusal(err error) (*refusal, bool) {
	var r *refusal
	ok := errors.As(err, &r)
	return r, ok
}
