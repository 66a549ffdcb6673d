package specfile

import (
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sample is a file kind with one field of every sort.
type sample struct {
	Pos       Pos
	Connector string            `spec:"connector,required" pattern:"^[a-z-]+$" doc:"The connector's name in small letters."`
	Title     string            `spec:"title" default:"12"`
	Roles     []string          `spec:"roles" enum:"crm|erp|time"`
	Records   Map[sampleRecord] `spec:"records"`
	Limits    []sampleLimit     `spec:"limits"`
	Enabled   bool              `spec:"enabled" default:"true"`
	Since     exact.Date        `spec:"since"`
	Fee       exact.Money       `spec:"fee"`
	Share     exact.Decimal     `spec:"share" min:"0" max:"1"`
	Colour    *string           `spec:"colour"`
	Level     int8              `spec:"level" min:"-3"`
	Count     uint              `spec:"count"`
	Body      Value             `spec:"body"`
	Labels    map[string]string `spec:"labels"`
	By        [][]string        `spec:"by,one"`
	Op        string            `spec:"op" enum:"=|<|>"`
	Nested    *sample           `spec:"nested"`
	loaded    bool
	shared    `spec:",inline"`
}

type shared struct {
	Docs string `spec:"docs"`
}

type sampleRecord struct {
	Pos
	Path  Template    `spec:"path"`
	ID    Expr        `spec:"id,required"`
	Write sampleWrite `spec:"write"`
	Page  samplePage  `spec:"page"`
}

type sampleWrite struct {
	Create string `spec:"create" enum:"K|U|S|X" default:"X"`
	Find   Expr   `spec:"find"`
}

type samplePage struct {
	Max  int `spec:"max" min:"1" max:"200" default:"100"`
	Size int `spec:"size"`
}

type sampleLimit struct {
	Rate  Rate     `spec:"rate"`
	Every Duration `spec:"every"`
}

func TestDecodeFindsEverythingAtOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var into sample
	got := Decode("connectors/acme-time/connector.yaml", data, &into).Error() + "\n"
	if *update {
		if err := os.WriteFile("testdata/connector.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/connector.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

const good = `
connector: acme-time
docs: https://acme.example/docs
roles: [crm, time]
records:
  project:
    path: /workspaces/{workspace}/projects/{x.id}
    id: =x.id
  client:
    id: = x.clientId
    write: {create: S, find: "=lookup(x, \"y\")"}
    page: {max: 50}
limits:
  - {rate: 50 per second, every: 90 s}
  - rate: 100 per 15 s
since: 2026-03-01
fee: 1500 EUR
share: 0.15
level: -3
count: 7
body: {a: =x.b, n: 1.50, q: "1", list: [true, ~, {b: =x.c}]}
labels: {one: "1", two: b}
by: [[tax_id], [domain, country]]
op: "="
`

func TestDecode(t *testing.T) {
	var s sample
	if problems := Decode("c.yaml", []byte(good), &s); len(problems) > 0 {
		t.Fatal(problems)
	}
	project, _ := s.Records.Get("project")
	client, _ := s.Records.Get("client")
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"the position is where the map begins", s.Pos, Pos{"c.yaml", 2, 1}},
		{"inline keys stand at the same level", s.Docs, "https://acme.example/docs"},
		{"a map keeps the order of the file", s.Records.Keys(), []string{"project", "client"}},
		{"a key knows where it stands", s.Records[1].Pos, Pos{"c.yaml", 9, 3}},
		{"an expression begins behind its sign", client.ID, Expr{"x.clientId", Pos{"c.yaml", 10, 11}, "records.client.id"}},
		{"an expression in quotes begins behind both", client.Write.Find, Expr{`lookup(x, "y")`, Pos{"c.yaml", 11, 32}, "records.client.write.find"}},
		{"a place knows where it stands", project.Path.Exprs()[1], Expr{"x.id", Pos{"c.yaml", 7, 45}, "records.project.path"}},
		{"a default applies within a struct that is absent", project.Page.Max, 100},
		{"a default of text may look like a number", s.Title, "12"},
		{"a default of a bool", s.Enabled, true},
		{"a default stands back", client.Page.Max, 50},
		{"a default of an enum within a struct that is absent", project.Write.Create, "X"},
		{"a rate", s.Limits[1].Rate, Rate{100, 15 * time.Second}},
		{"a duration", s.Limits[0].Every, Duration{90 * time.Second}},
		{"a date", s.Since, mustDate(t, "2026-03-01")},
		{"money", s.Fee, exact.Money{Amount: exact.NewDecimal(1500), Currency: "EUR"}},
		{"a decimal", s.Share, exact.MustDecimal("0.15")},
		{"a pointer to what is absent is nil", s.Colour, (*string)(nil)},
		{"a plain map", s.Labels, map[string]string{"one": "1", "two": "b"}},
		{"lists within a list", s.By, [][]string{{"tax_id"}, {"domain", "country"}}},
		{"an equals sign that is a choice is no expression", s.Op, "="},
		{"a value keeps the digits", s.Body.Entries[1].Value.Text, "1.50"},
		{"a value finds its expressions", sources(s.Body.Exprs()), []string{"x.b", "x.c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !reflect.DeepEqual(c.got, c.want) {
				t.Errorf("got %#v, want %#v", c.got, c.want)
			}
		})
	}
}

func mustDate(t *testing.T, s string) exact.Date {
	t.Helper()
	d, err := exact.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sources(all []Expr) []string {
	var out []string
	for _, e := range all {
		out = append(out, e.Source)
	}
	return out
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"an empty file", "", "f.yaml:1:1: the file is empty"},
		{"a file of comments", "# nothing\n", "f.yaml:1:1: the file is empty"},
		{"a second document", "connector: a\n---\nconnector: b\n", "f.yaml:2:1: a second document begins here. One file holds one document: remove the line `---`."},
		{"a file without end", strings.Repeat("# x\n", 1<<19), "larger than 1 MB"},
		{"bytes that are not UTF-8", "connector: a\xff", "not readable as YAML"},
		{"a tab as indentation", "roles:\n\t- crm\n", "f.yaml:2:1: not readable as YAML: found character that cannot start any token. Indent with spaces"},
		{"a colon in text", "connector: a: b\n", "f.yaml:1:13: not readable as YAML"},
		{"a list at the top", "- a\n", "f.yaml:1:1: a map is expected, here stands a list. Keys known here: connector, title"},
		{"more levels than 64", "connector: a\nbody: " + strings.Repeat("[", 70) + strings.Repeat("]", 70), "more than 64 levels deep"},
		{"very many levels", strings.Repeat("[", 200_000), "exceeded max depth"},
		{"a tag", "connector: !!str a\n", "f.yaml:1:12: connector: the tag `!!str` is not allowed"},
		{"an alias that contains itself", "connector: a\nbody: &a [*a]\n", "the alias `*a` is not allowed"},
		{"a map as a key", "connector: a\nbody: {? {a: 1} : 2}\n", "a key must be a word or text"},
		{"a merge key", "connector: a\n<<: {title: b}\n", "f.yaml:2:1: <<: unknown key `<<`"},
		{"text that is missing", "connector:\n", "f.yaml:1:11: connector: text is expected, here stands nothing. Remove the key"},
		{"a required key that is missing", "title: a\n", "f.yaml:1:1: the key `connector` is missing. The connector's name in small letters."},
		{"a field of the program's own", "connector: a\nloaded: true\n", "unknown key `loaded`"},
		{"an expression where text is fixed", "connector: =x\n", "plain text is expected, here stands the expression `=x`. This value is fixed: write it without the =."},
		{"an unknown word", "connector: a\nroles: [tmie]\n", "f.yaml:2:9: roles[0]: `tmie` is not possible here. Did you mean `time`?"},
		{"a far word", "connector: a\nroles: [bookkeeping]\n", "Known here: crm, erp, time."},
		{"a number beyond its type", "connector: a\nlevel: 300\n", "the number 300 is out of range"},
		{"a number beyond the least", "connector: a\nlevel: -4\n", "the number -4 is out of range. The least is -3."},
		{"a negative count", "connector: a\ncount: -1\n", "the number -1 is out of range"},
		{"a fraction of a count", "connector: a\ncount: 1.5\n", "a whole number is expected, here stands the number 1.5"},
		{"a number in quotes", "connector: a\ncount: \"15\"\n", "a whole number is expected, here stands the text `15`. Remove the quotes."},
		{"an octal number", "connector: a\ncount: 010\n", "here stands the text `010`"},
		{"a share beyond the most", "connector: a\nshare: 1.01\n", "It must be between 0 and 1."},
		{"a place without end", "connector: a\nrecords: {r: {id: =x, path: \"/a/{b\"}}\n", "records.r.path: the place `{b` has no end. Close it with }"},
		{"an empty place", "connector: a\nrecords: {r: {id: =x, path: \"/a/{}\"}}\n", "a place is empty"},
		{"an empty expression", "connector: a\nrecords: {r: {id: =}}\n", "the expression is empty"},
		{"true as an expression", "connector: a\nrecords: {r: {id: true}}\n", "an expression is expected, here stands the word true. An expression begins with =: `=true`."},
		{"money without currency", "connector: a\nfee: 12\n", "an amount with its currency is expected, here stands the number 12. Write it as 1500.00 EUR."},
		{"a rate of nothing", "connector: a\nlimits: [{rate: 0 per second}]\n", "limits[0].rate: the rate `0 per second` is out of range"},
		{"a span beyond all time", "connector: a\nlimits: [{every: 999999999999 days}]\n", "longer than 292 years"},
		{"a problem within a key with a dot", "connector: a\nrecords: {\"r.s\": {}}\n", `f.yaml:2:18: records["r.s"]: the key`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into sample
			if got := Decode("f.yaml", []byte(c.in), &into).Error(); !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s\nwant: %s", got, c.want)
			}
		})
	}
}

func TestDecodeStopsListingSomewhere(t *testing.T) {
	var into sample
	problems := Decode("f.yaml", []byte("connector: a\nroles: ["+strings.Repeat("x,", 100_000)+"]"), &into)
	if len(problems) != maxProblems+1 || !strings.Contains(problems.Error(), "the rest is not listed") {
		t.Errorf("got %d problems", len(problems))
	}
}

func TestProblemsAreOneError(t *testing.T) {
	var none Problems
	if none.Err() != nil {
		t.Error("no problems are an error")
	}
	var problems Problems
	problems.Add(Pos{"b.yaml", 2, 1}, "", "second", "")
	problems.Add(Pos{"a.yaml", 9, 1}, "x", "first", "Do this.")
	err := problems.Err()
	if e := hub.AsError(err); e.Kind != hub.Invalid || e.Message != "a.yaml:9:1: x: first. Do this.\nb.yaml:2:1: second" {
		t.Errorf("got %#v", e)
	}
	if strings.Count(err.Error(), "first") != 1 {
		t.Errorf("the list is told twice: %s", err)
	}
	var list Problems
	if !errors.As(err, &list) || len(list) != 2 {
		t.Errorf("the list is not in the chain of %v", err)
	}
}

func TestTemplate(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []Part
	}{
		{"text without places", "/a/b", []Part{{Text: "/a/b"}}},
		{"a place at each end", "{a}/{b}", []Part{place("a", 6), {Text: "/"}, place("b", 10)}},
		{"a doubled brace is a brace", "a{{b}", []Part{{Text: "a{b}"}}},
		{"an expression may hold braces and quotes", `/{ f({"}": 1}) }`, []Part{{Text: "/"}, place(`f({"}": 1})`, 8)}},
		{"columns count characters", "é{a}", []Part{{Text: "é"}, place("a", 7)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var into struct {
				T Template `spec:"t"`
			}
			text := "t: '" + c.in + "'"
			if problems := Decode("", []byte(text), &into); len(problems) > 0 {
				t.Fatal(problems)
			}
			if !reflect.DeepEqual(into.T.Parts, c.want) {
				t.Errorf("got %+v, want %+v", into.T.Parts, c.want)
			}
		})
	}
}

func place(source string, column int) Part {
	return Part{Expr: Expr{Source: source, Pos: Pos{"", 1, column}, Path: "t"}}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"250 ms": 250 * time.Millisecond, "90 s": 90 * time.Second, "15 sec": 15 * time.Second, "2m": 2 * time.Minute, "5 min": 5 * time.Minute,
		"1 hour": time.Hour, "1 day": 24 * time.Hour, "60 days": 1440 * time.Hour, "2 weeks": 336 * time.Hour, "0 s": 0,
	} {
		t.Run(in, func(t *testing.T) {
			var into struct {
				D Duration `spec:"d"`
			}
			if problems := Decode("f", []byte("d: "+in), &into); len(problems) > 0 || into.D.D != want {
				t.Errorf("got %s, %v", into.D, problems)
			}
		})
	}
}

// TestOneOrMany is the tag for what is usually one.
func TestOneOrMany(t *testing.T) {
	for in, want := range map[string][]string{"to: erp": {"erp"}, "to: [erp, time]": {"erp", "time"}} {
		var into struct {
			To []string `spec:"to,one"`
		}
		if problems := Decode("f", []byte(in), &into); len(problems) > 0 || !reflect.DeepEqual(into.To, want) {
			t.Errorf("%s: got %v, %v", in, into.To, problems)
		}
	}
}

func TestValueData(t *testing.T) {
	var into struct {
		V Value `spec:"v"`
	}
	if problems := Decode("f", []byte(`v: {a: [1.50, x, true, ~], b: "2"}`), &into); len(problems) > 0 {
		t.Fatal(problems)
	}
	data, err := into.V.Data()
	if err != nil {
		t.Fatal(err)
	}
	text, err := exact.AppendJSON(nil, data)
	if want := `{"a":[1.50,"x",true,null],"b":"2"}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	if problems := Decode("f", []byte(`v: {a: [=x]}`), &into); len(problems) > 0 {
		t.Fatal(problems)
	}
	if _, err := into.V.Data(); err == nil || !strings.Contains(err.Error(), "f:1:9: v.a[0]: an expression") {
		t.Errorf("an expression became data: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	broken, err := os.ReadFile("testdata/connector.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{good, string(broken), "a: &b [*b]", "? [a]\n: b", "{", "body: |2\n   =a", "a: \"\\x\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var into sample
		for _, p := range Decode("f.yaml", data, &into) {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Fatalf("a problem without place or words: %#v", p)
			}
		}
	})
}
