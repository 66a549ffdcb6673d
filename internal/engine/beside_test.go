package engine_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/hub"
)

// second lets another flow of the customer, by a template, write the same records.
func (h *house) second(flow hub.DeploymentID, template string) {
	h.Helper()
	s := h.setup()
	d := &s.Deployments[0]
	d.ID, d.Spec = flow, strings.Replace(d.Spec, "won-deal", template, 1)
	if err := h.store.Apply(context.Background(), s); err != nil {
		h.Fatal(err)
	}
	h.start()
}

// anyDeal are the comparisons' templates, with one beside them that wants any deal.
func anyDeal(t *testing.T) fs.FS {
	t.Helper()
	data, err := fs.ReadFile(sub(t, "templates"), "won-deal/v1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `, when: =record.stage == "won"`, "", 1)
	if text == string(data) {
		t.Fatal("the template says in another way which deals it wants")
	}
	text = strings.Replace(text, "template: won-deal", "template: any-deal", 1)
	return fstest.MapFS{"won-deal/v1.yaml": {Data: data}, "any-deal/v1.yaml": {Data: []byte(text)}}
}

// TestAWriteThatItsFlowLeavesIsTakenOver: the answer to the first flow's create is lost, and then the deal is not its
// business any more. The second flow does not wait for it for good, and finds out what became of the create.
func TestAWriteThatItsFlowLeavesIsTakenOver(t *testing.T) {
	h := newHouse(t)
	h.forms = anyDeal(t)
	h.second("later", "any-deal")
	h.far.on(func(call int, when string) (int, bool) { return -1, call == 2 && when == "after" })
	h.win()
	first, err := h.engine.Claim(t.Context(), 1)
	if err != nil || len(first) != 1 || first[0].Deployment != "deals" {
		t.Fatalf("claimed %v: %v", first, err)
	}
	h.engine.Carry(t.Context(), first[0])
	h.far.on(nil)
	h.far.deal["stage"] = "Closed Lost"
	h.win()
	h.drain()
	for _, path := range []string{"/erp/customers", "/erp/projects", "/time/projects"} {
		if n := len(h.far.created[path]); n != 1 {
			t.Errorf("%s: %d created, want 1", path, n)
		}
	}
	ends := map[hub.DeploymentID]hub.Outcome{}
	for _, r := range h.runs() {
		if r.Outcome != hub.Superseded {
			ends[r.Deployment] = r.Outcome
		}
	}
	if ends["deals"] != hub.Filtered || ends["later"] != hub.Written {
		t.Errorf("ended %v, want the first filtered and the second written", ends)
	}
}

// TestAnOlderFormIsNotWrittenOverAnothersNewer: while one flow has read the deal, it changes, and another flow carries
// the newer form to its end. The first one's form is out of date then.
func TestAnOlderFormIsNotWrittenOverAnothersNewer(t *testing.T) {
	conns := withFollowUps(t, "").(fstest.MapFS)
	crm := conns["far-crm/connector.yaml"]
	crm.Data = []byte(strings.Replace(string(crm.Data), "id: =x.id\n", "id: =x.id\n    version: =x.version\n", 1))
	h := newHouseWith(t, conns)
	h.second("late", "won-deal")
	h.far.deal["version"] = 1
	h.win()
	both, err := h.engine.Claim(t.Context(), 2)
	if err != nil || len(both) != 2 {
		t.Fatalf("claimed %v: %v", both, err)
	}
	h.engine.Carry(t.Context(), both[0])
	h.far.on(func(call int, when string) (int, bool) {
		if when == "after" && call == h.far.calls && h.far.deal["version"] == 1 { // the other one has read the deal
			h.far.deal["name"], h.far.deal["version"] = "Relaunch II", 2
			h.win()
			h.round()
		}
		return 0, false
	})
	h.engine.Carry(t.Context(), both[1])
	h.far.on(nil)
	h.drain()
	for _, body := range h.far.patched {
		if strings.Contains(body, `"name":"Relaunch"`) {
			t.Errorf("the older form was written over the newer one: %v", h.far.patched)
		}
	}
	if all := strings.Join(h.far.patched, "\n"); strings.Count(all, `"name":"Relaunch II"`) != 3 {
		t.Errorf("want customer and both projects renamed once; changed was %s", all)
	}
}
