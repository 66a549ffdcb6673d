package store

import (
	"context"
	"time"

	"throughline/internal/hub"
)

// ChangeLimit reads what is kept of a limit of a connection, "" at first, and keeps what f makes of
// it. Nobody else does the same meanwhile; now is the time that all nodes agree on.
func (t *Tenant) ChangeLimit(ctx context.Context, id hub.ConnectionID, limit string, f func(kept string, now time.Time) (string, error)) error {
	return t.db.change(ctx, func(x tx) error {
		// Makes the row and holds it until the commit.
		const hold = `INSERT INTO limit_use (tenant, connection, name, kept) VALUES (?, ?, ?, '')
			ON CONFLICT (tenant, connection, name) DO UPDATE SET name = excluded.name RETURNING kept`
		r, err := x.query(ctx, hold, t.id, id, limit)
		kept, err := one(all(r, err, func(r rows, v *string) error { return r.Scan(v) }))
		if err != nil {
			return err
		}
		now, err := t.clock(ctx, x)
		if err != nil {
			return err
		}
		next, err := f(*kept, instant(now))
		if err != nil {
			return err
		}
		_, err = x.exec(ctx, `UPDATE limit_use SET kept = ? WHERE tenant = ? AND connection = ? AND name = ?`, next, t.id, id, limit)
		return err
	})
}
