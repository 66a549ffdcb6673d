// Package secret seals credentials and opens them again. Each tenant has a data key of its own,
// sealed by the master key; each secret is sealed by the tenant's key and bound to its place, so
// that a sealed text moved elsewhere does not open. Changing the master key seals the tenants' keys
// anew and nothing else. Where sealed texts and keys are kept is not its business.
package secret

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"throughline/internal/hub"
)

// Keys keeps the tenants' sealed data keys.
type Keys interface {
	// TenantKey reads a tenant's key; nil where it has none yet.
	TenantKey(ctx context.Context, tenant string) ([]byte, error)
	// PutTenantKey keeps a tenant's first key; one that is there stays.
	PutTenantKey(ctx context.Context, tenant string, wrapped []byte) error
	// ReplaceTenantKey keeps a key in place of the old one, unless that was replaced meanwhile.
	ReplaceTenantKey(ctx context.Context, tenant string, old, wrapped []byte) (done bool, err error)
}

// Box seals and opens.
type Box struct {
	masters []*subtle.AESGCM // the first one seals; the others still open
	keys    Keys
	making  sync.Mutex
}

// NewBox makes a box from a master key of 32 bytes. Older master keys still open what they sealed,
// until Rewrap has been through all tenants.
func NewBox(master []byte, keys Keys, older ...[]byte) (*Box, error) {
	b := &Box{keys: keys}
	for _, key := range append([][]byte{master}, older...) {
		if len(key) != keySize {
			return nil, fmt.Errorf("the master key has %d bytes, %d are wanted", len(key), keySize)
		}
		m, err := subtle.NewAESGCM(key)
		if err != nil {
			return nil, err
		}
		b.masters = append(b.masters, m)
	}
	return b, nil
}

// Seal encrypts clear for a place of a tenant: connection and field. A tenant's first secret makes
// its data key.
func (b *Box) Seal(ctx context.Context, tenant, place string, clear []byte) ([]byte, error) {
	k, err := b.tenantKey(ctx, tenant)
	if err == nil && k == nil {
		k, err = b.newTenantKey(ctx, tenant)
	}
	if err != nil {
		return nil, err
	}
	return k.Encrypt(clear, bound(tenant, place))
}

// Open decrypts what was sealed for the same place of the same tenant.
func (b *Box) Open(ctx context.Context, tenant, place string, sealed []byte) ([]byte, error) {
	k, err := b.tenantKey(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if k == nil { // reading makes no key: it would hide that the right one is gone
		return nil, unreadable(fmt.Errorf("tenant %s has no key", tenant))
	}
	clear, err := k.Decrypt(sealed, bound(tenant, place))
	if err != nil {
		return nil, unreadable(err)
	}
	return clear, nil
}

// Rewrap seals a tenant's data key with the first master key and reports whether that was needed.
// It can be stopped and begun again at any time; the secrets themselves stay as they are.
func (b *Box) Rewrap(ctx context.Context, tenant string) (bool, error) {
	wrapped, err := b.keys.TenantKey(ctx, tenant)
	if err != nil {
		return false, fmt.Errorf("read the key of %s: %w", tenant, err)
	}
	if wrapped == nil {
		return false, nil
	}
	key, by, err := b.unwrap(tenant, wrapped)
	if err != nil || by == 0 {
		return false, err
	}
	anew, err := b.wrap(tenant, key)
	if err != nil {
		return false, err
	}
	done, err := b.keys.ReplaceTenantKey(ctx, tenant, wrapped, anew)
	if err != nil {
		return false, fmt.Errorf("replace the key of %s: %w", tenant, err)
	}
	return done, nil // false: another process has just done it
}

func unreadable(err error) error {
	return &hub.Error{Kind: hub.Expired, Code: "secret.unreadable", Message: "A stored secret cannot be opened with this master key.",
		Hint: "Start with the key that sealed it, or enter the secret again.", Err: err}
}

func bound(tenant, place string) []byte { return []byte(tenant + "|" + place) }

// tenantKey opens the tenant's data key; nil if it has none.
func (b *Box) tenantKey(ctx context.Context, tenant string) (*subtle.AESGCM, error) {
	wrapped, err := b.keys.TenantKey(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", tenant, err)
	}
	if wrapped == nil {
		return nil, nil
	}
	key, _, err := b.unwrap(tenant, wrapped)
	if err != nil {
		return nil, err
	}
	return subtle.NewAESGCM(key)
}

// unwrap opens a data key and tells which of the master keys did it.
func (b *Box) unwrap(tenant string, wrapped []byte) (key []byte, by int, err error) {
	for i, master := range b.masters {
		if key, err = master.Decrypt(wrapped, bound(tenant, "key")); err == nil {
			return key, i, nil
		}
	}
	return nil, 0, &hub.Error{Kind: hub.Expired, Code: "secret.master_key", Message: "The master key is not the one that this store was made with.",
		Hint: "Start with the right key file; nothing was changed.", Err: err}
}

// newTenantKey makes a data key, unless somebody has just done so. What it gives is read back from
// the store: sealing with a key that was not kept would lose the secret.
func (b *Box) newTenantKey(ctx context.Context, tenant string) (*subtle.AESGCM, error) {
	b.making.Lock()
	defer b.making.Unlock()
	if k, err := b.tenantKey(ctx, tenant); k != nil || err != nil {
		return k, err
	}
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	if err := b.keep(ctx, tenant, key); err != nil {
		return nil, err
	}
	k, err := b.tenantKey(ctx, tenant)
	if err == nil && k == nil {
		err = fmt.Errorf("the key of %s was not kept", tenant)
	}
	return k, err
}

func (b *Box) keep(ctx context.Context, tenant string, key []byte) error {
	wrapped, err := b.wrap(tenant, key)
	if err != nil {
		return err
	}
	if err := b.keys.PutTenantKey(ctx, tenant, wrapped); err != nil {
		return fmt.Errorf("keep the key of %s: %w", tenant, err)
	}
	return nil
}

func (b *Box) wrap(tenant string, key []byte) ([]byte, error) {
	return b.masters[0].Encrypt(key, bound(tenant, "key"))
}
