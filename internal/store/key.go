package store

import (
	"context"

	"throughline/internal/hub"
)

// APIKey is a key of the API, known by its digest only.
type APIKey struct {
	Tenant hub.TenantID
	Hash   string
	Name   string
	Role   string
}

// APIKey finds a key by its digest, or nil.
func (s *Store) APIKey(ctx context.Context, hash string) (*APIKey, error) {
	r, err := s.db.query(ctx, `SELECT tenant, hash, name, role FROM api_key WHERE hash = ?`, hash)
	return one(all(r, err, func(r rows, k *APIKey) error { return r.Scan(&k.Tenant, &k.Hash, &k.Name, &k.Role) }))
}

// PutAPIKey stores a key.
func (s *Store) PutAPIKey(ctx context.Context, k APIKey) error {
	const q = `INSERT INTO api_key (tenant, hash, name, role, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, hash) DO UPDATE SET name = excluded.name, role = excluded.role`
	_, err := s.db.exec(ctx, q, k.Tenant, k.Hash, k.Name, k.Role, micros(s.now()))
	return err
}
