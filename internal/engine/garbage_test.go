package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// TestAnAnswerThatIsNoneIsNeverSuccess: a far side that goes on answering 200 with something else than an
// answer gets its chances, then a person is asked; nothing is ever told as written (F7).
func TestAnAnswerThatIsNoneIsNeverSuccess(t *testing.T) {
	const whole = `{"id":"7","name":"Relaunch","stage":"Closed Won","amount":1200.5,"currency":"EUR","closeDate":"2026-11-02","servicePackage":"std","lineItems":[]}`
	pages := map[string]string{
		"a login page":       "<html><form>Please log in</form></html>",
		"a maintenance page": "We are back soon.",
		"nothing":            "",
		"half of it":         `{"id":"7","name":"Re`,
	}
	renamed := map[string]string{"a deal whose stage has another name": strings.Replace(whole, "stage", "phase", 1), "a deal without a name": strings.Replace(whole, `"name"`, `"title"`, 1)}
	for _, c := range []struct {
		method, path string
		instead      map[string]string
	}{
		{"GET", "/crm/opportunities/7", pages},
		{"GET", "/crm/opportunities/7", renamed},
		{"POST", "/erp/customers", pages},
		{"POST", "/erp/customers", map[string]string{"an id by another name": `{"identifier":"7"}`, "a list": `[]`, "a word": `"ok"`}},
		{"POST", "/time/projects", pages},
	} {
		for what, body := range c.instead {
			t.Run(fmt.Sprintf("%s %s is answered with %s", c.method, c.path, what), func(t *testing.T) {
				h := newHouse(t)
				h.far.other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == c.method && r.URL.Path == c.path {
						fmt.Fprint(w, body)
						return
					}
					h.far.serve(w, r)
				})
				h.win()
				h.drain()
				h.asked()
			})
		}
	}
}

// asked checks that the deal waits for a person and was never told as done.
func (h *house) asked() {
	h.Helper()
	for _, run := range h.runs() {
		if run.Outcome != hub.Parked {
			h.Errorf("a run ended as %s", run.Outcome)
		}
	}
	open, err := h.store.Tenant("t1").Exceptions(context.Background(), store.Filter{State: "open"})
	if err != nil || len(open) != 1 || open[0].Message == "" {
		h.Errorf("exceptions %+v, %v; want one that says what is wrong", open, err)
	}
	if len(h.far.patched) > 0 && len(h.far.created["/erp/projects"]) == 0 {
		h.Errorf("the CRM was told of a project that there is not: %v", h.far.patched)
	}
}

// TestASearchThatIsAnsweredWithNothingFindsNothingOut: the answer to a create is lost, and the search for it
// comes back without a body. That is not the same as an empty list: created again, it would be there twice.
func TestASearchThatIsAnsweredWithNothingFindsNothingOut(t *testing.T) {
	h := newHouse(t)
	searches := 0
	h.far.other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" && r.URL.Query().Has("externalId") {
			if searches++; searches == 1 {
				return // 200
			}
		}
		h.far.serve(w, r)
	})
	h.far.on(func(call int, when string) (int, bool) { return -1, call == 2 && when == "after" })
	h.win()
	h.drain()
	h.once()
	if searches < 2 {
		t.Errorf("%d searches, want another after the one that was answered with nothing", searches)
	}
}
