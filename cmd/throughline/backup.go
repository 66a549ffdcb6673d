package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"throughline/internal/app"
	"throughline/internal/crashpoint"
	"throughline/internal/store"
)

type backupCmd struct {
	place
	File string `arg:"" help:"Where to; must not be there yet." type:"path"`
}

// Run writes the backup beside its name first: a file of that name is whole.
func (c *backupCmd) Run(ctx context.Context) (err error) {
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s is there already", c.File)
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), filepath.Base(c.File)+".part-*") // readable by us alone
	if err != nil {
		return err
	}
	m, err := app.Backup(ctx, c.config(), f)
	crashpoint.At("backup.written")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), c.File) // unlike a rename, it replaces nothing
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return err
	}
	fmt.Printf("%s\n%s\n", c.File, describe(m))
	return nil
}

func describe(m store.Manifest) string {
	return fmt.Sprintf("taken %s from %s, schema %d, ledger %s at %d", m.Taken.Format(time.RFC3339), m.Store, m.Schema, m.Ledger, m.Mark)
}

type restoreCmd struct {
	place
	File  string `arg:"" help:"A file that backup has made." type:"existingfile"`
	Force bool   `help:"Move aside what stands there."`
}

func (c *restoreCmd) Run(ctx context.Context) error {
	m, aside, err := app.Restore(ctx, c.config(), c.File, c.Force)
	if err != nil {
		return err
	}
	fmt.Printf("restored: %s\n", describe(m))
	if aside != "" {
		fmt.Printf("what stood there is now %s\n", aside)
	}
	fmt.Println("The service starts HELD: it stores webhooks and sends nothing. Start it, see throughline status, then throughline resume.")
	return nil
}
