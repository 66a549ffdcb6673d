package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"throughline/connectors"
	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/hub"
	"throughline/schemas"
)

// connectorFile finds a file of a connector: in the folder that is named, below a partner's own
// connectors/, or among those that the product brings. It gives the folder above and the
// connector's name in it.
func connectorFile(name, file string, definitions []string) (above fs.FS, folder string, err error) {
	if _, err := os.Stat(filepath.Join(name, file)); err == nil {
		abs, err := filepath.Abs(name)
		return os.DirFS(filepath.Dir(abs)), filepath.Base(abs), err
	}
	list := []fs.FS{}
	for _, dir := range definitions {
		list = append(list, os.DirFS(filepath.Join(dir, "connectors")))
	}
	known := map[string]bool{}
	for _, dir := range append(list, connectors.Files) {
		files, err := fs.Glob(dir, "*/"+file)
		if err != nil {
			return nil, "", err
		}
		for _, f := range files {
			folder := filepath.Dir(f)
			if folder == name {
				return dir, name, nil
			}
			known[folder] = true
		}
	}
	return nil, "", &hub.Error{Kind: hub.NotFound, Code: "connector.unknown", Message: fmt.Sprintf("There is no %s of %q.", file, name),
		Hint: "Name a folder that holds one, or one of " + words(known) + "."}
}

// openSystem reads a connector with its mappings, by folder or name.
func openSystem(name string, definitions []string) (*catalog.System, *canonical.Set, error) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		return nil, nil, err
	}
	dir, folder, err := connectorFile(name, "connector.yaml", definitions)
	if err != nil {
		return nil, nil, err
	}
	s, err := catalog.LoadSystem(dir, folder, set)
	return s, set, err
}

// exists reports whether something stands at the path; what cannot be seen counts as there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
