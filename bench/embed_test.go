package bench_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"throughline/bench"
)

// TestLate: the far sides of the trials with a long lag of searches say so, through folders too, as definitions are read.
func TestLate(t *testing.T) {
	for _, c := range []struct {
		lag  time.Duration
		want string
	}{{time.Second, "lag: 1s"}, {30 * time.Second, "lag: 30s"}} {
		connectors, err := fs.Sub(bench.Late(c.lag), "connectors")
		if err != nil {
			t.Fatal(err)
		}
		data, err := fs.ReadFile(connectors, "far-erp/connector.yaml")
		if err != nil || strings.Count(string(data), c.want) != 2 {
			t.Errorf("want twice %q: %v\n%s", c.want, err, data)
		}
	}
}
