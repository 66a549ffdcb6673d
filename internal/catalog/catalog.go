// Package catalog holds all definitions, by name and version: canonical records, connectors with
// their mappings, templates. What the product brings and what a partner adds load by the same code,
// a partner's folder going before ours. It is read-only once made.
package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/specfile"
	"throughline/internal/workflow"
)

// Catalog is all definitions.
type Catalog struct {
	Schemas    *canonical.Set
	connectors map[string]*System
	templates  []fs.FS
	compiled   sync.Map // templates without extension, by name and version: all tenants' flows share one
}

// System is a connector with its mappings, by canonical record.
type System struct {
	Connector *connector.Connector
	Mappings  map[string]*mapping.Mapping
}

// Load reads and checks everything. All problems of all files are told at once.
func Load(schemas fs.FS, connectors, templates []fs.FS) (*Catalog, error) {
	set, err := canonical.Load(schemas)
	if err != nil {
		return nil, err
	}
	c := &Catalog{Schemas: set, connectors: map[string]*System{}, templates: templates}
	var all []error
	for _, dir := range connectors {
		names, err := folders(dir, "connector.yaml")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if c.connectors[name] != nil {
				continue // a partner's own goes before ours
			}
			s, err := LoadSystem(dir, name, set)
			if err != nil {
				all = append(all, err)
				continue
			}
			c.connectors[name] = s
		}
	}
	return c, errors.Join(all...)
}

// LoadSystem reads one connector's folder.
func LoadSystem(dir fs.FS, name string, set *canonical.Set) (*System, error) {
	k, err := connector.Load(dir, name)
	if err != nil {
		return nil, err
	}
	m, err := mapping.Load(dir, k, set)
	if err != nil {
		return nil, err
	}
	return &System{k, m}, nil
}

// folders lists the folders of dir that hold a file of this name.
func folders(dir fs.FS, file string) ([]string, error) {
	list, err := fs.Glob(dir, "*/"+file)
	for i := range list {
		list[i] = strings.TrimSuffix(list[i], "/"+file)
	}
	return list, err
}

// System is the connector of this name; "name@1" asks for a major version.
func (c *Catalog) System(ref string) (*System, error) {
	name, version, pinned := strings.Cut(ref, "@")
	s := c.connectors[name]
	if s == nil || pinned && !strings.HasPrefix(s.Connector.File.Version+".", version+".") {
		return nil, &hub.Error{Kind: hub.NotFound, Code: "connector.unknown", Message: fmt.Sprintf("There is no connector %q.", ref),
			Hint: "Known are " + strings.Join(c.Connectors(), ", ") + "."}
	}
	return s, nil
}

// Connectors lists the connectors, with versions.
func (c *Catalog) Connectors() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.connectors)) {
		list = append(list, name+"@"+c.connectors[name].Connector.File.Version)
	}
	return list
}

// Template compiles a version of a template with a deployment's extensions.
func (c *Catalog) Template(name string, version int, extend map[string]specfile.Map[specfile.Value]) (*workflow.Template, error) {
	key := fmt.Sprintf("%s@%d", name, version)
	if t, ok := c.compiled.Load(key); ok && len(extend) == 0 {
		return t.(*workflow.Template), nil
	}
	var last error
	for _, dir := range c.templates {
		t, err := workflow.Load(dir, name, version, c.Schemas, extend)
		if err == nil && len(extend) == 0 {
			c.compiled.Store(key, t)
		}
		if err == nil {
			return t, nil
		}
		if hub.KindOf(err) != hub.NotFound {
			return nil, err
		}
		last = err
	}
	return nil, last
}
