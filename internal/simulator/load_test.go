package simulator_test

import (
	"os"
	"path/filepath"
	"testing"

	"throughline/internal/simulator"
)

// describe reads the description of a shipped simulator.
func describe(t testing.TB, name string) *simulator.Description {
	t.Helper()
	file := filepath.Join("..", "..", "connectors", name, "simulator.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := simulator.Parse(filepath.Join("connectors", name, "simulator.yaml"), data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestShippedDescriptionsAreSound(t *testing.T) {
	for _, name := range []string{"clockify", "hubspot", "acumatica"} {
		t.Run(name, func(t *testing.T) {
			if _, err := simulator.New(describe(t, name), simulator.Options{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
