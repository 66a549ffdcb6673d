package exact

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep lists and objects may stand in each other.
const maxDepth = 64

// maxKeys is how many keys an object may have: no vendor's record has as many, and each costs ten times
// the memory that it takes to send.
const maxKeys = 100_000

// DecodeJSON reads one JSON value as map[string]any, []any, string, bool, nil or json.Number.
//
// It is stricter than encoding/json where leniency would lose data or hide an attack: two equal
// keys in one object, text that is not UTF-8, half a surrogate pair, anything behind the value and
// a depth of more than 64 are errors, and so is an object of more than 100,000 keys. The strings of the result share one copy of the document:
// clone the one that is to outlive the rest.
func DecodeJSON(data []byte) (any, error) {
	r := jsonReader{text: string(data)}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	r.space()
	if r.at < len(r.text) {
		return nil, r.wrong("more text behind the end of the document")
	}
	return v, nil
}

// jsonReader reads text from front to back. Members and items wait on its two stacks until their
// object or list ends, so that each map and slice is made once and in its final size.
type jsonReader struct {
	text    string
	at      int
	members []member
	items   []any
}

type member struct {
	key   string
	value any
}

func (r *jsonReader) value(depth int) (any, error) {
	r.space()
	if r.at == len(r.text) {
		return nil, r.wrong("the document ends too early")
	}
	switch c := r.text[r.at]; c {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.list(depth + 1)
	case '"':
		return r.string()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return r.number()
		}
		return nil, r.wrong("no JSON value begins like this")
	}
}

func (r *jsonReader) object(depth int) (any, error) {
	if depth > maxDepth {
		return nil, r.wrong("more than 64 levels deep")
	}
	r.at++
	first := len(r.members)
	for r.more('}', len(r.members) > first) {
		if !r.begins('"') {
			return nil, r.wrong("a key in quotes is expected")
		}
		key, err := r.string()
		if err != nil {
			return nil, err
		}
		if !r.skip(':') {
			return nil, r.wrong("a colon is expected")
		}
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		if len(r.members)-first == maxKeys {
			return nil, r.wrong("an object of more than 100000 keys")
		}
		r.members = append(r.members, member{key, v})
	}
	if !r.skip('}') {
		return nil, r.wrong("a comma or the end of the object is expected")
	}
	return r.collect(first)
}

// collect makes an object of the members from first on.
func (r *jsonReader) collect(first int) (any, error) {
	members := r.members[first:]
	object := make(map[string]any, len(members))
	for i, m := range members {
		object[m.key] = m.value
		if len(object) != i+1 {
			return nil, r.wrong(fmt.Sprintf("the object that ends here has the key %q twice", abridged(m.key)))
		}
	}
	clear(members)
	r.members = r.members[:first]
	return object, nil
}

func (r *jsonReader) list(depth int) (any, error) {
	if depth > maxDepth {
		return nil, r.wrong("more than 64 levels deep")
	}
	r.at++
	first := len(r.items)
	for r.more(']', len(r.items) > first) {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		r.items = append(r.items, v)
	}
	if !r.skip(']') {
		return nil, r.wrong("a comma or the end of the list is expected")
	}
	items := r.items[first:]
	list := make([]any, len(items))
	copy(list, items)
	clear(items)
	r.items = r.items[:first]
	return list, nil
}

// more reports whether another element follows, and steps over the comma before it. Between
// elements only a comma promises another one; a closing mark or anything else is left to the caller.
func (r *jsonReader) more(end byte, later bool) bool {
	if later {
		return r.skip(',')
	}
	return !r.begins(end)
}

// string reads a string, which begins at the quote. Most have nothing to unescape and are a piece
// of the document as it stands.
func (r *jsonReader) string() (string, error) {
	r.at++
	start, ascii := r.at, true
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			s := r.text[start:r.at]
			if !ascii && !utf8.ValidString(s) {
				return "", r.wrong("the string that ends here is not UTF-8")
			}
			r.at++
			return s, nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", r.wrong("a control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", r.wrong("the document ends within a string")
}

// escaped reads the rest of a string in which an escape has been met.
func (r *jsonReader) escaped(start int) (string, error) {
	var out strings.Builder
	out.WriteString(r.text[start:r.at])
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			if s := out.String(); utf8.ValidString(s) {
				return s, nil
			}
			return "", r.wrong("the string that ends here is not UTF-8")
		case c == '\\':
			char, err := r.escape()
			if err != nil {
				return "", err
			}
			out.WriteRune(char)
		case c < ' ':
			return "", r.wrong("a control character in a string")
		default:
			out.WriteByte(c)
			r.at++
		}
	}
	return "", r.wrong("the document ends within a string")
}

// escapes holds what stands for what behind a backslash.
var escapes = map[byte]rune{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape reads one escape, or the two of a surrogate pair, from the backslash on.
func (r *jsonReader) escape() (rune, error) {
	if r.at+1 < len(r.text) && r.text[r.at+1] != 'u' {
		char, ok := escapes[r.text[r.at+1]]
		if !ok {
			return 0, r.wrong("no such escape")
		}
		r.at += 2
		return char, nil
	}
	char, ok := r.unit()
	if !ok {
		return 0, r.wrong(`\u and four hexadecimal digits are expected`)
	}
	if !utf16.IsSurrogate(char) {
		return char, nil
	}
	if low, ok := r.unit(); ok {
		if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, r.wrong("half a surrogate pair stands for no character")
}

// unit reads one \uXXXX.
func (r *jsonReader) unit() (rune, bool) {
	if len(r.text)-r.at < 6 || r.text[r.at] != '\\' || r.text[r.at+1] != 'u' {
		return 0, false
	}
	var unit rune
	for _, c := range []byte(r.text[r.at+2 : r.at+6]) {
		digit := strings.IndexByte("0123456789abcdef0123456789ABCDEF", c)
		if digit < 0 {
			return 0, false
		}
		unit = unit<<4 | rune(digit&15)
	}
	r.at += 6
	return unit, true
}

// number reads a number and keeps its text.
func (r *jsonReader) number() (json.Number, error) {
	n := numberLength(r.text[r.at:])
	if n == 0 {
		return "", r.wrong("this is not a JSON number")
	}
	r.at += n
	return json.Number(r.text[r.at-n : r.at]), nil
}

// numberLength is how much of the front of s is a JSON number; 0 if none is or a part is missing.
func numberLength(s string) int {
	rest := strings.TrimPrefix(s, "-")
	whole, rest := digits(rest)
	if whole == "" || whole[0] == '0' && len(whole) > 1 {
		return 0
	}
	if strings.HasPrefix(rest, ".") {
		fraction, after := digits(rest[1:])
		if fraction == "" {
			return 0
		}
		rest = after
	}
	if rest != "" && rest[0]|0x20 == 'e' {
		rest = rest[1:]
		if rest != "" && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		exponent, after := digits(rest)
		if exponent == "" {
			return 0
		}
		rest = after
	}
	return len(s) - len(rest)
}

func (r *jsonReader) word(w string) error {
	if !strings.HasPrefix(r.text[r.at:], w) {
		return r.wrong("no JSON value begins like this")
	}
	r.at += len(w)
	return nil
}

// begins reports whether c comes next, spaces aside.
func (r *jsonReader) begins(c byte) bool {
	r.space()
	return r.at < len(r.text) && r.text[r.at] == c
}

// skip steps over c, if it comes next.
func (r *jsonReader) skip(c byte) bool {
	if !r.begins(c) {
		return false
	}
	r.at++
	return true
}

func (r *jsonReader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

func (r *jsonReader) wrong(what string) error {
	return fmt.Errorf("JSON, byte %d: %s", r.at+1, what)
}
