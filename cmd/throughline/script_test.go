package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"throughline": main}) }

// TestScripts runs testdata/*.txtar, which read like a transcript of somebody at work.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: guide, Cmds: map[string]func(*testscript.TestScript, bool, []string){"simulated": simulated, "desk": desk, "tell": tell, "cause": cause, "bills": bills, "table": tabled, "erp": erp}})
}

var guideFile = regexp.MustCompile("(?s)```yaml\n# (connectors/[a-z/-]+\\.yaml)\n(.*?)```")

// guide writes the files of docs/connectors.md's worked example below guide/, for the script that
// follows it.
func guide(env *testscript.Env) error {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "connectors.md"))
	if err != nil {
		return err
	}
	for _, f := range guideFile.FindAllStringSubmatch(string(doc), -1) {
		to := filepath.Join(env.WorkDir, "guide", f[1])
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(f[2]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// simulated starts `throughline simulate NAME` on a port of its own and puts its address in $SIM; it
// is ended with the script.
func simulated(ts *testscript.TestScript, _ bool, args []string) {
	program, err := exec.LookPath("throughline")
	ts.Check(err)
	cmd := exec.Command(program, append([]string{"simulate"}, args...)...)
	cmd.Dir = ts.Getenv("WORK")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed" is what we want
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, found := strings.Cut(lines.Text(), " is simulated at "); found {
			ts.Setenv("SIM", url)
		}
		if strings.HasPrefix(lines.Text(), "look inside") {
			go func() { // a full pipe would stop it
				for lines.Scan() {
				}
			}()
			return
		}
	}
	ts.Fatalf("the simulator did not say where it is")
}
