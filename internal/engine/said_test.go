package engine_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// TestAPersonSaysWhatBecameOfAWrite: nothing protects the create, and its answer is lost. A person looks, and says that it
// is to be sent again, or which record was made; to try again says neither.
func TestAPersonSaysWhatBecameOfAWrite(t *testing.T) {
	for name, c := range map[string]struct {
		lost string // before the call came there, or after
		says func(*house)
		ends int // customers made
	}{
		"it is not there":           {"before", func(h *house) { h.resolve("approved") }, 1},
		"it is there":               {"after", func(h *house) { h.meant("erp-customers-1"); h.resolve("resolved") }, 1},
		"nothing, and tries again":  {"after", func(h *house) { h.resolve("resolved") }, -1},
		"that it went through only": {"after", func(h *house) { h.resolve("leave") }, -1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouseWith(t, unprotected(t))
			h.lose(c.lost, 2)
			h.win()
			h.drain()
			h.far.on(nil)
			open := h.exceptions()
			if len(open) != 1 || open[0].Code != "write.uncertain" || open[0].About == "" || open[0].Connection != "erp" {
				t.Fatalf("exceptions %+v, want one that asks what became of the customer", open)
			}
			c.says(h)
			h.drain()
			if c.ends < 0 {
				if open := h.exceptions(); len(open) != 1 || len(h.far.created["/erp/customers"]) != 1 {
					t.Errorf("exceptions %+v, made %v; want it asked again, and nothing sent", open, h.far.created)
				}
				return
			}
			h.once()
			if open := h.exceptions(); len(open) != 0 {
				t.Errorf("still asked is %+v", open)
			}
			h.lose("after", h.far.calls+2) // an answer holds for what was asked
			h.far.deal["name"] = "Relaunch II"
			h.win()
			h.drain()
			h.far.on(nil)
		})
	}
}

// TestAPersonSaysWhatBecameOfAFollowUp: it went through and is not sent again, or it did not and is.
func TestAPersonSaysWhatBecameOfAFollowUp(t *testing.T) {
	for name, c := range map[string]struct {
		lost, says string
		members    int
	}{"it went through": {"after", "leave", 2}, "it did not": {"before", "approved", 2}, "it is sent again all the same": {"after", "approved", 3}} {
		t.Run(name, func(t *testing.T) {
			h := newHouseWith(t, withFollowUps(t, strings.Replace(following, "write: U", "write: X", 1)))
			h.lose(c.lost, 5) // the first member
			h.win()
			h.drain()
			h.far.on(nil)
			if open := h.exceptions(); len(open) != 1 || open[0].Code != "write.uncertain" {
				t.Fatalf("exceptions %+v", open)
			}
			h.resolve(c.says)
			h.drain()
			h.once()
			h.followed(c.members)
		})
	}
}

// lose loses the nth call on its way there, or its answer.
func (h *house) lose(when string, n int) {
	h.far.on(func(call int, at string) (int, bool) {
		h.clock.Add(time.Millisecond)
		return -1, call == n && at == when
	})
}

// meant links the customer to a record over there, as a person says it.
func (h *house) meant(id string) {
	h.Helper()
	customer := hub.RecordIDFor("t1", "crm", "opportunity", "7").Derive("t1", "account", "")
	l := store.Link{Record: customer, Connection: "erp", Kind: "customer", ExternalID: id, Number: id, Updated: h.clock.Now()}
	if err := h.store.Tenant("t1").PutLink(context.Background(), l, store.AuditEntry{At: h.clock.Now(), Who: "ana", Action: "record.link"}); err != nil {
		h.Fatal(err)
	}
}

// TestWhatWasSaidOfACallIsNoChoiceAboutTheLine: a person has said that the line's completion went through. That it is to
// stay as it was invoiced, when the entry changes later, they have not.
func TestWhatWasSaidOfACallIsNoChoiceAboutTheLine(t *testing.T) {
	h := newBooks(t)
	conns := maps.Clone(bookFiles)
	conns["ledger/connector.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(ledgerYAML, "complete\"\n        write: S", "complete\"\n        write: X", 1))}
	h.conns = conns
	h.start()
	h.far.on(func(call int, when string) (int, bool) {
		h.clock.Add(time.Millisecond)
		h.books.mu.Lock()
		defer h.books.mu.Unlock()
		return -1, when == "after" && h.books.asked["POST /erp/lines/l1/complete"] == 1 && h.books.asked["lost"] == 0 && func() bool { h.books.asked["lost"]++; return true }()
	})
	h.log("e1 u1 p1 2026-03-02 3600 approved")
	h.drain()
	h.books.lines["l1"].State = "open" // so that it is seen as still to be done, and only a person knows better
	h.choose(h.parked("write.uncertain"), engine.Leave)
	h.drain()
	h.books.lines["l1"].State = "invoiced"
	h.clock.Add(time.Second)
	h.log("e1 u1 p1 2026-03-02 1800 approved")
	h.drain()
	h.stands("P1 2026-03-02 3600 invoiced")
	h.parked("posting.fixed")
}
