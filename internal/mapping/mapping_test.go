package mapping_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/schemas"
)

const acme = `
connector: acme
version: 1.0.0
title: Acme
roles: [time]
host: https://api.acme.example
records:
  client: {path: /clients, id: =x.id, as: account}
  project: {path: /projects, id: =x.id, as: project}
  note: {path: /notes, id: =x.id}
`

func load(t *testing.T, text string) (*mapping.Mapping, *connector.Connector, error) {
	t.Helper()
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{"acme/connector.yaml": {Data: []byte(acme)}, "acme/mapping/m.yaml": {Data: []byte(text)}}
	c, err := connector.Load(dir, "acme")
	if err != nil {
		t.Fatal(err)
	}
	all, err := mapping.Load(dir, c, set)
	for _, m := range all {
		return m, c, err
	}
	return nil, c, err
}

func TestABadMappingIsToldWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a record that the connector lacks", "record: person\nas: account@1\n", `the connector has no record "person" that is a account`},
		{"a record that is another canonical one", "record: client\nas: project@1\n", `the connector has no record "client" that is a project. Add it to connector.yaml, with as: project.`},
		{"a canonical record that there is not", "record: client\nas: acount@1\n", `there is no canonical record "acount". Known are account,`},
		{"a canonical field that there is not", "record: client\nas: account@1\nread:\n  name: =x.name\n  nmae: =x.name\n", `acme/mapping/m.yaml:5:3: nmae: a account has no field "nmae". Known are name,`},
		{"a required field that nothing gives", "record: client\nas: account@1\nread: {city: =x.city}\n", "nothing gives account.name, which is required. Add it under read: or same:."},
		{"a field of another type", "record: project\nas: project@1\nread:\n  name: =x.name\n  account: =link(\"account\", x.client)\n  starts: =money(x.start, \"EUR\")\n", "acme/mapping/m.yaml:6:11: this is of type money, but date is wanted here"},
		{"a reference to another record", "record: project\nas: project@1\nread:\n  name: =x.name\n  account: =link(\"project\", x.client)\n", "acme/mapping/m.yaml:5:12: "},
		{"a list of codes that there is not", "record: client\nas: account@1\nread: {name: '=value(\"stage\", x.name)'}\n", "acme/mapping/m.yaml:3:14: "},
		{"a code that stands for two of ours", "record: client\nas: account@1\nread: {name: =x.name}\nvalues:\n  kind:\n    a: [x, y]\n    b: y\n", `acme/mapping/m.yaml:7:5: values.kind: "y" stands for a already`},
		{"money that is the same on both sides", "record: project\nas: project@1\nsame: {name: name, budget: budget}\n", "only text and bool are the same on both sides"},
		{"a write of a field that there is not", "record: client\nas: account@1\nwrite: {title: =record.nmae}\n", "undefined field 'nmae'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := load(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "acme/mapping/m.yaml:") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

const project = `
record: project
as: project@1
same: {number: info.code}
read:
  name: =x.title
  account: =link("account", x.client)
  status: =value("status", x.state)
  starts: =date(x.start)
write:
  title: =record.name
  info.client: =ref(record.account)
  state: =value("status", default(record.status, "active"))
create: {note: =marker}
values: {status: {active: [running, open], closed: done}}
needs: [name]
`

func context(c *connector.Connector) mapping.Context {
	return mapping.Context{Tenant: "northwind", Connection: "time", Kinds: c.KindAs, Values: mapping.Values{"status": {"planned": "draft"}},
		Resolve: func(r canonical.Ref) (string, bool, error) { return "c1", r.ID != "rec_unknown", nil }}
}

func TestReading(t *testing.T) {
	m, c, err := load(t, project)
	if err != nil {
		t.Fatal(err)
	}
	day, err := exact.ParseDate("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	account := canonical.Ref{Type: "account", Key: hub.RecordKey{Connection: "time", Kind: "client", ID: "c1"}}
	for _, tt := range []struct {
		name string
		x    map[string]any
		want map[string]any
		code string
	}{
		{"every field", map[string]any{"title": " ERP 🚀 ", "client": "c1", "state": "open", "start": "2026-03-01", "info": map[string]any{"code": "P1"}},
			map[string]any{"name": "ERP 🚀", "account": account, "status": "active", "starts": day, "number": "P1"}, ""},
		{"what is not set is not there", map[string]any{"title": "شركة", "client": "c1"}, map[string]any{"name": "شركة", "account": account}, ""},
		{"the customer's own code goes first", map[string]any{"title": "A", "client": "c1", "state": "draft"}, map[string]any{"name": "A", "account": account, "status": "planned"}, ""},
		{"a code that nobody has mapped", map[string]any{"title": "A", "client": "c1", "state": "frozen"}, nil, "mapping.value_unmapped"},
		{"a name that is missing", map[string]any{"client": "c1"}, nil, "record.invalid"},
		{"a name that is too long", map[string]any{"title": strings.Repeat("ü", 401), "client": "c1"}, nil, "record.invalid"},
		{"a reference that is missing", map[string]any{"title": "A"}, nil, "record.invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := m.Read(context(c), tt.x)
			if e := hub.AsError(err); tt.code != "" && (e == nil || e.Code != tt.code) || tt.code == "" && err != nil {
				t.Fatalf("got %v, want %q", err, tt.code)
			}
			if tt.code == "" && !reflect.DeepEqual(r.Fields, tt.want) {
				t.Errorf("got  %v\nwant %v", r.Fields, tt.want)
			}
		})
	}
}

func TestWriting(t *testing.T) {
	m, c, err := load(t, project)
	if err != nil {
		t.Fatal(err)
	}
	id := hub.RecordIDFor("northwind", "a")
	known, unknown := canonical.Ref{Type: "account", ID: "rec_known"}, canonical.Ref{Type: "account", ID: "rec_unknown"}
	info := map[string]any{"client": "c1"}
	for _, tt := range []struct {
		name   string
		fields map[string]any
		fresh  bool
		want   map[string]any
		fails  string
	}{
		{"a change leaves out what is sent only once", map[string]any{"name": "A", "account": known}, false, map[string]any{"title": "A", "info": info, "state": "running"}, ""},
		{"a new record carries the marker", map[string]any{"name": "A", "account": known}, true, map[string]any{"title": "A", "info": info, "state": "running", "note": id.Marker()}, ""},
		{"of several codes the first is written", map[string]any{"name": "A", "account": known, "status": "active"}, false, map[string]any{"title": "A", "info": info, "state": "running"}, ""},
		{"the customer's own code is written", map[string]any{"name": "A", "account": known, "status": "planned"}, false, map[string]any{"title": "A", "info": info, "state": "draft"}, ""},
		{"what it cannot do without is asked for", map[string]any{"account": known}, false, nil, "cannot do without"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := m.Write(context(c), canonical.Record{ID: id, Type: "project", Fields: tt.fields}, tt.fresh)
			if tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) || tt.fails == "" && err != nil {
				t.Fatalf("got %v, want %q", err, tt.fails)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
	t.Run("a record that is not over there yet is waited for", func(t *testing.T) {
		_, err := m.Write(context(c), canonical.Record{ID: id, Type: "project", Fields: map[string]any{"name": "A", "account": unknown}}, true)
		var missing *mapping.Missing
		if !errors.As(err, &missing) || missing.Ref != unknown {
			t.Errorf("got %v", err)
		}
	})
}

func TestEveryWrittenFieldNamesItsRule(t *testing.T) {
	m, _, err := load(t, project)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Explain() {
		if w.Field == "info.client" {
			if w.Rule != "=ref(record.account)" || !strings.HasPrefix(w.Source, "acme/mapping/m.yaml:12:") {
				t.Errorf("got %+v", w)
			}
			return
		}
	}
	t.Error("the field info.client is not explained")
}

// TestWhatTheVendorCannotHold is not written, with the file's own words; a bound that is no condition is a mistake in the file.
func TestWhatTheVendorCannotHold(t *testing.T) {
	const holds = `holds: [{that: =record.name != "Alder", says: There is one already., fix: Choose another name., field: name}]`
	m, c, err := load(t, project+holds)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) error {
		_, err := m.Write(context(c), canonical.Record{Type: "project", ID: "rec_1", Fields: map[string]any{"name": name, "account": canonical.Ref{Type: "account", ID: "rec_2"}}}, true)
		return err
	}
	if err := write("Birch"); err != nil {
		t.Errorf("what holds is refused: %v", err)
	}
	e := hub.AsError(write("Alder"))
	if e == nil || e.Kind != hub.Blocked || !mapping.NotHeld(e) || e.Field != "name" || e.Message != "There is one already." || e.Hint != "Choose another name." {
		t.Errorf("refused as %+v", e)
	}
	if _, _, err := load(t, project+`holds: [{that: =record.name, says: x, fix: y}]`); err == nil || !strings.Contains(err.Error(), "bool") {
		t.Errorf("a bound that is a text: %v", err)
	}
}

// TestTwoOfOursForOneOfTheirs: what the customer writes as the same cannot be told apart again. The connector's own
// line decides; where it does not, nobody guesses.
func TestTwoOfOursForOneOfTheirs(t *testing.T) {
	m, c, err := load(t, project)
	if err != nil {
		t.Fatal(err)
	}
	read := func(state string, lines map[string]string) (any, error) {
		at := context(c)
		at.Values = mapping.Values{"status": lines}
		r, err := m.Read(at, map[string]any{"title": "A", "client": "c1", "state": state})
		return r.Fields["status"], err
	}
	for range 50 {
		if got, err := read("open", map[string]string{"active": "open", "planned": "open"}); got != "active" || err != nil {
			t.Fatalf("read as %v, %v; want active, as the connector says", got, err)
		}
		if got, err := read("live", map[string]string{"active": "live", "planned": "live"}); hub.AsError(err) == nil || hub.AsError(err).Code != "mapping.value_ambiguous" {
			t.Fatalf("read as %v, %v; want a person to say which", got, err)
		}
	}
}

// TestCodesOfEveryKind: a code may be a text, a number however it is written, or yes and no; several at once are none.
func TestCodesOfEveryKind(t *testing.T) {
	m, c, err := load(t, strings.Replace(project, "values: {status: {active: [running, open], closed: done}}", "values: {status: {active: [1, true], closed: [2, false], otherwise: planned}}", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		state any
		want  any
	}{{json.Number("1"), "active"}, {json.Number("2.0"), "closed"}, {"1", "active"}, {true, "active"}, {false, "closed"}, {"3", "planned"}, {[]any{"1"}, "no single value"}} {
		r, err := m.Read(context(c), map[string]any{"title": "A", "client": "c1", "state": tt.state})
		if got := r.Fields["status"]; got != tt.want && (err == nil || !strings.Contains(err.Error(), tt.want.(string))) {
			t.Errorf("%T %v is read as %v, %v; want %v", tt.state, tt.state, got, err, tt.want)
		}
	}
}
