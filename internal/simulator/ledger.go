package simulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"throughline/internal/exact"
)

// Effect is one change that really happened at the far side.
type Effect struct {
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Entity  string    `json:"entity"`
	Op      string    `json:"op"` // create, update, delete, or the name of an action
	ID      string    `json:"id"`
	Key     string    `json:"key,omitempty"`    // the business key, as the collection declares it
	Marker  string    `json:"marker,omitempty"` // what the other side left to find its record again
	Version int64     `json:"version"`
	Hash    string    `json:"hash"`         // of the fields after the effect
	By      string    `json:"by,omitempty"` // api, or person for the back door
}

// Ledger is where effects go besides memory. A file whose Sync is called makes them survive kill -9.
type Ledger interface {
	io.Writer
	Sync() error
}

// Unsynced is a Ledger that leaves out the fsync, for benchmarks.
func Unsynced(w io.Writer) Ledger { return unsynced{w} }

type unsynced struct{ io.Writer }

func (unsynced) Sync() error { return nil }

// OpenLedger opens (or continues) the ledger file at path.
func OpenLedger(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the effect ledger: %w", err)
	}
	return f, nil
}

// journal keeps effects in memory and writes them to a Ledger. Callers add under the simulator's
// lock and settle outside of it, so that one fsync serves all who wait for one.
type journal struct {
	mu      sync.Mutex
	effects []Effect
	pending bytes.Buffer
	added   int64 // effects handed in
	failed  error // the first write error; from then on no answer may leave

	flush  sync.Mutex
	synced int64 // effects known to be on disk
	out    Ledger
}

func (j *journal) add(e Effect) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the effect ledger: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.effects = append(j.effects, e)
	j.added++
	if j.out != nil {
		j.pending.Write(line)
		j.pending.WriteByte('\n')
	}
	return nil
}

// settle returns when every effect added so far is on disk.
func (j *journal) settle() error {
	if j.out == nil {
		return nil
	}
	j.mu.Lock()
	want := j.added
	j.mu.Unlock()
	j.flush.Lock()
	defer j.flush.Unlock()
	if j.synced >= want || j.failed != nil {
		return j.failed
	}
	j.mu.Lock()
	data, upto := bytes.Clone(j.pending.Bytes()), j.added
	j.pending.Reset()
	j.mu.Unlock()
	if j.failed = j.write(data); j.failed == nil {
		j.synced = upto
	}
	return j.failed
}

func (j *journal) write(data []byte) error {
	if _, err := j.out.Write(data); err != nil {
		return fmt.Errorf("write the effect ledger: %w", err)
	}
	if err := j.out.Sync(); err != nil {
		return fmt.Errorf("sync the effect ledger: %w", err)
	}
	return nil
}

func (j *journal) list() []Effect {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Effect(nil), j.effects...)
}

func (j *journal) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.effects = nil
}

// hashOf is a short fingerprint of a row's fields.
func hashOf(fields map[string]any) (string, error) {
	data, err := exact.AppendJSON(nil, fields)
	if err != nil {
		return "", fmt.Errorf("hash a row: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}
