package store

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wholes are the statements that read all rows of a tenant, or walk through them until they have enough, and why.
var wholes = map[string]string{
	"GROUP BY state":    "it counts them",
	"LOWER(label) LIKE": "a person looks for a word in a name",
	"SELECT record FROM xref WHERE tenant = ? AND connection = ? LIMIT 1": "a person leads a connection elsewhere",
	"LOWER(label) = LOWER":              "a person names a record",
	"FROM run WHERE tenant = ?":         "the newest runs come first, and the list ends at its limit",
	"ORDER BY deployment, record_key":   "a page of the work list, in its order",
	"FROM exception WHERE":              "exceptions are counted by their causes",
	"cause <> '' AND waits_on <> ''":    "rows that wait are counted by what they wait for",
	"SELECT 1 FROM work WHERE tenant =": "one that waits is enough",
}

// large are the tables that grow with the work.
var large = []string{"event", "work", "run", "input", "record", "xref", "write", "posting", "tally", "edit", "exception"}

var readsAll = regexp.MustCompile(`^(?:SCAN (\w+)$|SEARCH (\w+) USING .*\(tenant=\?\)$)`)

// CheckPlans explains every statement that the store has run on SQLite so far, as a ledger would plan it that has
// grown, and fails where one reads a tenant's every row to find a few.
func CheckPlans(t *testing.T, s *Store) {
	t.Helper()
	d := s.db.(*sqliteDB)
	conns := []*conn{d.writer}
	for range cap(d.readers) {
		c := <-d.readers
		defer func() { d.readers <- c }()
		if c != nil {
			conns = append(conns, c)
		}
	}
	for _, c := range conns {
		for q := range c.statements {
			for _, step := range planOf(t, c, q) {
				m := readsAll.FindStringSubmatch(step)
				if m != nil && slices.Contains(large, m[1]+m[2]) && !byNature(q) {
					t.Errorf("%s\n\treads all rows: %s", strings.Join(strings.Fields(q), " "), step)
				}
			}
		}
	}
}

func byNature(q string) bool {
	for part := range wholes {
		if strings.Contains(strings.Join(strings.Fields(q), " "), part) {
			return true
		}
	}
	return false
}

// planOf is how SQLite carries out a statement, step by step; of what is no query, nothing.
func planOf(t *testing.T, c *conn, q string) []string {
	t.Helper()
	if verb, _, _ := strings.Cut(strings.TrimSpace(q), " "); !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, strings.TrimSpace(verb)) {
		return nil
	}
	st, err := c.Prepare("EXPLAIN QUERY PLAN " + q)
	if err != nil {
		t.Fatal(q, err)
	}
	explained := &statement{Stmt: st, once: true}
	args := make([]any, strings.Count(q, "?"))
	if err := explained.Query(context.Background(), args...); err != nil {
		t.Fatal(q, err)
	}
	list, err := all[string](&connRows{statement: explained, ctx: context.Background()}, nil, func(r rows, step *string) error {
		var id, parent, unused int64
		return r.Scan(&id, &parent, &unused, step)
	})
	if err != nil {
		t.Fatal(q, err)
	}
	return list
}
