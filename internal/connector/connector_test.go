package connector_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
)

const head = "connector: acme\nversion: 1.0.0\ntitle: Acme\nroles: [time]\nhost: https://api.acme.example\n"

func load(text string) (*connector.Connector, error) {
	return connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(head + text)}}, "acme")
}

func mustLoad(t *testing.T, text string) *connector.Connector {
	t.Helper()
	c, err := load(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestABadFileIsToldWithLineAndHint(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown word", "records: {client: {id: =x.id, pth: /clients}}", "acme/connector.yaml:6:31: records.client.pth: unknown key `pth`. Did you mean `path`?"},
		{"a record whose name has a slash", "records: {sales/order: {id: =x.id}}", "`sales/order` is no name. Letters, digits, _, - and . make one: it becomes part of keys."},
		{"a record without an id", "records: {client: {path: /clients}}", "the key `id` is missing"},
		{"an expression that does not parse", "records: {client: {id: =x.}}", "acme/connector.yaml:6:"},
		{"a name that there is not", "records: {client: {id: =y.id}}", "nothing here is called 'y'"},
		{"a condition that is no yes or no", "errors: [{when: =\"a\", kind: invalid}]\nrecords: {client: {id: =x.id}}", "this is of type text, but bool is wanted here"},
		{"an error of a kind that there is not", "errors: [{kind: wrong}]\nrecords: {client: {id: =x.id}}", "`wrong` is not possible here"},
		{"class S without a search by marker", "records: {client: {path: /clients, id: =x.id, create: {write: S}}}", "write class S needs a search by marker. Add find: {marker: …}, or say X where the vendor offers none."},
		{"a write without a class", "records: {client: {path: /clients, id: =x.id, create: {post: /clients}}}", "the key `write` is missing"},
		{"a call with two methods", "records: {client: {id: =x.id, get: {get: /a, post: /b}}}", "a call has one method, this one has GET and POST. Split it into two calls."},
		{"a call without a method or a path", "records: {client: {id: =x.id, list: {}}}", "this call has neither a method nor a path to follow from"},
		{"two records that are the same canonical one", "records:\n  a: {path: /a, id: =x.id, as: account}\n  b: {path: /b, id: =x.id, as: account}", "\"account\" is what \"a\" is already"},
		{"a signature without a secret", "records: {client: {id: =x.id}}\nwebhooks:\n  verify: {scheme: hmac-sha256, header: X-S}\n  events: [{record: client, id: =e.id}]", "the scheme hmac-sha256 needs header and secret"},
		{"an event of no record", "records: {client: {id: =x.id}}\nwebhooks:\n  verify: {scheme: none}\n  events: [{record: person, id: =e.id}]", "there is no record \"person\""},
		{"a step after a create that cannot be seen", "records: {client: {path: /c, id: =x.id, create: {write: X}, after_create: [{step: open, post: /o, write: S}]}}", "write class S needs with and when, to see whether it was done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "acme/connector.yaml:") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	_, err := load("recrods: {}\nrecords:\n  a: {id: =y.id}\n  b: {id: =z.id}\n")
	for _, want := range []string{":6:1: ", "'y'", "'z'"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

const clients = `
settings: {workspace: {title: Workspace}}
errors:
  - {status: 429, when: =body.day == true, kind: throttled, after: =3600}
  - {status: 400, when: =body.code == 501, kind: exists, message: =body.message, field: =body.field}
page: {number: page, size: size, max: 2}
records:
  client:
    path: "/{settings.workspace}/clients"
    id: =x.id
    as: account
    list: {query: {since: =since}}
    find: {marker: {get: /clients, query: {note: =marker}}}
    create: {write: S}
    update: {write: U}
`

func TestARequestFollowsFromThePath(t *testing.T) {
	c := mustLoad(t, clients)
	kind := c.Kind("client")
	for _, tt := range []struct {
		name string
		op   *connector.Op
		vars map[string]any
		want string
	}{
		{"get by id", kind.Get, map[string]any{"id": "7"}, "GET https://api.acme.example/w1/clients/7 "},
		{"an id cannot leave its place in the path", kind.Get, map[string]any{"id": "../x?y=1"}, "GET https://api.acme.example/w1/clients/..%2Fx%3Fy=1 "},
		{"the first page", kind.List.Op, map[string]any{"page": kind.List.Pager().Vars(), "since": time.Unix(0, 0).UTC()}, "GET https://api.acme.example/w1/clients?page=1&since=1970-01-01T00%3A00%3A00Z&size=2 "},
		{"what is null is no parameter", kind.Find["marker"], map[string]any{}, "GET https://api.acme.example/clients "},
		{"create sends what the mapping made", kind.Create, map[string]any{"fields": map[string]any{"name": "A"}}, `POST https://api.acme.example/w1/clients {"name":"A"}`},
		{"update goes to the record", kind.Update, map[string]any{"id": "7", "fields": map[string]any{"name": "A"}}, `PUT https://api.acme.example/w1/clients/7 {"name":"A"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.vars["settings"] = map[string]any{"workspace": "w1"}
			r, err := c.Request(tt.op, tt.vars)
			if got := r.Method + " " + r.URL + " " + string(r.Body); err != nil || got != tt.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestAPlaceWithoutAValueIsNoRequest(t *testing.T) {
	c := mustLoad(t, clients)
	if _, err := c.Request(c.Kind("client").Get, map[string]any{"id": "7"}); err == nil || !strings.Contains(err.Error(), "{settings.workspace} has no value") {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerIsJudged(t *testing.T) {
	c := mustLoad(t, clients)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	kind := c.Kind("client")
	for _, tt := range []struct {
		name   string
		op     *connector.Op
		status int
		after  string
		body   string
		want   hub.Kind
		wait   time.Duration
	}{
		{"what is read is read", kind.Get, 200, "", `{"id":1}`, "", 0},
		{"an answer without a body is one", kind.Update, 204, "", ``, "", 0},
		{"the connector's rule goes first", kind.Create, 400, "", `{"code":501,"message":"taken"}`, hub.Exists, 0},
		{"a rule may say how long", kind.Get, 429, "", `{"day":true}`, hub.Throttled, time.Hour},
		{"else the header says it", kind.Get, 429, "7", `{}`, hub.Throttled, 7 * time.Second},
		{"as a date too", kind.Get, 429, "Sun, 01 Mar 2026 00:00:30 GMT", `{}`, hub.Throttled, 30 * time.Second},
		{"a header beyond reason is a day", kind.Get, 429, "315360000", `{}`, hub.Throttled, 24 * time.Hour},
		{"a negative one is a second", kind.Get, 429, "-5", `{}`, hub.Throttled, time.Second},
		{"garbage counts as unsaid", kind.Get, 429, "soon", `{}`, hub.Throttled, 0},
		{"what is wrong is a person's", kind.Create, 422, "", `{}`, hub.Invalid, 0},
		{"a stranger's key ends the connection", kind.Get, 401, "", `{}`, hub.Expired, 0},
		{"what is gone is not found", kind.Get, 410, "", `{}`, hub.NotFound, 0},
		{"an error of theirs after a read is tried again", kind.Get, 500, "", `{}`, hub.Unavailable, 0},
		{"an error of theirs after a write leaves it open", kind.Create, 500, "", `{}`, hub.Uncertain, 0},
		{"a page instead of an answer, after a read", kind.Get, 200, "", `<html>`, hub.Unavailable, 0},
		{"a page instead of an answer, after a write", kind.Create, 200, "", `<html>`, hub.Uncertain, 0},
		{"half an answer", kind.Get, 200, "", `{"id":`, hub.Unavailable, 0},
		{"nothing at all, after a read", kind.Get, 200, "", ` `, hub.Unavailable, 0},
		{"a redirect is not followed here", kind.Create, 302, "", ``, hub.Uncertain, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			if tt.after != "" {
				header.Set("Retry-After", tt.after)
			}
			_, err := c.Read(tt.op, map[string]any{}, tt.status, header, []byte(tt.body), now)
			e := hub.AsError(err)
			if got := hub.KindOf(err); got != tt.want || e != nil && e.After != tt.wait {
				t.Errorf("got %s, %v; want %s after %s", got, err, tt.want, tt.wait)
			}
		})
	}
}

func TestAListGoesOnUntilItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name, page string
		bodies     []string
		want       int // pages read
	}{
		{"a short page ends it", "{number: page, size: size, max: 2}", []string{`[1,2]`, `[3]`}, 2},
		{"an empty page ends it", "{offset: from, max: 2}", []string{`[1,2]`, `[]`}, 2},
		{"a page may say that it is the last", "{number: page, max: 2, last: =body.last}", []string{`{"last":false}`, `{"last":true}`}, 2},
		{"without a next cursor it ends", "{cursor: after, next: =body.next}", []string{`{"next":"a"}`, `{"next":null}`}, 2},
		{"a list without paging is one page", "", []string{`[1,2]`}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "records: {client: {path: /clients, id: =x.id, list: {}}}\n"
			if tt.page != "" {
				text = "page: " + tt.page + "\n" + text
			}
			c := mustLoad(t, text)
			list := c.Kind("client").List
			pager, pages := list.Pager(), 0
			for more := true; more && pages < len(tt.bodies); pages++ {
				a, err := c.Read(list.Op, map[string]any{}, 200, nil, []byte(tt.bodies[pages]), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				if more, err = pager.Next(a, len(a.Items())); err != nil {
					t.Fatal(err)
				}
				if !more != (pages == len(tt.bodies)-1) {
					t.Errorf("after page %d: more is %v", pages+1, more)
				}
			}
			if pages != tt.want {
				t.Errorf("read %d pages, want %d", pages, tt.want)
			}
		})
	}
}

// TestAnEmptyPageThatNamesTheNext is not the last one.
func TestAnEmptyPageThatNamesTheNext(t *testing.T) {
	c := mustLoad(t, "page: {cursor: after, next: =body.next}\nrecords: {client: {path: /clients, id: =x.id, list: {result: =body.rows}}}\n")
	list := c.Kind("client").List
	pager := list.Pager()
	for body, want := range map[string]bool{`{"rows":[],"next":"a"}`: true, `{"rows":[],"next":null}`: false} {
		a, err := c.Read(list.Op, map[string]any{}, 200, nil, []byte(body), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if more, err := pager.Next(a, len(a.Items())); err != nil || more != want {
			t.Errorf("after %s it goes on: %v, %v", body, more, err)
		}
	}
}

func TestANextPageThatIsThePageItselfIsAnError(t *testing.T) {
	c := mustLoad(t, "page: {cursor: after, next: =body.next}\nrecords: {client: {path: /clients, id: =x.id, list: {}}}\n")
	list := c.Kind("client").List
	a, err := c.Read(list.Op, map[string]any{}, 200, nil, []byte(`{"next":"a"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pager := list.Pager()
	if _, err := pager.Next(a, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := pager.Next(a, 1); err == nil {
		t.Error("the list would never end")
	}
}

func TestOperationsAreListedByName(t *testing.T) {
	c := mustLoad(t, clients+"whoami: {get: /me}\n")
	want := "client.create client.find.marker client.get client.list client.update whoami"
	if got := strings.Join(c.Operations(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c.Operation("client.list") != c.Kind("client").List.Op || c.Operation("client.move") != nil {
		t.Error("an operation is not found by its name")
	}
}

// TestASearchIsNotBelievedAtOnce: a call may be under way for a minute, and what it makes may come to be
// as late as that.
func TestASearchIsNotBelievedAtOnce(t *testing.T) {
	if lag := mustLoad(t, clients).Kind("client").Create.Write.Lag.D; lag != time.Minute {
		t.Errorf("a connector that says nothing of its search is believed after %s", lag)
	}
}

// TestWhatIsNoTextIsToldAllTheSame: a store keeps no NUL and no broken letter. What a far side says is told without
// them, in a reasonable length; an id with one is no id.
func TestWhatIsNoTextIsToldAllTheSame(t *testing.T) {
	c := mustLoad(t, "errors: [{status: 400, kind: invalid, message: =body.m, field: =body.f}]\nrecords: {client: {id: =x.id, number: =x.n, path: /clients}}")
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{
		{400, `{"m":"a\u0000b","f":"\u0000"}`, "\ufffd: client.get: a\ufffdb"},
		{400, `{"m":"` + strings.Repeat("é", 5000) + `"}`, "client.get: " + strings.Repeat("é", 2000) + " …"},
		{500, `{"x":"a\u0000b"}`, `client.get: the far side answered 500: {"x":"a\u0000b"}`},
		{500, `"a\u0000b"`, "client.get: the far side answered 500: a\ufffdb"},
	} {
		_, err := c.Read(c.Operation("client.get"), map[string]any{}, tt.status, nil, []byte(tt.body), time.Now())
		if got := fmt.Sprint(err); got != tt.want {
			t.Errorf("%.60s is told as %.100q, want %.100q", tt.body, got, tt.want)
		}
	}
	hooked := mustLoad(t, "records: {client: {id: =x.id, path: /clients}}\nwebhooks: {verify: {scheme: none}, events: [{record: client, id: =e.id}]}")
	if events, err := hooked.Events(connector.Delivery{Method: "POST", Body: []byte(`{"id":"a\u0000b"}`)}, nil); err == nil {
		t.Errorf("the events are %+v", events)
	}
	kind := c.Kind("client")
	if id, err := kind.IDOf(map[string]any{"id": "a\x00b"}, nil); err == nil {
		t.Errorf("the id is %q", id)
	}
	if number, err := kind.NumberOf(map[string]any{"n": "a\x00b"}, nil); err == nil {
		t.Errorf("the number is %q", number)
	}
}
