package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"throughline/internal/simulator"
)

func instantly(context.Context, time.Duration) error { return nil }

func TestFaults(t *testing.T) {
	for _, one := range []struct {
		name    string
		fault   simulator.Fault
		happens bool                                                   // the effect
		sees    func(resp *http.Response, body []byte, err error) bool // the caller
	}{
		{"a lost request has no effect", simulator.LoseRequest, false, isReset},
		{"a dropped answer hides an effect", simulator.DropAnswer, true, isReset},
		{"a closed connection hides an effect", simulator.CloseAnswer, true, func(_ *http.Response, _ []byte, err error) bool { return errors.Is(err, io.EOF) }},
		{"a silent far side has done its work", simulator.Hang, true, func(_ *http.Response, _ []byte, err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"an early 5xx has no effect", simulator.ErrorBefore, false, isStatus(503)},
		{"a late 5xx hides an effect", simulator.ErrorAfter, true, isStatus(503)},
		{"a truncated body comes after the effect", simulator.Truncate, true, func(_ *http.Response, _ []byte, err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"a dripping body is whole in the end", simulator.Drip, true, func(_ *http.Response, body []byte, err error) bool { return err == nil && json.Valid(body) }},
		{"a login page has no effect", simulator.HTML, false, func(r *http.Response, body []byte, _ error) bool {
			return r.StatusCode == 200 && bytes.Contains(body, []byte("<html>"))
		}},
		{"an empty 200 comes after the effect", simulator.Empty, true, func(r *http.Response, body []byte, _ error) bool { return r.StatusCode == 200 && len(body) == 0 }},
		{"a renamed field comes after the effect", simulator.Rename, true, func(_ *http.Response, body []byte, _ error) bool { return bytes.Contains(body, []byte("_v2\"")) }},
		{"a throttled call has no effect", simulator.Throttle, false, func(r *http.Response, _ []byte, _ error) bool {
			return r.StatusCode == 429 && r.Header.Get("Retry-After") != ""
		}},
		{"an expired token has no effect", simulator.ExpireToken, false, isStatus(401)},
	} {
		t.Run(one.name, func(t *testing.T) {
			c := clockify(t, simulator.Options{Sleep: instantly, Unlimited: true})
			if err := c.sim.FailNext(1, one.fault, simulator.Match{Method: "POST", Entity: "client"}); err != nil {
				t.Fatal(err)
			}
			c.want(200, "GET", workspace+"/clients", nil) // does not match
			resp, body, err := c.try("POST", workspace+"/clients", object{"name": "Halden"})
			if !one.sees(resp, body, err) {
				t.Errorf("the caller sees %v %q %v", resp, body, err)
			}
			if n := len(c.sim.Effects()); (n == 1) != one.happens {
				t.Errorf("%d effects", n)
			}
			want := 201
			if one.happens {
				want = 400 // the name is taken
			}
			c.want(want, "POST", workspace+"/clients", object{"name": "Halden"})
		})
	}
}

func isReset(_ *http.Response, _ []byte, err error) bool { return errors.Is(err, syscall.ECONNRESET) }

func isStatus(n int) func(*http.Response, []byte, error) bool {
	return func(r *http.Response, _ []byte, err error) bool { return err == nil && r.StatusCode == n }
}

func TestFaultsOverASocket(t *testing.T) {
	for _, one := range []struct {
		name  string
		fault simulator.Fault
		sees  func(error) bool
	}{
		{"a dropped answer is a reset", simulator.DropAnswer, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"a closed connection is an end of file", simulator.CloseAnswer, func(err error) bool { return errors.Is(err, io.EOF) }},
		{"a truncated body ends too early", simulator.Truncate, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	} {
		t.Run(one.name, func(t *testing.T) {
			c := clockify(t, simulator.Options{})
			server := httptest.NewServer(c.sim)
			defer server.Close()
			if err := c.sim.FailNext(1, one.fault, simulator.Match{}); err != nil {
				t.Fatal(err)
			}
			err := overSocket(t, server, c.header)
			if !one.sees(err) {
				t.Errorf("the caller sees %v", err)
			}
			if n := len(c.sim.Effects()); n != 1 {
				t.Errorf("%d effects", n)
			}
		})
	}
}

func overSocket(t *testing.T, server *httptest.Server, header http.Header) error {
	t.Helper()
	req, err := http.NewRequest("POST", server.URL+workspace+"/clients", strings.NewReader(`{"name":"Halden"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	resp, err := server.Client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

func TestOddsRepeatWithTheirSeed(t *testing.T) {
	run := func() (outcome []bool) {
		c := clockify(t, simulator.Options{Rand: rand.New(rand.NewPCG(7, 7)), Unlimited: true})
		if err := c.sim.SetOdds(simulator.Odds{simulator.DropAnswer: 0.3, simulator.ErrorBefore: 0.1}, simulator.Match{Writes: true}); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			resp, _, err := c.try("POST", workspace+"/tags", object{"name": "tag " + string(rune('a'+i%26)) + string(rune('a'+i/26))})
			outcome = append(outcome, err == nil && resp.StatusCode == 201)
		}
		return outcome
	}
	first, second := run(), run()
	good := 0
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("call %d differs between two runs of one seed", i)
		}
		if first[i] {
			good++
		}
	}
	if good < 40 || good > 80 {
		t.Errorf("%d of 100 calls went well, about 63 were expected", good)
	}
}

func mustRows(t *testing.T, s *simulator.Simulator, entity string) []simulator.Row {
	t.Helper()
	rows, err := s.Rows("", entity)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestBatchFaults(t *testing.T) {
	inputs := list{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		inputs = append(inputs, object{"properties": object{"name": name}})
	}
	t.Run("some items fail and say so", func(t *testing.T) {
		c := hubspot(t, simulator.Options{Unlimited: true})
		if err := c.sim.FailNext(1, simulator.FailItems, simulator.Match{}); err != nil {
			t.Fatal(err)
		}
		v := c.want(207, "POST", "/crm/v3/objects/companies/batch/create", object{"inputs": inputs})
		if len(at(v, "results").(list)) != 5 || len(at(v, "errors").(list)) != 3 || len(c.sim.Effects()) != 5 {
			t.Errorf("results %v", v)
		}
	})
	t.Run("a cut batch has done its first items", func(t *testing.T) {
		c := hubspot(t, simulator.Options{Unlimited: true, Rand: rand.New(rand.NewPCG(3, 3))})
		if err := c.sim.FailNext(1, simulator.CutBatch, simulator.Match{}); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.try("POST", "/crm/v3/objects/companies/batch/create", object{"inputs": inputs})
		if n := len(c.sim.Effects()); !errors.Is(err, syscall.ECONNRESET) || n == 0 || n >= 8 {
			t.Errorf("%d effects, %v", n, err)
		}
	})
}

func TestLedgerIsWrittenBeforeTheAnswer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "effects.jsonl")
	ledger, err := simulator.OpenLedger(file)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	c := clockify(t, simulator.Options{Ledger: ledger})
	c.want(201, "POST", workspace+"/clients", object{"name": "Halden", "note": "tl-9"})
	if err := c.sim.FailNext(1, simulator.DropAnswer, simulator.Match{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.try("POST", workspace+"/tags", object{"name": "travel"}); err == nil {
		t.Fatal("the answer was not dropped")
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []simulator.Effect
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var e simulator.Effect
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 2 || got[0].Key != "Halden" || got[0].Marker != "tl-9" || got[0].Account != "northwind" || got[1].Entity != "tag" || got[1].By != "api" {
		t.Errorf("the ledger says %+v", got)
	}
}

func TestALedgerThatFailsKeepsTheAnswerBack(t *testing.T) {
	c := clockify(t, simulator.Options{Ledger: fullDisk{}})
	resp, _, err := c.try("POST", workspace+"/clients", object{"name": "Halden"})
	if err != nil || resp.StatusCode != 501 || resp.Header.Get("X-Simulator-Error") == "" {
		t.Errorf("%v %v", resp, err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
func (fullDisk) Sync() error               { return nil }
