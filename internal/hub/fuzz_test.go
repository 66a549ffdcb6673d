package hub

import "testing"

// FuzzParseRecordKey: a key is read as it was written.
func FuzzParseRecordKey(f *testing.F) {
	for _, s := range []string{"crm/deal/7", "crm/deal/a/b", "/", "a//", "a/b/", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := ParseRecordKey(s); ok && k.String() != s {
			t.Fatalf("%q is read as %q", s, k)
		}
	})
}
