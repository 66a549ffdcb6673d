package trial

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postmaster is a PostgreSQL server on this machine, as it was started: with what, where, by whom.
type postmaster struct {
	pid int
	cmd exec.Cmd
}

// findPostmaster reads how the server was started. Its process is the parent of those that serve us.
func findPostmaster(roots []int) (*postmaster, error) {
	if len(roots) == 0 {
		return nil, fmt.Errorf("the database's processes are not on this machine, or not ours to see")
	}
	p := &postmaster{pid: roots[0]}
	at := fmt.Sprintf("/proc/%d/", p.pid)
	args, err := os.ReadFile(at + "cmdline")
	if err != nil {
		return nil, fmt.Errorf("read how the database was started: %w", err)
	}
	env, err := os.ReadFile(at + "environ")
	if err != nil {
		return nil, fmt.Errorf("read how the database was started: %w", err)
	}
	dir, err := os.Readlink(at + "cwd")
	if err != nil {
		return nil, err
	}
	var owner syscall.Stat_t
	if err := syscall.Stat(at, &owner); err != nil {
		return nil, err
	}
	words := func(b []byte) []string { return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00") }
	line := words(args)
	p.cmd = exec.Cmd{Path: line[0], Args: line, Env: words(env), Dir: dir, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if int(owner.Uid) != os.Getuid() {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	}
	return p, nil
}

// crash ends the server at once, as pg_ctl stop -m immediate does: no checkpoint, every connection torn.
func (p *postmaster) crash(ctx context.Context) error {
	if err := syscall.Kill(p.pid, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("stop the database: %w", err)
	}
	for alive(p.pid) {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(data, []byte(") Z "))
}

// databaseLimit is how long a database may take to be back: it recovers from its log first.
const databaseLimit = 30 * time.Second

// start starts the server as it was started before, and waits until it answers at url.
func (p *postmaster) start(ctx context.Context, url string) error {
	ctx, end := context.WithTimeout(ctx, databaseLimit)
	defer end()
	for {
		cmd := p.cmd
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start the database: %w", err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }() // how it ends is its own business: it outlives this trial
		p.pid = cmd.Process.Pid
		if err := answers(ctx, url, ended); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return fmt.Errorf("the database did not come back: %w", err)
		}
	}
}

// answers waits until the server takes connections, or has ended: then its predecessor was not gone yet.
func answers(ctx context.Context, url string, ended <-chan struct{}) error {
	for {
		db, err := pgx.Connect(ctx, url)
		if err == nil {
			return db.Close(ctx)
		}
		select {
		case <-ended:
			return err
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
