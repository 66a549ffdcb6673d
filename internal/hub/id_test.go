package hub_test

import (
	"fmt"
	"testing"

	"throughline/internal/hub"
)

// TestLinesAreFoundByTheirRecord: whatever a flow is called, its lines lie between the two bounds, and
// nobody else's do.
func TestLinesAreFoundByTheirRecord(t *testing.T) {
	for e := range 20 {
		entry := hub.RecordIDFor("t1", "time", "entry", fmt.Sprint(e))
		from, to := entry.Lines()
		for f := range 2000 {
			flow := hub.DeploymentID(fmt.Sprint("flow", f))
			for _, n := range []int64{1, 9, 10, 123456} {
				id := entry.Line("t1", flow, n)
				if id <= from || id >= to {
					t.Fatalf("line %s of %s lies outside of its bounds", id, entry)
				}
			}
		}
		for _, other := range []hub.RecordID{entry.Derive("t1", "x"), hub.RecordIDFor("t1", "time", "entry", fmt.Sprint(e+1)).Line("t1", "f", 1)} {
			if other > from && other < to {
				t.Errorf("%s lies between the lines of %s", other, entry)
			}
		}
	}
}

// TestWhatIsCountedLiesTogether: neighbours begin alike, strangers do not.
func TestWhatIsCountedLiesTogether(t *testing.T) {
	root := func(id string) hub.RecordID { return hub.RecordIDFor("t1", "time", "entry", id)[:14] }
	if root("1001") != root("1099") || root("1001") == root("1101") {
		t.Errorf("1001, 1099 and 1101 begin %s, %s and %s", root("1001"), root("1099"), root("1101"))
	}
}
