// Package archtest holds the house in order: which package may import which.
package archtest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// order is the list of docs/ARCHITECTURE.md: a package may import only what stands above it.
var order = []string{
	"exact", "hub",
	"crashpoint", "secret", "telemetry", "locale", "specfile", "expr", "egress", "sqlite",
	"brand", "pricing", "canonical", "connector", "mapping", "policy", "workflow", "catalog", "cases", "audit",
	"store", "store/storetest",
	"remote", "xref", "engine", "ingest",
	"books", "whatif", "report", "notify",
	"access", "control",
	"hook", "api", "console", "cli",
	"simulator", "oracle", "farside", "config", "app", "demo", "trial", "drill",
}

func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "throughline/internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, imports, _ := strings.Cut(line, ": ")
		room := strings.TrimPrefix(name, "throughline/internal/")
		if room == "archtest" {
			continue
		}
		at := slices.Index(order, room)
		if at < 0 {
			t.Errorf("%s stands in no place of the house: add it to the order, here and in docs/ARCHITECTURE.md", room)
			continue
		}
		for _, i := range strings.Fields(imports) {
			other, inside := strings.CutPrefix(i, "throughline/internal/")
			if inside && slices.Index(order, other) > at {
				t.Errorf("%s imports %s, which stands below it", room, other)
			}
		}
	}
}
