package store

import (
	"context"
	"fmt"
	"time"

	"throughline/internal/hub"
)

// MaxCrashes is how often a record may be in hand when its process dies before it is parked.
const MaxCrashes = 3

// ErrFenced says that the node's lease is gone: another has taken its work, nothing was recorded.
var ErrFenced = &hub.Error{Kind: hub.Conflict, Code: "store.fenced", Message: "This node has lost its lease; its work goes on elsewhere."}

// clock is the time that leases go by: the database's own where several nodes share one.
func (s *Store) clock(ctx context.Context, t tx) (int64, error) {
	its := s.db.dialect().now
	if its == "" {
		return micros(s.now()), nil
	}
	r, err := t.query(ctx, `SELECT `+its)
	list, err := all(r, err, func(r rows, v *int64) error { return r.Scan(v) })
	if err != nil || len(list) == 0 {
		return 0, fmt.Errorf("read the database's clock: %w", err)
	}
	return list[0], nil
}

// Join registers a node and returns its epoch: the number under which it claims work, never used
// again. The lease lasts until it is renewed or runs out. A ledger that has gone back is held (held.go).
func (s *Store) Join(ctx context.Context, name string, lease time.Duration) (epoch int64, err error) {
	known, err := s.marked.read()
	if err != nil {
		return 0, err
	}
	var self ledger
	err = s.db.change(ctx, func(t tx) error {
		now, err := s.clock(ctx, t)
		if err != nil {
			return err
		}
		if self, err = s.holdIfBack(ctx, t, known, now); err != nil {
			return err
		}
		self.mark++
		if _, err := t.exec(ctx, `UPDATE ledger SET mark = ?, seen_at = ?`, self.mark, now); err != nil {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO node (epoch, name, lease_until) VALUES (?, ?, ?)`, self.mark, name, now+lease.Microseconds())
		return err
	})
	if err != nil {
		return 0, err
	}
	return self.mark, s.marked.keep(mark{self.id, self.mark})
}

// Renew prolongs a lease, or answers ErrFenced where it has run out: a node that slept for longer
// than its lease must not come back as if nothing had happened. The ledger counts on with it, so that
// one that has gone back since is known by its count.
func (s *Store) Renew(ctx context.Context, epoch int64, lease time.Duration) error {
	var now mark
	err := s.db.change(ctx, func(t tx) error {
		at, err := s.clock(ctx, t)
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, `UPDATE node SET lease_until = ? WHERE epoch = ? AND lease_until > ?`, at+lease.Microseconds(), epoch, at)
		if err != nil {
			return err
		}
		r, err := t.query(ctx, `UPDATE ledger SET mark = mark + 1, seen_at = ? RETURNING id, mark`, at)
		counted, err := one(all(r, err, func(r rows, m *mark) error { return r.Scan(&m.Ledger, &m.Mark) }))
		if err != nil {
			return err
		}
		now = *counted
		if n == 0 || s.marked.ahead(now) {
			return ErrFenced
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.marked.keep(now)
}

// Leave ends a lease before its time: the node has nothing in hand any more.
func (s *Store) Leave(ctx context.Context, epoch int64) error {
	_, err := s.db.exec(ctx, `UPDATE node SET lease_until = 0 WHERE epoch = ?`, epoch)
	return err
}

// Node is a lease that was given and not taken over yet, in the name of the process that has it.
type Node struct {
	Epoch int64
	Name  string
	Until time.Time // by the store's clock
}

// Nodes lists them, the oldest first.
func (s *Store) Nodes(ctx context.Context) ([]Node, error) {
	r, err := s.db.query(ctx, `SELECT epoch, name, lease_until FROM node ORDER BY epoch`)
	return all(r, err, func(r rows, n *Node) error {
		var until int64
		err := r.Scan(&n.Epoch, &n.Name, &until)
		n.Until = instant(until)
		return err
	})
}

// fence holds the rows of leases while a change is recorded: either the change comes first or the
// takeover does, never half of each.
func (s *Store) fence(ctx context.Context, t tx, epochs ...int64) error {
	for _, epoch := range epochs {
		holds, err := s.leased(ctx, t, epoch)
		if err == nil && !holds {
			err = ErrFenced
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leased reports whether a node's lease holds until the end of the transaction.
func (s *Store) leased(ctx context.Context, t tx, epoch int64) (bool, error) {
	d, args := s.db.dialect(), []any{epoch}
	now := d.now
	if now == "" {
		now, args = "?", append(args, micros(s.now()))
	}
	r, err := t.query(ctx, `SELECT epoch FROM node WHERE epoch = ? AND lease_until > `+now+d.forShare, args...)
	list, err := all(r, err, func(r rows, v *int64) error { return r.Scan(v) })
	return len(list) > 0, err
}

// Recover ends leases that have run out and hands their work back. Sole says that no other process
// can have this store open, so that every other lease is dead at once (the embedded store).
func (s *Store) Recover(ctx context.Context, epoch int64, sole bool) (freed int64, err error) {
	err = s.db.change(ctx, func(t tx) error {
		now, err := s.clock(ctx, t)
		if err != nil {
			return err
		}
		dead := now
		if sole {
			dead = 1<<63 - 1
		}
		n, err := t.exec(ctx, `DELETE FROM node WHERE epoch <> ? AND lease_until <= ?`, epoch, dead)
		if err != nil || n == 0 {
			return err
		}
		const q = `
			UPDATE work SET state = 'ready', epoch = 0, crashes = crashes + 1
			WHERE state = 'running' AND epoch <> 0 AND epoch NOT IN (SELECT epoch FROM node)`
		freed, err = t.exec(ctx, q)
		return err
	})
	return freed, err
}

// Suspects reports whether a row waits to be carried alone (see ClaimSuspect).
func (s *Store) Suspects(ctx context.Context) (bool, error) {
	r, err := s.db.query(ctx, `SELECT 1 FROM work WHERE state = 'ready' AND crashes >= 2 LIMIT 1`)
	list, err := all(r, err, func(r rows, v *int64) error { return r.Scan(v) })
	return len(list) > 0, err
}

// GiveBack makes ready what stands under the node's lease though the node does not have it in hand:
// rows whose claim or whose end it could not record, or was not told that it had. It returns how many.
func (s *Store) GiveBack(ctx context.Context, epoch int64, inHand func(hub.Work) bool) (n int, err error) {
	err = s.db.change(ctx, func(t tx) error {
		n = 0
		r, err := t.query(ctx, `SELECT `+workColumns+` FROM work WHERE state = 'running' AND epoch <> 0 AND epoch = ?`, epoch)
		list, err := all(r, err, scanWork)
		if err != nil {
			return err
		}
		var args [][]any
		for _, w := range list {
			if !inHand(w) {
				args = append(args, []any{w.Tenant, w.Deployment, w.Key, epoch})
			}
		}
		n = len(args)
		_, err = t.each(ctx, `UPDATE work SET state = 'ready', epoch = 0 WHERE tenant = ? AND deployment = ? AND record_key = ? AND epoch = ? AND state = 'running'`, args)
		return err
	})
	return n, err
}
