package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"throughline/internal/canonical"
	"throughline/internal/cases"
	"throughline/schemas"
)

type checkCmd struct {
	Dir string `arg:"" help:"A connector's or template's folder, or a folder of them." type:"existingdir"`
}

// Run checks every connector and template below the folder, and runs their cases; all problems are
// told at once.
func (c *checkCmd) Run() error {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		return err
	}
	found, err := c.check(set)
	for _, f := range found {
		fmt.Println(told(f))
	}
	if err == nil && len(found) == 0 {
		return fmt.Errorf("there is no connector.yaml and no v1.yaml of a template in %s or in a folder below it", c.Dir)
	}
	return err
}

// check takes the folder itself for a connector or template where it is one.
func (c *checkCmd) check(set *canonical.Set) ([]cases.Found, error) {
	for _, file := range []string{"connector.yaml", "v1.yaml"} {
		if _, err := os.Stat(filepath.Join(c.Dir, file)); err == nil {
			dir, name := filepath.Split(filepath.Clean(c.Dir))
			return cases.Folder(os.DirFS(filepath.Clean(dir)), shown(dir), name, set)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return cases.Check(os.DirFS(c.Dir), shown(c.Dir), set)
}

// shown is a folder as a person at this prompt would name it.
func shown(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if rel, err := filepath.Rel(here, dir); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return dir
}

func told(f cases.Found) string {
	what := fmt.Sprintf("%d records mapped", f.Records)
	if f.Steps > 0 {
		what = fmt.Sprintf("%d steps", f.Steps)
	}
	return fmt.Sprintf("%s: %s, %d cases, no problems", f.Name, what, f.Cases)
}
