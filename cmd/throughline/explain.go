package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"throughline/internal/canonical"
	"throughline/internal/cases"
	"throughline/internal/connector"
	"throughline/internal/control"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/specfile"
	"throughline/internal/workflow"
	"throughline/schemas"
	"throughline/templates"
)

// kinds are the files that people write.
var kinds = map[string]any{"connector": connector.File{}, "mapping": mapping.File{}, "template": workflow.File{}, "customer": control.CustomerFile{},
	"record": canonical.Schema{}, "cases": []cases.Case{}, "template-cases": []cases.TemplateCase{}}

// explainDefinition tells what a kind of file may say, or what a template does.
func explainDefinition(what string, definitions []string) error {
	if root, known := kinds[what]; known {
		return explainWords(os.Stdout, what, root)
	}
	name, version, versioned := strings.Cut(what, "@")
	n, err := strconv.Atoi(version)
	if !versioned || err != nil {
		return &hub.Error{Kind: hub.NotFound, Code: "explain.unknown", Message: fmt.Sprintf("There is nothing to explain called %q.", what),
			Hint: "Name a customer and a record, a template with its version (deal-to-project@1), or a kind of file: " + strings.Join(slices.Sorted(maps.Keys(kinds)), ", ") + "."}
	}
	t, err := openTemplate(name, n, definitions)
	if err != nil {
		return err
	}
	explainTemplate(os.Stdout, t)
	return nil
}

// openTemplate compiles a version of a template; a partner's own goes before ours.
func openTemplate(name string, version int, definitions []string) (*workflow.Template, error) {
	set, err := canonical.Load(schemas.Files)
	if err != nil {
		return nil, err
	}
	for _, d := range definitions {
		dir := os.DirFS(filepath.Join(d, "templates"))
		if _, err := fs.Stat(dir, fmt.Sprintf("%s/v%d.yaml", name, version)); err == nil {
			return workflow.Load(dir, name, version, set, nil)
		}
	}
	return workflow.Load(templates.Files, name, version, set, nil)
}

// explainTemplate prints the steps with what each of them waits for.
func explainTemplate(out io.Writer, t *workflow.Template) {
	f := t.File
	p := func(format string, args ...any) { fmt.Fprintf(out, format, args...) } //nolint:errcheck // a terminal that went away
	p("%s@%d: %s\n%s\n", f.Template, f.Version, f.Title, f.About)
	for _, r := range slices.Sorted(maps.Keys(f.Roles)) {
		p("role %s: %s\n", r, f.Roles[r])
	}
	for _, e := range f.Parameters {
		p("parameter %s (%s): %s\n", e.Key, e.Value.Type, e.Value.Title)
	}
	p("starts with record: %s from %s", f.Trigger.Record, f.Trigger.From)
	if f.Trigger.When.Set() {
		p(", when %s", f.Trigger.When.Source)
	}
	p("\n\n")
	for i, n := range t.Graph() {
		p("%2d  %-8s %s", i+1, n.Kind, n.Name)
		if len(n.To) > 0 {
			p(" in %s", strings.Join(n.To, " and "))
		}
		if n.Each != "" {
			p(", once per item of %s", n.Each)
		}
		if n.When != "" {
			p(", when %s", n.When)
		}
		if len(n.Needs) > 0 {
			p("  <- %s", strings.Join(n.Needs, ", "))
		}
		p("\n")
	}
	for _, e := range f.Extend {
		p("extension point %s: fields of the step write: %s\n", e.Key, e.Value)
	}
}

// explainWords prints every word of a file's kind, with type, default and meaning, from the very
// description that reads the file.
func explainWords(out io.Writer, kind string, root any) error {
	data, err := json.Marshal(specfile.Schema(root, "A "+kind+" file"))
	if err != nil {
		return err
	}
	var schema struct {
		Ref  string `json:"$ref"`
		Defs map[string]struct {
			Properties map[string]map[string]any `json:"properties"`
			Required   []string                  `json:"required"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(schema.Defs))
	top := schema.Ref[strings.LastIndexByte(schema.Ref, '/')+1:]
	slices.SortStableFunc(names, func(a, b string) int { // the file itself first
		switch top {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	for _, name := range names {
		d := schema.Defs[name]
		if _, err := fmt.Fprintln(out, name); err != nil {
			return err
		}
		for _, word := range slices.Sorted(maps.Keys(d.Properties)) {
			if _, err := fmt.Fprintf(out, "  %-18s %s\n", word, explained(d.Properties[word], slices.Contains(d.Required, word))); err != nil {
				return err
			}
		}
	}
	return nil
}

// explained is one word's line: what it takes, what it is without, what it means.
func explained(p map[string]any, required bool) string {
	parts := []string{kindOfWord(p)}
	if required {
		parts = append(parts, "required")
	}
	if d, ok := p["default"]; ok {
		parts = append(parts, fmt.Sprintf("default %v", d))
	}
	line := strings.Join(parts, ", ")
	if doc, _ := p["description"].(string); doc != "" && doc != "an expression" {
		line += ": " + doc
	}
	return line
}

// kindOfWord names what a word takes: a type, one of several words, or another part of the file.
func kindOfWord(p map[string]any) string {
	if ref, ok := p["$ref"].(string); ok {
		return ref[strings.LastIndexByte(ref, '/')+1:]
	}
	if list, ok := p["enum"].([]any); ok {
		return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(list), "[]")), " | ")
	}
	for _, inner := range []struct{ key, before string }{{"items", "list of "}, {"additionalProperties", "map of "}} {
		if m, ok := p[inner.key].(map[string]any); ok {
			return inner.before + kindOfWord(m)
		}
	}
	if p["pattern"] == "^=" {
		return "expression"
	}
	if t, ok := p["type"].(string); ok {
		return strings.NewReplacer("string", "text", "boolean", "true or false", "object", "map").Replace(t)
	}
	return "any"
}
