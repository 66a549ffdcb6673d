package simulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/internal/simulator"
)

// A small vendor of our own, for what the shipped descriptions do not use.
const plain = `
simulator: plain
accounts: {one: {key: k}}
auth: {keys: [{header: X-Key, secret: key}]}
errors:
  conflict: {status: 409, body: {stale: =error.id}}
  invalid: {status: 422, body: {fields: {$each: =error.fields, $is: =item.field + " " + item.code}}}
collections:
  ship:
    id: {kind: count}
    version: version
    updated: changed
    order: [-tons, name]
    unknown: refuse
    unique: [{by: name, fold: true}]
    fields:
      name: {required: true, max: 5, unit: bytes}
      tons: {type: integer, default: 1}
      flag: {enum: [NL, DE]}
      crew: {type: details, keys: [who], fields: {who: {required: true}, rank: {default: sailor}}}
      version: {type: integer, read_only: refuse}
      changed: {type: instant}
    state: flag
    then:
      - {on: create, insert: log, set: {text: ="built " + row.name}}
  log: {silent: true, fields: {text: {}}}
routes:
  - {get: /ships, do: list, of: ship}
  - {post: /ships, do: create, of: ship}
  - {put: "/ships/{id}", do: update, of: ship, lock: =header.if_match}
  - {get: "/ships/{id}", do: read, of: ship}
`

func parsed(t *testing.T, text string) *simulator.Description {
	t.Helper()
	d, err := simulator.Parse("plain.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEngine(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	sim, err := simulator.New(parsed(t, plain), simulator.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, sim, http.Header{"X-Key": {"k"}}}
	c.want(201-1, "POST", "/ships", object{"name": "Ada", "tons": 3, "crew": list{object{"who": "Bo"}}})
	c.want(200, "POST", "/ships", object{"name": "Bea", "tons": 9})
	t.Run("all faults of a record are told at once", func(t *testing.T) {
		v := c.want(422, "POST", "/ships", object{"name": "Überlang", "tons": "many", "flag": "XX", "sails": 2, "version": 4, "crew": list{object{"rank": "cook"}}})
		got := ""
		for _, one := range at(v, "fields").(list) {
			got += one.(string) + "; "
		}
		want := "crew[0].who required; flag not_in_enum; name too_long; sails unknown_field; tons bad_type; version read_only; "
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
	t.Run("lists keep the order that the description asks for", func(t *testing.T) {
		if v := c.want(200, "GET", "/ships", nil); at(v, 0, "name") != "Bea" {
			t.Errorf("%v", v)
		}
	})
	t.Run("details are changed by key, added and deleted one by one", func(t *testing.T) {
		c.want(200, "PUT", "/ships/1", object{"crew": list{object{"who": "bo", "rank": "captain"}, object{"who": "Cy"}}})
		v := c.want(200, "PUT", "/ships/1", object{"crew": list{object{"who": "Cy", "delete": true}}})
		if crew := at(v, "crew").(list); len(crew) != 1 || at(crew[0], "rank") != "captain" {
			t.Errorf("%v", v)
		}
	})
	t.Run("a writer that knows an old version is refused", func(t *testing.T) {
		c.header.Set("If-Match", "1")
		defer c.header.Del("If-Match")
		c.want(409, "PUT", "/ships/1", object{"tons": 4})
		c.header.Set("If-Match", "3")
		c.want(200, "PUT", "/ships/1", object{"tons": 4})
	})
	t.Run("a write that changes nothing is no effect", func(t *testing.T) {
		before := len(sim.Effects())
		c.want(200, "PUT", "/ships/1", object{"tons": 4})
		if len(sim.Effects()) != before {
			t.Error("an effect was told")
		}
	})
	t.Run("a write has its consequences", func(t *testing.T) {
		if n := len(mustRows(t, sim, "log")); n != 2 {
			t.Errorf("%d lines", n)
		}
	})
}

func TestDescriptionsTellAllProblemsAtOnce(t *testing.T) {
	text := strings.NewReplacer("of: ship}\n  - {post", "of: boat}\n  - {post", "=error.id", "=eror.id", "insert: log", "insert: lag",
		"lock: =header.if_match", `lock: =header.if_match +`).Replace(plain)
	_, err := simulator.Parse("plain.yaml", []byte(text))
	if err == nil {
		t.Fatal("nothing was found")
	}
	for _, want := range []string{"plain.yaml:6:", "nothing here is called eror", `there is no collection "lag"`, "there is no collection boat", "lock"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}
