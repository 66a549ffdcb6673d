package schemas_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/schemas"
)

var update = flag.Bool("update", false, "write docs/records.md anew")

func load(t *testing.T) *canonical.Set {
	t.Helper()
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestThePageOfRecordsIsCurrent(t *testing.T) {
	const page = "../docs/records.md"
	want := load(t).Describe()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("docs/records.md does not agree with schemas/ (%v); run: go test ./schemas -update", err)
	}
}

func TestWorkIsNormalised(t *testing.T) {
	employee := canonical.Ref{Type: "employee", ID: "rec_aaaaaaaaaaaaaaaaaaaa"}
	date := exact.Date{}
	for _, c := range []struct {
		name, record string
		change       map[string]any
		wrong        string // "" = it is valid
	}{
		{"what is left when all else is unknown", "time_entry", nil, ""},
		{"a reversal is negative", "time_entry", map[string]any{"seconds": exact.Seconds(-5400), "reverses": canonical.Ref{Type: "time_entry", ID: "rec_bbbbbbbbbbbbbbbbbbbb"}}, ""},
		{"no time at all", "time_entry", map[string]any{"seconds": exact.Seconds(0)}, ""},
		{"more than a day", "time_entry", map[string]any{"seconds": exact.Seconds(90000)}, ""},
		{"emoji and right-to-left text", "time_entry", map[string]any{"note": "👩‍🔧 عمل \u202egnirps"}, ""},
		{"hours where seconds are wanted", "time_entry", map[string]any{"seconds": exact.MustDecimal("1.5")}, "seconds: is decimal, but seconds is wanted"},
		{"a state that there is not", "time_entry", map[string]any{"approval": "maybe"}, `approval: "maybe" is none of open, submitted, approved, rejected`},
		{"nobody", "time_entry", map[string]any{"employee": nil}, "employee: is missing"},
		{"a reversal of something else", "time_entry", map[string]any{"reverses": employee}, "reverses: is a reference to employee, but one to time_entry is wanted"},
		{"a NUL in the note", "time_entry", map[string]any{"note": "a\x00b"}, "note: holds a NUL character"},
		{"a note of more than all characters", "time_entry", map[string]any{"note": strings.Repeat("é", 16001)}, "note: has 16001 characters"},
		{"a rate without a currency", "time_entry", map[string]any{"rate": exact.MustDecimal("120")}, "rate: is decimal, but money is wanted"},
		{"an instant where the business date is wanted", "time_entry", map[string]any{"date": "2026-03-29T23:30:00Z"}, "date: is text, but date is wanted"},
		{"an expense of thirty digits", "expense", map[string]any{"amount": exact.Money{Amount: exact.MustDecimal("123456789012345678901234567.891"), Currency: "EUR"}}, ""},
		{"an expense without an amount", "expense", map[string]any{"amount": nil}, "amount: is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields := map[string]any{"employee": employee, "date": date, "approval": "approved", "seconds": exact.Seconds(5400)}
			if c.record == "expense" {
				fields["amount"] = exact.Money{Amount: exact.MustDecimal("1"), Currency: "EUR"}
				delete(fields, "seconds") // it has none
			}
			for k, v := range c.change {
				fields[k] = v
			}
			_, err := load(t).Schema(c.record).Normalise(canonical.Record{Type: c.record, Fields: fields})
			switch e := hub.AsError(err); {
			case c.wrong == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case c.wrong != "" && (e == nil || !strings.Contains(e.Message, c.wrong) || e.Hint == "" || e.Field == ""):
				t.Errorf("it says %+v, want %q", e, c.wrong)
			}
		})
	}
}

func TestARateCardIsReadAsPeopleWriteIt(t *testing.T) {
	set := load(t)
	fields, err := set.Schema("rate_card").Parse(map[string]any{"name": "2026", "code": "STD", "valid_from": "2026-01-01",
		"rates": []any{map[string]any{"rate": "165.50 EUR", "valid_to": "2026-06-30"}}})
	if err != nil {
		t.Fatal(err)
	}
	card, err := set.Schema("rate_card").Normalise(canonical.Record{Type: "rate_card", Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	first := card.Fields["rates"].([]any)[0].(map[string]any)
	if first["rate"] != (exact.Money{Amount: exact.MustDecimal("165.50"), Currency: "EUR"}) {
		t.Errorf("the rate is %v", first["rate"])
	}
}
