package exact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeJSON(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     any
	}{
		{"null is nil", `null`, nil},
		{"a number keeps every digit", `[12345678901234567890.10, -0, 1E+2]`, []any{json.Number("12345678901234567890.10"), json.Number("-0"), json.Number("1E+2")}},
		{"an object within a list within an object", ` { "a" : [ { } , [ ] , true , false ] } `, map[string]any{"a": []any{map[string]any{}, []any{}, true, false}}},
		{"escapes become what they stand for", `"\"\\\/\b\f\n\r\té\u20AC"`, "\"\\/\b\f\n\r\té€"},
		{"a surrogate pair is one character", `"\ud83d\ude00!"`, "😀!"},
		{"text beyond ASCII stays", `{"größe":"日本"}`, map[string]any{"größe": "日本"}},
		{"two objects may share a key", `[{"id":1},{"id":2}]`, []any{map[string]any{"id": json.Number("1")}, map[string]any{"id": json.Number("2")}}},
		{"64 levels are allowed", strings.Repeat("[", 64) + strings.Repeat("]", 64), nested(64)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeJSON([]byte(c.in))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, %v; want %#v", got, err, c.want)
			}
		})
	}
}

func nested(levels int) any {
	v := []any{}
	for range levels - 1 {
		v = []any{v}
	}
	return v
}

func TestDecodeJSONRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, message string }{
		{"nothing at all", ``, "byte 1: the document ends too early"},
		{"a second document", `{} {}`, "byte 4: more text"},
		{"the same key twice", `{"a":1,"b":2,"a":3}`, `the key "a" twice`},
		{"the same key twice, once escaped", `{"a":1,"\u0061":3}`, `the key "a" twice`},
		{"65 levels", strings.Repeat("[", 65) + strings.Repeat("]", 65), "64 levels"},
		{"65 levels of objects", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "64 levels"},
		{"a very deep document without an end", strings.Repeat("[", 1<<20), "64 levels"},
		{"half a surrogate pair", `"\ud83d"`, "surrogate"},
		{"the wrong half first", `"\ude00\ud83d"`, "surrogate"},
		{"bytes that are not UTF-8", "\"a\xffb\"", "not UTF-8"},
		{"bytes that are not UTF-8 behind an escape", "\"\\n\xff\"", "not UTF-8"},
		{"a control character", "\"a\nb\"", "control character"},
		{"a comma at the end of a list", `[1,]`, "no JSON value"},
		{"a comma at the end of an object", `{"a":1,}`, "a key in quotes"},
		{"no comma", `[1 2]`, "a comma"},
		{"no colon", `{"a" 1}`, "a colon"},
		{"a leading zero", `01`, "not a JSON number"},
		{"no digit behind the point", `1.`, "not a JSON number"},
		{"an empty exponent", `1e`, "not a JSON number"},
		{"half a word", `tru`, "no JSON value"},
		{"an HTML page", `<html>`, "byte 1: no JSON value"},
		{"a string without an end", `"abc`, "within a string"},
		{"an escape without an end", `"\`, "hexadecimal"},
		{"an escape that there is not", `"\x41"`, "no such escape"},
		{"a sign among hexadecimal digits", `"\u+123"`, "hexadecimal"},
		{"a control character among hexadecimal digits", "\"\\u\x10\x10\x10\x10\"", "hexadecimal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeJSON([]byte(c.in))
			if err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, %v; want an error with %q", got, err, c.message)
			}
		})
	}
}

// FuzzDecodeJSON holds us against encoding/json: what we take, it takes with the same result, and
// what it takes we refuse only for the reasons that we promise.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9\ud83d\ude00",null,true]}`, `[[[]]]`, `"\/"`, `-0.0E-1`, `{"a":1,"a":2}`, ` "a" `, "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeJSON(data)
		want, wantErr := decodeLeniently(data)
		switch {
		case err == nil && wantErr != nil:
			t.Fatalf("%q is taken, but encoding/json says %v", data, wantErr)
		case err == nil && !reflect.DeepEqual(got, want):
			t.Fatalf("%q is read as %#v, encoding/json reads %#v", data, got, want)
		case err != nil && wantErr == nil && utf8.Valid(data) && !stricter(err):
			t.Fatalf("%q is refused: %v", data, err)
		}
	})
}

func stricter(err error) bool {
	for _, reason := range []string{"twice", "64 levels", "100000 keys", "surrogate"} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}

func decodeLeniently(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// page is a list as time trackers answer it.
func page(entries int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"total":200,"next":null,"items":[`)
	for i := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"64c777ddd3fcab07cfbb%04d","description":"Workshop \"go-live\" – day %d","billable":true,"userId":"5a0ab5acb07987125438b60f",`+
			`"timeInterval":{"start":"2026-03-01T09:00:00Z","end":"2026-03-01T10:30:00Z","duration":"PT1H30M"},"hourlyRate":{"amount":12500,"currency":"EUR"},"tagIds":["a","b"],"projectId":null}`, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkDecodeJSON(b *testing.B) {
	data := page(50)
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeJSON(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeLeniently(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
