package store

import (
	"context"
	"slices"

	"throughline/internal/hub"
)

// Hands are those that a node has free. What arrives while nothing else waits is put into them by the
// commit that stores it: such a row never stands in the queue, and needs no claim.
type Hands interface {
	// Term is the epoch under which the node has hands to give; 0: it has none now.
	Term() int64
	// Take reserves a hand for a row; false where there is no free one.
	Take(hub.Work) bool
	// RunID names a run. Later ones have later names.
	RunID() hub.RunID
	// Begin carries the rows of a commit that came about.
	Begin([]Claim)
	// Drop frees the hands of rows that are not to be carried. Unheard says that nobody knows whether their
	// commit came about: they may stand in the node's hand.
	Drop(list []Claim, unheard bool)
}

// giving is what one commit puts into hands.
type giving struct {
	hands  Hands
	epoch  int64 // 0: nothing is given
	paused map[flowKey]bool
	list   []Claim
	due    map[recordAt]int // events of the commit on a record that are still to come: the last one is given
}

type recordAt struct {
	tenant hub.TenantID
	key    hub.RecordKey
}

func (g *giving) expect(e hub.Event) {
	if g.due == nil {
		g.due = map[recordAt]int{}
	}
	g.due[recordAt{e.Tenant, e.Key}]++
}

func (g *giving) came(e hub.Event) { g.due[recordAt{e.Tenant, e.Key}]-- }

// open looks whether a commit may give what arrives: under a lease that holds, and nothing of paused flows.
func (s *Store) open(ctx context.Context, t tx, g *giving, under []int64, tenants map[hub.TenantID]bool) error {
	if g.hands == nil {
		return nil
	}
	epoch := g.hands.Term()
	if epoch == 0 {
		return nil
	}
	if !slices.Contains(under, epoch) {
		holds, err := s.leased(ctx, t, epoch)
		if err != nil || !holds {
			return err
		}
	}
	var err error
	g.epoch = epoch
	g.paused, err = findPaused(ctx, t, tenants)
	return err
}

// give puts a row that is ready into a hand, if one is free.
func (g *giving) give(w *hub.Work, e hub.Event) bool {
	if g.epoch == 0 || g.due[recordAt{e.Tenant, e.Key}] > 0 || g.paused[flowKey{w.Tenant, w.Deployment}] {
		return false
	}
	if !g.hands.Take(*w) {
		return false
	}
	w.State, w.Epoch, w.Run = hub.Running, g.epoch, g.hands.RunID()
	g.list = append(g.list, Claim{Work: *w, Event: &e})
	return true
}

// change puts another form of a row that was given in its place: it was there already. One that
// runs, or that stays with an older event, needs no hand.
func (g *giving) change(was hub.Work, w *hub.Work) {
	at := slices.IndexFunc(g.list, func(c Claim) bool { return c.Work.Run == was.Run })
	given := &g.list[at]
	if w.State != hub.Ready || w.Event != given.Work.Event {
		g.hands.Drop([]Claim{*given}, false)
		g.list = slices.Delete(g.list, at, at+1)
		return
	}
	w.State, w.Epoch, w.Run = hub.Running, given.Epoch, g.hands.RunID() // later than that of a run which was superseded
	given.Work = *w
}

// end tells the hands what became of the commit.
func (g *giving) end(unheard bool, err error) {
	switch {
	case len(g.list) == 0:
	case err == nil:
		g.hands.Begin(g.list)
	default:
		g.hands.Drop(g.list, unheard)
	}
}
