package oracle

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// Ledger is an append-only file of lines that survive the process that wrote them.
type Ledger struct {
	file *os.File

	mu      sync.Mutex
	written int64

	syncing sync.Mutex
	synced  int64
}

// OpenLedger opens (or continues) the ledger at path.
func OpenLedger(path string) (*Ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return &Ledger{file: f}, nil
}

// Append returns once the line is on disk. Those who append at the same moment share one sync.
func (l *Ledger) Append(line any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	l.mu.Lock()
	_, err = l.file.Write(append(data, '\n'))
	l.written++
	mine := l.written
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.sync(mine)
}

func (l *Ledger) sync(mine int64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced >= mine {
		return nil
	}
	l.mu.Lock()
	upTo := l.written
	l.mu.Unlock()
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.synced = upTo
	return nil
}

// Close ends the ledger.
func (l *Ledger) Close() error { return l.file.Close() }

// ReadLedger reads a ledger's lines in order. A ledger that was never begun is empty.
func ReadLedger[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []T
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(list)+1, err)
		}
		list = append(list, v)
	}
	return list, lines.Err()
}
