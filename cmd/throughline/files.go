package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/control"
	"throughline/internal/mapping"
	"throughline/internal/specfile"
	"throughline/internal/workflow"
	"throughline/schemas"
)

type checkCmd struct {
	Dir string `arg:"" help:"A connector's folder, or a folder of them." type:"existingdir"`
}

// Run checks every connector below the folder; all problems are told at once.
func (c *checkCmd) Run() error {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		return err
	}
	dir, names := filepath.Dir(c.Dir), []string{filepath.Base(c.Dir)}
	if _, err := os.Stat(filepath.Join(c.Dir, "connector.yaml")); errors.Is(err, fs.ErrNotExist) {
		dir = c.Dir
		if names, err = fs.Glob(os.DirFS(dir), "*/connector.yaml"); err != nil {
			return err
		}
		for i := range names {
			names[i] = filepath.Dir(names[i])
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no connector.yaml in %s or in a folder below it", c.Dir)
	}
	var bad []error
	for _, name := range names {
		s, err := catalog.LoadSystem(os.DirFS(dir), name, set)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		fmt.Printf("%s@%s: %d records mapped, no problems\n", name, s.Connector.File.Version, len(s.Mappings))
	}
	return errors.Join(bad...)
}

type schemaCmd struct {
	Kind string `arg:"" enum:"connector,mapping,template,customer,record" help:"connector, mapping, template, customer or record."`
}

func (c *schemaCmd) Run() error {
	root := map[string]any{"connector": connector.File{}, "mapping": mapping.File{}, "template": workflow.File{}, "customer": control.CustomerFile{}, "record": canonical.Schema{}}[c.Kind]
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(specfile.Schema(root, "A "+c.Kind+" file"))
}
