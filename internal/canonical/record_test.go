package canonical_test

import (
	"fmt"
	"strings"
	"testing"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/schemas"
)

// TestARecordIsBroughtIntoItsForm: what has another form and the same meaning is taken, and what has no place in the
// record is told, however deep it stands.
func TestARecordIsBroughtIntoItsForm(t *testing.T) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	deal := func(line map[string]any) map[string]any {
		return map[string]any{"name": "A", "stage": "won", "lines": []any{line}}
	}
	for _, c := range []struct {
		name   string
		fields map[string]any
		want   string
	}{
		{"a whole number is a decimal", deal(map[string]any{"name": "L", "quantity": int64(2)}), `{"lines":[{"name":"L","quantity":"2"}],"name":"A","stage":"won"}`},
		{"a fraction is a decimal", deal(map[string]any{"name": "L", "quantity": exact.MustDecimal("2.50")}), `{"lines":[{"name":"L","quantity":"2.5"}],"name":"A","stage":"won"}`},
		{"a text is none", deal(map[string]any{"name": "L", "quantity": "2"}), "quantity"},
		{"a misspelt field of a line", deal(map[string]any{"name": "L", "quantiy": int64(2)}), "lines[0].quantiy: there is no such field"},
		{"a misspelt field", map[string]any{"name": "A", "stage": "won", "stge": "won"}, "stge: there is no such field"},
		{"a misspelt field without a value", map[string]any{"name": "A", "stage": "won", "stge": nil}, "stge: there is no such field"},
		{"two spellings of a letter are one", map[string]any{"name": "Mu\u0308ller", "stage": "won"}, `{"name":"Müller","stage":"won"}`},
		{"what nobody sees at the ends is cut off", map[string]any{"name": "\ufeff\u200b Alder\u00a0\u200b", "stage": "won\u200b"}, `{"name":"Alder","stage":"won"}`},
		{"a text that nobody sees is none", map[string]any{"name": "A", "stage": "won", "package": "\u200b"}, `{"name":"A","stage":"won"}`},
		{"what joins signs stays", map[string]any{"name": "👩\u200d💻", "stage": "won"}, "{\"name\":\"👩\u200d💻\",\"stage\":\"won\"}"},
		{"the customer's own fields", map[string]any{"name": "A", "stage": "won", "ext": map[string]any{"colour": "red"}}, `{"ext":{"colour":"red"},"name":"A","stage":"won"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := set.Schema("opportunity").Normalise(canonical.Record{Type: "opportunity", Fields: c.fields})
			got := fmt.Sprint(err)
			if err == nil {
				encoded, err := canonical.Encode(r.Fields)
				got = fmt.Sprint(string(encoded), err)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestReferencesToldApart: two records that were only named so far are two, though neither has an id of ours yet.
func TestReferencesToldApart(t *testing.T) {
	named := func(id string) canonical.Ref {
		return canonical.Ref{Type: "account", Key: hub.RecordKey{Connection: "crm", Kind: "company", ID: id}}
	}
	if named("1").RefText() == named("2").RefText() || named("1").RefText() != named("1").RefText() {
		t.Errorf("1 is %s, 2 is %s", named("1").RefText(), named("2").RefText())
	}
	known := named("1")
	known.ID = "rec_1"
	if known.RefText() != (canonical.Ref{Type: "account", ID: "rec_1"}).RefText() {
		t.Errorf("a record is another one where it was seen: %s", known.RefText())
	}
}

// TestAsPeopleWriteFields: what a person sets on the command line is text, whatever the field is.
func TestAsPeopleWriteFields(t *testing.T) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ field, text, want string }{
		{"billable", "false", "bool false"}, {"billable", "true", "bool true"}, {"billable", "yes", `Time entry.billable: "yes" is neither true nor false`},
		{"seconds", "1:30", "exact.Seconds 01:30"}, {"seconds", "1.5", "exact.Seconds 01:30"}, {"seconds", "-PT15M", "exact.Seconds -00:15"}, {"seconds", "-0:15", "exact.Seconds -00:15"},
		{"date", "2026-11-30", "exact.Date 2026-11-30"}, {"rate", "120 EUR", "exact.Money 120.00 EUR"}, {"note", "7", "string 7"},
	} {
		fields, err := set.Schema("time_entry").Parse(map[string]any{c.field: c.text})
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprintf("%T %v", fields[c.field], fields[c.field])
		}
		if got != c.want {
			t.Errorf("%s %q is %s, want %s", c.field, c.text, got, c.want)
		}
	}
}
