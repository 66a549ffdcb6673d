package engine_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// following is the time tracker of the comparisons whose projects need two calls more: members, once
// per item, and an activation that can be seen.
const following = `
    after_create:
      - step: member
        each: =["ana", "ben"]
        post: "/time/projects/{id}/members"
        body: {user: =item}
        write: U
      - step: activate
        with: {now: {get: "/time/projects/{id}/state"}}
        when: =!found.now.active
        post: "/time/projects/{id}/activate"
        body: {}
        write: S
`

func withFollowUps(t *testing.T, more string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(sub(t, "connectors"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(sub(t, "connectors"), path)
		if path == "far-time/connector.yaml" {
			data = append(data, more...)
		}
		out[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *house) followed(members int) {
	h.Helper()
	const at = "/time/projects/time-projects-1/"
	if n := len(h.far.created[at+"members"]); n != members {
		h.Errorf("%d members, want %d", n, members)
	}
	if n := len(h.far.created[at+"activate"]); n != 1 {
		h.Errorf("activated %d times, want once", n)
	}
}

func TestANewRecordIsFollowedUpOnce(t *testing.T) {
	h := newHouseWith(t, withFollowUps(t, following))
	h.win()
	h.drain()
	h.once()
	h.followed(2)
	h.far.deal["name"] = "Relaunch II" // changed: nothing is followed up anew
	h.win()
	h.drain()
	h.followed(2)
}

// TestFollowUpsStoppedAtEveryPoint: class U may be repeated, class S looks first.
func TestFollowUpsStoppedAtEveryPoint(t *testing.T) {
	for n := 1; n <= 9; n++ {
		for _, c := range []struct {
			name, when string
			status     int
		}{{"killed before", "before", 0}, {"killed after", "after", 0}, {"answer lost", "after", -1}, {"request lost", "before", -1}} {
			t.Run(fmt.Sprintf("%s call %d", c.name, n), func(t *testing.T) {
				h := newHouseWith(t, withFollowUps(t, following))
				h.far.on(func(call int, at string) (int, bool) { return c.status, call == n && at == c.when })
				h.win()
				h.drain()
				h.far.on(nil)
				h.start()
				h.drain()
				h.once()
				members := 2
				if c.when == "after" && (n == 5 || n == 6) || c.status == 0 && n == 7 {
					members = 3 // the far side took one twice, which class U says does no harm
				}
				h.followed(members)
			})
		}
	}
}

func TestWhatAFollowUpNeedsIsTold(t *testing.T) {
	h := newHouseWith(t, withFollowUps(t, `
    after_create:
      - {step: member, each: '=["ana"]', with: {user: {get: /time/users, query: {externalId: =item}}}, needs: "=size(found.user) == 1", says: The time tracker has no such user., fix: "Invite them, then retry.", post: "/time/projects/{id}/members", body: {user: =item}, write: U}
`))
	h.win()
	h.drain()
	open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil || len(open) != 1 || open[0].Message != "ana: The time tracker has no such user." || open[0].Class != "missing_reference" {
		t.Fatalf("exceptions %+v, %v", open, err)
	}
	if len(h.far.patched) != 1 {
		t.Errorf("written back %v: what does not need the time tracker goes on", h.far.patched)
	}
}

// TestFollowUpsOfNoList: members that are told as one text, and not as a list, are not nobody.
func TestFollowUpsOfNoList(t *testing.T) {
	h := newHouseWith(t, withFollowUps(t, strings.Replace(following, `=["ana", "ben"]`, `'="ana"'`, 1)))
	h.win()
	h.drain()
	if open := h.exceptions(); len(open) != 1 || open[0].Code != "items.none" {
		t.Errorf("exceptions %+v, want one that says that this is no list; members %v", open, h.far.created)
	}
}

// TestRolesAreIndependent: what fails at one far side holds up nothing else.
func TestRolesAreIndependent(t *testing.T) {
	for _, c := range []struct {
		down string
		want map[string]int
		back int
	}{
		{"/time/", map[string]int{"/erp/customers": 1, "/erp/projects": 1, "/time/projects": 0}, 1},
		{"/erp/projects", map[string]int{"/erp/customers": 1, "/erp/projects": 0, "/time/projects": 1}, 0},
	} {
		t.Run(c.down+" refuses", func(t *testing.T) {
			h := newHouse(t)
			h.far.refuse = c.down
			h.win()
			h.drain()
			for path, n := range c.want {
				if got := len(h.far.created[path]); got != n {
					t.Errorf("%s: %d created, want %d", path, got, n)
				}
			}
			if len(h.far.patched) != c.back {
				t.Errorf("written back %d times, want %d", len(h.far.patched), c.back)
			}
			if runs := h.runs(); len(runs) != 1 || runs[0].Outcome != hub.Parked {
				t.Errorf("runs %+v", runs)
			}
			h.far.refuse = ""
			h.retry()
			h.drain()
			h.once()
		})
	}
}

// retry puts every open exception back to work, as a person would.
func (h *house) retry() {
	h.Helper()
	t := h.store.Tenant("t1")
	open, err := t.Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil || len(open) == 0 {
		h.Fatalf("exceptions %+v, %v", open, err)
	}
	for _, e := range open {
		if _, err := t.CloseException(context.Background(), e.ID, "resolved", "retried", true, store.AuditEntry{At: h.clock.Now(), Who: "ana", Action: "exception.retry"}); err != nil {
			h.Fatal(err)
		}
	}
}

func (f *far) refuses(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refuse != "" && strings.HasPrefix(path, f.refuse)
}
