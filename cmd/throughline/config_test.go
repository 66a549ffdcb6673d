package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func parse(t *testing.T, args ...string) (*kong.Kong, commands, error) {
	t.Helper()
	var c commands
	k, err := kong.New(&c, kong.Name("throughline"), kong.Configuration(loadConfig), kong.Exit(func(int) { t.Fatal("the parser ended the program") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Parse(args)
	return k, c, err
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "throughline.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSettingsAreTakenInOrder: default, then file, then environment, then flag.
func TestSettingsAreTakenInOrder(t *testing.T) {
	file := write(t, "addr: 127.0.0.1:1\nexternal: https://file.example\nworkers: 7\nallow: [10.0.0.0/8, 127.0.0.1/32]\nverbose: true\nstore: postgres://file\n")
	t.Setenv("THROUGHLINE_STORE", "postgres://environment")
	t.Setenv("THROUGHLINE_EXTERNAL", "https://environment.example")
	_, c, err := parse(t, "serve", "--config", file, "--external", "https://flag.example")
	if err != nil {
		t.Fatal(err)
	}
	s := c.Serve
	for what, got := range map[string][2]any{
		"a flag goes before all":               {s.External, "https://flag.example"},
		"the environment goes before the file": {s.Store, "postgres://environment"},
		"the file goes before the default":     {s.Addr, "127.0.0.1:1"},
		"numbers":                              {s.Workers, 7},
		"lists":                                {s.Allow, []string{"10.0.0.0/8", "127.0.0.1/32"}},
		"yes and no":                           {s.Verbose, true},
		"the default stands behind":            {filepath.Base(s.Data), "data"},
	} {
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Errorf("%s: got %v, want %v", what, got[0], got[1])
		}
	}
}

func TestAConfigurationWithMistakesIsRefused(t *testing.T) {
	_, _, err := parse(t, "serve", "--config", write(t, "dta: x\nworkers: many\nallow: 10.0.0.0/8\n"))
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{"throughline.yaml:1:", "Did you mean `data`?", "throughline.yaml:2:", "workers", "throughline.yaml:3:", "allow"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
}

// TestEverySettingIsDescribed holds the table in docs/operating.md against the flags and the file.
func TestEverySettingIsDescribed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, line := range strings.Split(string(page), "\n") {
		if rest, ok := strings.CutPrefix(line, "| `"); ok && strings.Contains(line, "| `--") {
			name, _, _ := strings.Cut(rest, "`")
			rows[name] = line
		}
	}
	k, _, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	inFile := map[string]bool{}
	for i, s := 0, reflect.TypeFor[settings](); i < s.NumField(); i++ {
		if key := s.Field(i).Tag.Get("spec"); key != "" {
			inFile[key] = true
		}
	}
	for _, node := range k.Model.Children {
		if node.Name != "serve" {
			continue
		}
		for _, f := range node.Flags {
			if f.Name == "config" {
				continue
			}
			row, want := rows[f.Name], "`"+f.Default+"`"
			if !f.HasDefault {
				want = "| |"
			}
			if len(f.Envs) != 1 || !strings.Contains(row, "`"+f.Envs[0]+"`") || !strings.Contains(row, "`--"+f.Name+"`") || !strings.Contains(row, want) {
				t.Errorf("--%s (%v, default %q) is described as %q", f.Name, f.Envs, f.Default, row)
			}
			if !inFile[f.Name] {
				t.Errorf("--%s cannot be set in the file", f.Name)
			}
			delete(rows, f.Name)
		}
	}
	for name := range rows {
		t.Errorf("docs/operating.md describes %q, which serve does not have", name)
	}
}
