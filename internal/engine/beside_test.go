package engine_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/hub"
	"throughline/internal/store"
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

// versioned are the connectors of the comparisons with a CRM that numbers its versions, and more for the time tracker.
func versioned(t *testing.T, more string) fs.FS {
	t.Helper()
	conns := withFollowUps(t, more).(fstest.MapFS)
	crm := conns["far-crm/connector.yaml"]
	crm.Data = []byte(strings.Replace(string(crm.Data), "id: =x.id\n", "id: =x.id\n    version: =x.version\n", 1))
	return conns
}

// TestAnOlderFormIsNotWrittenOverAnothersNewer: while one flow has read the deal, it changes, and another flow carries
// the newer form to its end. The first one's form is out of date then.
func TestAnOlderFormIsNotWrittenOverAnothersNewer(t *testing.T) {
	h := newHouseWith(t, versioned(t, ""))
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

// TestAFollowUpThatMeetsAnothersWrite: the run has nothing to write of its own, and a follow-up that is still to be sent.
// Another flow has left a write of the record open: what became of it is found out first. A create of a record that is
// known by now is not repeated.
func TestAFollowUpThatMeetsAnothersWrite(t *testing.T) {
	for _, c := range []struct {
		operation string
		class     hub.WriteClass
		repeated  int
	}{{"project.update", hub.ClassU, 1}, {"project.update", hub.ClassS, 1}, {"project.create", hub.ClassS, 0}, {"project.create", hub.ClassK, 0}} {
		t.Run(c.operation+" "+string(c.class), func(t *testing.T) {
			members := strings.Replace(following, `=["ana", "ben"]`, `'=amount(record.budget) < 2000 ? ["ana", "ben"] : ["ana", "ben", "cy"]'`, 1)
			h := newHouseWith(t, versioned(t, strings.Replace(members, "        post: \"/time/projects/{id}/members\"", "        with: {now: {get: \"/time/projects/{id}/state\"}}\n        post: \"/time/projects/{id}/members\"", 1)))
			h.far.deal["version"] = 2
			h.win()
			h.drain()
			h.followed(2)
			project := hub.RecordIDFor("t1", "crm", "opportunity", "7").Derive("t1", "project", "")
			left := store.Write{OpKey: "op_left", Run: "run_left", Deployment: "another", Key: "crm/opportunity/9", Record: project, Connection: "time", Operation: c.operation,
				Class: c.class, Hash: "left", Body: []byte(`{"name":"Left"}`), Started: h.clock.Now(), Version: 2}
			h.far.deal["amount"], h.far.deal["version"] = 2400, 3 // which the time tracker's project does not tell; but it names one member more
			look := h.far.calls + 3                               // after the deal was read and the ERP's project changed
			h.far.on(func(call int, when string) (int, bool) {
				if call == look && when == "after" {
					if busy, err := h.store.Journal().Record(t.Context(), store.Step{Tenant: "t1", Open: []store.Write{left}}); err != nil || len(busy) > 0 {
						t.Error(busy, err)
					}
				}
				return 0, false
			})
			h.win()
			h.drain()
			h.followed(3)
			open, err := h.store.Tenant("t1").OpenWrite(t.Context(), project, "time")
			all := strings.Join(h.far.patched, "\n")
			if err != nil || open != nil || strings.Count(all, `"name":"Left"`) != c.repeated {
				t.Errorf("still open is %+v, %v; changed was %s", open, err, all)
			}
			if n := len(h.far.created["/time/projects"]); n != 1 {
				t.Errorf("%d projects, want 1", n)
			}
		})
	}
}

// TestAnOlderFormBringsNothingAlong: what another flow, or a lagging list, still has of a record that is newer over there is not written;
// nor are the members that it names, who may have been taken off the project since.
func TestAnOlderFormBringsNothingAlong(t *testing.T) {
	h := newHouseWith(t, versioned(t, strings.Replace(following, `=["ana", "ben"]`, `'=record.name == "Relaunch" ? ["ana", "ben", "cy"] : ["ana", "ben"]'`, 1)))
	h.far.deal["name"], h.far.deal["version"] = "Relaunch II", 2
	h.win()
	h.drain()
	h.followed(2)
	h.far.deal["name"], h.far.deal["version"] = "Relaunch", 1
	h.win()
	h.drain()
	h.followed(2)
	h.far.deal["version"] = 3
	h.win()
	h.drain()
	h.followed(3)
}
