package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/access"
	"throughline/internal/control"
	"throughline/internal/hub"
	"throughline/internal/store"
)

var seal = store.Sealer{Key: []byte("k"), Fingerprint: "f"}

func (h *house) backup() []byte {
	h.Helper()
	var b bytes.Buffer
	if _, err := h.store.Backup(context.Background(), &b, seal); err != nil {
		h.Fatal(err)
	}
	return b.Bytes()
}

// restore puts the product on a restored ledger and lets it go on.
func (h *house) restore(backup []byte) {
	h.Helper()
	ctx := context.Background()
	h.clock.Add(time.Minute)
	dir := h.TempDir()
	from, to := filepath.Join(dir, "backup"), filepath.Join(dir, "ledger.db")
	if err := os.WriteFile(from, backup, 0o600); err != nil {
		h.Fatal(err)
	}
	if _, _, err := store.Restore(ctx, store.Restoring{From: from, To: to, Seal: seal, Now: h.clock.Now}); err != nil {
		h.Fatal(err)
	}
	s, err := store.Open(ctx, to, h.clock.Now)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if err := s.Close(); err != nil {
			h.Error(err)
		}
	})
	h.store, h.commit = s, nil
	if done, err := s.Resume(ctx, nil, nil); err != nil || !done {
		h.Fatalf("resume: %v %v", done, err)
	}
	h.start()
	h.clock.Add(time.Minute)
}

// TestRestoredAtEveryPoint takes the backup at each durable point of a deal, carries the deal to its end
// and changes it; restored, the product finds all of it and makes nothing twice.
func TestRestoredAtEveryPoint(t *testing.T) {
	for name, more := range map[string]string{"plain": "", "with follow-ups": following} {
		for n := 1; n <= 6; n++ {
			t.Run(fmt.Sprintf("%s, commit %d", name, n), func(t *testing.T) {
				h := newHouseWith(t, withFollowUps(t, more))
				var taken []byte
				h.commit = func(i int, when string) bool {
					if i == n && when == "before" {
						taken = h.backup()
					}
					return false
				}
				h.win()
				h.drain()
				if taken == nil {
					taken = h.backup() // it has fewer points: after all of them
				}
				h.far.deal["name"] = "Relaunch II"
				h.win()
				h.drain()
				h.restore(taken)
				h.win() // what the source is read for
				h.drain()
				h.upToDate()
				if n := len(h.far.created["/time/projects/time-projects-1/activate"]); more != "" && n != 1 {
					t.Errorf("activated %d times, want once", n)
				}
			})
		}
	}
}

// upToDate checks that each was created once, and that the last that was written of the project is its
// newest form.
func (h *house) upToDate() {
	h.Helper()
	for _, path := range []string{"/erp/customers", "/erp/projects", "/time/projects"} {
		if n := len(h.far.created[path]); n != 1 {
			h.Errorf("%s: %d created, want 1", path, n)
		}
	}
	if runs := h.runs(); len(runs) == 0 || runs[0].Outcome != hub.Written {
		h.Errorf("runs %+v, want the last one written", runs)
	}
	last := ""
	for _, body := range h.far.patched {
		if strings.Contains(body, `"budget"`) {
			last = body
		}
	}
	if !strings.Contains(last, "Relaunch II") {
		h.Errorf("the project stands as %s", last)
	}
}

// unprotected are the connectors of the comparisons with an ERP whose customers nothing protects.
func unprotected(t *testing.T) fs.FS {
	t.Helper()
	conns := withFollowUps(t, "").(fstest.MapFS)
	data, err := fs.ReadFile(sub(t, "connectors"), "far-erp/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "    find: {marker: {get: /erp/customers, query: {externalId: =marker}}}\n    create: {write: S, lag: 1s}", "    create: {write: X}", 1)
	if text == string(data) {
		t.Fatal("the ERP's connector creates customers in another way now")
	}
	conns["far-erp/connector.yaml"] = &fstest.MapFile{Data: []byte(text)}
	return conns
}

// TestASearchAfterARestoreWaitsUntilItCanBeTrusted: what was sent just before the hold may not show yet.
func TestASearchAfterARestoreWaitsUntilItCanBeTrusted(t *testing.T) {
	conns := withFollowUps(t, "").(fstest.MapFS)
	file := conns["far-time/connector.yaml"]
	text := strings.Replace(string(file.Data), "create: {write: S, lag: 1s}", "create: {write: S, lag: 5m}", 1)
	if text == string(file.Data) {
		t.Fatal("the time tracker's connector creates projects in another way now")
	}
	file.Data = []byte(text)
	h := newHouseWith(t, conns)
	taken := h.backup()
	h.win()
	h.drain()
	h.far.hidden = true
	h.far.on(func(int, string) (int, bool) {
		h.far.mu.Lock()
		defer h.far.mu.Unlock()
		st := h.engine.Standing()
		h.far.hidden = !st.LostUntil.IsZero() && h.clock.Now().Before(st.LostUntil.Add(5*time.Minute))
		return 0, false
	})
	// Only the time tracker's search lags: the ERP's would be asked too soon.
	for _, path := range []string{"/erp/customers", "/erp/projects"} {
		delete(h.far.created, path)
	}
	h.restore(taken)
	h.win()
	h.drain()
	if n := len(h.far.created["/time/projects"]); n != 1 {
		t.Errorf("%d projects in the time tracker; want the one that was there", n)
	}
}

// TestWhatNothingProtectsIsAskedAfterARestore: class X is never sent by itself where it may have been
// sent before; a person's word sends it, and the end of the lost time ends the asking.
func TestWhatNothingProtectsIsAskedAfterARestore(t *testing.T) {
	for name, answer := range map[string]func(*house){
		"approved":                       (*house).approve,
		"trusted, and tried once more":   func(h *house) { h.trust(); h.resolve("resolved") },
		"tried once more, without a yes": nil,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouseWith(t, unprotected(t))
			h.restore(h.backup())
			h.win()
			h.drain()
			open := h.exceptions()
			if len(open) != 1 || open[0].Code != "write.lost_time" || len(h.far.created["/erp/customers"]) != 0 {
				t.Fatalf("exceptions %+v, created %v; want one that asks, and nothing sent", open, h.far.created)
			}
			if answer == nil {
				h.resolve("resolved")
				h.drain()
				if n := len(h.far.created["/erp/customers"]); n != 0 {
					t.Errorf("%d created without a person's word", n)
				}
				return
			}
			answer(h)
			h.drain()
			h.once()
		})
	}
}

// TestAKeyIsNoSearch: a far side that honours keys made the record in the lost time; it has changed since, so that its
// create has another key. Where nothing can be searched, a person is asked.
func TestAKeyIsNoSearch(t *testing.T) {
	conns := unprotected(t).(fstest.MapFS)
	file := conns["far-erp/connector.yaml"]
	file.Data = []byte(strings.Replace(string(file.Data), "create: {write: X}", "create: {write: K, headers: {Idempotency-Key: =key}}", 1))
	h := newHouseWith(t, conns)
	taken := h.backup()
	h.win()
	h.drain()
	h.restore(taken)
	h.far.deal["name"] = "Relaunch II"
	h.win()
	h.drain()
	if open := h.exceptions(); len(open) != 1 || open[0].Code != "write.lost_time" || len(h.far.created["/erp/customers"]) != 1 {
		t.Errorf("exceptions %+v, created %v; want one that asks, and the customer that was made", open, h.far.created)
	}
}

func (h *house) exceptions() []store.Exception {
	h.Helper()
	list, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil {
		h.Fatal(err)
	}
	return list
}

func (h *house) resolve(state string) {
	h.Helper()
	entry := store.AuditEntry{At: h.clock.Now(), Who: "ana", Action: "exception." + state}
	for _, x := range h.exceptions() {
		if _, err := h.store.Tenant("t1").CloseException(context.Background(), x.ID, state, state, true, entry); err != nil {
			h.Fatal(err)
		}
	}
}

// approve says yes to what is asked, as people do.
func (h *house) approve() {
	h.Helper()
	var ids []hub.ExceptionID
	for _, x := range h.exceptions() {
		ids = append(ids, x.ID)
	}
	desk := control.New(control.Parts{Store: h.store, Now: h.clock.Now, Changed: func() {}})
	r, err := desk.Resolve(context.Background(), access.Principal{Name: "ana", Role: "operator", Tenant: access.Everyone}, "t1", control.Resolving{Exceptions: ids, How: control.Approve})
	if err != nil || r.Done != len(ids) {
		h.Fatal(r, err)
	}
}

func (h *house) trust() {
	h.Helper()
	if done, err := h.store.Trust(context.Background(), map[hub.TenantID]store.AuditEntry{}); err != nil || !done {
		h.Fatal(done, err)
	}
	h.start()
}

// TestHeldNothingIsClaimed runs the engine on a ledger that is held: what arrives waits, and goes on once
// somebody resumes it.
func TestHeldNothingIsClaimed(t *testing.T) {
	h := newHouse(t)
	if err := h.store.Hold(context.Background(), "because"); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.win()
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- h.engine.Run(ctx) }()
	for range 20 { // it has looked many times
		h.engine.Wake()
		time.Sleep(5 * time.Millisecond)
	}
	if h.far.calls != 0 || h.engine.Standing().Reason != "because" {
		t.Errorf("%d calls while held, standing %+v", h.far.calls, h.engine.Standing())
	}
	if done, err := h.store.Resume(context.Background(), nil, nil); err != nil || !done {
		t.Fatal(done, err)
	}
	h.clock.Add(time.Minute)
	h.engine.Wake()
	for end := time.Now().Add(10 * time.Second); len(h.runs()) == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	h.once()
}

// TestANodeThatIsNotHeardTriesAgain: the store does not answer while the node takes its lease, as where a COMMIT's
// answer is lost. It goes on trying, without another process to start it.
func TestANodeThatIsNotHeardTriesAgain(t *testing.T) {
	h := newHouse(t)
	var tried atomic.Int32
	h.engine.Sync = func(context.Context) error {
		if tried.Add(1) <= 2 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	h.win()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- h.engine.Run(ctx) }()
	for end := time.Now().Add(10 * time.Second); len(h.runs()) == 0 && time.Now().Before(end); {
		h.engine.Wake() // it need not wait for long
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-ran; err != nil || tried.Load() != 3 {
		t.Fatalf("ended with %v after %d trials, want none after 3", err, tried.Load())
	}
	h.once()
}

// TestANodeEndsWhereAPersonHasToMend: trying again would not help.
func TestANodeEndsWhereAPersonHasToMend(t *testing.T) {
	h := newHouse(t)
	mend := &hub.Error{Kind: hub.Invalid, Code: "ledger.mark", Message: "It cannot be read."}
	h.engine.Sync = func(context.Context) error { return mend }
	if err := h.engine.Run(t.Context()); !errors.Is(err, mend) {
		t.Fatalf("ended with %v, want %v", err, mend)
	}
}

// TestASearchThatIsNotObeyed: the far side does not know the filter by our marker, and answers with whatever it has. A
// stranger's record is not taken for ours, nor is ours taken for not there: a person is asked.
func TestASearchThatIsNotObeyed(t *testing.T) {
	conns := withFollowUps(t, "").(fstest.MapFS)
	file := conns["far-erp/connector.yaml"]
	file.Data = []byte(strings.ReplaceAll(string(file.Data), "    number: =x.id\n", "    number: =x.id\n    marker: =x.externalId\n"))
	h := newHouseWith(t, conns)
	answer := `[{"id":"stranger","externalId":"kotherotherother"},{"id":"another"}]`
	h.far.other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" && r.URL.Path == "/erp/projects" && answer != "" {
			fmt.Fprint(w, answer)
			return
		}
		h.far.serve(w, r)
	})
	lost := false
	h.far.on(func(_ int, when string) (int, bool) {
		if n := len(h.far.created["/erp/projects"]); when == "after" && n == 1 && !lost {
			lost = true
			return -1, true
		}
		return 0, false
	})
	h.win()
	h.drain()
	project := hub.RecordIDFor("t1", "crm", "opportunity", "7").Derive("t1", "project", "")
	link, err := h.store.Tenant("t1").Link(context.Background(), project, "erp")
	if err != nil || link != nil {
		t.Errorf("the project is linked as %+v, %v", link, err)
	}
	open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil || len(open) != 1 || open[0].Code != "find.marker_ignored" {
		t.Fatalf("exceptions %+v, %v", open, err)
	}
	answer = strings.Replace(answer, `{"id":"another"}`, fmt.Sprintf(`{"id":"erp-projects-1","externalId":%q}`, strings.ToUpper(project.Marker())), 1)
	h.retry()
	h.drain()
	h.once()
}

// TestAYesIsForOneWrite: after a restore two writes of a deal are protected by nothing. Who has looked for the first one
// has not looked for the second.
func TestAYesIsForOneWrite(t *testing.T) {
	conns := unprotected(t).(fstest.MapFS)
	file := conns["far-erp/connector.yaml"]
	text := strings.Replace(string(file.Data), "    find: {marker: {get: /erp/projects, query: {externalId: =marker}}}\n    create: {write: S, lag: 1s}", "    create: {write: X}", 1)
	if text == string(file.Data) {
		t.Fatal("the ERP's connector creates projects in another way now")
	}
	file.Data = []byte(text)
	h := newHouseWith(t, conns)
	h.restore(h.backup())
	h.win()
	for n, path := range []string{"/erp/customers", "/erp/projects"} {
		h.drain()
		open := h.exceptions()
		if len(open) != 1 || open[0].Code != "write.lost_time" || len(h.far.created[path]) != 0 {
			t.Fatalf("question %d: exceptions %+v, created %v", n+1, open, h.far.created)
		}
		h.approve()
	}
	h.drain()
	h.once()
}
