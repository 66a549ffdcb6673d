package expr_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"throughline/internal/expr"
)

// TestTextsAndListsDoNotGrowBeyondBounds: what makes much of little is refused, soon, without having made it.
func TestTextsAndListsDoNotGrowBeyondBounds(t *testing.T) {
	text, words := strings.Repeat("a", 600_000), make([]any, 1000)
	for i := range words {
		words[i] = strings.Repeat("b", 2000)
	}
	vars := map[string]any{"x": map[string]any{"s": text, "words": words, "n": words[:3]}}
	for _, c := range []struct{ src, want string }{
		{`x.s.replace("a", x.s)`, "at character 12: replace would make more than 1 MiB"},
		{`x.s.replace("", "1234567890")`, "replace would make"},
		{`x.s.replace("a", x.s, 2)`, "replace would make"},
		{`"a".replace("a", "bbbbbbbbbb").replace("b", "cccccccccc").replace("c", "dddddddddd").replace("d", "eeeeeeeeee").replace("e", "ffffffffff").replace("f", "gggggggggg").replace("g", "hhhhhhhhhh").replace("h", "iiiiiiiiii")`, "replace would make"},
		{`x.words.join(x.s)`, "at character 13: join would make"},
		{`x.words.join(", ") + "b"`, "join would make"},
		{`x.s + x.s`, "at character 5: + would make"},
		{`"%s%s".format([x.s, x.s])`, "format would make"},
		{`"%.1000000000f".format([1.5])`, "precision"},
		{`base64(x.s + x.s.substring(300000))`, "base64 would make"},
		{`[x.s].map(a, a + a)`, "+ would make"},
		{`[[1, 2]]` + strings.Repeat(`.map(a, a + a)`, 20), "+ would make"},
		{`[1]` + strings.Repeat(`.map(a, [a, a, a, a])`, 20), "makes too much"},
		{`([1]` + strings.Repeat(`.map(a, [a, a, a, a])`, 20) + `) == [dyn(1)]`, "makes too much"},
		{`[1]` + strings.Repeat(`.map(a, {"a": a, "b": a, "c": a})`, 20), "makes too much"},
		{`text([1]` + strings.Repeat(`.map(a, [a, a, a, a])`, 20) + `)`, "makes too much"},
		{`[1]` + strings.Repeat(`.map(a, [a, a])`, 21), "goes through lists 21 times"},
	} {
		e, err := expr.NewEnv(expr.Vars{"x": expr.Dyn})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begun := time.Now()
		p, err := e.Compile(c.src, expr.Dyn)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.60s: %v", c.src, err)
			}
			continue
		}
		_, err = p.Eval(vars)
		took := time.Since(begun)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %.200v, want %q", c.src, err, c.want)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 2*time.Second || used > 64 {
			t.Errorf("%.60s: took %s and %d MiB", c.src, took, used)
		}
	}
}

// TestWhatIsLargeAndAllowed: bounds are on what is made, and a text that comes in may be larger and be looked at.
func TestWhatIsLargeAndAllowed(t *testing.T) {
	vars := map[string]any{"x": map[string]any{"s": strings.Repeat("ab", 4<<20), "list": []any{strings.Repeat("a", 500_000), strings.Repeat("b", 500_000)}}}
	for src, want := range map[string]any{
		`x.s.substring(0, 2)`:                                      "ab",
		`clip(x.s, 3) + "!"`:                                       "aba!",
		`x.s.replace("ab", "").size()`:                             int64(0),
		`x.list.join(", ").size()`:                                 int64(1_000_002),
		`x.list.map(a, a.size()).exists(n, n == 500000)`:           true,
		`"a-b".replace("-", "/", 1) + ["c", "d"].join()`:           "a/bcd",
		`"%s is %d, %.2f %s".format(["x", 1, 2.5, ["a", "b"]])`:    `x is 1, 2.50 [a, b]`,
		`"aaa".replace("a", "b", 2) + "aaa".replace("a", "b", -1)`: "bbabbb",
	} {
		e, err := expr.NewEnv(expr.Vars{"x": expr.Dyn})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Compile(src, expr.Dyn)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := p.Eval(vars); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", src, got, err, want)
		}
	}
}
