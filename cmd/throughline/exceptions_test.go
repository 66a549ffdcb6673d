package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"throughline/internal/api"
	"throughline/internal/exact"
	"throughline/internal/hub"
)

func TestAnEditForPeople(t *testing.T) {
	worth, err := exact.ParseMoney("6800 EUR")
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(map[string]any{"amount": worth, "approved": true, "number": 12345678, "note": nil, "project": map[string]any{"ref": "project", "id": "rec_1", "key": "PR000090"}, "task": "Design"})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(sent, &fields); err != nil {
		t.Fatal(err)
	}
	want := "amount=6800.00 EUR approved=true note=(taken away) number=12345678 project=PR000090 task=Design"
	if got := changes(fields); got != want {
		t.Errorf("changed to\n%s, want\n%s", got, want)
	}
}

func TestHowManyRecords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 records", 1: "One record", 2: "2 records"} {
		if got := records(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestResolvingGoesOnToTheEnd: what takes longer than one request goes on where the answer ended, after one preview.
func TestResolvingGoesOnToTheEnd(t *testing.T) {
	var asked []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Select  api.Select
			Action  api.Action
			Preview bool
			After   string
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Action.How != "retry" || !slices.Equal(body.Select.Exceptions, []hub.ExceptionID{"exc_1"}) {
			t.Errorf("%v: asked for %+v", err, body)
		}
		name, out := body.After, api.Resolved{Count: 1200, Done: 500, After: body.After + "x"}
		switch {
		case body.Preview:
			name, out = "preview", api.Resolved{Count: 1200}
		case body.After == "xx":
			out = api.Resolved{Count: 1200, Done: 200}
		}
		asked = append(asked, name)
		if err := json.NewEncoder(w).Encode(out); err != nil {
			t.Error(err)
		}
	}))
	defer service.Close()
	c := resolveCmd{server: server{Server: service.URL, Key: "tl_x"}, Customer: "t1", What: []string{"exc_1"}, Retry: true, Yes: true}
	if err := c.Run(t.Context()); err != nil || !slices.Equal(asked, []string{"preview", "", "x", "xx"}) {
		t.Errorf("it asked %q, %v", asked, err)
	}
	asked, c.Yes = nil, false
	if err := c.Run(t.Context()); err != nil || !slices.Equal(asked, []string{"preview"}) {
		t.Errorf("without --yes it asked %q, %v", asked, err)
	}
}
