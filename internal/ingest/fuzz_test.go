package ingest

import (
	"testing"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// FuzzTable: a table is read into records that can be kept, or refused with a word.
func FuzzTable(f *testing.F) {
	for _, s := range []string{"id,day\n1,2026-11-02\n", "\ufeffid;at.zone\n1;UTC\n", "a.b,a\n1,2\n", "a,a.b\n1,2\n", "\"a\nb\",c\n1,2", ".,..\n1,2\n", "a\n\"", "\xff\n1\n", "id\r\n1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := readTable(data)
		if err != nil {
			if hub.AsError(err) == nil {
				t.Fatalf("%v has no kind", err)
			}
			return
		}
		for _, x := range records {
			if _, err := exact.AppendJSON(nil, x.fields); err != nil {
				t.Fatalf("a record that cannot be kept: %v: %v", x, err)
			}
		}
	})
}
