package specfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"throughline/internal/exact"
)

// scalarKind says what a scalar is. Only what JSON would call a number is one, so that "007" and
// "1_000" stay the text that somebody wrote.
func scalarKind(text string, plain bool) Kind {
	if strings.HasPrefix(text, "=") {
		return KindExpr
	}
	if !plain {
		return KindText
	}
	switch text {
	case "", "~", "null":
		return KindNull
	case "true", "false":
		return KindBool
	}
	if isNumber(text) {
		return KindNumber
	}
	return KindText
}

func isNumber(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return false
	}
	if digits[0] == '0' && len(digits) > 1 && digits[1] >= '0' && digits[1] <= '9' {
		return false
	}
	_, err := exact.ParseDecimal(text)
	return err == nil
}

func (n *Node) decodeScalar(v reflect.Value, f field) {
	switch v.Kind() {
	case reflect.String:
		n.decodeText(v, f)
	case reflect.Bool:
		n.decodeBool(v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.decodeInt(v, f)
	default:
		// Floats among them: what is written as 0.1 must be 0.1.
		panic(fmt.Sprintf("specfile: a field of type %s cannot be read", v.Type()))
	}
}

func (n *Node) decodeText(v reflect.Value, f field) {
	text := n.Text()
	switch k := n.Kind(); {
	case k == KindText:
	case k == KindExpr && slices.Contains(f.enum, text): // a comparison such as =
	case k == KindExpr:
		n.Problem("plain text is expected, here stands "+n.describe(), "This value is fixed: write it without the =.")
		return
	case k == KindNumber || k == KindBool:
		n.wanted("text", "Put it in quotes: \""+text+"\".")
		return
	case k == KindNull:
		n.wanted("text", "Remove the key, or write \"\" for empty text.")
		return
	default:
		n.wanted("text", "")
		return
	}
	if f.enum != nil && !slices.Contains(f.enum, text) {
		n.Problem("`"+shorten(text)+"` is not possible here", suggest(text, f.enum))
		return
	}
	if f.pattern != nil && !f.pattern.MatchString(text) {
		n.Problem("`"+shorten(text)+"` does not have the right form", patternHint(f))
		return
	}
	v.SetString(text)
}

func patternHint(f field) string {
	hint := "It must match " + f.pattern.String() + "."
	if f.doc != "" {
		hint = f.doc + " " + hint
	}
	return hint
}

func (n *Node) decodeBool(v reflect.Value) {
	if n.Kind() == KindBool {
		v.SetBool(n.Text() == "true")
		return
	}
	switch strings.ToLower(n.Text()) {
	case "true", "yes", "on", "y":
		n.wanted("true or false", "Write true.")
	case "false", "no", "off", "n":
		n.wanted("true or false", "Write false.")
	default:
		n.wanted("true or false", "")
	}
}

func (n *Node) decodeInt(v reflect.Value, f field) {
	d, ok := n.number("a whole number")
	if !ok {
		return
	}
	whole, err := d.Int64()
	switch {
	case !d.IsWhole():
		n.wanted("a whole number", "")
	case err != nil, v.CanInt() && v.OverflowInt(whole), v.CanUint() && (whole < 0 || v.OverflowUint(uint64(whole))):
		n.Problem("the number "+shorten(n.Text())+" is out of range", "")
	case n.within(d, f):
		if v.CanInt() {
			v.SetInt(whole)
		} else {
			v.SetUint(uint64(whole))
		}
	}
}

// number is the value of a number without quotes.
func (n *Node) number(what string) (exact.Decimal, bool) {
	if n.Kind() != KindNumber {
		hint := ""
		if n.Kind() == KindText && isNumber(n.Text()) {
			hint = "Remove the quotes."
		}
		n.wanted(what, hint)
		return exact.Decimal{}, false
	}
	d, err := exact.ParseDecimal(n.Text())
	if err != nil {
		n.Problem(err.Error(), "")
		return exact.Decimal{}, false
	}
	return d, true
}

// within holds a number against the field's min and max.
func (n *Node) within(d exact.Decimal, f field) bool {
	if f.min != nil && d.Cmp(*f.min) < 0 || f.max != nil && d.Cmp(*f.max) > 0 {
		n.Problem("the number "+shorten(n.Text())+" is out of range", rangeHint(f))
		return false
	}
	return true
}

func rangeHint(f field) string {
	switch {
	case f.max == nil:
		return "The least is " + f.min.String() + "."
	case f.min == nil:
		return "The most is " + f.max.String() + "."
	}
	return "It must be between " + f.min.String() + " and " + f.max.String() + "."
}

// quantities are the types of package exact that a file can hold.
var quantities = map[reflect.Type]func(n *Node, f field) (any, bool){
	reflect.TypeFor[exact.Decimal](): func(n *Node, f field) (any, bool) {
		d, ok := n.number("a number")
		return d, ok && n.within(d, f)
	},
	reflect.TypeFor[exact.Money](): func(n *Node, _ field) (any, bool) {
		return fromText(n, "an amount with its currency", "Write it as 1500.00 EUR.", exact.ParseMoney)
	},
	reflect.TypeFor[exact.Date](): func(n *Node, _ field) (any, bool) {
		return fromText(n, "a date", "Write it as 2026-03-01.", exact.ParseDate)
	},
}

func (n *Node) decodeQuantity(v reflect.Value, f field, read func(*Node, field) (any, bool)) {
	if quantity, ok := read(n, f); ok {
		v.Set(reflect.ValueOf(quantity))
	}
}

func fromText[T any](n *Node, what, hint string, parse func(string) (T, error)) (any, bool) {
	if n.Kind() != KindText {
		n.wanted(what, hint)
		return nil, false
	}
	parsed, err := parse(n.Text())
	if err != nil {
		n.Problem(strings.TrimSuffix(err.Error(), "."), hint)
		return nil, false
	}
	return parsed, true
}
