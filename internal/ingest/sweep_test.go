package ingest_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
	"throughline/internal/workflow"
)

// posted is a record that stands in the books, as if an earlier run had brought it there.
func (h *house) posted(id, day string, state store.PostingState) hub.RecordID {
	h.Helper()
	entry := hub.RecordIDFor("t1", "time", "entry", id)
	line := store.Posting{Record: entry.Line("t1", "hours", 1), Entry: entry, Deployment: "hours", Connection: "erp", N: 1, Type: "time_entry", Date: day, Seconds: 3600,
		Content: "c", Fields: []byte("{}"), State: state}
	link := store.Link{Record: entry, Connection: "time", Kind: "entry", ExternalID: id}
	if _, err := h.log.Record(h.Context(), store.Step{Tenant: "t1", Links: []store.Link{link}, Postings: []store.Posting{line}}); err != nil {
		h.Fatal(err)
	}
	return line.Record
}

// takenBack adds the line that takes an entry's first one back.
func (h *house) takenBack(id, day string) {
	h.Helper()
	entry := hub.RecordIDFor("t1", "time", "entry", id)
	back := store.Posting{Record: entry.Line("t1", "hours", 2), Entry: entry, Deployment: "hours", Connection: "erp", N: 2, Type: "time_entry", Reverses: entry.Line("t1", "hours", 1),
		Date: day, Seconds: -3600, Content: "c", Fields: []byte("{}"), State: store.Posted}
	if _, err := h.log.Record(h.Context(), store.Step{Tenant: "t1", Postings: []store.Posting{back}}); err != nil {
		h.Fatal(err)
	}
}

// saying are the definitions with another text in the connector.
func saying(old, new string) fstest.MapFS {
	const file = "connectors/sheets/connector.yaml"
	out := maps.Clone(definitions)
	out[file] = &fstest.MapFile{Data: bytes.Replace(definitions[file].Data, []byte(old), []byte(new), 1)}
	return out
}

func (h *house) turn(key string) store.Step {
	h.Helper()
	step, err := h.ingest.Tick(h.Context(), h.flow, hub.Work{Tenant: "t1", Deployment: "hours", Key: key})
	if err != nil {
		h.Fatal(err)
	}
	return step
}

// told are the entries of which the flow has been told.
func (h *house) told() []string {
	h.Helper()
	list, err := h.store.Tenant("t1").Work(h.Context(), store.Filter{Limit: 1000})
	if err != nil {
		h.Fatal(err)
	}
	var out []string
	for _, w := range list {
		out = append(out, strings.TrimPrefix(w.Key, "time/entry/"))
	}
	slices.Sort(out)
	return out
}

func TestASweepTellsOfWhatIsGoneAndOfWhatWasMissed(t *testing.T) {
	h := newHouse(t)
	h.posted("there", "2026-11-10", store.Posted)
	h.posted("gone", "2026-11-10", store.Posted)
	h.posted("old", "2026-01-10", store.Posted) // outside of the span: not looked for
	h.posted("refused", "2026-11-10", store.Void)
	h.posted("back", "2026-11-10", store.Posted)
	h.takenBack("back", "2026-11-10")
	h.far.there = []string{"there", "other", "third"}
	h.turn(ingest.SweepKey)
	if got := h.told(); !slices.Equal(got, []string{"gone", "other", "third"}) {
		t.Errorf("told of %q, want of the one that is gone, and of the two that no poll has seen", got)
	}
	if h.far.span != "2026-09-22 2027-02-23" {
		t.Errorf("looked through %s", h.far.span)
	}
	h.turn(ingest.SweepKey)
	if runs, err := h.store.Tenant("t1").Runs(t.Context(), store.Filter{Outcome: hub.Superseded}); err != nil || len(runs) != 0 {
		t.Errorf("seen to be gone twice, it came in twice: %d, %v", len(runs), err)
	}
}

// TestASweepGoesOnAtARowWithoutAnID: that row is told of once, all others are compared. It may be the very one
// that seems to be gone: until it can be read, or who is missing can be asked for alone, nothing is withdrawn.
func TestASweepGoesOnAtARowWithoutAnID(t *testing.T) {
	for name, odd := range map[string]string{"one that says none": "?", "one that is no record": "!"} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.posted("there", "2026-11-10", store.Posted)
			h.posted("gone", "2026-11-10", store.Posted)
			h.far.there = []string{"there", odd, "other", "third"}
			for range 2 {
				h.turn(ingest.SweepKey)
				if got := h.told(); len(got) != 3 || got[0] != "other" || got[1] != "third" || !strings.HasPrefix(got[2], hub.Unreadable+"-") {
					t.Errorf("told of %q, want of the two that no poll has seen and of the row that cannot be read", got)
				}
			}
			h.far.there[1] = "gone"
			h.turn(ingest.SweepKey)
			if got := h.told(); len(got) != 3 {
				t.Errorf("told of %q: the row that could not be read was the one that seemed to be gone", got)
			}
			h.far.there = []string{"there", "other", "third"}
			h.turn(ingest.SweepKey)
			if got := h.told(); len(got) != 4 || got[0] != "gone" {
				t.Errorf("told of %q, want of the one that is gone, too", got)
			}
		})
	}
}

// TestWhoCanBeAskedForAloneIsGone, whatever the row is that cannot be read.
func TestWhoCanBeAskedForAloneIsGone(t *testing.T) {
	h := newHouseOf(t, saying("    as: time_entry\n", "    as: time_entry\n    get: {get: \"/entries/{id}\"}\n"))
	for _, id := range []string{"there", "hidden", "gone"} {
		h.posted(id, "2026-11-10", store.Posted)
	}
	h.far.there, h.far.alone = []string{"!", "there"}, []string{"there", "hidden"}
	h.turn(ingest.SweepKey)
	if got := h.told(); len(got) != 2 || got[0] != "gone" {
		t.Errorf("told of %q, want of the one that is gone and of the row that cannot be read", got)
	}
}

// TestAPageOfRowsWithoutIDs is not what the connector says: the sweep comes round again, and tells of nothing.
func TestAPageOfRowsWithoutIDs(t *testing.T) {
	h := newHouse(t)
	h.posted("there", "2026-11-10", store.Posted)
	h.far.there = []string{"?1", "?2", "there"}
	if _, err := h.ingest.Tick(t.Context(), h.flow, hub.Work{Tenant: "t1", Deployment: "hours", Key: ingest.SweepKey}); err == nil {
		t.Error("it was taken for a page of entries")
	}
	if got := h.told(); len(got) != 0 {
		t.Errorf("told of %q", got)
	}
}

// TestAnAnswerWithoutAList is no empty list: nothing is gone, however often it comes.
func TestAnAnswerWithoutAList(t *testing.T) {
	for _, says := range []string{`{"message":"down for maintenance"}`, `{"rows":null}`, `null`} {
		h := newHouseOf(t, saying("get: /entries\n", "get: /entries\n      result: =body.rows\n"))
		h.posted("there", "2026-11-10", store.Posted)
		h.far.says = says
		if _, err := h.ingest.Tick(t.Context(), h.flow, hub.Work{Tenant: "t1", Deployment: "hours", Key: ingest.SweepKey}); hub.KindOf(err) != hub.Unavailable {
			t.Errorf("%s is taken for a list: %v", says, err)
		}
		if got := h.told(); len(got) != 0 {
			t.Errorf("%s: told that %q are gone", says, got)
		}
		h.far.says = `{"rows":[]}`
		h.turn(ingest.SweepKey)
		if got := h.told(); !slices.Equal(got, []string{"there"}) {
			t.Errorf("after an empty list told of %q", got)
		}
	}
}

// TestRowsThatCannotBeReadAmongOthers: where all that is left of a page, when what is known and what lies outside of
// the span is put aside, cannot be read, it is still those rows, and not the page.
func TestRowsThatCannotBeReadAmongOthers(t *testing.T) {
	h := newHouseOf(t, saying("max: 2", "max: 4"))
	for _, id := range []string{"a", "b"} {
		h.posted(id, "2026-11-10", store.Posted)
	}
	h.far.there = []string{"a", "?1", "?2", "b"}
	h.turn(ingest.SweepKey)
	if got := h.told(); len(got) != 2 {
		t.Errorf("told of %q, want of two rows that cannot be read", got)
	}
	h = newHouse(t)
	h.far.odd, h.far.count["ana"] = "ana-4", 4
	from, err := exact.ParseDate("2026-11-01")
	if err != nil {
		t.Fatal(err)
	}
	h.turn(ingest.BackfillKey(from, from))
	if got := h.told(); len(got) != 6 {
		t.Errorf("told of %q, want of four entries of the first, and of two that cannot be read", got)
	}
}

func TestABackfillReadsItsSpanAndRests(t *testing.T) {
	h := newHouse(t)
	from, err := exact.ParseDate("2026-11-02")
	if err != nil {
		t.Fatal(err)
	}
	key := ingest.BackfillKey(from, from.AddDays(1))
	step := h.turn(key)
	if got := h.told(); !slices.Equal(got, []string{"ana-2-a", "ana-2-b", "ana-3-a", "ana-3-b"}) {
		t.Errorf("told of %q, want of the entries of the second and third", got)
	}
	if step.Defer.Work.State != hub.Idle || step.Cursor.Value != "read 4" {
		t.Errorf("it rests as %s after %q", step.Defer.Work.State, step.Cursor.Value)
	}

	// One that a person stops reads no further, and goes on when it is begun again.
	h = newHouse(t)
	if _, err := h.log.Record(t.Context(), store.Step{Epoch: h.epoch, Tenant: "t1", Cursor: &store.Cursor{Deployment: "hours", Key: key, Value: ingest.Stopped}}); err != nil {
		t.Fatal(err)
	}
	if step := h.turn(key); step.Cursor.Value != ingest.Stopped || len(h.told()) != 0 {
		t.Errorf("stopped, it told of %q and ends %q", h.told(), step.Cursor.Value)
	}
}

// TestABackfillFindsWhatWasLoggedAhead: leave is logged before its day comes, and may not have changed since.
func TestABackfillFindsWhatWasLoggedAhead(t *testing.T) {
	h := newHouse(t)
	h.far.count["ana"] = 26 // they changed on the twentieth
	h.turn(ingest.BackfillKey(day(t, "2026-11-25"), day(t, "2026-11-26")))
	if got := h.told(); !slices.Equal(got, []string{"ana-25-a", "ana-25-b", "ana-26-a", "ana-26-b"}) {
		t.Errorf("told of %q, want of the entries of both days", got)
	}
}

// polls puts the flow's poll into the queue.
func (h *house) polls(due time.Time) {
	h.Helper()
	row := hub.Work{Tenant: "t1", Deployment: "hours", Key: ingest.PollKey, Lane: hub.Normal, Due: due}
	if err := h.store.Apply(h.Context(), store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: begin}, Polls: []hub.Work{row}}); err != nil {
		h.Fatal(err)
	}
}

// hears takes a webhook that tells no record.
func (h *house) hears() {
	h.Helper()
	if n, err := h.ingest.Accept(h.Context(), "t1", "time", connector.Delivery{Method: "POST", Body: []byte("{}")}); err != nil || n != 1 {
		h.Fatalf("the delivery: %d, %v", n, err)
	}
}

// poll is the row of the flow's poll.
func (h *house) poll() hub.Work {
	h.Helper()
	list, err := h.store.Tenant("t1").Work(h.Context(), store.Filter{Key: ingest.PollKey})
	if err != nil || len(list) != 1 {
		h.Fatalf("%d polls, %v", len(list), err)
	}
	return list[0]
}

func TestAWebhookThatTellsNoRecordHastensTheNextLook(t *testing.T) {
	h := newHouse(t)
	h.polls(begin.AddDate(1, 0, 0))
	h.hears()
	if w := h.poll(); w.Due.After(h.clock.Now()) {
		t.Errorf("the poll is due %+v; want now", w)
	}
}

// TestAWebhookDuringAPoll: what it tells of may stand on a page that was read before. Then the poll comes again at once.
func TestAWebhookDuringAPoll(t *testing.T) {
	for _, hastened := range []bool{true, false} {
		h := newHouse(t)
		h.polls(h.clock.Now())
		claims, err := h.log.Claim(t.Context(), h.epoch, 1, &store.Turn{}, func() hub.RunID { return "run_1" })
		if err != nil || len(claims) != 1 {
			t.Fatalf("%d claims, %v", len(claims), err)
		}
		h.clock.Add(time.Second)
		h.far.heard = func() {
			if h.far.heard = nil; hastened {
				h.hears()
			}
		}
		step, err := h.ingest.Tick(t.Context(), h.flow, claims[0].Work)
		if err != nil || step.Defer.Work.Due.After(h.clock.Now()) == hastened {
			t.Errorf("hastened: %v, it is due at %s, %v; now it is %s", hastened, step.Defer.Work.Due, err, h.clock.Now())
		}
	}
}

// TestAWebhookDoesNotHastenAPollThatFails: each try counts, and as many webhooks as there are tries would have it parked
// in a moment.
func TestAWebhookDoesNotHastenAPollThatFails(t *testing.T) {
	h := newHouse(t)
	h.polls(h.clock.Now())
	claims, err := h.log.Claim(t.Context(), h.epoch, 1, &store.Turn{}, func() hub.RunID { return "run_1" })
	if err != nil || len(claims) != 1 {
		t.Fatalf("%d claims, %v", len(claims), err)
	}
	w := claims[0].Work
	w.State, w.Attempts, w.Due = hub.Later, 3, h.clock.Now().Add(10*time.Minute)
	if _, err := h.log.Record(t.Context(), store.Step{Epoch: h.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}}); err != nil {
		t.Fatal(err)
	}
	h.hears()
	if now := h.poll(); !now.Due.Equal(w.Due) {
		t.Errorf("it is due at %s, want %s", now.Due, w.Due)
	}
}

// TestAPollGoesOnAtADeletionWithoutAnID: that row is told of once, the others are withdrawn. Where a whole page tells
// none, it is the connector, and the poll comes round again.
func TestAPollGoesOnAtADeletionWithoutAnID(t *testing.T) {
	for name, odd := range map[string]string{"one that says none": "?", "one that is no record": "!", "one whose id is empty": ""} {
		t.Run(name, func(t *testing.T) {
			h := newHouseOf(t, saying("    sweep:\n", "    deleted: {get: /entries}\n    sweep:\n"))
			h.flow.Template.Post = &workflow.Plan{} // deletions are asked for where something stands in the books
			h.far.people = nil
			for _, id := range []string{"first", "stays", "last"} {
				h.posted(id, "2026-11-10", store.Posted)
			}
			h.far.there = []string{"first", odd, "never heard of", "last"}
			for range 2 {
				h.turn(ingest.PollKey)
				if got := h.told(); len(got) != 3 || got[0] != "first" || got[1] != "last" || !strings.HasPrefix(got[2], hub.Unreadable+"-") {
					t.Errorf("told of %q, want of the two that are gone and of the row that cannot be read", got)
				}
			}
			h.far.there = []string{odd + " ", odd}
			if _, err := h.ingest.Tick(t.Context(), h.flow, hub.Work{Tenant: "t1", Deployment: "hours", Key: ingest.PollKey}); err == nil && odd != "" {
				t.Error("a page without ids was taken for deletions")
			}
		})
	}
}

// TestADeletionOfWhatWaits: a record of which the ledger knows no more than that it came is withdrawn all the same, or
// its run would still write it. One that is deleted again, after it was restored, is withdrawn again.
func TestADeletionOfWhatWaits(t *testing.T) {
	h := newHouseOf(t, saying("    sweep:\n", "    deleted: {get: /entries, changed: =instant(x.at)}\n    sweep:\n"))
	h.flow.Template.Post = &workflow.Plan{}
	h.far.people, h.far.count = []string{"ana"}, map[string]int{"ana": 1}
	event := func() hub.Event {
		t.Helper()
		h.turn(ingest.PollKey)
		list, err := h.store.Tenant("t1").Work(t.Context(), store.Filter{Key: "time/entry/ana-1-a", Limit: 1})
		if err != nil || len(list) != 1 {
			t.Fatalf("%d rows of work, %v", len(list), err)
		}
		e, err := h.store.Tenant("t1").Event(t.Context(), list[0].Event)
		if err != nil {
			t.Fatal(err)
		}
		return *e
	}
	if event().Gone {
		t.Fatal("it is gone before it was deleted")
	}
	var last hub.EventID
	for _, c := range []struct {
		at    string
		again bool
	}{{"2026-11-20T08:30:00Z", false}, {"2026-11-20T08:30:00Z", true}, {"2026-11-20T09:00:00Z", false}} {
		h.far.there = []string{"never heard of at " + c.at, "ana-1-a at " + c.at}
		e := event()
		if !e.Gone || (e.ID == last) != c.again {
			t.Errorf("deleted at %s: the last event is %s, gone: %v", c.at, e.ID, e.Gone)
		}
		last = e.ID
	}
	if got := h.told(); len(got) != 2 {
		t.Errorf("told of %q, want of the two entries that came", got)
	}
}

// last is what came last of an entry.
func (h *house) last(id string) hub.Event {
	h.Helper()
	key := hub.RecordKey{Connection: "time", Kind: "entry", ID: id}.String()
	list, err := h.store.Tenant("t1").LastEvents(h.Context(), "hours", []string{key})
	if err != nil {
		h.Fatal(err)
	}
	return list[key]
}

// TestWhatIsThereAgain: an entry that was hidden, and so withdrawn, and is shown again as it was, is taken again, once:
// by the poll, and by a sweep whose rows are whole. A list that still shows it for a moment does not bring it back.
func TestWhatIsThereAgain(t *testing.T) {
	for name, look := range map[string]string{"a poll": ingest.PollKey, "a sweep": ingest.SweepKey} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.far.people, h.far.count, h.far.there = []string{"ana"}, map[string]int{"ana": 1}, []string{"ana-1-a"}
			h.turn(look)
			h.posted("ana-1-a", "2026-11-01", store.Posted)
			first := h.last("ana-1-a")
			h.far.there = nil
			h.turn(ingest.SweepKey)
			if e := h.last("ana-1-a"); !e.Gone || first.ID == "" {
				t.Fatalf("hidden, the last event of it is %+v", e)
			}
			h.far.there = []string{"ana-1-a"}
			h.turn(look)
			if e := h.last("ana-1-a"); !e.Gone {
				t.Error("a list that is behind has brought it back")
			}
			h.clock.Add(time.Hour)
			h.turn(look)
			e := h.last("ana-1-a")
			if e.Gone || e.ID == first.ID {
				t.Errorf("shown again, the last event of it is %s, gone: %v", e.ID, e.Gone)
			}
			h.turn(look)
			if again := h.last("ana-1-a"); again.ID != e.ID {
				t.Error("it is taken again and again")
			}
		})
	}
}

// TestAChangeBack: where a far side tells no versions, an entry that is changed and changed back was seen before, and
// is news all the same.
func TestAChangeBack(t *testing.T) {
	h := newHouseOf(t, saying("    version: =instant(x.at)\n    list:\n      get: \"/people/{parent.id}/sheets\"\n      per: person\n      order: newest_first\n      changed: =instant(x.at)\n      overlap: 1m\n"+
		"      each: '=x.lines.map(l, {\"id\": l, \"person\": x.person, \"at\": x.at, \"day\": x.day})'\n", "    list: {get: /entries}\n"))
	var last hub.EventID
	for _, c := range []struct {
		day  string
		news bool
	}{{"8 hours", true}, {"7 hours", true}, {"8 hours", true}, {"8 hours", false}, {"7 hours", true}} {
		h.far.says = `[{"id":"1","day":"` + c.day + `"}]`
		h.turn(ingest.PollKey)
		e := h.last("1")
		if !strings.Contains(string(e.Payload), c.day) || (e.ID != last) != c.news {
			t.Errorf("changed to %s it is %s, %s", c.day, e.Payload, e.ID)
		}
		last = e.ID
	}
	// A webhook has brought it in another form. A list that is behind does not go before it; one that says so for longer does.
	hook := store.Arrival{Event: hub.Event{ID: "evt_hook", Tenant: "t1", Key: hub.RecordKey{Connection: "time", Kind: "entry", ID: "1"}, Payload: []byte(`{"day":"9 hours"}`), Source: "webhook", Received: h.clock.Now()},
		Deployments: []hub.DeploymentID{"hours"}, RunID: func() hub.RunID { return "run_hook" }}
	if _, err := h.log.Accept(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"9 hours", "7 hours"} {
		h.turn(ingest.PollKey)
		if e := h.last("1"); !strings.Contains(string(e.Payload), want) {
			t.Errorf("what counts is %s, want %s", e.Payload, want)
		}
		h.clock.Add(time.Hour)
	}
}
