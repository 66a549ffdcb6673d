package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// Record is a canonical record. Fields hold text, bool, int64, exact.Decimal, exact.Money,
// exact.Date, exact.Seconds, time.Time (UTC), Ref, lists and maps of these; what is not set is not
// there.
type Record struct {
	ID     hub.RecordID
	Type   string
	Fields map[string]any
}

// Ref is a reference to another record.
type Ref struct {
	Type string
	ID   hub.RecordID
	// Where the record was seen, for one that has not been read yet.
	Key hub.RecordKey
}

// RefText makes a Ref a reference in expressions. One that has no id of ours yet is known by where it was seen.
func (r Ref) RefText() string {
	if r.ID == "" {
		return r.Type + "/" + r.Key.String()
	}
	return r.Type + "/" + string(r.ID)
}

// Label is what a person knows the record by.
func (s *Schema) LabelOf(r Record) string {
	if v, ok := r.Fields[s.Label].(string); ok {
		return v
	}
	return string(r.ID)
}

// Normalise brings a record into its one written form (text trimmed and composed, instants in UTC, whole numbers
// as int64) and checks it against the schema. All problems are told at once, as one *hub.Error.
func (s *Schema) Normalise(r Record) (Record, error) {
	var bad []string
	out := Record{ID: r.ID, Type: r.Type, Fields: map[string]any{}}
	s.fields(s.Fields, r.Fields, out.Fields, "", &bad)
	if ext, ok := r.Fields["ext"].(map[string]any); ok {
		out.Fields["ext"] = ext
	}
	if len(bad) == 0 {
		return out, nil
	}
	field, _, _ := strings.Cut(bad[0], ":")
	return Record{}, &hub.Error{Kind: hub.Invalid, Code: "record.invalid", Field: field,
		Message: fmt.Sprintf("This is no valid %s: %s.", strings.ToLower(s.Title), strings.Join(bad, "; ")),
		Hint:    "Correct it where it comes from, or change the mapping, then retry."}
}

func (s *Schema) fields(defs specfile.Map[Field], in, out map[string]any, path string, bad *[]string) {
	strangers := len(in)
	if _, own := in["ext"]; own && path == "" {
		strangers--
	}
	for _, f := range defs {
		if _, there := in[f.Key]; there {
			strangers--
		}
		v, problem := normalise(f.Value, in[f.Key], path+f.Key, bad)
		if problem != "" {
			*bad = append(*bad, path+f.Key+": "+problem)
			continue
		}
		if v == nil {
			if f.Value.Required {
				*bad = append(*bad, path+f.Key+": is missing")
			}
			continue
		}
		out[f.Key] = v
	}
	if strangers > 0 {
		*bad = append(*bad, strange(defs, in, path)...)
	}
}

// strange names what has no place in a record: a mapping that misspells a field would lose it without a word.
func strange(defs specfile.Map[Field], in map[string]any, path string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if _, known := defs.Get(name); !known && (name != "ext" || path != "") {
			list = append(list, path+name+": there is no such field; known are "+strings.Join(defs.Keys(), ", "))
		}
	}
	return list
}

// normalise brings one value into form; problem is "" when it fits.
func normalise(f Field, v any, path string, bad *[]string) (out any, problem string) {
	if v == nil {
		return nil, ""
	}
	switch f.Type {
	case "text", "enum":
		return normaliseText(f, v)
	case "int":
		return normaliseInt(f, v)
	case "instant":
		if t, ok := v.(time.Time); ok {
			return t.UTC().Truncate(time.Microsecond), ""
		}
	case "list":
		return normaliseList(f, v, path, bad)
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Sprintf("is %s, but an object is wanted", TypeOf(v))
		}
		inner := map[string]any{}
		(&Schema{}).fields(f.Fields, m, inner, path+".", bad)
		return inner, ""
	case "ref":
		if r, ok := v.(Ref); ok {
			if r.Type != f.To {
				return nil, fmt.Sprintf("is a reference to %s, but one to %s is wanted", r.Type, f.To)
			}
			return r, ""
		}
	default:
		if n, whole := v.(int64); whole && f.Type == "decimal" { // 2 is a decimal like 2.5
			v = exact.NewDecimal(n)
		}
		if TypeOf(v) == f.Type {
			return v, tooSmall(f, v)
		}
	}
	return nil, fmt.Sprintf("is %s, but %s is wanted", TypeOf(v), f.Type)
}

func normaliseText(f Field, v any) (any, string) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Sprintf("is %s, but text is wanted", TypeOf(v))
	}
	s = norm.NFC.String(strings.TrimFunc(s, unseen)) // or two systems would have two customers of one name
	switch {
	case s == "":
		return nil, ""
	case strings.ContainsRune(s, 0):
		return nil, "holds a NUL character"
	case f.Max > 0 && utf8.RuneCountInString(s) > f.Max:
		return nil, fmt.Sprintf("has %d characters, at most %d are allowed", utf8.RuneCountInString(s), f.Max)
	case f.Type == "enum" && !contains(f.Values, s):
		return nil, fmt.Sprintf("%q is none of %s", s, strings.Join(f.Values, ", "))
	}
	return s, ""
}

// unseen reports whether nobody sees a character at the end of a text.
func unseen(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200b' || r == '\u2060' || r == '\ufeff'
}

func normaliseInt(f Field, v any) (any, string) {
	n, ok := v.(int64)
	if number, is := v.(json.Number); is {
		i, err := number.Int64()
		n, ok = i, err == nil
	}
	if !ok {
		return nil, fmt.Sprintf("is %s, but a whole number is wanted", TypeOf(v))
	}
	return n, tooSmall(f, n)
}

func normaliseList(f Field, v any, path string, bad *[]string) (any, string) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Sprintf("is %s, but a list is wanted", TypeOf(v))
	}
	out := make([]any, 0, len(list))
	for i, e := range list {
		n, problem := normalise(*f.Of, e, path+"["+strconv.Itoa(i)+"]", bad)
		if problem != "" {
			return nil, fmt.Sprintf("item %d %s", i+1, problem)
		}
		if n != nil {
			out = append(out, n)
		}
	}
	return out, ""
}

func tooSmall(f Field, v any) string {
	if f.Min == nil {
		return ""
	}
	var n exact.Decimal
	switch v := v.(type) {
	case int64:
		n = exact.NewDecimal(v)
	case exact.Seconds:
		n = exact.NewDecimal(int64(v))
	case exact.Decimal:
		n = v
	case exact.Money:
		n = v.Amount
	}
	if n.Cmp(*f.Min) < 0 {
		return fmt.Sprintf("is %v, at least %s is wanted", v, f.Min)
	}
	return ""
}

// TypeOf names a value's type in the words of the schema files.
func TypeOf(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case bool:
		return "bool"
	case int64, json.Number:
		return "int"
	case exact.Decimal:
		return "decimal"
	case exact.Money:
		return "money"
	case exact.Date:
		return "date"
	case exact.Seconds:
		return "seconds"
	case time.Time:
		return "instant"
	case Ref:
		return "ref"
	case []any:
		return "list"
	}
	return "object"
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// Encode is the record's fields as canonical JSON: keys in order, exact values as text, so that
// equal records have equal bytes.
func Encode(fields map[string]any) ([]byte, error) {
	return exact.AppendJSON(nil, fields)
}

// AppendJSON writes a reference as {"id","key","ref"}.
func (r Ref) AppendJSON(dst []byte) (_ []byte, err error) {
	for _, f := range [...]struct{ before, text string }{{`{"id":`, string(r.ID)}, {`,"key":`, r.Key.String()}, {`,"ref":`, r.Type}} {
		if dst, err = exact.AppendText(append(dst, f.before...), f.text); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// Hash is a short digest of any encoded value: what was last written, compared before the next write.
func Hash(encoded []byte) string {
	h := sha256.Sum256(encoded)
	return hex.EncodeToString(h[:16])
}
