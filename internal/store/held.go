package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"throughline/internal/hub"
)

// A ledger that was brought back from an earlier moment knows less than the far sides do: what was
// written since would be written again. So it is held: what arrives is kept, and nothing is sent until
// a person says so. From then on the engine looks before it creates (see engine, "lost time").
//
// Restore holds a ledger. For those that are brought back by other means - a file copied back, a
// database restored by its own tools - the ledger counts: each joining of a node and each renewal of a
// lease is one more, and each node keeps in its data folder, outside of the database, how far it has
// seen it count. A ledger that stands below that has gone back.

// Standing is how the ledger stands.
type Standing struct {
	Ledger string    // its identity, the same in all its copies
	Held   time.Time // since when nothing is sent; zero: it is not held
	Reason string
	// What was written between these is not known here; both zero: there is no such time. It ends with
	// the resumption, and while it is held it has no end.
	LostFrom, LostUntil time.Time
}

// leap is by how much a ledger that has gone back counts on: above all that its lost time may have
// counted, so that no epoch is used twice and no other node's mark holds it anew.
const leap = 1 << 32

// ledger is the ledger's own row.
type ledger struct {
	id, sealedBy, reason                  string
	mark, seen, held, lostFrom, lostUntil int64
}

func scanLedger(r rows, l *ledger) error {
	return r.Scan(&l.id, &l.sealedBy, &l.mark, &l.seen, &l.held, &l.reason, &l.lostFrom, &l.lostUntil)
}

const selfQuery = `SELECT id, sealed_by, mark, seen_at, held_since, reason, lost_from, lost_until FROM ledger`

func self(ctx context.Context, t tx, forUpdate string) (ledger, error) {
	r, err := t.query(ctx, selfQuery+forUpdate)
	l, err := one(all(r, err, scanLedger))
	if err == nil && l == nil {
		err = fmt.Errorf("the ledger does not know itself: its own row is gone")
	}
	if err != nil {
		return ledger{}, err
	}
	return *l, nil
}

// begin gives a new ledger its identity.
func (s *Store) begin(ctx context.Context) error {
	_, err := s.db.exec(ctx, `INSERT INTO ledger (one, id) VALUES (1, ?) ON CONFLICT (one) DO NOTHING`, "led_"+uuid.Must(uuid.NewV7()).String())
	return err
}

// Standing reads how the ledger stands.
func (s *Store) Standing(ctx context.Context) (Standing, error) {
	l, err := self(ctx, s.db, "")
	return Standing{Ledger: l.id, Held: instant(l.held), Reason: l.reason, LostFrom: instant(l.lostFrom), LostUntil: instant(l.lostUntil)}, err
}

// Hold holds the ledger as of now; one that is held already keeps its reason.
func (s *Store) Hold(ctx context.Context, reason string) error {
	return s.db.change(ctx, func(t tx) error {
		l, err := self(ctx, t, s.db.dialect().forUpdate)
		if err != nil {
			return err
		}
		now, err := s.clock(ctx, t)
		if err != nil {
			return err
		}
		return hold(ctx, t, &l, reason, now)
	})
}

// hold begins a lost time at the last moment that the ledger has seen. Who is held already, or still
// has a lost time, keeps the longer one.
func hold(ctx context.Context, t tx, l *ledger, reason string, now int64) error {
	if l.held != 0 {
		return nil
	}
	l.held, l.reason, l.mark = now, reason, l.mark+leap
	if l.lostFrom == 0 || l.seen < l.lostFrom {
		l.lostFrom = l.seen
	}
	l.lostUntil = 0
	_, err := t.exec(ctx, `UPDATE ledger SET held_since = ?, reason = ?, mark = ?, lost_from = ?, lost_until = 0`, l.held, l.reason, l.mark, l.lostFrom)
	return err
}

// holdIfBack holds the ledger if this node has seen it further on than it stands, or has seen another
// one in its place.
func (s *Store) holdIfBack(ctx context.Context, t tx, known mark, now int64) (ledger, error) {
	l, err := self(ctx, t, s.db.dialect().forUpdate)
	if err != nil || known.Ledger == "" {
		return l, err
	}
	switch {
	case known.Ledger != l.id:
		return l, hold(ctx, t, &l, "This is another ledger than the one that this data folder has worked with.", now)
	case known.Mark > l.mark:
		err := hold(ctx, t, &l, "The ledger has gone back: it stands before what this node has recorded in it.", now)
		l.mark = max(l.mark, known.Mark+leap)
		return l, err
	}
	return l, nil
}

// CatchUp is a flow whose source is read once from the beginning of the lost time, for what arrived
// then and is not known here any more.
type CatchUp struct {
	Work  hub.Work
	Polls bool // it polls anyway: its cursor came back with the ledger
}

// Resume ends the hold: what waits begins anew on fresh data, and the sources are read for what the
// lost time has brought. It answers false where the ledger was not held.
func (s *Store) Resume(ctx context.Context, list []CatchUp, audit map[hub.TenantID]AuditEntry) (done bool, err error) {
	err = s.db.change(ctx, func(t tx) error {
		now, err := s.clock(ctx, t)
		if err != nil {
			return err
		}
		l, err := self(ctx, t, s.db.dialect().forUpdate)
		if err != nil || l.held == 0 {
			return err
		}
		done = true
		if _, err := t.exec(ctx, `UPDATE ledger SET held_since = 0, reason = '', lost_until = ?`, now); err != nil {
			return err
		}
		// What a run has read before the lost time is stale: it reads again.
		const anew = `UPDATE work SET run = '', revision = 0, attempts = 0, crashes = 0 WHERE state IN ('ready', 'later', 'waiting')`
		if _, err := t.exec(ctx, anew); err != nil {
			return err
		}
		if err := catchUp(ctx, t, list, instant(l.lostFrom), now); err != nil {
			return err
		}
		return s.auditEach(ctx, t, audit)
	})
	return done, err
}

func catchUp(ctx context.Context, t tx, list []CatchUp, from time.Time, now int64) error {
	var polls []hub.Work
	for _, c := range list {
		w := c.Work
		polls = append(polls, w)
		if c.Polls {
			continue
		}
		const cursor = `
			INSERT INTO cursor (tenant, deployment, record_key, value, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant, deployment, record_key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
		if _, err := t.exec(ctx, cursor, w.Tenant, w.Deployment, w.Key, from.Format(time.RFC3339Nano), now); err != nil {
			return err
		}
	}
	return putPolls(ctx, t, polls)
}

// Trust ends the lost time by a person's word: nothing that was written in it is missing here any more.
func (s *Store) Trust(ctx context.Context, audit map[hub.TenantID]AuditEntry) (done bool, err error) {
	err = s.db.change(ctx, func(t tx) error {
		n, err := t.exec(ctx, `UPDATE ledger SET lost_from = 0, lost_until = 0 WHERE held_since = 0 AND lost_until <> 0`)
		if err != nil || n == 0 {
			return err
		}
		done = true
		return s.auditEach(ctx, t, audit)
	})
	return done, err
}

func (s *Store) auditEach(ctx context.Context, t tx, audit map[hub.TenantID]AuditEntry) error {
	steps := make([]*Step, 0, len(audit))
	for tenant, entry := range audit {
		steps = append(steps, &Step{Tenant: tenant, Audit: []AuditEntry{entry}})
	}
	return s.putAudit(ctx, t, steps)
}

// SealedBy keeps by which master key the ledger is sealed, known by its fingerprint, and refuses any
// other: what is sealed would not open, and what is sealed anew would not open elsewhere (D7).
func (s *Store) SealedBy(ctx context.Context, fingerprint string) error {
	l, err := self(ctx, s.db, "")
	if err != nil || l.sealedBy == fingerprint {
		return err
	}
	if l.sealedBy != "" {
		return wrongKey()
	}
	_, err = s.db.exec(ctx, `UPDATE ledger SET sealed_by = ? WHERE sealed_by = ''`, fingerprint)
	return err
}

func wrongKey() error {
	return &hub.Error{Kind: hub.Invalid, Code: "ledger.master_key", Message: "The master key in the data folder is not the one that sealed this ledger.",
		Hint: "Put the right master.key there; nothing was changed."}
}
