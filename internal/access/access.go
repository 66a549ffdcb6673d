// Package access says who is calling and what they may do. A caller shows an API key; the key
// belongs to one tenant, or to the partner who runs the service, and carries a role.
package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// Permission is one thing that a role may do.
type Permission string

// The permissions.
const (
	See               Permission = "see"                // runs, records, exceptions, flows
	ResolveExceptions Permission = "resolve_exceptions" // retry, ignore, approve
	PauseFlows        Permission = "pause_flows"        // pause, resume
	ApplyCustomers    Permission = "apply_customers"    // connections, flows, parameters
	ResumeLedger      Permission = "resume_ledger"      // let a ledger that is held go on
)

// roles is the fixed table: role to permissions.
var roles = map[string][]Permission{
	"viewer":   {See},
	"operator": {See, ResolveExceptions, PauseFlows},
	"admin":    {See, ResolveExceptions, PauseFlows, ApplyCustomers, ResumeLedger},
}

// Everyone stands for all tenants, in a key of the partner's.
const Everyone hub.TenantID = "*"

// Principal is a caller.
type Principal struct {
	Name   string
	Role   string
	Tenant hub.TenantID // whose data it may reach; Everyone for the partner's own people
}

// ErrNoCustomer answers for a customer that is not there, and for one that is somebody else's.
var ErrNoCustomer = &hub.Error{Kind: hub.NotFound, Code: "customer.unknown", Message: "There is no such customer.", Hint: "Check its name, and whose data the key may reach."}

// May answers nil where the caller may do it for the tenant. Another tenant's data is answered like
// data that does not exist.
func (p Principal) May(do Permission, tenant hub.TenantID) error {
	if p.Tenant != Everyone && p.Tenant != tenant {
		return ErrNoCustomer
	}
	if !slices.Contains(roles[p.Role], do) {
		return &hub.Error{Kind: hub.Forbidden, Code: "access.forbidden", Message: fmt.Sprintf("The role %s may not do this (%s).", p.Role, do), Hint: "Ask an administrator."}
	}
	return nil
}

// Entry begins an audit entry of this caller.
func (p Principal) Entry(at time.Time, action, object, detail string) store.AuditEntry {
	return store.AuditEntry{At: at, Who: p.Name, Action: action, Object: object, Detail: detail}
}

// Keys looks callers up by their key.
type Keys struct{ store *store.Store }

// NewKeys makes a Keys.
func NewKeys(s *store.Store) *Keys { return &Keys{s} }

var errKey = &hub.Error{Kind: hub.Unauthenticated, Code: "access.key", Message: "The API key is missing or not known.", Hint: "Send it as: Authorization: Bearer KEY."}

// Caller is who shows this Authorization header.
func (k *Keys) Caller(ctx context.Context, authorization string) (Principal, error) {
	key, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok || key == "" {
		return Principal{}, errKey
	}
	found, err := k.store.APIKey(ctx, digest(key))
	if err != nil {
		return Principal{}, err
	}
	if found == nil {
		return Principal{}, errKey
	}
	return Principal{Name: found.Name, Role: found.Role, Tenant: found.Tenant}, nil
}

// Add makes a key known. Only its digest is kept.
func (k *Keys) Add(ctx context.Context, key, name, role string, tenant hub.TenantID) error {
	if roles[role] == nil {
		return fmt.Errorf("there is no role %q", role)
	}
	return k.store.PutAPIKey(ctx, store.APIKey{Tenant: tenant, Hash: digest(key), Name: name, Role: role})
}

func digest(key string) string {
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:])
}

// TenantOf is the tenant that a customer's name stands for.
func TenantOf(customer string) hub.TenantID { return hub.TenantID(customer) }
