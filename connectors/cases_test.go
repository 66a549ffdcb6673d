package connectors_test

import (
	"testing"

	"throughline/connectors"
	"throughline/internal/canonical"
	"throughline/internal/cases"
	"throughline/schemas"
	"throughline/templates"
)

// TestCases runs the examples that stand beside our connectors and templates, as a partner's
// `throughline check` does.
func TestCases(t *testing.T) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := cases.Check(connectors.Files, "connectors", set)
	if err != nil {
		t.Error(err)
	}
	processes, err := cases.Check(templates.Files, "templates", set)
	if err != nil {
		t.Error(err)
	}
	for _, f := range append(ours, processes...) {
		if f.Cases == 0 {
			t.Errorf("%s has no cases", f.Name)
		}
	}
	if len(ours) < 5 || len(processes) < 1 {
		t.Errorf("checked only %d connectors and %d templates", len(ours), len(processes))
	}
}
