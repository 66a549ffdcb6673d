package store

import (
	"fmt"
	"os"
	"sync"

	"throughline/internal/hub"
)

// disk brings the write-ahead log onto the disk. One sync serves all who made a commit before it began, and
// further commits are made while it is under way: the log is read from its beginning, so what is on disk of it
// is never a later commit without the earlier ones. A nil disk is one that nobody waits for.
type disk struct {
	log   *os.File
	bring func(*os.File) error
	under sync.Mutex // held by the sync that is under way

	mu   sync.Mutex
	next *flush // gathers behind it
	err  error  // the first one
}

// flush is one sync and those who wait for it.
type flush struct {
	done chan struct{}
	err  error
}

func openDisk(log string) (*disk, error) {
	f, err := os.OpenFile(log, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &disk{log: f, bring: fdatasync}, nil
}

// sync returns when all commits that were made before it was called are on the disk.
func (d *disk) sync() error {
	d.mu.Lock()
	f := d.next
	if f != nil {
		d.mu.Unlock()
		<-f.done
		return f.err
	}
	f = &flush{done: make(chan struct{})}
	d.next = f
	d.mu.Unlock()
	d.under.Lock()
	d.mu.Lock()
	d.next = nil // who commits from now on needs another one
	d.mu.Unlock()
	f.err = d.flush()
	d.under.Unlock()
	close(f.done)
	return f.err
}

// flush syncs. What a disk has refused once it may have thrown away, and say that all is well the next time: from
// then on nothing is taken any more, until a new process reads what is really there.
func (d *disk) flush() error {
	if err := d.failed(); err != nil {
		return err
	}
	err := d.bring(d.log)
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = &hub.Error{Kind: hub.Unavailable, Code: "store.disk", Message: "The disk did not take what was written to the ledger.",
		Hint: "Look after the disk (its own log says what it is), then restart: what was acknowledged is there.", Err: fmt.Errorf("sync %s: %w", d.log.Name(), err)}
	return d.err
}

func (d *disk) failed() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *disk) close() error {
	if d == nil {
		return nil
	}
	return d.log.Close()
}
