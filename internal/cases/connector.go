package cases

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/specfile"
)

// Case is one example of a connector. Exactly one of read, create, update, answer and webhook says
// what is tried.
type Case struct {
	Pos      specfile.Pos
	It       string            `spec:"it,required" doc:"what happens, as a sentence: reads an approved entry over midnight"`
	Read     string            `spec:"read" doc:"the vendor's record that is read: given is one as it is answered, expect the canonical record"`
	Create   string            `spec:"create" doc:"the vendor's record that is made: given is the canonical record, expect the request"`
	Update   string            `spec:"update" doc:"the vendor's record that is changed: given is the canonical record, expect the request"`
	Answer   string            `spec:"answer" doc:"the operation whose answer is judged: given is status, headers and body, expect its result"`
	Webhook  string            `spec:"webhook" enum:"read|verify" doc:"given is method, url, headers, body, secret and at; expect the events"`
	ID       string            `spec:"id" default:"there" doc:"of the record that an update changes"`
	Settings map[string]string `spec:"settings" doc:"of the connection; its defaults unless said"`
	Given    specfile.Value    `spec:"given,required"`
	Expect   specfile.Value    `spec:"expect"`
	Refused  *Refused          `spec:"refused" doc:"the error that is expected"`
}

// record is the canonical record that all cases write: its marker is kcasecasecasecas.
const (
	record = hub.RecordID("rec_casecasecascasecasecasecas")
	far    = hub.ConnectionID("far")
	later  = "?" // a reference to a record that is not over there yet
)

// Connector runs the cases of a connector's folder; n is how many there are. All that fail are told
// at once.
func Connector(dir fs.FS, name string, s *catalog.System) (n int, err error) {
	var problems specfile.Problems
	list, err := load[Case](dir, name, &problems)
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		r := &system{at: at{c.Pos, c.It, &problems}, c: c, s: s, settings: map[string]any{}}
		r.run()
	}
	return len(list), problems.Err()
}

// system is one case of a connector under way.
type system struct {
	at
	c        Case
	s        *catalog.System
	settings map[string]any
	given    map[string]any
}

func (r *system) run() {
	for _, s := range r.s.Connector.File.Settings {
		if s.Value.Default != "" {
			r.settings[s.Key] = s.Value.Default
		}
	}
	for k, v := range r.c.Settings {
		if _, known := r.s.Connector.File.Settings.Get(k); !known {
			r.problem(r.c.Pos, fmt.Sprintf("the connector has no setting %q", k), "Known are "+strings.Join(r.s.Connector.File.Settings.Keys(), ", ")+".")
		}
		r.settings[k] = v
	}
	data, err := r.c.Given.Data()
	given, ok := data.(map[string]any)
	if err != nil || !ok {
		r.problem(r.c.Given.Pos, "given is no map of plain values", "Write key: value, without expressions.")
		return
	}
	r.given = given
	kinds := []struct {
		word string
		run  func()
	}{{r.c.Read, r.read}, {r.c.Create, func() { r.write(r.c.Create, true) }}, {r.c.Update, func() { r.write(r.c.Update, false) }}, {r.c.Answer, r.answer}, {r.c.Webhook, r.webhook}}
	set := slices.DeleteFunc(kinds, func(k struct {
		word string
		run  func()
	}) bool {
		return k.word == ""
	})
	if len(set) != 1 {
		r.problem(r.c.Pos, fmt.Sprintf("a case has one of read, create, update, answer and webhook, this one has %d", len(set)), "Split it, or say what it tries.")
		return
	}
	if !r.c.Expect.Set() && r.c.Refused == nil {
		r.problem(r.c.Pos, "the case expects nothing", "Add expect: or refused:.")
		return
	}
	if r.c.Expect.Set() && r.c.Refused != nil {
		r.problem(r.c.Pos, both, bothHint)
	}
	set[0].run()
}

// mapped finds the vendor's record and its mapping.
func (r *system) mapped(name string) (*connector.Kind, *mapping.Mapping) {
	kind := r.s.Connector.Kind(name)
	if kind == nil {
		r.problem(r.c.Pos, fmt.Sprintf("the connector has no record %q", name), "Known are "+strings.Join(r.s.Connector.File.Records.Keys(), ", ")+".")
		return nil, nil
	}
	m := r.s.Mappings[kind.As]
	if m == nil {
		r.problem(r.c.Pos, fmt.Sprintf("nothing maps the record %q", name), "Add mapping/"+name+".yaml.")
	}
	return kind, m
}

func (r *system) context() mapping.Context {
	known := func(ref canonical.Ref) (string, bool, error) { return string(ref.ID), ref.ID != later, nil }
	return mapping.Context{Tenant: "case", Connection: far, Settings: r.settings, Kinds: r.s.Connector.KindAs, Resolve: known}
}

// read goes from the vendor's record, as it stands in an answer, to the canonical one.
func (r *system) read() {
	kind, m := r.mapped(r.c.Read)
	if m == nil {
		return
	}
	x, err := r.decoded(&connector.Op{Name: kind.Name + ".get"}, http.StatusOK, nil, r.given)
	var got canonical.Record
	if err == nil {
		got, err = m.Read(r.context(), x)
	}
	if r.refusal(r.c.Refused, err) {
		return
	}
	if want, ok := r.fields(m.Schema, r.c.Expect); ok {
		r.same("expect", r.c.Expect, want, got.Fields)
	}
}

// fields are canonical fields as people write them.
func (r *system) fields(schema *canonical.Schema, v specfile.Value) (map[string]any, bool) {
	return r.at.fields(schema, v)
}

func (a at) fields(schema *canonical.Schema, v specfile.Value) (map[string]any, bool) {
	data, err := v.Data()
	if err == nil {
		m, _ := data.(map[string]any)
		var out map[string]any
		if out, err = schema.Parse(m); err == nil {
			return out, true
		}
	}
	a.problem(v.Pos, err.Error(), "Write fields as the schema has them: 1200 EUR, 2026-03-01, 16:00.")
	return nil, false
}

// write goes from the canonical record to the request that is sent.
func (r *system) write(name string, fresh bool) {
	kind, m := r.mapped(name)
	if m == nil {
		return
	}
	op := kind.Update
	if fresh {
		op = kind.Create
	}
	if op == nil {
		r.problem(r.c.Pos, fmt.Sprintf("the connector has no such write of %q", name), "")
		return
	}
	fields, ok := r.fields(m.Schema, r.c.Given)
	if !ok {
		return
	}
	rec, err := m.Schema.Normalise(canonical.Record{ID: record, Type: m.Schema.Record, Fields: refs(m.Schema, fields)})
	var plain map[string]any
	if err == nil {
		plain, err = m.Write(r.context(), rec, fresh)
	}
	var q connector.Request
	if err == nil {
		vars := map[string]any{"settings": r.settings, "fields": r.s.Connector.Fields(plain), "marker": record.Marker(), "key": "key", "record": rec.Fields}
		if !fresh {
			vars["id"] = r.c.ID
		}
		q, err = r.s.Connector.Request(op, vars)
	}
	if !r.refusal(r.c.Refused, err) {
		r.request(q)
	}
}

// refs makes references of the texts that stand for them: the id over there.
func refs(schema *canonical.Schema, fields map[string]any) map[string]any {
	for _, f := range schema.Fields {
		if id, ok := fields[f.Key].(string); ok && f.Value.Type == "ref" {
			fields[f.Key] = canonical.Ref{Type: f.Value.To, ID: hub.RecordID(id)}
		}
	}
	return fields
}

// request compares what is sent with what is expected; parts that are not named are not compared.
func (r *system) request(q connector.Request) {
	host, err := r.s.Connector.Host(map[string]any{"settings": r.settings})
	if err != nil {
		r.problem(r.c.Pos, err.Error(), "Set it under settings: of the case.")
		return
	}
	where, query, _ := strings.Cut(strings.TrimPrefix(q.URL, host), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		r.problem(r.c.Pos, err.Error(), "")
		return
	}
	if len(r.c.Expect.Entries) == 0 {
		r.problem(r.c.Pos, "the case expects nothing", "Say method, path, query, headers or body.")
	}
	for _, e := range r.c.Expect.Entries {
		want, err := e.Value.Data()
		if err != nil {
			r.problem(e.Pos, err.Error(), "")
			continue
		}
		switch e.Key {
		case "method":
			r.same(e.Key, e.Value, want, q.Method)
		case "path":
			r.same(e.Key, e.Value, want, where)
		case "query":
			r.same(e.Key, e.Value, want, one(values))
		case "headers":
			r.headers(e.Value, q.Header)
		case "body":
			r.same(e.Key, e.Value, want, body(q))
		default:
			r.problem(e.Pos, fmt.Sprintf("unknown key %q", e.Key), "Known here: method, path, query, headers, body.")
		}
	}
}

func one(values url.Values) map[string]any {
	out := map[string]any{}
	for k := range values {
		out[k] = values.Get(k)
	}
	return out
}

// headers compares those that are named.
func (r *system) headers(want specfile.Value, got map[string]string) {
	for _, h := range want.Entries {
		if got[h.Key] != h.Value.Text {
			r.problem(h.Pos, fmt.Sprintf("headers.%s is %q, expected %q", h.Key, got[h.Key], h.Value.Text), "")
		}
	}
}

// body is JSON, decoded; a form is its text.
func body(q connector.Request) any {
	if len(q.Body) == 0 {
		return nil
	}
	if v, err := exact.DecodeJSON(q.Body); err == nil {
		return v
	}
	return string(q.Body)
}

// decoded reads an answer as the connector does.
func (r *system) decoded(op *connector.Op, status int, header http.Header, body any) (any, error) {
	data, isText := body.(string)
	if !isText {
		b, err := exact.AppendJSON(nil, body)
		if err != nil {
			return nil, err
		}
		data = string(b)
	}
	a, err := r.s.Connector.Read(op, map[string]any{"settings": r.settings, "marker": record.Marker()}, status, header, []byte(data), midnight)
	if err != nil {
		return nil, err
	}
	return a.Result, nil
}

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// answer judges an answer: which error it is, or what its result is.
func (r *system) answer() {
	op := r.s.Connector.Operation(r.c.Answer)
	if op == nil {
		r.problem(r.c.Pos, fmt.Sprintf("the connector has no operation %q", r.c.Answer), "Known are "+strings.Join(r.s.Connector.Operations(), ", ")+".")
		return
	}
	if !r.only("status", "headers", "body") {
		return
	}
	status, err := exact.ParseDecimal(fmt.Sprint(r.given["status"]))
	if err != nil {
		r.problem(r.c.Given.Pos, "given has no status", "Add status: 400.")
		return
	}
	n, err := status.Int64()
	if err != nil {
		r.problem(r.c.Given.Pos, err.Error(), "")
		return
	}
	got, err := r.decoded(op, int(n), header(r.given["headers"]), r.given["body"])
	if r.refusal(r.c.Refused, err) {
		return
	}
	want, err := r.c.Expect.Data()
	if err != nil {
		r.problem(r.c.Expect.Pos, err.Error(), "")
		return
	}
	r.same("expect", r.c.Expect, want, got)
}

// only finds keys of given that nothing reads.
func (r *system) only(known ...string) bool {
	good := true
	for _, e := range r.c.Given.Entries {
		if !slices.Contains(known, e.Key) {
			r.problem(e.Pos, fmt.Sprintf("unknown key %q", e.Key), "Known here: "+strings.Join(known, ", ")+".")
			good = false
		}
	}
	return good
}

func header(v any) http.Header {
	h := http.Header{}
	m, _ := v.(map[string]any)
	for k, e := range m {
		h.Set(k, fmt.Sprint(e))
	}
	return h
}

// webhook reads a delivery; verify first checks that it comes from the vendor, as of at.
func (r *system) webhook() {
	if !r.only("method", "url", "headers", "body", "secret", "at") {
		return
	}
	d := connector.Delivery{Method: word(r.given["method"], "POST"), URL: word(r.given["url"], ""), Header: header(r.given["headers"])}
	text, isText := r.given["body"].(string)
	d.Body = []byte(text)
	var err error
	if !isText {
		d.Body, err = exact.AppendJSON(nil, r.given["body"])
	}
	if r.c.Webhook == "verify" && err == nil {
		err = r.verify(d)
	}
	var events []connector.Arrived
	if err == nil && r.s.Connector.HasWebhooks() {
		events, err = r.s.Connector.Events(d, r.settings)
	}
	if r.refusal(r.c.Refused, err) {
		return
	}
	got := []any{}
	for _, e := range events {
		got = append(got, told(e))
	}
	want, err := r.c.Expect.Data()
	if err != nil {
		r.problem(r.c.Expect.Pos, err.Error(), "")
		return
	}
	r.same("expect", r.c.Expect, want, got)
}

// told is what a case says of an event.
func told(e connector.Arrived) map[string]any {
	switch {
	case e.Err != nil:
		return map[string]any{"record": e.Kind.Name, "unreadable": e.Err.Error()}
	case len(e.Looks) > 0:
		looks := []any{}
		for _, k := range e.Looks {
			looks = append(looks, k.Name)
		}
		return map[string]any{"looks": looks}
	}
	return map[string]any{"record": e.Kind.Name, "id": e.ID, "key": e.Dedupe}
}

func (r *system) verify(d connector.Delivery) error {
	now, err := time.Parse(time.RFC3339, word(r.given["at"], midnight.Format(time.RFC3339)))
	if err != nil {
		return err
	}
	return r.s.Connector.Verify(d, map[string]any{"settings": r.settings, "secret": r.given["secret"]}, now)
}

func word(v any, otherwise string) string {
	if s, ok := v.(string); ok {
		return s
	}
	return otherwise
}
