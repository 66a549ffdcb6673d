package connector_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
)

// loadRecords compiles a connector with these records and pages of two.
func loadRecords(records string) (*connector.Connector, error) {
	return load("page: {number: page, size: size, max: 2}\nrecords:\n" + records)
}

func kind(t *testing.T, records, name string) (*connector.Connector, *connector.Kind) {
	t.Helper()
	c, err := loadRecords(records)
	if err != nil {
		t.Fatal(err)
	}
	return c, c.Kind(name)
}

// answer reads a body as the answer to an operation.
func answer(t *testing.T, c *connector.Connector, op *connector.Op, vars map[string]any, body string) *connector.Answer {
	t.Helper()
	a, err := c.Read(op, vars, 200, http.Header{}, []byte(body), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func instant(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at
}

func ids(rows []any) string {
	var list []string
	for _, x := range rows {
		list = append(list, fmt.Sprint(x.(map[string]any)["id"]))
	}
	return strings.Join(list, " ")
}

func TestANewestFirstListStopsAtTheCursor(t *testing.T) {
	c, k := kind(t, `
  entry:
    id: =x.id
    list: {get: /entries, query: {sort: "updated:desc"}, order: newest_first, changed: =instant(x.at)}
`, "entry")
	for _, one := range []struct {
		name, body, fresh string
		done              bool
	}{
		{"all of a page is new", `[{"id":1,"at":"2026-03-02T10:00:03Z"},{"id":2,"at":"2026-03-02T10:00:02Z"}]`, "1 2", false},
		{"what changed in the cursor's second is read again", `[{"id":1,"at":"2026-03-02T10:00:01Z"},{"id":2,"at":"2026-03-02T10:00:01Z"}]`, "1 2", false},
		{"what is older ends the reading", `[{"id":1,"at":"2026-03-02T10:00:02Z"},{"id":2,"at":"2026-03-02T10:00:00Z"}]`, "1", true},
		{"a row without an instant is never dropped", `[{"id":1},{"id":2,"at":"2026-03-02T10:00:00Z"}]`, "1", true},
		{"nor is one whose instant is none", `[{"id":1,"at":"soon"},{"id":2,"at":"2026-03-02T10:00:02Z"}]`, "1 2", false},
	} {
		t.Run(one.name, func(t *testing.T) {
			rows := answer(t, c, k.List.Op, nil, one.body).Items()
			fresh, done := k.List.Fresh(rows, instant("2026-03-02T10:00:01Z"))
			if ids(fresh) != one.fresh || done != one.done {
				t.Errorf("fresh %q done %v, want %q %v", ids(fresh), done, one.fresh, one.done)
			}
		})
	}
}

func TestARowMayHoldSeveralRecords(t *testing.T) {
	c, k := kind(t, `
  user:
    id: =x.id
    list: {get: /users}
  entry:
    id: =x.id
    list: {get: "/users/{parent.id}/sheets", per: user, each: '=x.entries.map(e, {"id": e.id, "user": parent.id, "state": x.state})'}
    sweep: {get: "/users/{parent.id}/entries", per: user, query: {from: =from, to: =to}}
    deleted: {get: /gone, query: {since: =since}, id: =x.document, changed: =instant(x.at)}
    delete: {delete: "/entries/{id}", write: U}
`, "entry")
	vars := map[string]any{"parent": map[string]any{"id": "u1"}}
	a := answer(t, c, k.List.Op, vars, `[{"state":"approved","entries":[{"id":1},{"id":2}]},{"state":"open","entries":[]}]`)
	rows, err := k.List.Records(a, a.Items())
	if err != nil || ids(rows) != "1 2" || rows[0].(map[string]any)["user"] != "u1" || rows[1].(map[string]any)["state"] != "approved" {
		t.Errorf("rows %v, %v", rows, err)
	}
	a = answer(t, c, k.List.Op, nil, `[{"entries":[{"id":1}]}]`) // asked without a parent
	if rows, err = k.List.Records(a, a.Items()); err == nil {
		t.Errorf("records that cannot be told are left out without a word: %v", rows)
	}
	if k.List.Per != c.Kind("user") || k.Sweep.Per != c.Kind("user") {
		t.Error("the lists do not know whom they are asked per")
	}
	req, err := c.Request(k.Sweep.Op, map[string]any{"parent": vars["parent"], "from": "2026-03-01", "to": "2026-03-31"})
	if err != nil || req.URL != "https://api.acme.example/users/u1/entries?from=2026-03-01&to=2026-03-31" {
		t.Errorf("the sweep asks %s, %v", req.URL, err)
	}
	gone, err := k.GoneOf(map[string]any{"id": "change-1", "document": "9007199254740993"}, nil)
	if err != nil || gone != "9007199254740993" {
		t.Errorf("gone is %q, %v", gone, err)
	}
	if req, err = c.Request(k.Delete, map[string]any{"id": "7"}); err != nil || req.Method != "DELETE" || req.Body != nil {
		t.Errorf("the delete is %s with body %q, %v", req.Method, req.Body, err)
	}
}

func TestADeleteFollowsFromThePath(t *testing.T) {
	c, k := kind(t, "\n  entry: {id: =x.id, path: /entries, delete: {write: U}}\n", "entry")
	req, err := c.Request(k.Delete, map[string]any{"id": "7"})
	if err != nil || req.Method != "DELETE" || req.URL != "https://api.acme.example/entries/7" || req.Body != nil {
		t.Errorf("%s %s %q, %v", req.Method, req.URL, req.Body, err)
	}
}

const batched = `
  entry:
    id: =x.id
    find: {marker: {get: /entries, query: {ref: =marker}}}
    create:
      post: /entries
      write: S
      batch:
        post: /entries/bulk
        max: 3
        body: {entries: '=items.map(i, without_nulls({"ref": i.marker, "hours": i.fields.hours}))'}
        items: =body.results
        for: =item.ref
        failed: =item.error != null
        message: =item.error
`

func TestABatchTellsWhatBecameOfEachRecord(t *testing.T) {
	c, k := kind(t, batched, "entry")
	b := k.Create.Batch
	sent := []connector.BatchItem{{Marker: "ka", Fields: map[string]any{"hours": int64(1)}}, {Marker: "kb", Fields: map[string]any{}}, {Marker: "kc"}}
	req, err := c.Request(b.Op, b.Vars(sent))
	if err != nil || string(req.Body) != `{"entries":[{"hours":1,"ref":"ka"},{"ref":"kb"},{"ref":"kc"}]}` {
		t.Fatalf("the batch sends %s, %v", req.Body, err)
	}
	if b.Write.Class != "S" || b.Spec.Max != 3 {
		t.Errorf("class %s, max %d", b.Write.Class, b.Spec.Max)
	}
	a := answer(t, c, b.Op, b.Vars(sent), `{"results":[{"ref":"kb","error":"no such task"},{"ref":"ka","id":9007199254740993}]}`)
	out, err := b.Outcomes(k, a, sent, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].ID != "9007199254740993" || out[0].Err != nil {
		t.Errorf("the first is %+v", out[0])
	}
	if e := hub.AsError(out[1].Err); e == nil || e.Kind != hub.Invalid || !strings.Contains(e.Message, "no such task") || e.Hint == "" {
		t.Errorf("the second is %+v", out[1])
	}
	if e := hub.AsError(out[2].Err); e == nil || e.Kind != hub.Uncertain {
		t.Errorf("what the answer does not speak of is %+v", out[2])
	}
	for name, body := range map[string]string{
		"a record that was not sent":    `{"results":[{"ref":"kz","id":1}]}`,
		"the same record a second time": `{"results":[{"ref":"ka","id":1},{"ref":"ka","id":2}]}`,
	} {
		if _, err := b.Outcomes(k, answer(t, c, b.Op, nil, body), sent, nil); err == nil {
			t.Errorf("an answer that speaks of %s is believed", name)
		}
	}
}

func TestABatchWithoutNamesGoesByOrder(t *testing.T) {
	c, k := kind(t, `
  entry:
    id: =x.id
    update: {put: "/entries/{id}", write: U, batch: {put: /entries, max: 100, atomic: true, body: '=items.map(i, {"id": i.id})'}}
`, "entry")
	b := k.Update.Batch
	sent := []connector.BatchItem{{ID: "1"}, {ID: "2"}}
	out, err := b.Outcomes(k, answer(t, c, b.Op, nil, `[{"id":1},{}]`), sent, nil)
	if err != nil || out[0].ID != "1" || out[1].ID != "2" || !b.Spec.Atomic {
		t.Errorf("outcomes %+v, %v", out, err)
	}
	for name, body := range map[string]string{
		"one that leaves one out":           `[{"id":2}]`, // the first may be the one
		"one of more than were sent":        `[{"id":1},{"id":2},{"id":3}]`,
		"one in another order":              `[{"id":2},{"id":1}]`,
		"one that names another in a place": `[{"id":1},{"id":3}]`,
	} {
		if out, err := b.Outcomes(k, answer(t, c, b.Op, nil, body), sent, nil); err == nil {
			t.Errorf("an answer is believed, %s: %+v", name, out)
		}
	}
}

func TestActionsAreWritesWithANameOfTheirOwn(t *testing.T) {
	c, k := kind(t, `
  entry:
    id: =x.id
    actions:
      complete:
        post: /entries/complete
        body: {id: =id}
        with: {state: {get: "/entries/{id}", result: =body.status}}
        when: =found.state == "Open"
        write: S
`, "entry")
	do := k.Actions["complete"]
	if do == nil || do.Op.Name != "entry.complete" || do.Write.Class != "S" || len(do.With) != 1 {
		t.Fatalf("the action is %+v", do)
	}
	req, err := c.Request(do.Op, map[string]any{"id": "7"})
	if err != nil || string(req.Body) != `{"id":"7"}` {
		t.Errorf("it sends %s, %v", req.Body, err)
	}
}

func TestMistakesAreToldWithALineAndAHint(t *testing.T) {
	for _, one := range []struct{ name, records, message, hint string }{
		{"newest first without an instant", "\n  e: {id: =x.id, list: {get: /e, order: newest_first}}\n", "needs changed", "sorted by"},
		{"per a record that is not there", "\n  e: {id: =x.id, list: {get: /e, per: user}}\n", `no record "user" with a list`, "has list:"},
		{"per a record without a list", "\n  u: {id: =x.id}\n  e: {id: =x.id, sweep: {get: /e, per: u}}\n", `no record "u" with a list`, "has list:"},
		{"a batch without a method", "\n  e: {id: =x.id, update: {put: /e, write: U, batch: {max: 5, body: =items}}}\n", "no method", "post:"},
		{"a batch without a body", "\n  e: {id: =x.id, update: {put: /e, write: U, batch: {put: /es, max: 5}}}\n", "how its records are sent", "items.map"},
		{"a message without a failure", "\n  e: {id: =x.id, update: {put: /e, write: U, batch: {put: /es, max: 5, body: =items, message: =item.why}}}\n", "failed is not", "condition"},
		{"a batch of one", "\n  e: {id: =x.id, update: {put: /e, write: U, batch: {put: /es, max: 1, body: =items}}}\n", "2", ""},
		{"an order that is none", "\n  e: {id: =x.id, list: {get: /e, order: sideways}}\n", "newest_first", ""},
		{"an action that cannot be seen", "\n  e: {id: =x.id, actions: {pay: {post: /p, write: S}}}\n", "needs with and when", "X where"},
		{"a variable that is none", "\n  e: {id: =x.id, sweep: {get: /e, query: {from: =start}}}\n", "start", ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			_, err := loadRecords(one.records)
			if err == nil {
				t.Fatal("it is accepted")
			}
			text := err.Error()
			if !strings.Contains(text, one.message) || !strings.Contains(text, one.hint) || !strings.Contains(text, "acme/connector.yaml:") {
				t.Errorf("it says: %s", text)
			}
		})
	}
}
