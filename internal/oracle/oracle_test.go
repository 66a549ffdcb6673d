package oracle_test

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throughline/internal/oracle"
)

// clean is a history without fault: two tenants with the same key, two versions of one record, and
// an offer whose acknowledgement was lost on the way.
func clean() oracle.Ledgers {
	var l oracle.Ledgers
	for _, tenant := range []string{"east", "west"} {
		for v := range int64(2) {
			content := map[string]string{"project": tenant + " 1 v" + string(rune('0'+v))}
			l.Source = append(l.Source, oracle.Offer{Tenant: tenant, Key: "1", Version: v, Expect: content},
				oracle.Offer{Tenant: tenant, Key: "1", Version: v, Acked: true})
			l.Effects = append(l.Effects, oracle.Effect{Account: tenant, Owner: tenant, Entity: "project", Key: "1", ID: "p1", Version: v, Content: content["project"],
				Op: []string{oracle.Create, "update"}[v]})
			l.Outcomes = append(l.Outcomes, oracle.Outcome{Tenant: tenant, Key: "1", State: "written"})
		}
	}
	l.Source = append(l.Source, oracle.Offer{Tenant: "east", Key: "2", Expect: map[string]string{"project": "east 2"}})
	l.Effects = append(l.Effects, oracle.Effect{Account: "east", Owner: "east", Entity: "project", Op: oracle.Create, Key: "2", ID: "p2", Content: "east 2"})
	l.Outcomes = append(l.Outcomes, oracle.Outcome{Tenant: "east", Key: "2", State: "written"})
	return l
}

func TestCleanRunHasNoFindings(t *testing.T) {
	v := oracle.Check(clean())
	if !v.Good() {
		t.Errorf("found %v", v.Findings)
	}
	if v.Offered != 3 || v.Acked != 2 || v.Recovered != 1 || v.Effects != 5 {
		t.Errorf("counted %+v", v)
	}
}

// TestPlantedFaults is the test of the checker: each fault is found, under its own name.
func TestPlantedFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   string
		plant func(*oracle.Ledgers)
	}{
		{"an acknowledged record that reached nobody is lost", oracle.Lost, func(l *oracle.Ledgers) {
			l.Source = append(l.Source, oracle.Offer{Tenant: "west", Key: "9", Expect: map[string]string{"project": "west 9"}}, oracle.Offer{Tenant: "west", Key: "9", Acked: true})
		}},
		{"a second create is a duplicate", oracle.Duplicated, func(l *oracle.Ledgers) {
			again := l.Effects[0]
			again.ID = "p7"
			l.Effects = slices.Insert(l.Effects, 1, again)
		}},
		{"data in another tenant's account has crossed", oracle.Crossed, func(l *oracle.Ledgers) { l.Effects[4].Account = "west" }},
		{"an older version over a newer one is disorder", oracle.Disorder, func(l *oracle.Ledgers) {
			old := l.Effects[0]
			old.Op = "update"
			l.Effects = append(l.Effects, old)
		}},
		{"other content than expected is a mismatch", oracle.Mismatch, func(l *oracle.Ledgers) { l.Effects[3].Content = "someone else's" }},
		{"an outcome that says written without an effect is a lie", oracle.Liar, func(l *oracle.Ledgers) {
			l.Effects = l.Effects[:4]
		}},
		{"an effect that the ledger does not know is a lie", oracle.Liar, func(l *oracle.Ledgers) { l.Outcomes = l.Outcomes[:4] }},
		{"an effect that nobody offered is unexpected", oracle.Unexpected, func(l *oracle.Ledgers) {
			l.Effects = append(l.Effects, oracle.Effect{Account: "east", Owner: "east", Entity: "project", Op: oracle.Create, Key: "404"})
		}},
		{"a newer acknowledged version that never arrived leaves it stale", oracle.Stale, func(l *oracle.Ledgers) {
			l.Source = append(l.Source, oracle.Offer{Tenant: "west", Key: "1", Version: 2, Expect: map[string]string{"project": "west 1 v2"}},
				oracle.Offer{Tenant: "west", Key: "1", Version: 2, Acked: true})
		}},
		{"an older form that was wrong for a while is a mismatch", oracle.Mismatch, func(l *oracle.Ledgers) { l.Effects[0].Content = "east 1 v0, a cent too much" }},
		{"what says a version that was never offered is unexpected", oracle.Unexpected, func(l *oracle.Ledgers) {
			made := l.Effects[1]
			made.Version = 7
			l.Effects = append(l.Effects, made)
		}},
		{"a thing that nobody asked for is unexpected", oracle.Unexpected, func(l *oracle.Ledgers) {
			l.Effects = append(l.Effects, oracle.Effect{Account: "east", Owner: "east", Entity: "invoice", Op: oracle.Create, Key: "2", ID: "i1", Content: "east 2"})
		}},
		{"a record that is written over another one is misplaced", oracle.Misplaced, func(l *oracle.Ledgers) { l.Effects[1].ID = "p2" }},
		{"a record that is written where nothing was made is misplaced", oracle.Misplaced, func(l *oracle.Ledgers) { l.Effects[1].ID = "p9" }},
		{"what was filtered though it is wanted is lost", oracle.Lost, func(l *oracle.Ledgers) {
			l.Source = append(l.Source, oracle.Offer{Tenant: "west", Key: "9", Expect: map[string]string{"project": "west 9"}}, oracle.Offer{Tenant: "west", Key: "9", Acked: true})
			l.Outcomes = append(l.Outcomes, oracle.Outcome{Tenant: "west", Key: "9", State: "filtered"})
		}},
		{"what a person was asked about once and then reached nobody is lost", oracle.Lost, func(l *oracle.Ledgers) {
			l.Source = append(l.Source, oracle.Offer{Tenant: "west", Key: "9", Expect: map[string]string{"project": "west 9"}}, oracle.Offer{Tenant: "west", Key: "9", Acked: true})
			for i, state := range []string{"unchanged", "parked"} { // the last one first, as lists of runs have it
				l.Outcomes = append(l.Outcomes, oracle.Outcome{At: time.Unix(int64(9-i), 0), Tenant: "west", Key: "9", State: state})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := clean()
			c.plant(&l)
			v := oracle.Check(l)
			if v.Count(c.set) != 1 {
				t.Errorf("wanted one %s, found %v", c.set, v.Findings)
			}
		})
	}
}

func TestParkedIsNotLost(t *testing.T) {
	l := clean()
	l.Source = append(l.Source, oracle.Offer{Tenant: "west", Key: "9", Expect: map[string]string{"project": "west 9"}}, oracle.Offer{Tenant: "west", Key: "9", Acked: true})
	l.Outcomes = append(l.Outcomes, oracle.Outcome{Tenant: "west", Key: "9", State: "parked", Code: "uncertain"})
	if v := oracle.Check(l); !v.Good() || v.Parked != 1 {
		t.Errorf("got %+v", v)
	}
}

// TestUnwantedIsNotLost: neither what the flow does not want, nor what is parked in one of two flows.
func TestUnwantedIsNotLost(t *testing.T) {
	l := clean()
	l.Source = append(l.Source, oracle.Offer{Tenant: "west", Key: "9", Unwanted: true, Expect: map[string]string{"project": "west 9"}}, oracle.Offer{Tenant: "west", Key: "9", Acked: true},
		oracle.Offer{Tenant: "west", Key: "8", Expect: map[string]string{"project": "west 8"}}, oracle.Offer{Tenant: "west", Key: "8", Acked: true})
	l.Outcomes = append(l.Outcomes, oracle.Outcome{Tenant: "west", Key: "9", State: "filtered"}, oracle.Outcome{At: time.Unix(1, 0), Tenant: "west", Key: "8", Flow: "a", State: "parked"},
		oracle.Outcome{At: time.Unix(2, 0), Tenant: "west", Key: "8", Flow: "b", State: "filtered"}, oracle.Outcome{At: time.Unix(3, 0), Tenant: "west", Key: "8", Flow: "a", State: "superseded"})
	if v := oracle.Check(l); !v.Good() {
		t.Errorf("found %v", v.Findings)
	}
}

func TestReportTellsTheKeysHistory(t *testing.T) {
	l := clean()
	l.Effects[4].Account = "west"
	var out strings.Builder
	if err := oracle.Report(&out, oracle.Trial{Seed: 42, Plan: "no faults"}, l, oracle.Check(l)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"seed 42, plan: no faults", "crossed: east 2: project p2 stands in the account of west", "  S {", "  F {", "  L {"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
}

func TestLedgerKeepsAllLinesOfManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "effects.jsonl")
	l, err := oracle.OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := l.Append(oracle.Effect{Key: "1"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := oracle.ReadLedger[oracle.Effect](path)
	if err != nil || len(list) != 50 {
		t.Errorf("read %d lines, %v", len(list), err)
	}
}
