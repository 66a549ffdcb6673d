package simulator

import "testing"

func TestODataFilters(t *testing.T) {
	row := map[string]any{
		"Status": "Active", "Amount": "150.5", "Hold": false, "Name": "O'Brien & Sons",
		"Changed": "2026-11-23T10:00:00.000+00:00", "Main": map[string]any{"Email": "a@b.example"},
		"Lines": []any{map[string]any{"Item": "A"}, map[string]any{"Item": "B"}},
	}
	for _, one := range []struct {
		name, text string
		want       bool
	}{
		{"equal texts", "Status eq 'Active'", true},
		{"a doubled quote stands for one", "Name eq 'O''Brien & Sons'", true},
		{"numbers are compared as numbers", "Amount gt 99", true},
		{"and binds closer than or", "Status eq 'X' and Hold eq true or Amount lt 200", true},
		{"brackets bind closest", "Status eq 'X' and (Hold eq true or Amount lt 200)", false},
		{"not turns round", "not (Status eq 'Active')", false},
		{"moments with another offset", "Changed ge datetimeoffset'2026-11-23T11:00:00+01:00'", true},
		{"later moments", "Changed gt datetimeoffset'2026-11-23T11:00:00+01:00'", false},
		{"a linked object", "Main/Email eq 'a@b.example'", true},
		{"any of the details", "Lines/Item eq 'B'", true},
		{"a text that starts so", "startswith(Name, 'O''B')", true},
		{"a text that contains", "substringof('brien', Name)", true},
		{"nothing there", "Missing eq null", true},
	} {
		t.Run(one.name, func(t *testing.T) {
			f, err := parseOData(one.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.match(row); got != one.want {
				t.Errorf("%s: %v", one.text, got)
			}
		})
	}
}

func FuzzOData(f *testing.F) {
	for _, s := range []string{"A eq 'b'", "not (A lt 1) and startswith(B,'x')", "cf.String(f='V.F') eq 'x'", "((((", "'", "A eq", "substringof('a',"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseOData(s); err == nil {
			got.match(map[string]any{"A": "b", "B": []any{nil, map[string]any{}}})
		}
	})
}

func TestLengthsAreCountedInTheVendorsUnit(t *testing.T) {
	for _, one := range []struct {
		name, unit string
		want       int
	}{
		{"UTF-16 units: an emoji counts twice", "utf16", 4},
		{"bytes", "bytes", 7},
		{"characters", "characters", 3},
	} {
		t.Run(one.name, func(t *testing.T) {
			if got := length("é🙂x", one.unit); got != one.want {
				t.Errorf("%d, want %d", got, one.want)
			}
		})
	}
}
