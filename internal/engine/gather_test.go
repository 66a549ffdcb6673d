package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// batching is the time tracker of the comparisons, with many projects in one call.
const batching = `
    create:
      write: S
      batch:
        post: /time/projects/batch
        body: {items: '=items.map(i, {"externalId": i.marker, "name": i.fields.name})'}
        max: 3
        for: =item.externalId
        failed: =item.error != null
        message: =item.error
`

func withBatch(t *testing.T) fs.FS {
	t.Helper()
	conns := withFollowUps(t, "").(fstest.MapFS)
	file := conns["far-time/connector.yaml"]
	text := strings.Replace(string(file.Data), "\n    create: {write: S, lag: 1s}           # it answers within milliseconds, and its search lags by nothing\n", batching, 1)
	if text == string(file.Data) {
		t.Fatal("the time tracker's connector creates projects in another way now")
	}
	conns["far-time/connector.yaml"] = &fstest.MapFile{Data: []byte(text)}
	return conns
}

// batches is the far side's part that takes many at once.
type batches struct {
	mu    sync.Mutex
	calls []int             // sizes
	does  string            // what goes wrong
	made  map[string]string // marker → name
}

func (b *batches) serve(body []byte) (int, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var in struct {
		Items []struct{ ExternalID, Name string }
	}
	_ = json.Unmarshal(body, &in)
	b.calls = append(b.calls, len(in.Items))
	does := b.does
	b.does = ""
	if does == "refuses the whole" {
		return 400, []byte(`{"message":"one of them is wrong"}`)
	}
	var out []map[string]any
	for i, item := range in.Items {
		switch {
		case does == "refuses the second" && i == 1:
			out = append(out, map[string]any{"externalId": item.ExternalID, "error": "no such client"})
			continue
		case does == "breaks off after the second" && i >= 2:
			continue
		case does == "is silent on the second" && i == 1:
			b.made[item.ExternalID] = item.Name
			continue
		}
		b.made[item.ExternalID] = item.Name
		out = append(out, map[string]any{"externalId": item.ExternalID, "id": "p-" + item.ExternalID})
	}
	answer, _ := json.Marshal(out)
	if does == "breaks off after the second" || does == "loses the answer" {
		return -1, nil
	}
	return 207, answer
}

// wins lets n deals be won at the same moment, and carries them side by side.
func (h *house) wins(n int) {
	h.Helper()
	for i := range n {
		if _, err := h.ingest.Accept(context.Background(), "t1", "crm", connector.Delivery{Method: "POST", Body: fmt.Appendf(nil, `{"id":"%d"}`, i+1)}); err != nil {
			h.Fatal(err)
		}
	}
	h.rounds(func(list []store.Claim) bool {
		h.beside(list)
		return false
	})
}

func TestManyLeaveInOneCall(t *testing.T) {
	for _, c := range []struct {
		does         string
		made, parked int
	}{
		{"", 6, 0},
		{"refuses the second", 5, 1},
		{"refuses the whole", 6, 0},
		{"is silent on the second", 6, 0},
		{"breaks off after the second", 6, 0},
		{"loses the answer", 6, 0},
	} {
		t.Run("the far side "+c.does, func(t *testing.T) {
			far := &batches{does: c.does, made: map[string]string{}}
			h := newHouseWith(t, withBatch(t))
			h.gather, h.far.batches = 200*time.Millisecond, far
			h.start()
			h.wins(6)
			for _, markers := range h.far.created {
				seen := map[string]bool{}
				for _, m := range markers {
					if seen[m] {
						t.Errorf("%s was created twice", m)
					}
					seen[m] = true
				}
			}
			for _, m := range h.far.created["/time/projects"] {
				if far.made[m] != "" {
					t.Errorf("%s was created in a batch and alone", m)
				}
			}
			if n := len(far.made) + len(h.far.created["/time/projects"]); n != c.made {
				t.Errorf("%d projects, want %d", n, c.made)
			}
			if len(far.calls) == 0 || far.calls[0] != 3 {
				t.Errorf("batches of %v, want threes", far.calls)
			}
			open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
			if err != nil || len(open) != c.parked {
				t.Errorf("parked %+v, %v", open, err)
			}
			for _, e := range open {
				if !strings.Contains(e.Message, "no such client") || e.Class != "validation" {
					t.Errorf("parked %+v", e)
				}
			}
			for _, r := range h.runs() {
				if r.Outcome != hub.Written && r.Outcome != hub.Parked {
					t.Errorf("run %+v", r)
				}
			}
		})
	}
}

// batch answers for the far side where it takes many at once.
func (f *far) batch(url string, body []byte) (int, http.Header, []byte, error, bool) {
	if f.batches == nil {
		return 0, nil, nil, nil, false
	}
	if strings.HasSuffix(url, "/time/projects/batch") {
		status, answer := f.batches.serve(body)
		if status < 0 {
			return 0, nil, nil, &hub.Error{Kind: hub.Uncertain, Code: "egress.lost", Message: "the answer was lost"}, true
		}
		return status, http.Header{}, answer, nil, true
	}
	if _, marker, ok := strings.Cut(url, "/time/projects?externalId="); ok {
		f.batches.mu.Lock()
		defer f.batches.mu.Unlock()
		if f.batches.made[marker] != "" {
			return 200, http.Header{}, fmt.Appendf(nil, `[{"id":"p-%s"}]`, marker), nil, true
		}
	}
	return 0, nil, nil, nil, false
}
