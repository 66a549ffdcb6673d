package connectors_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throughline/connectors"
	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/mapping"
	"throughline/schemas"
	"throughline/templates"
)

func load(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load(schemas.Files, []fs.FS{connectors.Files}, []fs.FS{templates.Files})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryConnectorLoads(t *testing.T) {
	t.Log(load(t).Connectors())
}

func TestTheTemplateCompiles(t *testing.T) {
	if _, err := load(t).Template("deal-to-project", 1, nil); err != nil {
		t.Fatal(err)
	}
}

var _ = []any{os.ReadFile, filepath.Join, strings.Cut, canonical.Record{}, connector.Kind{}, exact.DecodeJSON, mapping.Context{}}
