// Package crashpoint ends the process by kill -9 at a named point, so that tests can ask what a
// crash there leaves behind. THROUGHLINE_CRASH=point:n names the point and at which passing it
// strikes; without it, passing a point costs a comparison with nil.
package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Points are those that records and polls pass again and again, in the order in which they do.
var Points = []string{"accept.store", "accept.stored", "claim.taken", "intent.store", "intent.stored", "login.store", "login.stored",
	"call.send", "call.answered", "batch.send", "batch.answered", "outcome.store", "outcome.stored",
	"page.read", "page.stored", "cursor.store", "cursor.stored"}

// Once are those that a process passes once, if at all: at its start, or in a command.
var Once = []string{"ledger.migrated", "ledger.begun", "backup.written", "restore.fill", "restore.filled"}

type target struct {
	name string
	left atomic.Int64
}

var armed = parse(os.Getenv("THROUGHLINE_CRASH"))

func parse(text string) *target {
	name, nth, ok := strings.Cut(text, ":")
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(nth, 10, 64)
	if err != nil || n < 1 {
		return nil
	}
	t := &target{name: name}
	t.left.Store(n)
	return t
}

// At marks a point. The process does not return from the one that is armed.
func At(name string) {
	if armed != nil && armed.passes(name) {
		die()
	}
}

// passes reports whether this passing is the fatal one.
func (t *target) passes(name string) bool { return t.name == name && t.left.Add(-1) == 0 }

func die() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		os.Exit(137)
	}
	select {} // the kill is on its way; nothing more may happen
}
