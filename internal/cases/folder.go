package cases

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/specfile"
	"throughline/internal/workflow"
)

// Found is one definition that was checked.
type Found struct {
	Name    string // "acme-time@1.0.0", "deal-to-project@1"
	Records int    // mapped, of a connector
	Steps   int    // of a template
	Cases   int
}

// Check checks every connector and template below the folder, their cases too. The folder may hold
// connectors/ and templates/, or connectors or templates themselves; shown is what it is called in
// messages. All problems are told at once.
func Check(dir fs.FS, shown string, set *canonical.Set) ([]Found, error) {
	var found []Found
	var bad []error
	for _, below := range []string{".", "connectors", "templates"} {
		sub, err := fs.Sub(dir, below)
		if err != nil {
			return nil, err
		}
		for _, name := range folders(sub) {
			list, err := Folder(sub, path.Join(shown, below), name, set)
			found = append(found, list...)
			bad = append(bad, err)
		}
	}
	return found, errors.Join(bad...)
}

// folders are those below dir, in order; one that cannot be read holds nothing.
func folders(dir fs.FS) []string {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// Folder checks one connector's or template's folder; another one holds nothing to check.
func Folder(dir fs.FS, shown, name string, set *canonical.Set) ([]Found, error) {
	if _, err := fs.Stat(dir, path.Join(name, "connector.yaml")); err == nil {
		found, err := oneConnector(dir, name, set)
		return found, placed(shown, err)
	}
	versions, err := Versions(dir, name)
	if err != nil || len(versions) == 0 {
		return nil, err
	}
	found, err := template(dir, name, versions, set)
	return found, placed(shown, err)
}

func oneConnector(dir fs.FS, name string, set *canonical.Set) ([]Found, error) {
	s, err := catalog.LoadSystem(dir, name, set)
	if err != nil {
		return nil, err
	}
	n, err := Connector(dir, name, s)
	if err != nil {
		return nil, err
	}
	return []Found{{Name: name + "@" + s.Connector.File.Version, Records: len(s.Mappings), Cases: n}}, nil
}

func template(dir fs.FS, name string, versions []int, set *canonical.Set) (found []Found, err error) {
	var bad specfile.Problems
	for _, v := range versions {
		t, err := workflow.Load(dir, name, v, set, nil)
		var list specfile.Problems
		switch {
		case errors.As(err, &list):
			bad = append(bad, list...)
		case err != nil:
			return nil, err
		default:
			found = append(found, Found{Name: fmt.Sprintf("%s@%d", name, v), Steps: len(t.Steps)})
		}
	}
	if len(bad) > 0 {
		return nil, bad.Err()
	}
	found[len(found)-1].Cases, err = Template(dir, name, set)
	return found, err
}

// placed names the files of problems from where the reader stands.
func placed(shown string, err error) error {
	var list specfile.Problems
	if !errors.As(err, &list) {
		return err
	}
	named := slices.Clone(list)
	for i := range named {
		named[i].File = path.Join(shown, named[i].File)
	}
	named.Sort()
	return named // not its Err, which counts them for the log
}
