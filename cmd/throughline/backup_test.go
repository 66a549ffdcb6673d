package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"throughline/internal/crashpoint"
	"throughline/internal/trial"
)

// command runs a command with a crash point armed ("" for none) and says whether it ended well.
func command(t *testing.T, program, point string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.Command(program, args...)
	if point != "" {
		cmd.Env = append(os.Environ(), "THROUGHLINE_CRASH="+point+":1")
	}
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestKilledInACommand kills backup, restore and the first start at each of their points: doing it again
// does it, and what a name promises is whole.
func TestKilledInACommand(t *testing.T) {
	onBothStores(t, func(t *testing.T, program, store string) {
		dir := t.TempDir()
		s := trial.Stage{Program: program, Dir: dir, Store: store}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		first, err := s.Product(t.Context()) // makes the key
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Stop(30 * time.Second); err != nil { // its lease ends with it
			t.Fatal(err)
		}
		file, place := filepath.Join(dir, "backup"), s.Place()
		for _, point := range crashpoint.Once {
			args := append([]string{"backup", file}, place...)
			if strings.HasPrefix(point, "restore.") {
				args = append([]string{"restore", file, "--force"}, place...)
			}
			if out, ended := command(t, program, point, args...); ended {
				t.Errorf("%s was not passed: %s", point, out)
			}
			if _, err := os.Stat(file); err == nil && args[0] == "backup" {
				t.Errorf("%s: a backup that was not finished bears its name", point)
			}
			if out, ended := command(t, program, "", args...); !ended {
				t.Errorf("after %s: %s", point, out)
			}
			if args[0] == "backup" && point != "backup.written" { // that one is restored below
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		}
		if list, err := filepath.Glob(filepath.Join(dir, "data", "*.restoring*")); err != nil || len(list) > 0 {
			t.Errorf("left behind: %v %v", list, err)
		}
	})
}
