package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"throughline/internal/hub"
)

// TestManyRowsAreToldAsOne: what is said of many rows at once changes what it would one by one, row by row, also
// where several are about the same one, or are nothing.
func TestManyRowsAreToldAsOne(t *testing.T) {
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		t.Skip("TEST_POSTGRES_URL is not set (make test sets it)")
	}
	for name, c := range map[string]struct {
		q, look string
		rows    [][]any
	}{
		"a repeat is not new": {
			`INSERT INTO event (tenant, id, connection, record_key, version, payload, source, gone, received_at) VALUES (?, ?, 'crm', 'k', 0, ?, ?, 0, ?) ON CONFLICT (tenant, id) DO NOTHING`,
			`SELECT id || ' ' || COALESCE(convert_from(payload, 'UTF8'), 'none') || ' ' || source || ' ' || received_at FROM event ORDER BY id`,
			[][]any{{hub.TenantID("t"), "a", []byte("{}"), "it's", int64(1)}, {hub.TenantID("t"), "b", []byte(nil), "", int64(2)}, {hub.TenantID("t"), "a", []byte("2"), "", int64(3)},
				{hub.TenantID("t"), "c", []byte{}, `"{,}\`, int64(4)}, {hub.TenantID("t"), "d", []byte("4"), "NULL", int64(5)}},
		},
		"the last one stands": {
			`INSERT INTO tally (tenant, name, item, seconds) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, name, item) DO UPDATE SET seconds = tally.seconds * 10 + excluded.seconds WHERE tally.seconds < 100`,
			`SELECT item || ' ' || seconds FROM tally ORDER BY item`,
			[][]any{{"t", "n", "a", 1}, {"t", "n", "a", 2}, {"t", "n", "b", 1}, {"t", "n", "a", 3}, {"t", "n", "a", 4}, {"t", "n", "c", 5}},
		},
		"one by one the same row is changed": {
			`UPDATE work SET state = CASE WHEN attempts > 0 THEN ? ELSE 'ready' END, attempts = attempts + ? WHERE tenant = ? AND deployment = ? AND record_key = ? AND state <> 'done'`,
			`SELECT record_key || ' ' || state || ' ' || attempts FROM work ORDER BY record_key`,
			[][]any{{"done", 1, "t", "d", "k1"}, {"done", 1, "t", "d", "k1"}, {"done", 1, "t", "d", "k1"}, {"idle", 2, "t", "d", "k2"}, {"idle", 1, "t", "d", "unknown"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var seen [2]string
			for i, size := range []int{len(c.rows), 1} {
				s, err := Open(t.Context(), FreshSchema(t, server), time.Now)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				const work = `INSERT INTO work (tenant, deployment, record_key, state, lane, due_at, event) VALUES ('t', 'd', ?, 'idle', 1, 0, 'e')`
				if _, err := s.db.each(t.Context(), work, [][]any{{"k1"}, {"k2"}}); err != nil {
					t.Fatal(err)
				}
				var n []int64
				err = s.db.change(t.Context(), func(x tx) error {
					for part := range slices.Chunk(c.rows, size) {
						some, err := x.each(t.Context(), c.q, part)
						if n = append(n, some...); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				r, err := s.db.query(t.Context(), c.look)
				lines, err := all(r, err, func(r rows, v *string) error { return r.Scan(v) })
				if err != nil {
					t.Fatal(err)
				}
				seen[i] = fmt.Sprint(n, lines)
			}
			if m := atOnce(c.q, c.rows); m == nil || m.told == "" {
				t.Error("it cannot be said of many rows")
			}
			if seen[0] != seen[1] {
				t.Errorf("at once: %s\none by one: %s", seen[0], seen[1])
			}
		})
	}
}

// TestOneOfManyIntentsOnARecord: of those that a commit brings together one is kept, the others are busy, and so is
// one to create what has come to be.
func TestOneOfManyIntentsOnARecord(t *testing.T) {
	s := onPostgres(t)
	intent := func(op string, record hub.RecordID, creates bool) *entry {
		return &entry{step: &Step{Tenant: "t", Open: []Write{{OpKey: op, Record: record, Connection: "erp", Creates: creates, Started: time.Now()}}}}
	}
	batch := []*entry{intent("a", "r1", true), intent("b", "r1", true), intent("c", "r2", true), intent("d", "r3", true), intent("e", "r3", false), intent("f", "r4", false)}
	batch[2].step.Links = []Link{{Record: "r2", Connection: "erp", ExternalID: "1"}}
	if err := s.db.change(t.Context(), func(x tx) error { return s.record(context.Background(), x, batch, &giving{}) }); err != nil {
		t.Fatal(err)
	}
	var busy []string
	for _, e := range batch {
		busy = append(busy, e.busy...)
	}
	if want := []string{"b", "c", "e"}; !slices.Equal(busy, want) {
		t.Errorf("busy are %v, want %v", busy, want)
	}
}
