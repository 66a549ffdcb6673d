package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The ways in which a database goes wrong.
const (
	Restart = "restart" // it is ended at once and started again, under load
	Commit  = "commit"  // it commits, and the answer is lost
	Full    = "full"    // its disk is full for a while
	Pool    = "pool"    // it gives out few connections to many
)

// DatabaseFaults are all of them.
var DatabaseFaults = []string{Restart, Commit, Full, Pool}

// prepareDatabase sets the stage for a fault of the database, before the product starts.
func (r *chaosRun) prepareDatabase(ctx context.Context) (undo func() error, err error) {
	undo = func() error { return nil }
	switch r.Database {
	case "":
		return undo, nil
	case Full:
		if r.schema != nil {
			return undo, errors.New("the full disk is tried on SQLite: --store sqlite")
		}
		return r.smallDisk(ctx)
	}
	if r.schema == nil {
		return undo, fmt.Errorf("the fault %s is PostgreSQL's: --store postgres://…", r.Database)
	}
	switch r.Database {
	case Commit:
		if r.proxy, err = openProxy(r.schema.URL, r.Seed); err != nil {
			return undo, err
		}
		r.through = r.proxy.URL
		return r.proxy.close, nil
	case Pool:
		r.through = r.schema.URL + "&pool_max_conns=5"
	}
	return undo, nil
}

// databaseFault lets the database go wrong under load. What was acknowledged before, meanwhile and
// afterwards is for the oracle to find.
func (r *chaosRun) databaseFault(ctx context.Context) error {
	faults := map[string]func(context.Context) error{"": func(context.Context) error { return nil },
		Restart: r.restarts, Commit: r.lostCommits, Full: r.fullDisk, Pool: r.smallPool}
	return faults[r.Database](ctx)
}

// times is how often a fault strikes.
func (r *chaosRun) times(usual int) int {
	if r.Times > 0 {
		return r.Times
	}
	return usual
}

func (r *chaosRun) restarts(ctx context.Context) error {
	main, err := findPostmaster(r.schema.roots)
	if err != nil {
		return err
	}
	for done := 0; done < r.times(5); {
		end := r.traffic.begin(ctx)
		for i := 0; i < 2 && done < r.times(5) && err == nil; i++ {
			err = r.restartOnce(ctx, main)
			done++
		}
		if err := errors.Join(err, end()); err != nil {
			return err
		}
		if err := r.calm(ctx); err != nil {
			return err
		}
	}
	return nil
}

// restartOnce measures how long the product takes to acknowledge again once the database is back (D1).
func (r *chaosRun) restartOnce(ctx context.Context, main *postmaster) error {
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	if err := main.crash(ctx); err != nil {
		return err
	}
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	if err := main.start(ctx, r.schema.server); err != nil {
		return err
	}
	r.result.DatabaseFaults++
	took, err := r.nextAck(ctx)
	r.say("the database was restarted; acknowledged again after %.2f s", took)
	return err
}

// nextAck waits until a webhook is acknowledged and notes how long that took.
func (r *chaosRun) nextAck(ctx context.Context) (seconds float64, err error) {
	begun, before := time.Now(), r.traffic.source.taken()
	for r.traffic.source.taken() == before {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
	seconds = round(time.Since(begun).Seconds())
	r.result.Reconnect = max(r.result.Reconnect, seconds)
	return seconds, nil
}

// lostCommits loses the answers of a tenth of the commits until enough are lost (D2).
func (r *chaosRun) lostCommits(ctx context.Context) error {
	for want := r.times(200); r.proxy.count() < want; {
		end := r.traffic.begin(ctx)
		r.proxy.lose(0.1)
		err := pause(ctx, 3*time.Second)
		r.proxy.lose(0)
		if err := errors.Join(err, end()); err != nil {
			return err
		}
		if err := r.calm(ctx); err != nil {
			return err
		}
		r.say("%d answers to COMMIT lost", r.proxy.count())
	}
	r.result.DatabaseFaults = r.proxy.count()
	return nil
}

// smallPool sends as 200 clients to a product that has 5 connections (D5).
func (r *chaosRun) smallPool(ctx context.Context) error {
	const clients = 200
	r.traffic.source = newSource(clients)
	err := each(r.times(3000), clients, func(int) error { return r.traffic.one(ctx) })
	r.result.DatabaseFaults = r.traffic.source.refusals()
	return err
}

const diskSize = 48 << 20

// smallDisk puts the data folder on a small disk of its own, which takes root.
func (r *chaosRun) smallDisk(ctx context.Context) (undo func() error, err error) {
	dir := filepath.Join(r.Dir, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	undo = func() error { return nil }
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=700", diskSize), "tmpfs", dir).CombinedOutput(); err != nil {
		return undo, fmt.Errorf("make a small disk, for which we must be root: %w: %s", err, out)
	}
	return func() error {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			return fmt.Errorf("take the small disk away: %w: %s", err, out)
		}
		return nil
	}, nil
}

// fullDisk fills the disk of SQLite under load, and frees it (D3).
func (r *chaosRun) fullDisk(ctx context.Context) error {
	ballast := filepath.Join(r.Dir, "data", "ballast")
	for range r.times(3) {
		end := r.traffic.begin(ctx)
		err := pause(ctx, time.Second)
		if err == nil {
			err = fill(ballast)
		}
		refused := r.traffic.source.refusals()
		for err == nil && r.traffic.source.refusals() < refused+5*hands { // the rest of what was set aside goes first
			if err = pause(ctx, 20*time.Millisecond); err == nil {
				err = fill(ballast)
			}
		}
		if err = errors.Join(err, os.Remove(ballast)); err == nil {
			var took float64
			took, err = r.nextAck(ctx)
			r.result.DatabaseFaults++
			r.say("the disk was full; acknowledged again after %.2f s", took)
		}
		if err := errors.Join(err, end()); err != nil {
			return err
		}
		if err := r.calm(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fill writes until the disk takes no more.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); err != nil {
			if len(block) == 1 {
				return nil // as full as it gets
			}
			block = block[:len(block)/4]
		}
	}
}
