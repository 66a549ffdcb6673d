package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"throughline/internal/crashpoint"
	"throughline/internal/hub"
	"throughline/internal/sqlite"
)

// Restoring says what is restored to where.
type Restoring struct {
	From  string // a backup
	To    string // a store, as Open takes it
	Seal  Sealer
	Force bool // move aside what stands there
	Now   func() time.Time
}

// Restore puts a backup where nothing stands yet, whole or not at all, and holds the ledger: nothing is
// sent before a person resumes it. The backup is read to its end before anything is touched. It says
// where what stood there before is now.
func Restore(ctx context.Context, r Restoring) (m Manifest, aside string, err error) {
	f, err := os.Open(r.From)
	if err != nil {
		return m, "", err
	}
	defer f.Close()
	if m, err = CheckBackup(f, r.Seal); err != nil {
		return m, "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, "", err
	}
	b, err := openBackup(f, r.Seal)
	if err != nil {
		return m, "", err
	}
	aside, err = r.put(ctx, b)
	return m, aside, err
}

// put takes the place of what stands there in one transaction, which keeps out all others. Nothing is moved from under
// the feet of a process that has the store open, though it sleeps: it meets the restored ledger when it goes on.
func (r Restoring) put(ctx context.Context, b *backupReader) (aside string, err error) {
	stamp := strings.ReplaceAll(r.Now().UTC().Format("20060102T150405.000"), ".", "")
	s, aside, err := r.open(ctx, stamp)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = s.db.fill(ctx, func(t filler) error {
		list, err := tables(ctx, t, s.db.dialect())
		if err != nil {
			return err
		}
		if err := t.seize(ctx, list); err != nil {
			return err
		}
		occupied, err := r.free(ctx, s, t)
		if err != nil {
			return err
		}
		if occupied {
			if aside, err = t.copyAside(ctx, list, stamp); err != nil {
				return fmt.Errorf("copy aside what stands there: %w", err)
			}
		}
		crashpoint.At("restore.fill")
		if err := s.refill(ctx, t, b); err != nil {
			return err
		}
		crashpoint.At("restore.filled")
		return nil
	})
	return aside, err
}

// open opens the store. A file that cannot be read is moved where force says so; one that somebody has locked is not.
func (r Restoring) open(ctx context.Context, stamp string) (s *Store, aside string, err error) {
	s, err = Open(ctx, r.To, r.Now)
	if err == nil || !r.Force || isPostgres(r.To) || !sqlite.Unreadable(err) {
		return s, "", err
	}
	aside = r.To + before + stamp
	if moved := move(r.To, aside); moved != nil {
		return nil, "", errors.Join(err, moved)
	}
	s, err = Open(ctx, r.To, r.Now)
	return s, aside, err
}

// before is between the name of a ledger and when another one took its place.
const before = ".before-"

// free refuses a target that a node works on, and one that holds data unless force moves it aside.
func (r Restoring) free(ctx context.Context, s *Store, t tx) (occupied bool, err error) {
	now, err := s.clock(ctx, t)
	if err != nil {
		return false, err
	}
	rows1, err := t.query(ctx, `SELECT lease_until FROM node WHERE lease_until > ? ORDER BY lease_until DESC LIMIT 1`, now)
	lease, err := one(all(rows1, err, func(r rows, v *int64) error { return r.Scan(v) }))
	if err != nil {
		return false, err
	}
	if lease != nil {
		return false, &hub.Error{Kind: hub.Conflict, Code: "restore.in_use", Message: fmt.Sprintf("A node works on this ledger; its lease ends at %s.", instant(*lease).Format(time.RFC3339)),
			Hint: "Stop it, and wait for the end of its lease if it was killed."}
	}
	rows2, err := t.query(ctx, `SELECT 1 FROM tenant LIMIT 1`)
	any, err := all(rows2, err, func(r rows, v *int64) error { return r.Scan(v) })
	if err != nil {
		return false, err
	}
	if len(any) > 0 && !r.Force {
		return true, &hub.Error{Kind: hub.Exists, Code: "restore.not_empty", Message: "There is a ledger already where this one should go.", Hint: "Name an empty place, or move the old one aside: --force."}
	}
	return len(any) > 0, nil
}

// refill puts the rows of a backup in place of all that stands there, and holds the ledger. Whoever
// worked on it when the backup was taken does not any more.
func (s *Store) refill(ctx context.Context, t filler, b *backupReader) error {
	version, err := schemaVersion(ctx, t)
	if err != nil {
		return err
	}
	if version != b.Schema {
		return otherVersion(fmt.Sprintf("schema %d, this one has %d", b.Schema, version))
	}
	if err := s.rows(ctx, t, b); err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM node`, `UPDATE work SET state = 'ready', epoch = 0 WHERE state = 'running'`} {
		if _, err := t.exec(ctx, q); err != nil {
			return err
		}
	}
	l, err := self(ctx, t, "")
	if err != nil {
		return err
	}
	now, err := s.clock(ctx, t)
	if err != nil {
		return err
	}
	l.held = 0 // a backup of a ledger that was held is held anew: its lost time is longer now
	return hold(ctx, t, &l, "The ledger was restored from the backup of "+b.Taken.Format(time.RFC3339)+".", now)
}

func (s *Store) rows(ctx context.Context, t filler, b *backupReader) error {
	ours, err := tables(ctx, t, s.db.dialect())
	if err != nil {
		return err
	}
	for _, tab := range ours {
		if _, err := t.exec(ctx, `DELETE FROM `+tab.Name); err != nil {
			return err
		}
	}
	for _, tab := range ours {
		theirs, err := b.next()
		if err != nil {
			return err
		}
		if theirs == nil || theirs.Name != tab.Name || !slices.Equal(theirs.Columns, tab.Columns) {
			return otherVersion("its table " + tab.Name + " is another one")
		}
		if err := t.fill(ctx, tab, b.row); err != nil {
			return fmt.Errorf("restore %s: %w", tab.Name, err)
		}
	}
	rest, err := b.next()
	if err == nil && rest != nil {
		err = otherVersion("it has a table " + rest.Name)
	}
	return err
}

// The files of a SQLite database: what is not in the first one yet stands in the second.
var parts = []string{"-wal", "-shm", ""}

func move(from, to string) error {
	for _, part := range parts {
		if err := os.Rename(from+part, to+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
