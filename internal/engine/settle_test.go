package engine_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
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

// keyed are the connectors of the comparisons with an ERP that honours a key.
func keyed(t *testing.T) fs.FS {
	t.Helper()
	conns := withFollowUps(t, "").(fstest.MapFS)
	file := conns["far-erp/connector.yaml"]
	text := strings.ReplaceAll(string(file.Data), "write: S, lag: 1s", "write: K, headers: {Idempotency-Key: =key}")
	if text == string(file.Data) {
		t.Fatal("the ERP's connector creates in another way now")
	}
	file.Data = []byte(text)
	return conns
}

// TestARepeatThatDoesNothingSettlesNothing: the first call's answer is lost, and its repeat is turned
// away. What the first one did is as unknown as before, so its key must not be given up.
func TestARepeatThatDoesNothingSettlesNothing(t *testing.T) {
	h := newHouseWith(t, keyed(t))
	h.far.on(func(call int, when string) (int, bool) { return -1, call == 2 && when == "after" })
	h.win()
	h.round()
	h.far.on(func(_ int, when string) (int, bool) { return 429, when == "before" })
	h.clock.Add(10 * time.Second)
	h.round()
	customer := hub.RecordIDFor("t1", "crm", "opportunity", "7").Derive("t1", "account", "")
	list, err := h.store.Tenant("t1").Writes(context.Background(), customer)
	if err != nil || len(list) != 1 || list[0].State != "open" {
		t.Errorf("writes %+v, %v; want the one that may have gone through still open", list, err)
	}
}

// TestWhatWasReadIsKeptWhenARowIsGivenBack: the end of an attempt cannot be recorded, so its row is given
// back. Whoever takes it up goes by what was read before: otherwise one run writes by two versions.
func TestWhatWasReadIsKeptWhenARowIsGivenBack(t *testing.T) {
	h := newHouse(t)
	h.far.on(func(call int, when string) (int, bool) { return 429, call >= 2 && when == "before" })
	h.unkept = 3 // after the intents of the customer and of the time project
	h.win()
	h.round()
	h.far.on(nil)
	if n, err := h.store.GiveBack(context.Background(), 1, func(hub.Work) bool { return false }); err != nil || n != 1 {
		t.Fatalf("gave back %d rows: %v", n, err)
	}
	before := h.far.calls
	h.drain()
	h.once()
	if n := h.far.calls - before; n != 5 {
		t.Errorf("%d calls, want the four writes, a search for the time project, and no second read of the deal", n)
	}
}

// TestNothingIsReadInVain: the far side to which a flow writes wants to be left alone. The deals that wait are not
// read one after the other, only to find that out.
func TestNothingIsReadInVain(t *testing.T) {
	h := newHouse(t)
	for i := range 20 {
		body := fmt.Appendf(nil, `{"id":"%d"}`, i+1)
		if _, err := h.ingest.Accept(t.Context(), "t1", "crm", connector.Delivery{Method: "POST", Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	h.far.on(func(call int, when string) (int, bool) { return leaveAlone, call >= 2 && when == "before" })
	first, err := h.engine.Claim(t.Context(), 1)
	if err != nil || len(first) != 1 {
		t.Fatalf("claimed %d rows: %v", len(first), err)
	}
	h.engine.Carry(t.Context(), first[0])
	if more, err := h.engine.Claim(t.Context(), 10); err != nil || len(more) != 0 {
		t.Errorf("%d more are begun: %v", len(more), err)
	}
}

// TestALeaseThatIsRenewedTooLateForItsRuns: the lease has run out as the node counts, so its run sends nothing and
// ends; by the store it still holds, and the node renews it. The run's row must not stay in its hand for good.
func TestALeaseThatIsRenewedTooLateForItsRuns(t *testing.T) {
	h := newHouse(t)
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.engine.Run(ctx) }()
	late := func() {
		nodes, err := h.store.Nodes(ctx)
		if err != nil || len(nodes) == 0 {
			t.Errorf("nodes %v: %v", nodes, err)
			return
		}
		if err := h.store.Renew(ctx, nodes[len(nodes)-1].Epoch, 1000*time.Hour); err != nil {
			t.Error(err)
		}
		h.clock.Add(101 * time.Hour)
	}
	h.far.on(func(call int, when string) (int, bool) {
		if call == 2 && when == "after" {
			late()
		}
		return 0, false
	})
	h.win()
	for deadline := time.Now().Add(10 * time.Second); ; h.clock.Add(time.Second) {
		if runs := h.runs(); len(runs) == 1 && runs[0].Outcome == hub.Written {
			break
		}
		if time.Now().After(deadline) {
			list, err := h.store.Tenant("t1").Work(ctx, store.Filter{})
			t.Fatalf("the run did not end: %+v, %v", list, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.once()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAChangeThatIsTakenBackWhileItsAnswerIsLost: the far side was sent another form, and its answer was lost; then
// the record is again as it was written before. What stands there is the other form.
func TestAChangeThatIsTakenBackWhileItsAnswerIsLost(t *testing.T) {
	h := newHouse(t)
	h.win()
	h.drain()
	h.once()
	h.far.deal["name"] = "Relaunch II"
	h.far.on(func(_ int, when string) (int, bool) { return -1, when == "after" && len(h.far.patched) > 1 })
	h.win()
	h.round()
	h.far.on(nil)
	h.far.deal["name"] = "Relaunch"
	h.win()
	h.drain()
	var names []string
	for _, body := range h.far.patched {
		if strings.Contains(body, `"name"`) {
			names = append(names, body)
		}
	}
	if len(names) < 2 || !strings.Contains(names[len(names)-1], `"name":"Relaunch"`) {
		t.Errorf("written were %s; want the form that holds last", strings.Join(names, " "))
	}
}

// typing are the connectors of the comparisons with an ERP that has words of its own for amounts and days.
func typing(t *testing.T) fs.FS {
	t.Helper()
	conns := withFollowUps(t, "").(fstest.MapFS)
	conns["far-erp/connector.yaml"].Data = append(conns["far-erp/connector.yaml"].Data, "shape: {encode: {date: '={\"day\": text(v)}', seconds: '={\"seconds\": whole(v)}', instant: =millis(v)}}\n"...)
	conns["far-erp/mapping/project.yaml"].Data = []byte(`
record: project
as: project@1
write:
  name: =record.name
  budget: =amount(record.budget)
  price: =record.budget
  starts: =record.starts
  lines: '=[{"from": record.starts, "work": hours("1.5"), "seen": instant("2026-03-01T08:30:00Z"), "count": 2}]'
  externalId: =marker
`)
	return conns
}

// TestWhatIsSentOnceMoreIsWhatWasSent: the answer to an update is lost, and the record changes. What was sent is settled
// first: amounts, days and hours go out again as they did the first time, and not as the ledger writes them.
func TestWhatIsSentOnceMoreIsWhatWasSent(t *testing.T) {
	h := newHouseWith(t, typing(t))
	h.win()
	h.drain()
	h.far.deal["amount"] = 1300.75
	h.far.on(func(_ int, when string) (int, bool) { return -1, when == "after" && len(h.far.patched) > 1 })
	h.win()
	h.round()
	h.far.on(nil)
	h.far.deal["amount"] = 1400
	h.win()
	h.drain()
	var sent []string
	for _, body := range h.far.patched {
		if strings.Contains(body, `"budget"`) {
			sent = append(sent, body)
		}
	}
	const first = `{"budget":1300.75,"externalId":"`
	const rest = `,"lines":[{"count":2,"from":{"day":"2026-11-02"},"seen":1772353800000,"work":{"seconds":5400}}],"name":"Relaunch","price":1300.75,"starts":{"day":"2026-11-02"}}`
	if len(sent) != 3 || sent[0] != sent[1] || !strings.HasPrefix(sent[0], first) || !strings.HasSuffix(sent[0], rest) || !strings.Contains(sent[2], `"budget":1400,`) {
		t.Errorf("sent was\n%s\nwant the lost one twice, and then the newer one; %+v", strings.Join(sent, "\n"), h.runs())
	}
}

// TestWhatIsSentAtTheCreationOnlyIsNoChange: the mapping has fields for the creation alone. When the deal comes again and
// says the same, nothing is written over what people have changed over there since.
func TestWhatIsSentAtTheCreationOnlyIsNoChange(t *testing.T) {
	conns := withFollowUps(t, "").(fstest.MapFS)
	file := conns["far-erp/mapping/project.yaml"]
	file.Data = append(file.Data, "create: {opened: =record.starts, owner.name: nobody}\n"...)
	h := newHouseWith(t, conns)
	h.win()
	h.drain()
	h.once()
	before := len(h.far.patched)
	h.far.deal["note"] = "a field that nobody reads"
	h.win()
	h.drain()
	if more := h.far.patched[before:]; len(more) > 0 {
		t.Errorf("written again: %v", more)
	}
	h.far.deal["name"] = "Relaunch II"
	h.win()
	h.drain()
	if all := strings.Join(h.far.patched[before:], "\n"); strings.Count(all, `"name":"Relaunch II"`) != 3 || strings.Contains(all, "opened") {
		t.Errorf("written were %s; want each renamed once", all)
	}
}
