package expr

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"throughline/internal/exact"
)

var example = regexp.MustCompile("(?m)^\\| `(.+?)` \\| `(.+)` \\|$")

// TestTheDocsShowEveryFunction runs the examples of docs/expressions.md, and finds functions that
// have none.
func TestTheDocsShowEveryFunction(t *testing.T) {
	doc, err := os.ReadFile("../../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	env, err := NewEnv(nil)
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, row := range example.FindAllStringSubmatch(string(doc), -1) {
		source, want := row[1], row[2]
		shown.WriteString(" " + source)
		t.Run(source, func(t *testing.T) {
			if got := result(t, env, source); got != want {
				t.Errorf("gives %s, the docs say %s", got, want)
			}
		})
	}
	for _, f := range library {
		if !strings.Contains(shown.String(), " "+f.name+"(") {
			t.Errorf("docs/expressions.md has no example of %s", f.name)
		}
	}
}

func result(t *testing.T, env *Env, source string) string {
	t.Helper()
	p, err := env.Compile(source, Dyn)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Eval(nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := exact.AppendJSON(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
