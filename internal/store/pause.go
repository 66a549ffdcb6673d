package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"throughline/internal/hub"
)

// A paused flow keeps what arrives and begins nothing. Its rows wait until it is resumed; what is in
// hand at that moment is finished first.

const pausedReason = "The flow is paused."

// onFlow is what the rows of a paused flow wait for.
func onFlow(d hub.DeploymentID) string { return "flow:" + string(d) }

// SetFlowState pauses or resumes the newest revision of a flow, with its audit entry. It answers false
// where the flow stands so already.
func (t *Tenant) SetFlowState(ctx context.Context, d hub.DeploymentID, state string, entry AuditEntry) (done bool, err error) {
	err = t.db.change(ctx, func(x tx) error {
		const q = `
			UPDATE deployment SET state = ? WHERE tenant = ? AND id = ? AND state <> ? AND state <> 'removed'
			AND revision = (SELECT MAX(revision) FROM deployment WHERE tenant = ? AND id = ?)`
		n, err := x.exec(ctx, q, state, t.id, d, state, t.id, d)
		if err != nil || n == 0 {
			return err
		}
		done = true
		if err := moveRows(ctx, x, t.db.dialect(), t.id, d, state); err != nil {
			return err
		}
		return t.appendAudit(ctx, x, t.id, []AuditEntry{entry})
	})
	return done, err
}

// moveRows lets a flow's rows wait, or go on. They keep the time at which they were due.
func moveRows(ctx context.Context, t tx, words dialect, tenant hub.TenantID, d hub.DeploymentID, state string) error {
	if state == "paused" {
		const q = `UPDATE work SET state = 'waiting', reason = ?, waits_on = ? WHERE tenant = ? AND deployment = ? AND state IN ('ready', 'later')`
		_, err := t.exec(ctx, q, pausedReason, onFlow(d), tenant, d)
		return err
	}
	if err := words.turn(ctx, t, onFlows, tenant, false); err != nil {
		return err
	}
	const q = `UPDATE work SET state = 'later', reason = '', waits_on = '' WHERE tenant = ? AND deployment = ? AND state = 'waiting' AND waits_on = ?`
	_, err := t.exec(ctx, q, tenant, d, onFlow(d))
	return err
}

// withoutPaused takes the rows of paused flows out of a claim and lets them wait: they arrived, or
// came due, after the flow was paused.
func (s *Store) withoutPaused(ctx context.Context, t tx, c *claim) error {
	if len(c.got) == 0 {
		return nil
	}
	tenants := map[hub.TenantID]bool{}
	for _, w := range c.got {
		tenants[w.Tenant] = true
	}
	paused, err := s.pausedFlows(ctx, t, tenants)
	if err != nil || len(paused) == 0 {
		return err
	}
	var held [][]any
	c.got = slices.DeleteFunc(c.got, func(w Claim) bool {
		if !paused[flowKey{w.Tenant, w.Deployment}] {
			return false
		}
		held = append(held, []any{pausedReason, onFlow(w.Deployment), w.Tenant, w.Deployment, w.Key})
		return true
	})
	const q = `UPDATE work SET state = 'waiting', reason = ?, waits_on = ? WHERE tenant = ? AND deployment = ? AND record_key = ?`
	return t.put(ctx, q, held, nil)
}

type flowKey struct {
	tenant hub.TenantID
	id     hub.DeploymentID
}

// pausedFlows finds which are paused, and keeps them so until the commit.
func (s *Store) pausedFlows(ctx context.Context, t tx, of map[hub.TenantID]bool) (map[flowKey]bool, error) {
	found, err := findPaused(ctx, t, of)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	with := map[hub.TenantID]bool{}
	for k := range found {
		with[k.tenant] = true
	}
	for _, tenant := range slices.Sorted(maps.Keys(with)) {
		if err := s.db.dialect().turn(ctx, t, onFlows, tenant, true); err != nil {
			return nil, err
		}
	}
	return findPaused(ctx, t, with)
}

func findPaused(ctx context.Context, t tx, of map[hub.TenantID]bool) (map[flowKey]bool, error) {
	tenants := make([]any, 0, len(of))
	for id := range of {
		tenants = append(tenants, id)
	}
	q := `
		SELECT tenant, id FROM deployment d WHERE state = 'paused' AND tenant IN (?` + strings.Repeat(", ?", len(tenants)-1) + `)
		AND NOT EXISTS (SELECT 1 FROM deployment x WHERE x.tenant = d.tenant AND x.id = d.id AND x.revision > d.revision)`
	r, err := t.query(ctx, q, tenants...)
	found, err := all(r, err, func(r rows, k *flowKey) error { return r.Scan(&k.tenant, &k.id) })
	paused := map[flowKey]bool{}
	for _, k := range found {
		paused[k] = true
	}
	return paused, err
}
