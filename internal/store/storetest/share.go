package storetest

import (
	"fmt"

	"throughline/internal/hub"
)

// shares are a test's own: how much room a tenant has, and the pace of its flows.
type shares struct {
	room map[hub.TenantID]int
	pace map[hub.DeploymentID]int
	calm int // how many rows that were in hand at a crash may not be handed out; of 100
}

func (s shares) Room(t hub.TenantID) int { return s.room[t] }
func (s shares) Slow(hub.TenantID) bool  { return len(s.pace) > 0 }
func (s shares) Shaken() int             { return 100 - s.calm }
func (s shares) Pace(_ hub.TenantID, d hub.DeploymentID, want int) int {
	if n, ok := s.pace[d]; ok {
		return min(n, want)
	}
	return want
}

func (b *bench) queue(tenant, flow string, n int, lane hub.Lane) {
	b.Helper()
	for i := range n {
		a := b.arrival(tenant, fmt.Sprint(flow, i), fmt.Sprint(tenant, flow, i), 0, lane)
		a.Deployments = []hub.DeploymentID{hub.DeploymentID(flow)}
		_, err := b.log.Accept(b.ctx, a)
		b.must(err)
	}
}

// claimed counts the rows of a claim by tenant and flow.
func (b *bench) claimed(n int) map[string]int {
	b.Helper()
	out := map[string]int{}
	for _, w := range b.claim(n) {
		out[string(w.Tenant)+" "+string(w.Deployment)]++
	}
	return out
}

// flowsTakeTurns: a flow with many rows does not keep the tenant's other flows from theirs.
func flowsTakeTurns(b *bench) {
	b.queue("t1", "a", 60, hub.Normal)
	b.queue("t1", "b", 20, hub.Normal)
	b.queue("t1", "c", 1, hub.Normal)
	total := map[string]int{}
	for range 4 {
		for name, n := range b.claimed(10) {
			total[name] += n
		}
	}
	if total["t1 b"] < 10 || total["t1 c"] != 1 || total["t1 a"]+total["t1 b"]+total["t1 c"] != 40 {
		b.Errorf("of 40 rows: %v; want c's one, and about as many of b as of a", total)
	}
	for range 5 {
		b.claimed(10)
	}
	if left := b.claimed(10); len(left) != 0 {
		b.Errorf("claimed a second time: %v", left)
	}
}

// allIsGiven: what a tenant leaves of its share goes to those who have more, whoever comes first, and so it does among
// the flows of one.
func allIsGiven(b *bench) {
	b.queue("big", "a", 60, hub.Normal)
	b.queue("big", "b", 1, hub.Normal)
	b.queue("few", "a", 2, hub.Normal)
	b.queue("many", "a", 60, hub.Normal)
	b.turn.Shares = shares{room: map[hub.TenantID]int{"big": 100, "few": 100, "many": 8}}
	if got := b.claimed(30); got["big a"] != 20 || got["few a"] != 2 || got["many a"] != 8 {
		b.Errorf("claimed %v, want both of few's, as much of many's as it has room for, and the rest of big's", got)
	}
	b.turn.Shares = nil
	if got := b.claimed(30); got["big a"] != 14 || got["big b"] != 1 || got["many a"] != 15 {
		b.Errorf("claimed %v, want half of each, and of big's flows the one that has come too short", got)
	}
}

// roomIsKept: a tenant is handed no more than it has room for, in all lanes together; who comes after it is served.
func roomIsKept(b *bench) {
	b.turn.Shares = shares{room: map[hub.TenantID]int{"big": 3, "small": 100}}
	b.queue("big", "a", 20, hub.Interactive)
	b.queue("big", "b", 20, hub.Normal)
	b.queue("small", "a", 5, hub.Bulk)
	if got := b.claimed(30); got["big a"] != 3 || got["big b"] != 0 || got["small a"] != 5 {
		b.Errorf("claimed %v, want 3 of the big one's first lane and all of the small one's last", got)
	}
}

// paceIsKept: of a flow that can only wait few rows are handed out or none; the tenant's other flows go on.
func paceIsKept(b *bench) {
	s := shares{room: map[hub.TenantID]int{"t1": 100}, pace: map[hub.DeploymentID]int{"down": 0}}
	b.turn.Shares = s
	b.queue("t1", "down", 20, hub.Normal)
	b.queue("t1", "up", 5, hub.Normal)
	if got := b.claimed(20); got["t1 down"] != 0 || got["t1 up"] != 5 {
		b.Errorf("claimed %v, want all of the flow that is up, and none of the other", got)
	}
	s.pace["down"] = 2
	if got := b.claimed(20); got["t1 down"] != 2 {
		b.Errorf("claimed %v, want two", got)
	}
	delete(s.pace, "down")
	if got := b.claimed(20); got["t1 down"] != 18 {
		b.Errorf("claimed %v, want the rest", got)
	}
}

// shakenAreFew: of the rows that were in hand at a crash no more are handed out than may be, and they do not
// keep the others from their turn.
func shakenAreFew(b *bench) {
	b.queue("t1", "a", 5, hub.Normal)
	b.queue("t2", "a", 5, hub.Normal)
	b.claim(10)
	b.epoch = b.join("b")
	_, err := b.store.Recover(b.ctx, b.epoch, true)
	b.must(err)
	b.queue("t1", "b", 3, hub.Normal)
	room := map[hub.TenantID]int{"t1": 100, "t2": 100}
	b.turn.Shares = shares{room: room, calm: 96}
	if got := b.claimed(20); got["t1 a"]+got["t2 a"] != 4 || got["t1 b"] != 3 || !b.turn.Left {
		b.Errorf("claimed %v, more are left: %v; want four that were in hand, and the three others", got, b.turn.Left)
	}
	b.turn.Shares = shares{room: room, calm: 100}
	if got := b.claimed(20); len(got) != 0 {
		b.Errorf("claimed %v, want none", got)
	}
	b.turn.Shares = shares{room: room, pace: map[hub.DeploymentID]int{"a": 2}, calm: 99} // and flow by flow
	if got := b.claimed(20); got["t1 a"]+got["t2 a"] != 1 {
		b.Errorf("claimed %v, want one", got)
	}
	b.turn.Shares = nil
	if got := b.claimed(20); got["t1 a"]+got["t2 a"] != 5 {
		b.Errorf("claimed %v, want the rest", got)
	}
}
