package workflow_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/canonical"
	"throughline/internal/workflow"
	"throughline/schemas"
	"throughline/templates"
)

// FuzzTemplate: a template file that somebody else wrote is loaded, or refused with lines and hints.
func FuzzTemplate(f *testing.F) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		f.Fatal(err)
	}
	files, err := fs.Glob(templates.Files, "*/v*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("there are no templates", err)
	}
	for _, name := range files {
		data, err := templates.Files.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("template: acme\nversion: 1\nsteps: [{write: account, to: erp, set: {name: =record.name}}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := workflow.Load(fstest.MapFS{"acme/v1.yaml": {Data: []byte(text)}}, "acme", 1, set, nil)
		if err != nil && !strings.Contains(err.Error(), "v1.yaml") {
			t.Fatalf("nobody can tell where: %v", err)
		}
	})
}
