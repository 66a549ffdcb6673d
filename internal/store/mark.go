package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"throughline/internal/hub"
)

// mark is how far a ledger has counted.
type mark struct {
	Ledger string `json:"ledger"`
	Mark   int64  `json:"mark"`
}

// markFile keeps a mark outside of the database, so that it does not go back with it. Without a path
// it keeps it in memory only.
type markFile struct {
	path string

	mu   sync.Mutex
	last mark
}

// KeepMark says in which file this node keeps how far it has seen the ledger count.
func (s *Store) KeepMark(path string) { s.marked.path = path }

func (f *markFile) read() (m mark, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == "" {
		return f.last, nil
	}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return mark{}, &hub.Error{Kind: hub.Invalid, Code: "ledger.mark", Message: "How far the ledger has counted cannot be read: " + f.path + ".",
			Hint: "Where the file is damaged, hold the ledger (throughline hold), then remove the file.", Err: err}
	}
	return m, nil
}

// keep writes the mark; the file is whole at any moment. It follows the commit: what it says is never
// more than what the ledger has.
func (f *markFile) keep(m mark) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = m
	if f.path == "" {
		return nil
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := writeWhole(f.path, data); err != nil {
		return fmt.Errorf("keep how far the ledger has counted: %w", err)
	}
	return nil
}

// ahead reports whether this process has seen the ledger further on than it stands now.
func (f *markFile) ahead(now mark) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last.Ledger == now.Ledger && f.last.Mark >= now.Mark
}

// writeWhole puts a file in its place once it is on disk.
func writeWhole(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
