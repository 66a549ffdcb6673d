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

// ofTenant hands out up to n rows of a tenant. Where it has more than it is given, its flows take turns,
// so that one with a million rows does not keep the others from theirs.
func (s *Store) ofTenant(ctx context.Context, t tx, c *claim, lane hub.Lane, tenant hub.TenantID, n int) ([]Claim, error) {
	crowded := c.turn.crowded[laneOf{lane, tenant}]
	if crowded == "" && (c.turn.Shares == nil || !c.turn.Shares.Slow(tenant)) {
		got, err := s.claims(ctx, t, ordinary, int(lane), tenant, c.crashes(), n)
		if err == nil && len(got) == n {
			c.turn.crowd(lane, tenant, got[n-1].Deployment)
		}
		return c.calm(got), err
	}
	flows, err := readyFlows(ctx, t, lane, tenant)
	if err != nil {
		return nil, err
	}
	next, _ := slices.BinarySearch(flows, crowded+"\x00")
	flows = slices.Concat(flows[next:], flows[:next])
	var list []Claim
	for i, d := range flows {
		part := (n - len(list) + len(flows) - i - 1) / (len(flows) - i)
		if c.turn.Shares != nil {
			part = c.turn.Shares.Pace(tenant, d, part)
		}
		if part == 0 {
			c.turn.Left = true
			continue
		}
		got, err := s.claims(ctx, t, ofFlow, int(lane), tenant, d, c.crashes(), part)
		if err != nil {
			return nil, err
		}
		c.turn.Left = c.turn.Left || len(got) >= part
		if list = append(list, c.calm(got)...); len(got) > 0 {
			crowded = d
		}
	}
	if len(list) < n {
		crowded = ""
	}
	c.turn.crowd(lane, tenant, crowded)
	return list, nil
}

type laneOf struct {
	lane   hub.Lane
	tenant hub.TenantID
}

// crowd remembers that a tenant has more than it was given, and which of its flows was served last.
func (t *Turn) crowd(lane hub.Lane, tenant hub.TenantID, d hub.DeploymentID) {
	if d == "" {
		delete(t.crowded, laneOf{lane, tenant})
		return
	}
	if t.crowded == nil {
		t.crowded = map[laneOf]hub.DeploymentID{}
	}
	t.crowded[laneOf{lane, tenant}] = d
}

// readyFlows walks the index from flow to flow of a tenant.
func readyFlows(ctx context.Context, t tx, lane hub.Lane, tenant hub.TenantID) ([]hub.DeploymentID, error) {
	const q = `
		WITH RECURSIVE next (deployment) AS (
			SELECT (SELECT MIN(deployment) FROM work WHERE state = 'ready' AND lane = CAST(? AS BIGINT) AND tenant = ?)
			UNION ALL
			SELECT (SELECT MIN(w.deployment) FROM work w WHERE w.state = 'ready' AND w.lane = CAST(? AS BIGINT) AND w.tenant = ? AND w.deployment > next.deployment)
			FROM next WHERE next.deployment IS NOT NULL
		)
		SELECT deployment FROM next WHERE deployment IS NOT NULL`
	r, err := t.query(ctx, q, int(lane), tenant, int(lane), tenant)
	return all(r, err, func(r rows, d *hub.DeploymentID) error { return r.Scan(d) })
}
