package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	givenCode  = regexp.MustCompile(`Code: +"([a-z_.]+)"`)
	requestOne = regexp.MustCompile(`"(request\.[a-z_]+)"`)
	listedCode = regexp.MustCompile("`([a-z_]+(?:\\.[a-z_*]+)?)`")
)

// TestEveryErrorIsExplained holds docs/errors.md against the codes in the code, both ways.
func TestEveryErrorIsExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	given, listed := codes(t), map[string]bool{}
	for _, line := range strings.Split(string(page), "\n") {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| `") {
			for _, m := range listedCode.FindAllStringSubmatch(cell, -1) {
				listed[strings.TrimSuffix(m[1], "*")] = true
			}
		}
	}
	for code, where := range given {
		if !listed[code] {
			t.Errorf("%s gives the code %q, which docs/errors.md does not explain", where, code)
		}
	}
	for code := range listed {
		if given[code] == "" && code != "defect" { // what is no hub.Error is told as a defect
			t.Errorf("docs/errors.md explains %q, which nothing gives", code)
		}
	}
}

// codes are those in the code, with a file that gives each. One that ends in a dot goes on at run time.
// The simulator's are no product's.
func codes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "simulator" || d.Name() == "storetest") {
				return fs.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			data, err := os.ReadFile(path)
			for _, m := range append(givenCode.FindAllStringSubmatch(string(data), -1), requestOne.FindAllStringSubmatch(string(data), -1)...) {
				out[m[1]] = path
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
