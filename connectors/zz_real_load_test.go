package connectors

import (
	"os"
	"testing"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/schemas"
)

func TestRealLoad(t *testing.T) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"redmine"} {
		s, err := catalog.LoadSystem(os.DirFS("."), n, set)
		if err != nil {
			t.Errorf("%s:\n%v", n, err)
			continue
		}
		t.Log(n, s != nil)
	}
}
