package ingest_test

import (
	"slices"
	"strings"
	"testing"

	"throughline/internal/hub"
	"throughline/internal/store"
)

func TestATableIsTakenOnce(t *testing.T) {
	h := newHouse(t)
	table := "\ufeffid,person,day,at.zone\n1,ana,2026-11-02,UTC\n\"2\",ben,2026-11-03,\n"
	for _, want := range []int{2, 0} {
		rows, fresh, err := h.ingest.Upload(t.Context(), "t1", "time", "entry", []byte(table), store.AuditEntry{Who: "ana", Action: "records.uploaded"})
		if err != nil || rows != 2 || fresh != want {
			t.Fatalf("%d rows, %d new, %v; want 2 and %d", rows, fresh, err, want)
		}
	}
	if got := h.told(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("told of %q", got)
	}
	if n, err := h.store.Tenant("t1").VerifyAudit(t.Context()); err != nil || n != 2 {
		t.Errorf("%d audit entries, %v; want one of each file", n, err)
	}
	work, err := h.store.Tenant("t1").Work(t.Context(), store.Filter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.store.Tenant("t1").Event(t.Context(), work[0].Event)
	if err != nil || string(e.Payload) != `{"at":{"zone":"UTC"},"day":"2026-11-02","id":"1","person":"ana"}` || e.Source != "file" {
		t.Errorf("the row came in as %s from %s, %v", e.Payload, e.Source, err)
	}
}

// TestARowThatIsCorrectedBack is taken: what came last of it was something else. A file that comes twice is taken once.
func TestARowThatIsCorrectedBack(t *testing.T) {
	h := newHouse(t)
	for i, c := range []struct {
		day   string
		fresh int
	}{{"2026-11-02", 1}, {"2026-11-03", 1}, {"2026-11-02", 1}, {"2026-11-02", 0}, {"2026-11-03", 1}, {"2026-11-02", 1}} {
		_, fresh, err := h.ingest.Upload(t.Context(), "t1", "time", "entry", []byte("id,day\n1,"+c.day+"\n"), store.AuditEntry{})
		if err != nil || fresh != c.fresh {
			t.Errorf("file %d: %d are new, %v; want %d", i+1, fresh, err, c.fresh)
		}
		if got := h.last("1"); !strings.Contains(string(got.Payload), c.day) {
			t.Errorf("after file %d it stands as %s", i+1, got.Payload)
		}
	}
}

func TestATableWithAMistakeIsNotTaken(t *testing.T) {
	for name, c := range map[string]struct{ kind, table, code, says string }{
		"no id":                {"entry", "id,day\n1,2026-11-02\n,2026-11-03\n", "upload.row", "line 3: it has no id"},
		"an id twice":          {"entry", "id,day\n1,\"2026\n11\"\n\n1,2026-11-03\n", "upload.row", "line 5: it has the id of line 2, 1, and says something else"},
		"a short line":         {"entry", "id,day\n1\n", "upload.table", "record on line 2: wrong number of fields"},
		"nothing":              {"entry", "", "upload.table", "no header line"},
		"not UTF-8":            {"entry", "id,name\n1,Chlo\xe9\n", "upload.table", "not UTF-8"},
		"a column twice":       {"entry", "id,hours,hours\n1,8,4\n", "upload.table", "Columns 2 and 3 name the same field, hours"},
		"a column in a column": {"entry", "id,at.zone,at\n1,UTC,2026\n", "upload.table", "Columns 2 and 3 name the same field, at"},
		"a deep name":          {"entry", strings.Repeat("a.", 16) + "b\n1\n", "upload.table", "more than 16 levels deep"},
		"another kind":         {"sheet", "id\n1\n", "upload.kind", `no record "sheet"`},
		"nobody's":             {"person", "id\n1\n", "upload.unwanted", "No flow of t1 begins with a person"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			_, _, err := h.ingest.Upload(t.Context(), "t1", "time", c.kind, []byte(c.table), store.AuditEntry{})
			if e := hub.AsError(err); e == nil || e.Code != c.code || !strings.Contains(e.Error(), c.says) {
				t.Errorf("it was answered %v; want %s: %s", err, c.code, c.says)
			}
			if n := h.entries(); n != 0 {
				t.Errorf("%d rows were taken", n)
			}
			if n, err := h.store.Tenant("t1").VerifyAudit(t.Context()); err != nil || n != 0 {
				t.Errorf("%d audit entries, %v", n, err)
			}
		})
	}
}
