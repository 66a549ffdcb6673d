package control

import (
	"context"
	"fmt"

	"throughline/internal/access"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// WhatToDo is what a person does about a ledger that is held.
const WhatToDo = "Webhooks are stored; nothing is polled or sent. See that no other copy of this service works, then: throughline resume."

// Standing says how the ledger stands. It is the partner's own people's to see.
func (c *Control) Standing(ctx context.Context, by access.Principal) (store.Standing, error) {
	if err := by.May(access.See, access.Everyone); err != nil {
		return store.Standing{}, err
	}
	return c.store.Standing(ctx)
}

// Caught is a flow after a resumption: whether its source is read for what the lost time brought.
type Caught struct {
	Customer string `json:"customer"`
	Flow     string `json:"flow"`
	Does     string `json:"does"`
}

// ResumeLedger lets a ledger that is held go on. Flows whose source can be listed are read from the
// beginning of the lost time; of the others it is told, for their senders have to send again. Doing it
// twice does it once.
func (c *Control) ResumeLedger(ctx context.Context, by access.Principal) ([]Caught, error) {
	if err := by.May(access.ResumeLedger, access.Everyone); err != nil {
		return nil, err
	}
	st, err := c.store.Standing(ctx)
	if err != nil {
		return nil, err
	}
	if st.Held.IsZero() {
		return nil, &hub.Error{Kind: hub.Conflict, Code: "ledger.not_held", Message: "The ledger is not held.", Hint: "There is nothing to resume."}
	}
	customers, err := c.store.Customers(ctx)
	if err != nil {
		return nil, err
	}
	var told []Caught
	var list []store.CatchUp
	audit := map[hub.TenantID]store.AuditEntry{}
	for _, u := range customers {
		audit[u.ID] = by.Entry(c.now(), "ledger.resumed", st.Ledger, st.Reason)
		deployments, err := c.store.Tenant(u.ID).Deployments(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range deployments {
			does, more := c.catchUp(ctx, d)
			list = append(list, more...)
			told = append(told, Caught{string(u.ID), string(d.ID), does})
		}
	}
	if _, err := c.store.Resume(ctx, list, audit); err != nil {
		return nil, err
	}
	c.changed()
	return told, nil
}

// catchUp says what becomes of a flow, and how its source is read where that can be done.
func (c *Control) catchUp(ctx context.Context, d store.Deployment) (does string, list []store.CatchUp) {
	if d.State == "removed" {
		return "is removed", nil
	}
	flow, err := c.loader.Flow(ctx, d.Tenant, d.ID, d.Revision)
	if err != nil {
		return "cannot be opened: " + err.Error(), nil
	}
	if ingest.CanList(flow) != nil {
		return fmt.Sprintf("its source cannot be listed: have %s send again what it sent since the backup", flow.Roles[flow.Template.File.Trigger.From].Conn.ID), nil
	}
	w := hub.Work{Tenant: d.Tenant, Deployment: d.ID, Key: ingest.PollKey, Lane: hub.Normal, Due: c.now()}
	return "is read for what changed since the backup", []store.CatchUp{{Work: w, Polls: flow.Poll.Set()}}
}

// TrustLedger ends the lost time: creates no longer look first.
func (c *Control) TrustLedger(ctx context.Context, by access.Principal) error {
	if err := by.May(access.ResumeLedger, access.Everyone); err != nil {
		return err
	}
	customers, err := c.store.Customers(ctx)
	if err != nil {
		return err
	}
	audit := map[hub.TenantID]store.AuditEntry{}
	for _, u := range customers {
		audit[u.ID] = by.Entry(c.now(), "ledger.trusted", "", "")
	}
	done, err := c.store.Trust(ctx, audit)
	if err == nil && !done {
		err = &hub.Error{Kind: hub.Conflict, Code: "ledger.no_lost_time", Message: "There is no lost time to end, or the ledger is still held.", Hint: "See: throughline status."}
	}
	if err == nil {
		c.changed()
	}
	return err
}
