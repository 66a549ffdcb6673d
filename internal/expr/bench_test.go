package expr_test

import (
	"testing"

	"throughline/internal/expr"
)

// BenchmarkEval is what ordinary expressions cost.
func BenchmarkEval(b *testing.B) {
	e, err := expr.NewEnv(expr.Vars{"x": expr.Dyn})
	if err != nil {
		b.Fatal(err)
	}
	vars := map[string]any{"x": map[string]any{"first": "Ana", "last": "Alder", "stage": "won", "spent": "PT1H30M", "lines": []any{
		map[string]any{"hours": int64(8), "name": "Discovery"}, map[string]any{"hours": int64(0), "name": "Build"}, map[string]any{"hours": int64(3), "name": "Test"}}}}
	for _, c := range []struct{ name, src string }{
		{"field", `x.first`},
		{"choice", `x.stage == "won" ? x.first : x.last`},
		{"quantity", `seconds(x.spent) > seconds(0)`},
		{"concatenation", `x.first + " " + x.last`},
		{"replace", `x.last.replace("er", "ar")`},
		{"join", `[x.first, x.last].join(", ")`},
		{"filter", `x.lines.filter(l, l.hours > 0).map(l, {"name": l.name, "hours": l.hours})`},
	} {
		p, err := e.Compile(c.src, expr.Dyn)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(vars); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
