package control

import (
	"context"

	"throughline/internal/access"
	"throughline/internal/books"
	"throughline/internal/hub"
)

// Balance reads both far sides of a customer's period and says whether what was approved in the time
// tracker is accounted for in the ERP. Details name every entry.
func (c *Control) Balance(ctx context.Context, by access.Principal, tenant hub.TenantID, period string, details bool) (*books.Statement, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	p, err := books.ParsePeriod(period)
	if err != nil {
		return nil, err
	}
	return c.books.Balance(ctx, tenant, p, details)
}
