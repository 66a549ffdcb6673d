package expr_test

import (
	"encoding/json"
	"testing"
	"time"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/hub"
)

// FuzzExpression: whatever a file has for an expression is refused or carried out, soon, and never ends the process.
func FuzzExpression(f *testing.F) {
	e, err := expr.NewEnv(expr.Vars{"x": expr.Dyn, "limit": expr.Money})
	if err != nil {
		f.Fatal(err)
	}
	limit, err := exact.ParseMoney("1000 EUR")
	if err != nil {
		f.Fatal(err)
	}
	vars := map[string]any{"limit": limit, "x": map[string]any{"n": json.Number("7.5"), "big": json.Number("1e400"), "s": "abc", "none": nil, "list": []any{"a", json.Number("1")}, "at": "2026-03-01T23:30:00Z"}}
	for _, s := range []string{`x.n * decimal("2")`, `first(list(x.list))`, `x.list.map(a, x.list.map(b, a))`, `date(x.at, "UTC")`, `round(x.n, 2)`, `money(x.n, "EUR") + limit`, `x.s.matches("(a+)+$")`, `default(x.none, "y")`, `x.?a.b`, `decimal(x.big)`, `"a".replace("", x.s)`, `"%s".format([x])`,
		`"a".replace("a", "bbbb").replace("b", "cccc").replace("c", "dddd")`, `[x.s].map(a, [a, a, a, a]).map(a, [a, a, a, a])`, `[[1]].map(a, a + a).map(a, a + a)`, `x.list.join(x.s)`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		begun := time.Now()
		p, err := e.Compile(src, expr.Dyn)
		if err != nil {
			if hub.AsError(err) == nil {
				t.Fatalf("%q: a person cannot tell what is wrong: %v", src, err)
			}
			return
		}
		_, _ = p.Eval(vars) // that it fails is its own business
		if took := time.Since(begun); took > 5*time.Second {
			t.Fatalf("%q took %s", src, took)
		}
	})
}
