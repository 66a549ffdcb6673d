// Package trial runs the product as a process of its own, against a far side in another, and finds
// out how fast it is and whether anything gets lost: it measures, kills, stops and continues, and
// has package oracle judge what is left.
package trial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a program that was started and has said that it is ready.
type Process struct {
	Ready Ready
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; read after ended is closed

	mu  sync.Mutex
	log []byte // the end of what it wrote to stderr
}

// Ready is the one line that a process prints when it can be used.
type Ready struct {
	Webhook string `json:"webhook,omitempty"`
	URL     string `json:"url,omitempty"`
	PIDs    []int  `json:"pids"`
}

// startLimit is how long a process may take to get ready.
const startLimit = 30 * time.Second

// errEnded says that a process ended before it was ready.
var errEnded = errors.New("it ended before it was ready")

// Start runs program with args and waits until it is ready. Env is added to our own.
func Start(ctx context.Context, program string, env []string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	ready := make(chan error, 1)
	go p.watch(out, ready)
	ctx, end := context.WithTimeout(ctx, startLimit)
	defer end()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("%s %v is not ready: %w\n%s", program, args, err, p.Log())
	}
	return p, nil
}

// Call runs program with args to its end and returns what it printed.
func Call(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", program, args[0], err, said.String())
	}
	return string(out), err
}

// watch reads the ready line, then waits for the end.
func (p *Process) watch(out io.Reader, ready chan<- error) {
	lines := bufio.NewReader(out)
	first, err := lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(first, &p.Ready)
	} else {
		err = errEnded
	}
	ready <- err
	_, _ = io.Copy(io.Discard, lines)
	p.err = p.cmd.Wait()
	close(p.ended)
}

// Write keeps the end of the process's log.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, b...)
	if extra := len(p.log) - 16<<10; extra > 0 {
		p.log = p.log[extra:]
	}
	return len(b), nil
}

// Log is the end of what the process wrote to stderr.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.log)
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Signal sends a signal; to a process that has ended it does nothing.
func (p *Process) Signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // the only error is that it has ended
}

// Kill ends the process at once, as a power cut would (kill -9), and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Stop asks the process to end (SIGTERM) and says how long it took; an exit with an error is one.
func (p *Process) Stop(limit time.Duration) (time.Duration, error) {
	begun := time.Now()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.Kill()
		return time.Since(begun), fmt.Errorf("it did not end within %s of SIGTERM", limit)
	}
	if p.err != nil {
		return time.Since(begun), fmt.Errorf("it ended badly: %w\n%s", p.err, p.Log())
	}
	return time.Since(begun), nil
}
