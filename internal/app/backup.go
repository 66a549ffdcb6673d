package app

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"throughline/internal/secret"
	"throughline/internal/store"
)

// Backup writes a backup of the ledger that the Config names, beside whoever works on it.
func Backup(ctx context.Context, c Config, w io.Writer) (m store.Manifest, err error) {
	c.defaults()
	key, err := secret.LoadKey(filepath.Join(c.Data, "master.key"), false)
	if err != nil {
		return m, err
	}
	s, err := store.OpenExisting(ctx, c.url(), c.Now)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Backup(ctx, w, sealer(key))
}

// Restore puts a backup where the Config's store is (see store.Restore). The data folder must have the
// master key already: a backup has none.
func Restore(ctx context.Context, c Config, from string, force bool) (m store.Manifest, aside string, err error) {
	c.defaults()
	key, err := secret.LoadKey(filepath.Join(c.Data, "master.key"), false)
	if err != nil {
		return m, "", err
	}
	return store.Restore(ctx, store.Restoring{From: from, To: c.url(), Seal: sealer(key), Force: force, Now: c.Now})
}

// Hold holds the ledger that the Config names; nodes that work on it stop within seconds.
func Hold(ctx context.Context, c Config, reason string) (err error) {
	c.defaults()
	s, err := store.OpenExisting(ctx, c.url(), c.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Hold(ctx, reason)
}

func sealer(key []byte) store.Sealer {
	return store.Sealer{Key: secret.Derive(key, "backup"), Fingerprint: secret.Fingerprint(key)}
}
