// Package secret seals credentials and opens them again. Each tenant has a data key of its own,
// sealed by the master key; each secret is sealed by the tenant's key and bound to its place, so
// that a sealed text moved elsewhere does not open. Where sealed texts are kept is not its business.
package secret

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"throughline/internal/hub"
)

// Text is a secret that does not print itself, in whatever way it is printed.
type Text struct{ clear string }

const mask = "•••"

// NewText wraps a secret.
func NewText(clear string) Text { return Text{clear} }

// Reveal is the secret itself.
func (t Text) Reveal() string { return t.clear }

func (Text) String() string               { return mask }
func (Text) GoString() string             { return mask }
func (Text) MarshalJSON() ([]byte, error) { return json.Marshal(mask) }

// LogValue masks the secret in logs.
func (Text) LogValue() slog.Value { return slog.StringValue(mask) }

// Keys keeps the tenants' sealed data keys; nil where a tenant has none yet.
type Keys interface {
	TenantKey(ctx context.Context, tenant string) ([]byte, error)
	PutTenantKey(ctx context.Context, tenant string, wrapped []byte) error
}

const keySize = 32

// Box seals and opens.
type Box struct {
	master *subtle.AESGCM
	keys   Keys
}

// NewBox makes a box from a master key of 32 bytes.
func NewBox(master []byte, keys Keys) (*Box, error) {
	if len(master) != keySize {
		return nil, fmt.Errorf("the master key has %d bytes, %d are wanted", len(master), keySize)
	}
	m, err := subtle.NewAESGCM(master)
	if err != nil {
		return nil, err
	}
	return &Box{m, keys}, nil
}

// Seal encrypts clear for a place of a tenant: connection and field.
func (b *Box) Seal(ctx context.Context, tenant, place string, clear []byte) ([]byte, error) {
	k, err := b.tenantKey(ctx, tenant)
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
	clear, err := k.Decrypt(sealed, bound(tenant, place))
	if err != nil {
		return nil, &hub.Error{Kind: hub.Expired, Code: "secret.unreadable", Message: "A stored secret cannot be opened with this master key.",
			Hint: "Start with the key that sealed it, or enter the secret again.", Err: err}
	}
	return clear, nil
}

func bound(tenant, place string) []byte { return []byte(tenant + "|" + place) }

// tenantKey opens the tenant's data key, or makes one.
func (b *Box) tenantKey(ctx context.Context, tenant string) (*subtle.AESGCM, error) {
	wrapped, err := b.keys.TenantKey(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", tenant, err)
	}
	if wrapped != nil {
		key, err := b.master.Decrypt(wrapped, bound(tenant, "key"))
		if err != nil {
			return nil, &hub.Error{Kind: hub.Expired, Code: "secret.master_key", Message: "The master key is not the one that this store was made with.",
				Hint: "Start with the right key file; nothing was changed.", Err: err}
		}
		return subtle.NewAESGCM(key)
	}
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	if wrapped, err = b.master.Encrypt(key, bound(tenant, "key")); err != nil {
		return nil, err
	}
	if err := b.keys.PutTenantKey(ctx, tenant, wrapped); err != nil {
		return nil, fmt.Errorf("keep the key of %s: %w", tenant, err)
	}
	return subtle.NewAESGCM(key)
}

// LoadKey reads the master key (base64) from a file, or makes it there where make is true. A file
// that others may read is refused.
func LoadKey(path string, make bool) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && make {
		return newKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the master key %s may be read by others; run chmod 600 on it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	return base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
}

func newKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
	return key, err
}

// Resolve reads the secret that a reference names: "env:NAME" or "file:PATH". Errors name the
// reference, never the secret.
func Resolve(ref string) ([]byte, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		if v, ok := os.LookupEnv(name); ok {
			return object(ref, []byte(v))
		}
		return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.missing", Message: fmt.Sprintf("The environment has no %s.", name), Hint: "Set it where this command runs."}
	case "file":
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.missing", Message: fmt.Sprintf("The file %s cannot be read.", name), Hint: "Check the path and who may read it.", Err: err}
		}
		return object(ref, data)
	}
	return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.reference", Message: fmt.Sprintf("%q is no reference to a secret.", kind+":…"), Hint: "Write env:NAME or file:PATH; never the secret itself."}
}

func object(ref string, data []byte) ([]byte, error) {
	var m map[string]any
	if json.Unmarshal(data, &m) != nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.shape", Message: fmt.Sprintf("What %s holds is no JSON object.", ref), Hint: `Write it like {"token": "…"}.`}
	}
	return json.Marshal(m)
}
