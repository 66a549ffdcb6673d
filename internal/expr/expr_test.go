package expr_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"throughline/internal/exact"
	"throughline/internal/expr"
)

type link string

func (l link) RefText() string { return string(l) }

func env(t *testing.T) *expr.Env {
	t.Helper()
	e, err := expr.NewEnv(
		expr.Vars{"x": expr.Dyn, "record": expr.Object("opportunity"), "limit": expr.Money},
		expr.WithObjects(expr.Objects{
			"opportunity": {"name": expr.Text, "amount": expr.Money, "hours": expr.Seconds, "closed": expr.Date, "account": expr.Ref("account")},
		}),
		expr.WithFuncs(
			expr.Func{Name: "link", Args: []expr.Type{expr.Text, expr.Dyn}, Result: expr.Dyn,
				Variants: map[string]expr.Type{"account": expr.Ref("account"), "contact": expr.Ref("contact")},
				Call: func(at any, args []any) (any, error) {
					return link(at.(string) + ":" + args[0].(string) + ":" + args[1].(string)), nil
				}},
			expr.Func{Name: "ref", Args: []expr.Type{expr.AnyRef}, Result: expr.Dyn,
				Call: func(_ any, args []any) (any, error) { return "id of " + args[0].(link).RefText(), nil }},
		))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEval(t *testing.T) {
	eur := func(s string) exact.Money {
		m, err := exact.ParseMoney(s + " EUR")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	day, err := exact.ParseDate("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{
		"x": map[string]any{"n": json.Number("7.5"), "id": json.Number("9007199254740993"), "s": "", "deep": nil,
			"one": json.Number("1"), "one0": json.Number("1.0"), "half": json.Number("0.5"), "hundred": json.Number("1e2"), "cents": json.Number("12345"),
			"list": []any{"a", "b"}, "site": "https://www.Acme.com/about", "at": "2026-03-01T23:30:00Z"},
		"record": map[string]any{"name": "Relaunch", "amount": eur("1200.50"), "hours": exact.Seconds(5400), "closed": day, "account": link("a1")},
		"limit":  eur("1000"),
	}
	for _, c := range []struct {
		name, src string
		want      any
	}{
		{"money compares with money", `record.amount > limit`, true},
		{"money adds up", `record.amount + limit`, eur("2200.50")},
		{"a share of money is exact", `round(percent(record.amount, 30))`, eur("360.15")},
		{"seconds become a clock", `clock(record.hours * 2)`, "03:00"},
		{"hours are read exactly", `hours(x.n)`, exact.Seconds(27000)},
		{"a long id keeps its digits", `x.id`, int64(9007199254740993)},
		{"what is not there is null", `x.nothing`, nil},
		{"what is not there is null however deep", `x.deep.deeper.name`, nil},
		{"a default takes the place of nothing", `default(x.s, "none")`, "none"},
		{"a function of null is null", `decimal(x.nothing)`, nil},
		{"a business date moves by days", `text(record.closed + 30)`, "2026-03-31"},
		{"an instant falls on a day of a zone", `text(day(x.at, "Europe/Berlin"))`, "2026-03-02"},
		{"a domain is read from a web address", `domain(x.site)`, "acme.com"},
		{"a person's page is not their company's domain", `domain("https://medium.example/@acme")`, "medium.example"},
		{"what a link carries is not its domain", `domain("https://www.acme.example?from=ana@other.example")`, "acme.example"},
		{"who logs in is not part of a domain", `domain("https://ana:pw@acme.example.:8443/@x")`, "acme.example"},
		{"a number is the same however it is written", `x.one == x.one0 && x.one0 == x.one && x.hundred == 100 && 100 == x.hundred && x.one0 in [1]`, true},
		{"a number of an expression is the same as a vendor's", `x.half == 0.5 && 0.5 == x.half && !(x.half != 0.5)`, true},
		{"numbers add up in any order", `[x.one + x.half, x.half + x.one, x.one - x.half, x.one * x.half]`, []any{exact.MustDecimal("1.5"), exact.MustDecimal("1.5"), exact.MustDecimal("0.5"), exact.MustDecimal("0.5")}},
		{"numbers compare in any order", `x.half < x.one && x.one > x.half && x.one >= decimal("1") && x.one <= x.one0`, true},
		{"no float creeps in", `0.1 + 0.2`, exact.MustDecimal("0.3")},
		{"what divides without a rest", `x.hundred / 4`, int64(25)},
		{"maps are built", `{"properties": {"name": record.name, "gone": x.nothing}}`, map[string]any{"properties": map[string]any{"name": "Relaunch", "gone": nil}}},
		{"nulls are left out on request", `without_nulls({"a": 1, "b": x.nothing})`, map[string]any{"a": int64(1)}},
		{"lists are filtered", `x.list.filter(i, i != "a")`, []any{"b"}},
		{"a place decides what a function answers", `link("account", "7")`, link("here:account:7")},
		{"a reference is resolved", `ref(record.account)`, "id of a1"},
		{"presence is asked", `has(x.s) && !has(x.nothing)`, true},
		{"a quote cannot be broken out of", `quote("O'Neil", "'")`, "'O''Neil'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := env(t).Compile(c.src, expr.Dyn)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.EvalAt("here", vars)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s = %#v, want %#v", c.src, got, c.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      expr.Type
		says      string
	}{
		{"hours added to money", `record.amount + record.hours`, expr.Dyn, "character 15"},
		{"a field that does not exist", `record.nme`, expr.Dyn, "nme"},
		{"money where text is wanted", `record.amount`, expr.Text, "of type money, but text is wanted"},
		{"a bare number where seconds are wanted", `3600`, expr.Seconds, "seconds is wanted"},
		{"a reference to the wrong record", `link("contact", "7")`, expr.Ref("account"), "reference to"},
		{"an unknown record in a link", `link("acount", "7")`, expr.Dyn, "account, contact"},
		{"text where a reference is wanted", `ref("x")`, expr.Dyn, "ref"},
		{"a name that nobody declared", `deal.name`, expr.Dyn, "deal"},
		{"a source beyond all measure", strings.Repeat("1+", 3000) + "1", expr.Dyn, "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := env(t).Compile(c.src, c.want)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want an error that says %q", c.src, err, c.says)
			}
		})
	}
}

// TestADivisionCutsNothing: cents that are divided by a hundred would lose what is behind the point.
func TestADivisionCutsNothing(t *testing.T) {
	p, err := env(t).Compile("x.cents / 100", expr.Dyn)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Eval(map[string]any{"x": map[string]any{"cents": json.Number("12345")}})
	if err == nil || !strings.Contains(err.Error(), "at character 9: 12345 / 100 leaves a remainder, which would be cut off; a hundredth is percent(decimal(…), 1)") {
		t.Errorf("got %v, %v", v, err)
	}
	if v, err = p.Eval(map[string]any{"x": map[string]any{"cents": json.Number("1200")}}); err != nil || v != int64(12) {
		t.Errorf("got %v, %v", v, err)
	}
}

// TestWhatDoesNotFitAFunctionIsTold: a vendor may give a number where a text was before.
func TestWhatDoesNotFitAFunctionIsTold(t *testing.T) {
	for src, want := range map[string]string{
		`money(x.half, x.one)`: "money: the 2nd argument is to be a text, and this is 1",
		`clip("abc", x.half)`:  "clip: the 2nd argument is to be a whole number, and this is 0.5",
		`day(x.at, x.half)`:    "day: the 2nd argument is to be a text, and this is 0.5",
		`domain(x.one)`:        "domain: the 1st argument is to be a text, and this is 1",
	} {
		p, err := env(t).Compile(src, expr.Dyn)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Eval(map[string]any{"x": map[string]any{"one": json.Number("1"), "half": json.Number("0.5"), "at": "2026-03-01T08:30:00Z"}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "internal") {
			t.Errorf("%s gives %v, %v; want %s", src, v, err, want)
		}
	}
}

func TestHostileExpressionsStop(t *testing.T) {
	list := make([]any, 1000)
	for i := range list {
		list[i] = int64(i)
	}
	text := strings.Repeat("a", 2<<20)
	for _, c := range []struct {
		src string
		x   any
	}{
		{`x.map(a, x.map(b, x.map(c, a*b*c)))`, list},
		{`x.matches("(a*)*b") || x.matches("(a|aa)*c")`, text},
		{`true ? x.contains(x) : false`, text},
	} {
		p, err := env(t).Compile(c.src, expr.Dyn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Eval(map[string]any{"x": c.x}); err == nil || !strings.Contains(err.Error(), "too costly") {
			t.Errorf("%s: got %v, want it stopped", c.src, err)
		}
	}
}

func BenchmarkEvalField(b *testing.B) {
	e, err := expr.NewEnv(expr.Vars{"record": expr.Dyn})
	if err != nil {
		b.Fatal(err)
	}
	p, err := e.Compile(`record.name`, expr.Dyn)
	if err != nil {
		b.Fatal(err)
	}
	vars := map[string]any{"record": map[string]any{"name": "n", "at": time.Now()}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Eval(vars); err != nil {
			b.Fatal(err)
		}
	}
}
