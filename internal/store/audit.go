package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"throughline/internal/hub"
)

// AuditEntry says who or what changed which thing, and how.
type AuditEntry struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who"`    // a principal, or "flow deals@3"
	Action string    `json:"action"` // "record.written", "exception.retried"
	Object string    `json:"object"`
	Detail string    `json:"detail"`
}

// AuditBlock holds the entries of a tenant that were committed together. The blocks form a chain:
// each carries the hash of the one before, so that none can be changed, removed or put in between
// unseen. One hash and one row for many entries is what lets the audit stay on under load.
type AuditBlock struct {
	Seq     int64
	Entries []AuditEntry
	Prev    string
	Hash    string
	text    string // the entries as stored: what the hash is of
}

// sum is the hash of the block's place, what came before it and what it says.
func (b AuditBlock) sum() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", b.Seq, b.Prev, b.text))
	return hex.EncodeToString(h[:])
}

func (s *Store) putAudit(ctx context.Context, t tx, steps []*Step) error {
	byTenant := map[hub.TenantID][]AuditEntry{}
	for _, st := range steps {
		if len(st.Audit) > 0 {
			byTenant[st.Tenant] = append(byTenant[st.Tenant], st.Audit...)
		}
	}
	// In order, so that two nodes do not wait for each other.
	for _, tenant := range slices.Sorted(maps.Keys(byTenant)) {
		if err := s.appendAudit(ctx, t, tenant, byTenant[tenant]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) appendAudit(ctx context.Context, t tx, tenant hub.TenantID, list []AuditEntry) error {
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		list[i].At = list[i].At.UTC().Truncate(time.Microsecond)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	// Makes the head and holds it until the commit: nodes add one after the other.
	const hold = `INSERT INTO audit_head (tenant, seq, hash) VALUES (?, 0, '') ON CONFLICT (tenant) DO UPDATE SET seq = audit_head.seq + 1 RETURNING seq, hash`
	r, err := t.query(ctx, hold, tenant)
	head, err := one(all(r, err, func(r rows, b *AuditBlock) error { return r.Scan(&b.Seq, &b.Prev) }))
	if err != nil {
		return err
	}
	head.text = string(text)
	head.Hash = head.sum()
	const block = `INSERT INTO audit (tenant, seq, entries, prev, hash) VALUES (?, ?, ?, ?, ?)`
	if err := t.put(ctx, block, [][]any{{tenant, head.Seq, head.text, head.Prev, head.Hash}}, nil); err != nil {
		return err
	}
	return t.put(ctx, `UPDATE audit_head SET hash = ? WHERE tenant = ?`, [][]any{{head.Hash, tenant}}, nil)
}

// VerifyAudit walks the tenant's chain, counts its entries, and names the first block that does not
// follow from the one before it. A tail that was cut off shows in the head.
func (t *Tenant) VerifyAudit(ctx context.Context) (n int, err error) {
	prev := AuditBlock{Seq: -1}
	for {
		list, err := t.auditBlocks(ctx, prev.Seq, 1000)
		if err != nil {
			return n, err
		}
		if len(list) == 0 {
			return n, t.auditEnds(ctx, prev)
		}
		for _, b := range list {
			if b.Seq != prev.Seq+1 || b.Prev != prev.Hash || b.sum() != b.Hash {
				return n, fmt.Errorf("audit block %d of %s does not follow from the one before it", b.Seq, t.id)
			}
			prev, n = b, n+len(b.Entries)
		}
	}
}

func (t *Tenant) auditEnds(ctx context.Context, last AuditBlock) error {
	r, err := t.db.query(ctx, `SELECT seq, hash FROM audit_head WHERE tenant = ?`, t.id)
	head, err := one(all(r, err, func(r rows, b *AuditBlock) error { return r.Scan(&b.Seq, &b.Hash) }))
	switch {
	case err != nil:
	case head == nil && last.Seq >= 0:
		err = fmt.Errorf("the audit chain of %s ends at block %d, and its head is gone", t.id, last.Seq)
	case head != nil && (head.Seq != last.Seq || head.Hash != last.Hash):
		err = fmt.Errorf("the audit chain of %s ends at block %d, but its head is block %d", t.id, last.Seq, head.Seq)
	}
	return err
}

func (t *Tenant) auditBlocks(ctx context.Context, after int64, limit int) ([]AuditBlock, error) {
	r, err := t.db.query(ctx, `SELECT seq, entries, prev, hash FROM audit WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?`, t.id, after, limit)
	return all(r, err, func(r rows, b *AuditBlock) error {
		if err := r.Scan(&b.Seq, &b.text, &b.Prev, &b.Hash); err != nil {
			return err
		}
		return json.Unmarshal([]byte(b.text), &b.Entries)
	})
}
