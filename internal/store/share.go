package store

import (
	"context"
	"slices"

	"throughline/internal/hub"
)

// Shares bounds what a tenant is handed, so that it leaves something to the others.
type Shares interface {
	// Room is how many more rows the tenant may have in hand.
	Room(hub.TenantID) int
	// Slow reports whether Pace has anything to say of the tenant's flows.
	Slow(hub.TenantID) bool
	// Pace is how many of want rows of a flow are handed out now.
	Pace(t hub.TenantID, d hub.DeploymentID, want int) int
	// Shaken is how many more rows that were in hand when a process died may be in hand at once. If it dies of
	// one of them again, no more than these have to be carried alone.
	Shaken() int
}

// crashes is how many a row that is handed out has behind it at most.
func (c *claim) crashes() int {
	if c.shaken <= 0 {
		return 0
	}
	return 1
}

// calm leaves out the rows that were in hand at a crash and are too many.
func (c *claim) calm(list []Claim) []Claim {
	return slices.DeleteFunc(list, func(w Claim) bool {
		if w.Crashes == 0 {
			return false
		}
		c.shaken--
		c.turn.Left = c.turn.Left || c.shaken < 0
		return c.shaken < 0
	})
}

// room is how many of n rows the tenant may be handed, beside those that the claim has for it already.
func (c *claim) room(t hub.TenantID, n int) int {
	if c.turn.Shares == nil {
		return n
	}
	room := c.turn.Shares.Room(t)
	for _, w := range c.got {
		if w.Tenant == t {
			room--
		}
	}
	return max(0, min(n, room))
}

// serving is a tenant whose turn it is.
type serving struct {
	tenant hub.TenantID
	room   int
	asks   []*ask // one for whatever it has, or one for each of its flows
}

// ask is for the n rows of a tenant that are due longest, up to most.
type ask struct {
	tenant  hub.TenantID
	flow    hub.DeploymentID // empty: of one flow after the other
	n, most int
	got     []Claim
}

// full reports whether there may be more than was asked for.
func (a *ask) full() bool { return len(a.got) == a.n }

// more are the asks of a tenant that may be given more.
func (v *serving) more() (list []*ask) {
	if v.had() == v.room {
		return nil
	}
	for _, a := range v.asks {
		if a.full() && a.n < a.most {
			list = append(list, a)
		}
	}
	return list
}

// had is how many rows it has been given.
func (v *serving) had() (n int) {
	for _, a := range v.asks {
		n += len(a.got)
	}
	return n
}

func (v *serving) rows() (list []Claim) {
	for _, a := range v.asks {
		list = append(list, a.got...)
	}
	return list
}

// served are the tenants whose turn it is in a lane, no more than there are rows to give.
func (s *Store) served(ctx context.Context, t tx, lane hub.Lane, n int, c *claim) (list []*serving, err error) {
	turn := c.turn
	if turn.tenant == nil {
		turn.tenant = map[hub.Lane]string{}
	}
	tenants, err := s.nextTenants(ctx, t, lane, turn.tenant[lane])
	if err != nil {
		return nil, err
	}
	turn.Left = turn.Left || len(tenants) == tenantsPerClaim
	for _, id := range tenants {
		if len(list) == n {
			turn.Left = true
			break
		}
		turn.tenant[lane] = id
		v := &serving{tenant: hub.TenantID(id)}
		if v.room = c.room(v.tenant, n); v.room == 0 {
			turn.Left = true
			continue
		}
		v.asks = []*ask{{tenant: v.tenant, most: v.room}}
		list = append(list, v)
	}
	return list, s.partFlows(ctx, t, lane, c, list)
}

// partFlows lets the flows of a tenant take turns where it has more than it was given, so that one with a million
// rows does not keep the others from theirs, or where one of them goes at a pace.
func (s *Store) partFlows(ctx context.Context, t tx, lane hub.Lane, c *claim, list []*serving) error {
	var crowded []*serving
	var questions []question
	for _, v := range list {
		if c.turn.crowded[laneOf{lane, v.tenant}] != "" || c.turn.Shares != nil && c.turn.Shares.Slow(v.tenant) {
			crowded = append(crowded, v)
			questions = append(questions, question{readyFlows, []any{int(lane), v.tenant, int(lane), v.tenant}})
		}
	}
	return answers(ctx, t, questions, func(i int, r rows) error {
		flows, err := all(r, nil, func(r rows, d *hub.DeploymentID) error { return r.Scan(d) })
		v := crowded[i]
		next, _ := slices.BinarySearch(flows, c.turn.crowded[laneOf{lane, v.tenant}]+"\x00")
		v.asks = nil
		for _, d := range slices.Concat(flows[next:], flows[:next]) {
			v.asks = append(v.asks, &ask{tenant: v.tenant, flow: d, most: c.pace(v.tenant, d, v.room)})
		}
		return err
	})
}

func (c *claim) pace(t hub.TenantID, d hub.DeploymentID, n int) int {
	if c.turn.Shares == nil {
		return n
	}
	return c.turn.Shares.Pace(t, d, n)
}

// spread divides n rows among tenants, and the part of each among its flows: equally, but for what some leave of
// theirs, which goes to those who may have more. It returns what is to be asked, or to be asked anew: what was given
// already comes first in the answer again.
func spread(list []*serving, n int) (asks []*ask) {
	var hungry []*serving
	for _, v := range list {
		if len(v.more()) > 0 {
			hungry = append(hungry, v)
		} else {
			n -= v.had()
		}
	}
	for i, v := range hungry {
		part := min(share(n, len(hungry)-i), v.room)
		asks = append(asks, v.raise(part)...)
		n -= part
	}
	return asks
}

// raise lets the flows of a tenant ask for n rows together.
func (v *serving) raise(n int) (asks []*ask) {
	more := v.more()
	n -= v.had()
	for _, a := range more {
		n += a.n
	}
	for i, a := range more {
		part := min(share(n, len(more)-i), a.most)
		if n -= part; part > a.n {
			a.n = part
			asks = append(asks, a)
		}
	}
	return asks
}

// share is what one of so many gets of n.
func share(n, of int) int { return (n + of - 1) / of }

type laneOf struct {
	lane   hub.Lane
	tenant hub.TenantID
}

// remember notes whether a tenant has more than it was given, and which of its flows was served last.
func (t *Turn) remember(lane hub.Lane, v *serving) {
	if !slices.ContainsFunc(v.asks, (*ask).full) {
		delete(t.crowded, laneOf{lane, v.tenant})
		return
	}
	t.Left = true
	got := v.rows()
	if len(got) == 0 {
		return
	}
	if t.crowded == nil {
		t.crowded = map[laneOf]hub.DeploymentID{}
	}
	t.crowded[laneOf{lane, v.tenant}] = got[len(got)-1].Deployment
}

// readyFlows walks the index from flow to flow of a tenant.
const readyFlows = `
	WITH RECURSIVE next (deployment) AS (
		SELECT (SELECT deployment FROM work WHERE state = 'ready' AND lane = CAST(? AS BIGINT) AND tenant = ? ORDER BY deployment LIMIT 1)
		UNION ALL
		SELECT (SELECT w.deployment FROM work w WHERE w.state = 'ready' AND w.lane = CAST(? AS BIGINT) AND w.tenant = ? AND w.deployment > next.deployment
			ORDER BY w.deployment LIMIT 1)
		FROM next WHERE next.deployment IS NOT NULL
	)
	SELECT deployment FROM next WHERE deployment IS NOT NULL`
