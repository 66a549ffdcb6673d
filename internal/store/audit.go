package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"throughline/internal/hub"
)

// AuditEntry says who or what changed which thing, and how. Entries of a tenant form a chain: each
// carries the hash of the one before, so that none can be changed, removed or put in between unseen.
type AuditEntry struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`    // a principal, or "flow deals@3"
	Action string    `json:"action"` // "record.written", "exception.retried"
	Object string    `json:"object"`
	Detail string    `json:"detail"`
	Prev   string    `json:"prev"`
	Hash   string    `json:"-"`
}

// Sum is the hash of the entry's canonical JSON.
func (e AuditEntry) Sum() (string, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}

func putAudit(ctx context.Context, t tx, st Step) error {
	return appendAudit(ctx, t, st.Tenant, st.Audit)
}

func appendAudit(ctx context.Context, t tx, tenant hub.TenantID, list []AuditEntry) error {
	if len(list) == 0 {
		return nil
	}
	r, err := t.query(ctx, `SELECT seq, hash FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT 1`, tenant)
	last, err := all(r, err, func(r rows, e *AuditEntry) error { return r.Scan(&e.Seq, &e.Hash) })
	if err != nil {
		return err
	}
	var prev AuditEntry
	if len(last) > 0 {
		prev = last[0]
	}
	args := make([][]any, len(list))
	for i, e := range list {
		e.Seq, e.Prev, e.At = prev.Seq+1, prev.Hash, e.At.UTC().Truncate(time.Microsecond)
		if e.Hash, err = e.Sum(); err != nil {
			return err
		}
		args[i] = []any{tenant, e.Seq, micros(e.At), e.Who, e.Action, e.Object, e.Detail, e.Prev, e.Hash}
		prev = e
	}
	const q = `INSERT INTO audit (tenant, seq, at, who, action, object, detail, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	_, err = t.each(ctx, q, args)
	return err
}

// VerifyAudit walks the tenant's chain and names the first entry that does not follow from the one
// before it.
func (t *Tenant) VerifyAudit(ctx context.Context) (n int, err error) {
	list, err := t.Audit(ctx, 1<<40)
	if err != nil {
		return 0, err
	}
	var prev AuditEntry
	for _, e := range list {
		sum, err := e.Sum()
		if err != nil {
			return n, err
		}
		if e.Seq != prev.Seq+1 || e.Prev != prev.Hash || sum != e.Hash {
			return n, fmt.Errorf("audit entry %d of %s does not follow from the one before it", e.Seq, t.id)
		}
		prev, n = e, n+1
	}
	return n, nil
}

// Audit lists the tenant's entries, oldest first.
func (t *Tenant) Audit(ctx context.Context, limit int64) ([]AuditEntry, error) {
	r, err := t.db.query(ctx, `SELECT seq, at, who, action, object, detail, prev, hash FROM audit WHERE tenant = ? ORDER BY seq LIMIT ?`, t.id, limit)
	return all(r, err, func(r rows, e *AuditEntry) error {
		var at int64
		err := r.Scan(&e.Seq, &at, &e.Who, &e.Action, &e.Object, &e.Detail, &e.Prev, &e.Hash)
		e.At = instant(at)
		return err
	})
}
