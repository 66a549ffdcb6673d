package secret_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throughline/internal/secret"
)

type keys map[string][]byte

func (k keys) TenantKey(_ context.Context, t string) ([]byte, error) { return k[t], nil }
func (k keys) PutTenantKey(_ context.Context, t string, w []byte) error {
	k[t] = w
	return nil
}

func box(t *testing.T, master byte, k keys) *secret.Box {
	t.Helper()
	b, err := secret.NewBox(bytes.Repeat([]byte{master}, 32), k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatIsSealedOpensOnlyInItsPlace(t *testing.T) {
	ctx, k := context.Background(), keys{}
	b := box(t, 1, k)
	sealed, err := b.Seal(ctx, "t1", "crm", []byte("hunter2"))
	if err != nil || bytes.Contains(sealed, []byte("hunter2")) {
		t.Fatalf("sealed %q, %v", sealed, err)
	}
	if clear, err := b.Open(ctx, "t1", "crm", sealed); err != nil || string(clear) != "hunter2" {
		t.Errorf("opened %q, %v", clear, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"another connection": func() ([]byte, error) { return b.Open(ctx, "t1", "erp", sealed) },
		"another tenant":     func() ([]byte, error) { return b.Open(ctx, "t2", "crm", sealed) },
		"a changed byte":     func() ([]byte, error) { return b.Open(ctx, "t1", "crm", flipped) },
		"another master key": func() ([]byte, error) { return box(t, 2, k).Open(ctx, "t1", "crm", sealed) },
	} {
		if clear, err := try(); err == nil {
			t.Errorf("%s opened it: %q", name, clear)
		}
	}
}

func TestATextNeverPrintsItself(t *testing.T) {
	s := secret.NewText("hunter2")
	if out := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(out, "hunter2") {
		t.Error(out)
	}
}

func TestReferences(t *testing.T) {
	t.Setenv("SOME_SECRET", `{"token":"x"}`)
	if v, err := secret.Resolve("env:SOME_SECRET"); err != nil || string(v) != `{"token":"x"}` {
		t.Errorf("%q %v", v, err)
	}
	for _, ref := range []string{"env:NOT_SET_ANYWHERE", "file:/nowhere/at/all", "hunter2", "plain:hunter2"} {
		if _, err := secret.Resolve(ref); err == nil || strings.Contains(err.Error(), "hunter2") && ref != "hunter2" {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := secret.LoadKey(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := secret.LoadKey(path, false); err != nil || !bytes.Equal(made, again) {
		t.Errorf("read again: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadKey(path, false); err == nil {
		t.Error("a key that others may read was taken")
	}
}
