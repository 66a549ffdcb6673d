package engine_test

import (
	"context"
	"strings"
	"testing"
)

// once more: claims and carries what is due, and no more.
func (h *house) round() {
	h.Helper()
	list, err := h.engine.Claim(context.Background(), 10)
	if err != nil || len(list) == 0 {
		h.Fatalf("claimed %d rows: %v", len(list), err)
	}
	for _, w := range list {
		h.engine.Carry(context.Background(), w)
	}
}

// TestWhatIsFoundInItsOlderFormIsUpdated: the answer to a create is lost, and by the time it is looked
// for the record has changed. What stands there is not what shall stand there.
func TestWhatIsFoundInItsOlderFormIsUpdated(t *testing.T) {
	h := newHouse(t)
	h.far.on(func(call int, when string) (int, bool) { return -1, call == 2 && when == "after" })
	h.win()
	h.round()
	h.far.on(nil)
	h.far.deal["name"] = "Relaunch II"
	h.win()
	h.drain()
	h.once()
	// The time project was made in the first attempt, the ERP's project after the change.
	if all := strings.Join(h.far.patched, "\n"); strings.Count(all, `"name":"Relaunch II"`) != 2 {
		t.Errorf("want the customer and the time project renamed; changed was %s", all)
	}
}
