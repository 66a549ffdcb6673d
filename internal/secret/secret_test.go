package secret_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"throughline/internal/hub"
	"throughline/internal/secret"
)

// keys is a store of sealed keys, which keeps the first one as the real one does.
type keys struct {
	mu   sync.Mutex
	held map[string][]byte
}

func newKeys() *keys { return &keys{held: map[string][]byte{}} }

func (k *keys) TenantKey(_ context.Context, t string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held[t], nil
}

func (k *keys) PutTenantKey(_ context.Context, t string, w []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held[t] == nil {
		k.held[t] = w
	}
	return nil
}

func (k *keys) ReplaceTenantKey(_ context.Context, t string, old, w []byte) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !bytes.Equal(k.held[t], old) {
		return false, nil
	}
	k.held[t] = w
	return true, nil
}

// TestTwoNodesSealATenantsFirstSecret lets both look for a key before either has kept one.
func TestTwoNodesSealATenantsFirstSecret(t *testing.T) {
	ctx, k := context.Background(), newKeys()
	both := &meeting{keys: k, come: make(chan struct{}, 4), proceed: make(chan struct{})}
	boxes, sealed := [2]*secret.Box{}, [2][]byte{}
	var wait sync.WaitGroup
	for i := range boxes {
		var err error
		if boxes[i], err = secret.NewBox(bytes.Repeat([]byte{1}, 32), both); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			var err error
			if sealed[i], err = boxes[i].Seal(ctx, "t1", fmt.Sprint("crm", i), []byte("hunter2")); err != nil {
				t.Error(err)
			}
		})
	}
	<-both.come
	<-both.come
	close(both.proceed)
	wait.Wait()
	for i := range boxes {
		if clear, err := boxes[1-i].Open(ctx, "t1", fmt.Sprint("crm", i), sealed[i]); err != nil || string(clear) != "hunter2" {
			t.Errorf("node %d's secret, opened by the other: %q, %v", i, clear, err)
		}
	}
}

// meeting holds up the keeping of a key until both nodes have come to it.
type meeting struct {
	*keys
	come, proceed chan struct{}
}

func (m *meeting) PutTenantKey(ctx context.Context, t string, w []byte) error {
	m.come <- struct{}{}
	<-m.proceed
	return m.keys.PutTenantKey(ctx, t, w)
}

func box(t *testing.T, master byte, k *keys) *secret.Box {
	t.Helper()
	b, err := secret.NewBox(bytes.Repeat([]byte{master}, 32), k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatIsSealedOpensOnlyInItsPlace(t *testing.T) {
	ctx, k := context.Background(), newKeys()
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
	within := struct{ inner secret.Text }{s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%b"} {
		if out := fmt.Sprintf(verb+verb, s, within); strings.Contains(out, "hunter2") {
			t.Errorf("%s: %s", verb, out)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", s, "b", within)
	if strings.Contains(log.String(), "hunter2") {
		t.Error(log.String())
	}
	if s.Reveal() != "hunter2" || (secret.Text{}).Reveal() != "" {
		t.Error("the secret is not what it was")
	}
}

func TestReferences(t *testing.T) {
	t.Setenv("SOME_SECRET", `{"token":"x"}`)
	if v, err := secret.Resolve("env:SOME_SECRET"); err != nil || string(v) != `{"token":"x"}` {
		t.Errorf("%q %v", v, err)
	}
	for _, ref := range []string{"env:NOT_SET_ANYWHERE", "file:/nowhere/at/all", "hunter2", "plain:hunter2"} {
		if _, err := secret.Resolve(ref); err == nil || strings.Contains(err.Error(), "hunter2") {
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

func TestFirstSecretsSealedTogetherAllOpen(t *testing.T) {
	for range 50 {
		b := box(t, 1, newKeys())
		var sealed [8][]byte
		var all sync.WaitGroup
		for i := range sealed {
			all.Go(func() {
				var err error
				if sealed[i], err = b.Seal(context.Background(), "t1", "crm", []byte("x")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, s := range sealed {
			if _, err := b.Open(context.Background(), "t1", "crm", s); err != nil {
				t.Fatalf("a sealed secret is lost: %v", err)
			}
		}
	}
}

func TestReadingMakesNoKey(t *testing.T) {
	k := newKeys()
	if _, err := box(t, 1, k).Open(context.Background(), "nobody", "crm", make([]byte, 64)); hub.KindOf(err) != hub.Expired {
		t.Errorf("got %v", err)
	}
	if len(k.held) != 0 {
		t.Error("a tenant without secrets has a key now")
	}
}

func TestTheMasterKeyCanChange(t *testing.T) {
	ctx, k := context.Background(), newKeys()
	sealed, err := box(t, 1, k).Seal(ctx, "t1", "crm", []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	both, err := secret.NewBox(bytes.Repeat([]byte{2}, 32), k, bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if clear, err := both.Open(ctx, "t1", "crm", sealed); err != nil || string(clear) != "hunter2" {
		t.Errorf("before: %q, %v", clear, err)
	}
	for _, want := range []bool{true, false} { // the second time finds nothing to do
		if changed, err := both.Rewrap(ctx, "t1"); err != nil || changed != want {
			t.Errorf("rewrapped: %v, %v", changed, err)
		}
	}
	if changed, err := both.Rewrap(ctx, "nobody"); err != nil || changed {
		t.Errorf("a tenant without key: %v, %v", changed, err)
	}
	if clear, err := box(t, 2, k).Open(ctx, "t1", "crm", sealed); err != nil || string(clear) != "hunter2" {
		t.Errorf("the new key alone: %q, %v", clear, err)
	}
	if _, err := box(t, 1, k).Open(ctx, "t1", "crm", sealed); err == nil {
		t.Error("the old key alone still opens")
	}
}

// TestWhatWasSealedBeforeStillOpens holds the format: AES-256-GCM with the nonce in front, bound to
// "tenant|key" and "tenant|place".
func TestWhatWasSealedBeforeStillOpens(t *testing.T) {
	k := newKeys()
	gcm := func(key []byte) *subtle.AESGCM {
		a, err := subtle.NewAESGCM(key)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	data := bytes.Repeat([]byte{9}, 32)
	wrapped, err := gcm(bytes.Repeat([]byte{1}, 32)).Encrypt(data, []byte("t1|key"))
	if err != nil {
		t.Fatal(err)
	}
	k.held["t1"] = wrapped
	sealed, err := gcm(data).Encrypt([]byte("hunter2"), []byte("t1|connection/c1"))
	if err != nil {
		t.Fatal(err)
	}
	if clear, err := box(t, 1, k).Open(context.Background(), "t1", "connection/c1", sealed); err != nil || string(clear) != "hunter2" {
		t.Errorf("opened %q, %v", clear, err)
	}
}

func TestKeysMadeTogetherAreOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var made [8][]byte
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			var err error
			if made[i], err = secret.LoadKey(path, true); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, key := range made {
		if len(key) != 32 || !bytes.Equal(key, made[0]) {
			t.Error("two processes that start together have two master keys")
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := secret.LoadKey(path, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing key: %v", err)
	}
	for name, text := range map[string]string{"an empty file": "", "too short a key": "aHVudGVyMg==", "what is not base64": "hunter2!"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// Also when it may make one: replacing a broken key would lose every secret.
		if _, err := secret.LoadKey(path, true); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != text {
			t.Errorf("%s was replaced", name)
		}
	}
}

func TestReferencesKeepNumbers(t *testing.T) {
	t.Setenv("SOME_SECRET", `{"account": 9007199254740993}`)
	if v, err := secret.Resolve("env:SOME_SECRET"); err != nil || string(v) != `{"account":9007199254740993}` {
		t.Errorf("%s %v", v, err)
	}
	t.Setenv("SOME_SECRET", `hunter2`)
	if _, err := secret.Resolve("env:SOME_SECRET"); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "env:SOME_SECRET") {
		t.Errorf("got %v", err)
	}
}
