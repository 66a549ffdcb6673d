// Package control is every use case that a person asks for: permission, check, change, audit. The
// API, the console and the commands call it; it calls nothing that works by itself.
package control

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"throughline/internal/access"
	"throughline/internal/books"
	"throughline/internal/catalog"
	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// Control offers the use cases.
type Control struct {
	store   *store.Store
	catalog *catalog.Catalog
	loader  *engine.Loader
	books   *books.Books
	secrets Secrets
	intake  Intake
	far     Far
	now     func() time.Time
	changed func() // something was applied, or there is new work
}

// Intake takes records that a person brings (package ingest).
type Intake interface {
	Upload(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kind string, table []byte, audit store.AuditEntry) (rows, fresh int, err error)
	Check(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kind string, table []byte) ([]ingest.UploadRow, error)
}

// Parts are what a Control works with.
type Parts struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	Loader  *engine.Loader
	Books   *books.Books
	Secrets Secrets
	Far     Far
	Intake  Intake
	Now     func() time.Time
	Changed func() // told when something was applied, or there is new work
}

// New makes a Control.
func New(p Parts) *Control {
	return &Control{store: p.Store, catalog: p.Catalog, loader: p.Loader, books: p.Books, secrets: p.Secrets, intake: p.Intake, far: p.Far, now: p.Now, changed: p.Changed}
}

// Runs lists a customer's ended runs.
func (c *Control) Runs(ctx context.Context, by access.Principal, tenant hub.TenantID, f store.Filter) ([]store.Run, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	if err := cmp.Or(oneOf(f.Outcome, hub.Written, hub.Unchanged, hub.Filtered, hub.Superseded, hub.Parked), c.named(ctx, tenant, f.Deployment)); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).Runs(ctx, f)
}

// Exceptions lists a customer's exceptions.
func (c *Control) Exceptions(ctx context.Context, by access.Principal, tenant hub.TenantID, f store.Filter) ([]store.Exception, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	if err := cmp.Or(oneOf(f.State, append([]string{"open", "resolved", "ignored", "approved"}, engine.Choices...)...), c.named(ctx, tenant, f.Deployment)); err != nil {
		return nil, err
	}
	return c.store.Tenant(tenant).Exceptions(ctx, f)
}

// The ways to resolve an exception.
const (
	Retry   = "retry"   // run it again on fresh data
	Ignore  = "ignore"  // leave it as it is
	Approve = "approve" // say yes to what was asked, and go on
)

// ResolveException retries, ignores or approves one exception (see Resolve).
func (c *Control) ResolveException(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.ExceptionID, how, reason string) error {
	_, err := c.Resolve(ctx, by, tenant, Resolving{Exceptions: []hub.ExceptionID{id}, How: how, Reason: reason})
	return err
}

// KnownRecord is a canonical record with where it is known.
type KnownRecord struct {
	store.Record
	Links []store.Link
}

// Records searches a customer's records by type and by any name, id or number.
func (c *Control) Records(ctx context.Context, by access.Principal, tenant hub.TenantID, recordType, text string, limit int) ([]KnownRecord, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	t := c.store.Tenant(tenant)
	list, err := t.Records(ctx, recordType, text, limit)
	if err != nil {
		return nil, err
	}
	out := make([]KnownRecord, len(list))
	for i, r := range list {
		links, err := t.Links(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		out[i] = KnownRecord{r, links}
	}
	return out, nil
}

// Explained is a write of a record, with the rule behind each field that was sent.
type Explained struct {
	Write store.Write
	Sent  map[string]any
	Rules []Rule
	Edits []store.Edit // what people had changed of the record that it comes from
}

// Rule is the rule that made a field, and where it stands.
type Rule struct {
	Field  string `json:"field"`
	Rule   string `json:"rule"`
	Source string `json:"source"`
}

// Explain tells for a record what was written where, by which rule, from which run's input.
func (c *Control) Explain(ctx context.Context, by access.Principal, tenant hub.TenantID, id hub.RecordID) ([]Explained, error) {
	if err := c.may(ctx, by, access.See, tenant); err != nil {
		return nil, err
	}
	t := c.store.Tenant(tenant)
	rec, err := t.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, &hub.Error{Kind: hub.NotFound, Code: "record.unknown", Message: "There is no such record.", Hint: "Search it by name or number: throughline records CUSTOMER TEXT."}
	}
	writes, err := t.Writes(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []Explained
	for _, w := range writes {
		e := Explained{Write: w}
		if e.Sent, err = engine.SentBody(w.Body); err != nil {
			return nil, fmt.Errorf("read what was sent: %w", err)
		}
		if e.Edits, err = c.edited(ctx, t, w); err != nil {
			return nil, err
		}
		conn, err := t.Connection(ctx, w.Connection)
		if err != nil {
			return nil, err
		}
		if conn != nil {
			if system, err := c.catalog.System(conn.Connector); err == nil && system.Mappings[rec.Type] != nil {
				for _, why := range system.Mappings[rec.Type].Explain() {
					e.Rules = append(e.Rules, Rule(why))
				}
			}
		}
		out = append(out, e)
	}
	return out, nil
}
