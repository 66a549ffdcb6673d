package store

import (
	"context"

	"throughline/internal/hub"
)

// Backfill puts a flow to reading a span again, in the lane that everything else goes before; one that is
// at it, or waits for its turn, goes on.
func (t *Tenant) Backfill(ctx context.Context, d hub.DeploymentID, key string, entry AuditEntry) error {
	return t.db.change(ctx, func(x tx) error {
		if _, err := x.exec(ctx, `DELETE FROM cursor WHERE tenant = ? AND deployment = ? AND record_key = ?`, t.id, d, key); err != nil {
			return err
		}
		if err := putPolls(ctx, x, []hub.Work{{Tenant: t.id, Deployment: d, Key: key, Lane: hub.Bulk, Due: t.now()}}); err != nil {
			return err
		}
		return t.appendAudit(ctx, x, t.id, []AuditEntry{entry})
	})
}

// StopBackfill lets a backfill end at its next page. What it has read stays.
func (t *Tenant) StopBackfill(ctx context.Context, d hub.DeploymentID, key, stopped string, entry AuditEntry) error {
	return t.db.change(ctx, func(x tx) error {
		const q = `
			INSERT INTO cursor (tenant, deployment, record_key, value, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant, deployment, record_key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
		if _, err := x.exec(ctx, q, t.id, d, key, stopped, micros(t.now())); err != nil {
			return err
		}
		return t.appendAudit(ctx, x, t.id, []AuditEntry{entry})
	})
}

// DueNow lets a row that ticks by itself tick at once, or once more after the tick that is under way: it sees that it is
// due later than when it began. One that is tried again after a failure keeps its time, for each try counts.
func (t *Tenant) DueNow(ctx context.Context, d hub.DeploymentID, key string) error {
	const q = `UPDATE work SET due_at = ? WHERE tenant = ? AND deployment = ? AND record_key = ? AND (state = 'running' OR state = 'later' AND attempts = 0)`
	_, err := t.db.exec(ctx, q, micros(t.now()), t.id, d, key)
	return err
}
