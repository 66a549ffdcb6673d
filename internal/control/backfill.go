package control

import (
	"context"
	"fmt"

	"throughline/internal/access"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/ingest"
)

// Backfill lets a flow read a span of business dates again, both days included; with stop it ends one
// that is under way. What was read before is not done twice.
func (c *Control) Backfill(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.DeploymentID, from, to exact.Date, stop bool) error {
	if err := c.may(ctx, by, access.PauseFlows, tenant); err != nil {
		return err
	}
	if err := c.flow(ctx, tenant, id); err != nil {
		return err
	}
	if to.Compare(from) < 0 {
		return &hub.Error{Kind: hub.Invalid, Code: "backfill.span", Field: "to", Message: fmt.Sprintf("%s lies before %s.", to, from), Hint: "Give the first day, then the last."}
	}
	t, key := c.store.Tenant(tenant), ingest.BackfillKey(from, to)
	if stop {
		return t.StopBackfill(ctx, id, key, ingest.Stopped, by.Entry(c.now(), "flow.backfill_stopped", string(id), key))
	}
	f, err := c.loader.Flow(ctx, tenant, id, 0)
	if err != nil {
		return err
	}
	if err := ingest.CanList(f); err != nil {
		return err
	}
	if err := t.Backfill(ctx, id, key, by.Entry(c.now(), "flow.backfill", string(id), key)); err != nil {
		return err
	}
	c.changed()
	return nil
}

// Upload takes records of a kind from a table (CSV), as if the connection's system had told of them.
func (c *Control) Upload(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.ConnectionID, kind string, table []byte) (rows, fresh int, err error) {
	if err := c.may(ctx, by, access.PauseFlows, tenant); err != nil {
		return 0, 0, err
	}
	return c.intake.Upload(ctx, tenant, id, kind, table, by.Entry(c.now(), "records.uploaded", string(id)+"/"+kind, ""))
}

// CheckUpload reads a table as Upload does, and takes nothing of it.
func (c *Control) CheckUpload(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.ConnectionID, kind string, table []byte) ([]ingest.UploadRow, error) {
	if err := c.may(ctx, by, access.PauseFlows, tenant); err != nil {
		return nil, err
	}
	return c.intake.Check(ctx, tenant, id, kind, table)
}
