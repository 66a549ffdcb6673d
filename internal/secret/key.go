package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const keySize = 32

// ParseKey reads a master key as it stands in a file or an environment variable: 32 bytes in base64.
// Its errors do not repeat the text.
func ParseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("the master key is not base64")
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("the master key has %d bytes, %d are wanted", len(key), keySize)
	}
	return key, nil
}

// LoadKey reads the master key from a file, or makes it there where make is true and there is none.
// A file that others may read is refused.
func LoadKey(path string, make bool) ([]byte, error) {
	key, err := readKey(path)
	if !make || !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := newKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the master key: %w", err)
	}
	return readKey(path) // whoever made it
}

// Derive makes of a master key one for another purpose, from which the master key cannot be found.
func Derive(master []byte, purpose string) []byte {
	h := hmac.New(sha256.New, master)
	h.Write([]byte("throughline " + purpose))
	return h.Sum(nil)
}

// Fingerprint tells master keys apart and says nothing else of them.
func Fingerprint(master []byte) string { return hex.EncodeToString(Derive(master, "fingerprint")[:16]) }

func readKey(path string) (key []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat() // of what was opened: the name may mean another file by now
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the master key %s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the master key %s may be read by others; run chmod 600 on it", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if key, err = ParseKey(string(text)); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return key, nil
}

// newKey puts a key where there is none. It appears whole or not at all, and of two processes that
// start together the second gets fs.ErrExist: a key that was overwritten would take all secrets
// sealed by it along.
func newKey(path string) (err error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".master-*") // readable by us alone
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path) // unlike a rename, it replaces nothing
}
