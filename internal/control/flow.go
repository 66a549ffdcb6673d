package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"throughline/internal/access"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// The ways to set a flow.
const (
	Pause  = "pause"  // keep what arrives, begin nothing
	Resume = "resume" // go on with what waits
)

// Flows lists a customer's flows, each in its newest revision.
func (c *Control) Flows(ctx context.Context, by access.Principal, tenant hub.TenantID) ([]store.Deployment, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).Deployments(ctx)
}

// Connections lists a customer's connections; their secrets stay sealed.
func (c *Control) Connections(ctx context.Context, by access.Principal, tenant hub.TenantID) ([]store.Connection, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).Connections(ctx)
}

// Waiting lists the records of a customer that are on their way: ready, running, later or waiting,
// as the filter's state says.
func (c *Control) Waiting(ctx context.Context, by access.Principal, tenant hub.TenantID, f store.Filter) ([]hub.Work, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	if err := cmp.Or(oneOf(hub.WorkState(f.State), hub.Ready, hub.Running, hub.Later, hub.Waiting, hub.Idle, hub.Stopped), c.named(ctx, tenant, f.Deployment)); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).Work(ctx, f)
}

// SetFlow pauses or resumes a flow. Doing it twice does it once. A customer file that is applied
// afterwards goes before it: the file says what is to be.
func (c *Control) SetFlow(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.DeploymentID, how string) error {
	if err := c.may(ctx, by, access.PauseFlows, tenant); err != nil {
		return err
	}
	state := map[string]string{Pause: "paused", Resume: "active"}[how]
	if state == "" {
		return &hub.Error{Kind: hub.Invalid, Code: "flow.action", Message: fmt.Sprintf("%q is nothing that a flow does.", how), Hint: "Use pause or resume."}
	}
	if err := c.flow(ctx, tenant, id); err != nil {
		return err
	}
	if _, err := c.store.Tenant(tenant).SetFlowState(ctx, id, state, by.Entry(c.now(), "flow."+how, string(id), "")); err != nil {
		return err
	}
	c.changed()
	return nil
}

// flow refuses a flow that the customer does not have.
func (c *Control) flow(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID) error {
	list, err := c.store.Tenant(tenant).Deployments(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.ID == id && d.State != "removed" {
			return nil
		}
	}
	return noFlow(id)
}

// named refuses to list what belongs to a flow that the customer never had: an empty list would say that there is nothing.
func (c *Control) named(ctx context.Context, tenant hub.TenantID, id hub.DeploymentID) error {
	if id == "" {
		return nil
	}
	list, err := c.store.Tenant(tenant).Deployments(ctx)
	if err != nil || slices.ContainsFunc(list, func(d store.Deployment) bool { return d.ID == id }) {
		return err
	}
	return noFlow(id)
}

// oneOf refuses to list what is in no such state, for the same reason.
func oneOf[S ~string](state S, states ...S) error {
	if state == "" || slices.Contains(states, state) {
		return nil
	}
	return &hub.Error{Kind: hub.Invalid, Code: "list.state", Field: "state", Message: fmt.Sprintf("%q is no state of these.", state), Hint: "They are: " + strings.Trim(strings.ReplaceAll(fmt.Sprint(states), " ", ", "), "[]") + "."}
}

func noFlow(id hub.DeploymentID) error {
	return &hub.Error{Kind: hub.NotFound, Code: "flow.unknown", Message: fmt.Sprintf("There is no flow %q.", id), Hint: "List those that are there: throughline flows list CUSTOMER."}
}

// may checks the permission, and that there is such a customer: for everybody, one that does not
// exist looks like another's.
func (c *Control) may(ctx context.Context, by access.Principal, do access.Permission, tenant hub.TenantID) error {
	if err := by.May(do, tenant); err != nil {
		return err
	}
	known, err := c.store.Tenant(tenant).Customer(ctx)
	if err != nil {
		return err
	}
	if known == nil {
		return access.ErrNoCustomer
	}
	return nil
}
