package engine_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// listed brings the deal as a page of the CRM's list has it, whose rows have no versions.
func (h *house) listed(deal map[string]any) {
	h.Helper()
	payload, err := json.Marshal(deal)
	if err != nil {
		h.Fatal(err)
	}
	e := hub.Event{ID: hub.EventID(h.newID("evt")), Tenant: "t1", Key: hub.RecordKey{Connection: "crm", Kind: "opportunity", ID: "7"}, Payload: payload, Source: "poll", Received: h.clock.Now()}
	if _, err := h.store.Journal().Accept(h.Context(), store.Arrival{Event: e, Deployments: []hub.DeploymentID{"deals"}, Lane: hub.Normal, RunID: func() hub.RunID { return hub.RunID(h.newID("run")) }}); err != nil {
		h.Fatal(err)
	}
}

// TestAPageThatIsKeptLate: a page of the list was asked for before the deal was changed, and is kept after the webhook
// that told of the change: while that waits, or when it was carried. What the page says is not written over what is newer.
func TestAPageThatIsKeptLate(t *testing.T) {
	for _, carried := range []bool{false, true} {
		h := newHouse(t)
		h.win()
		h.drain()
		before := maps.Clone(h.far.deal)
		h.clock.Add(time.Hour)
		h.far.deal["name"] = "Relaunch, and more"
		h.win()
		if carried {
			h.drain()
		}
		h.listed(before)
		h.drain()
		project, err := h.store.Tenant("t1").Record(t.Context(), hub.RecordIDFor("t1", "crm", "opportunity", "7").Derive("t1", "project", ""))
		if err != nil || project.Label != "Relaunch, and more" {
			t.Errorf("with the change carried before (%v), the project is %q at last, %v", carried, project.Label, err)
		}
	}
}

// TestAPageIsAsGoodAsACall: of a deal that nobody else has told of lately the list's row is taken as it is.
func TestAPageIsAsGoodAsACall(t *testing.T) {
	h := newHouse(t)
	h.win()
	h.drain()
	h.clock.Add(time.Hour)
	deal := maps.Clone(h.far.deal)
	deal["name"] = "Relaunch, and more"
	calls := h.far.calls
	h.listed(deal)
	h.drain()
	if n := h.far.calls - calls; n != 3 { // customer, project and the time tracker's project are written; nothing is read
		t.Errorf("%d calls, want 3", n)
	}
}
