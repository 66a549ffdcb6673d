package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"
)

type name string

func open(t *testing.T) *Conn {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "it's ä file.db"), "journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func run(t *testing.T, c *Conn, q string, args ...any) (int64, error) {
	t.Helper()
	s, err := c.Prepare(q)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Exec(t.Context(), args...)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return n, err
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	c := open(t)
	run(t, c, `CREATE TABLE it (a TEXT, b BIGINT, c BYTEA, d TEXT, e BYTEA, f TEXT)`)
	s, err := c.Prepare(`INSERT INTO it VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	long := strings.Repeat("שלום 🙂\x00", 5000) // more than the statement has room for at first
	for _, first := range []string{"short", long, ""} {
		if n, err := s.Exec(t.Context(), name(first), int64(-1)<<63, []byte{0, 255}, first+"/", []byte{}, nil); n != 1 || err != nil {
			t.Fatalf("%d rows, %v", n, err)
		}
		got, want := read(t, c), row{name(first), -1 << 63, []byte{0, 255}, first + "/", []byte{}, nil}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("wrote %.80v, read %.80v", want, got)
		}
		run(t, c, `DELETE FROM it`)
	}
}

type row struct {
	a name
	b int64
	c []byte
	d string
	e any
	f any
}

func read(t *testing.T, c *Conn) (r row) {
	t.Helper()
	s, err := c.Prepare(`SELECT * FROM it`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Query(t.Context()); err != nil {
		t.Fatal(err)
	}
	if more, err := s.Next(); !more || err != nil {
		t.Fatal(more, err)
	}
	if err := s.Scan(&r.a, &r.b, &r.c, &r.d, &r.e, &r.f); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatDoesNotFitIsSaid(t *testing.T) {
	c := open(t)
	run(t, c, `CREATE TABLE it (a TEXT PRIMARY KEY, b BIGINT)`)
	s, err := c.Prepare(`INSERT INTO it VALUES (?, ?)`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, args := range [][]any{{"a"}, {"a", 1, 2}, {"a", 1.5}} {
		if _, err := s.Exec(t.Context(), args...); err == nil {
			t.Errorf("%v was kept", args)
		}
	}
	if _, err := s.Exec(t.Context(), "a", 300); err != nil {
		t.Fatal(err)
	}
	q, err := c.Prepare(`SELECT a, b FROM it`)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Query(t.Context()); err != nil {
		t.Fatal(err)
	}
	if more, err := q.Next(); !more || err != nil {
		t.Fatal(more, err)
	}
	var text string
	var number int64
	var small int8
	for _, into := range [][]any{{&text}, {&number, &number}, {&text, &text}, {&text, &small}} {
		if err := q.Scan(into...); err == nil {
			t.Errorf("%T took the row", into)
		}
	}
	q.Reset()
}

func TestErrorsNameTheirCode(t *testing.T) {
	c := open(t)
	run(t, c, `CREATE TABLE it (a TEXT, b TEXT NOT NULL, UNIQUE (a))`)
	run(t, c, `INSERT INTO it VALUES ('x', '')`)
	if _, err := run(t, c, `INSERT INTO it VALUES ('x', '')`); !Taken(err) || !strings.Contains(err.Error(), "it.a") {
		t.Errorf("a key that is there already: %v", err)
	}
	_, err := run(t, c, `INSERT INTO it VALUES ('y', NULL)`)
	var refused *Error
	if Taken(err) || !errors.As(err, &refused) || refused.Code != lib.SQLITE_CONSTRAINT_NOTNULL {
		t.Errorf("nothing where something must be: %v", err)
	}
	if _, err := c.Prepare(`SELECT nonsense`); err == nil || !strings.Contains(err.Error(), "no such column: nonsense") {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder")); err == nil || !strings.Contains(err.Error(), "unable to open") {
		t.Errorf("no folder: %v", err)
	}
}

func TestWhoLeavesEndsTheQuestion(t *testing.T) {
	c := open(t)
	s, err := c.Prepare(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, leave := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer leave()
	if _, err := s.Exec(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a question without an end ended with %v", err)
	}
	if _, err := s.Exec(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asked by one who has left: %v", err)
	}
	if n, err := run(t, c, `CREATE TABLE it (a TEXT)`); err != nil {
		t.Errorf("the next one: %d, %v", n, err)
	}
}
