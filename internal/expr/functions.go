package expr

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"throughline/internal/exact"
)

// standard declares what every expression may use beyond CEL itself. docs/expressions.md lists it.
func standard() []cel.EnvOption {
	list := arithmetic()
	for _, f := range library {
		list = append(list, f.option())
	}
	return list
}

// arithmetic opens CEL's operators to the quantities, and only in combinations that make sense.
func arithmetic() []cel.EnvOption {
	d, m, day, s, i := Decimal.cel, Money.cel, Date.cel, Seconds.cel, cel.IntType
	var list []cel.EnvOption
	op := func(name string, result *cel.Type, args ...*cel.Type) {
		id := "q" + name
		for _, a := range args {
			id += "_" + a.String()
		}
		list = append(list, cel.Function(name, cel.Overload(id, args, result)))
	}
	for _, name := range []string{operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals} {
		for _, t := range []*cel.Type{d, m, day, s} {
			op(name, cel.BoolType, t, t)
		}
		op(name, cel.BoolType, d, i)
	}
	for _, name := range []string{operators.Add, operators.Subtract} {
		op(name, d, d, d)
		op(name, d, d, i)
		op(name, m, m, m)
		op(name, s, s, s)
		op(name, day, day, i)
	}
	op(operators.Multiply, d, d, d)
	op(operators.Multiply, d, d, i)
	op(operators.Multiply, m, m, d)
	op(operators.Multiply, m, d, m)
	op(operators.Multiply, m, m, i)
	op(operators.Multiply, s, s, i)
	for _, t := range []*cel.Type{d, m, s} {
		op(operators.Negate, t, t)
	}
	return list
}

// function is one of ours: one meaning, one or several signatures.
type function struct {
	name  string
	forms []form
	call  func(args []any) (any, error)
	nulls bool     // takes null arguments itself, instead of answering null to them
	wants []string // see wanted
}

type form struct {
	args   []Type
	result Type
}

func (f function) option() cel.EnvOption {
	f.wants = f.wanted()
	opts := []cel.FunctionOpt{cel.SingletonFunctionBinding(f.invoke)}
	for n, form := range f.forms {
		var args []*cel.Type
		for _, a := range form.args {
			args = append(args, a.cel)
		}
		opts = append(opts, cel.Overload(fmt.Sprintf("%s_%d", f.name, n), args, form.result.cel))
	}
	return cel.Function(f.name, opts...)
}

func (f function) invoke(vals ...ref.Val) ref.Val {
	args := make([]any, len(vals))
	for i, v := range vals {
		a, err := native(v)
		if err != nil {
			return types.WrapErr(err)
		}
		if a == nil && !f.nulls {
			return types.NullValue
		}
		if err := f.fits(i, a); err != nil {
			return types.WrapErr(err)
		}
		args[i] = a
	}
	out, err := f.call(args)
	if err != nil {
		return types.WrapErr(fmt.Errorf("%s: %w", f.name, err))
	}
	return adapter{}.NativeToValue(out)
}

// wanted says which arguments are to be texts or whole numbers in every form.
func (f function) wanted() (list []string) {
	for i := range f.forms[0].args { // the longest form
		says := ""
		for name, t := range map[string]*cel.Type{"text": Text.cel, "whole number": Int.cel} {
			if slices.IndexFunc(f.forms, func(form form) bool { return i < len(form.args) && form.args[i].cel != t }) < 0 {
				says = name
			}
		}
		list = append(list, says)
	}
	return list
}

// fits refuses what is no text or no whole number where one is wanted: of JSON nobody knows beforehand.
func (f function) fits(i int, a any) (err error) {
	ok := true
	switch f.wants[i] {
	case "text":
		_, ok = a.(string)
	case "whole number":
		_, ok = a.(int64)
	}
	if !ok {
		err = fmt.Errorf("%s: the %s argument is to be a %s, and this is %v", f.name, [...]string{"1st", "2nd", "3rd"}[i], f.wants[i], a)
	}
	return err
}

func on(result Type, args ...Type) form { return form{args, result} }

var t = cel.TypeParamType("T")

var library = []function{
	{name: "decimal", forms: []form{on(Decimal, Dyn)}, call: func(a []any) (any, error) { return orEmpty(a[0], toDecimal) }},
	{name: "money", forms: []form{on(Money, Dyn, Text), on(Money, Text)}, call: toMoney},
	{name: "amount", forms: []form{on(Decimal, Money)}, call: func(a []any) (any, error) { return a[0].(exact.Money).Amount, nil }},
	{name: "currency", forms: []form{on(Text, Money)}, call: func(a []any) (any, error) { return a[0].(exact.Money).Currency, nil }},
	{name: "round", forms: []form{on(Decimal, Decimal, Int), on(Money, Money, Int), on(Money, Money)}, call: round},
	{name: "percent", forms: []form{on(Money, Money, Dyn), on(Decimal, Decimal, Dyn)}, call: percent},
	{name: "apportion", forms: []form{on(List(Dyn), Money, Dyn, Text)}, call: apportion},
	{name: "date", forms: []form{on(Date, Dyn)}, call: toDate},
	{name: "day", forms: []form{on(Date, Dyn, Text)}, call: toDate},
	{name: "instant", forms: []form{on(Instant, Dyn)}, call: func(a []any) (any, error) { return orEmpty(a[0], toInstant) }},
	{name: "millis", forms: []form{on(Int, Instant)}, call: func(a []any) (any, error) { return a[0].(time.Time).UnixMilli(), nil }},
	{name: "seconds", forms: []form{on(Seconds, Dyn)}, call: func(a []any) (any, error) { return orEmpty(a[0], toSeconds) }},
	{name: "hours", forms: []form{on(Seconds, Dyn)}, call: func(a []any) (any, error) { return orEmpty(a[0], fromHours) }},
	{name: "in_hours", forms: []form{on(Decimal, Seconds, Int)}, call: inHours},
	{name: "iso", forms: []form{on(Text, Seconds)}, call: func(a []any) (any, error) { return a[0].(exact.Seconds).ISO(), nil }},
	{name: "step", forms: []form{on(Seconds, Seconds, Int)}, call: step},
	{name: "nearest", forms: []form{on(Seconds, Seconds, Int)}, call: nearest},
	{name: "charge", forms: []form{on(Money, Money, Seconds)}, call: charge},
	{name: "clock", forms: []form{on(Text, Seconds)}, call: func(a []any) (any, error) { return a[0].(exact.Seconds).Clock(), nil }},
	{name: "text", forms: []form{on(Text, Dyn)}, call: func(a []any) (any, error) { return toText(a[0]) }},
	{name: "default", forms: []form{{[]Type{{t}, {t}}, Type{t}}}, call: orDefault, nulls: true},
	{name: "first", forms: []form{{[]Type{{cel.ListType(t)}}, Type{t}}}, call: first, nulls: true},
	{name: "list", forms: []form{on(List(Dyn), Dyn)}, call: asList, nulls: true},
	{name: "without_nulls", forms: []form{on(Dyn, Dyn)}, call: func(a []any) (any, error) { return withoutNulls(a[0]), nil }},
	{name: "remarks", forms: []form{on(List(Text), Dyn, Text)}, call: func(a []any) (any, error) { return remarks(a[0], a[1].(string), "", []any{}), nil }},
	{name: "clip", forms: []form{on(Text, Text, Int)}, call: clip},
	{name: "domain", forms: []form{on(Text, Text)}, call: func(a []any) (any, error) { return domain(a[0].(string)), nil }},
	{name: "digits", forms: []form{on(Text, Text)}, call: func(a []any) (any, error) { return digits(a[0].(string)), nil }},
	{name: "whole", forms: []form{on(Int, Dyn)}, call: wholeOf},
	{name: "base64", forms: []form{on(Text, Text)}, call: func(a []any) (any, error) { return base64.StdEncoding.EncodeToString([]byte(a[0].(string))), nil }},
	{name: "quote", forms: []form{on(Text, Text, Text)}, call: quote},
}

func orEmpty(v any, f func(any) (any, error)) (any, error) {
	if s, ok := v.(string); ok && strings.TrimSpace(s) == "" {
		return nil, nil
	}
	return f(v)
}

func toDecimal(v any) (any, error) {
	switch v := v.(type) {
	case exact.Decimal:
		return v, nil
	case int64:
		return exact.NewDecimal(v), nil
	case string:
		return exact.ParseDecimal(strings.TrimSpace(v))
	}
	return nil, fmt.Errorf("%v is no number", v)
}

func toMoney(a []any) (any, error) {
	if len(a) == 1 {
		return exact.ParseMoney(a[0].(string))
	}
	d, err := orEmpty(a[0], toDecimal)
	if err != nil || d == nil {
		return nil, err
	}
	return exact.NewMoney(d.(exact.Decimal), a[1].(string))
}

func round(a []any) (any, error) {
	switch v := a[0].(type) {
	case exact.Decimal:
		return v.Round(int32(a[1].(int64)), exact.HalfEven), nil
	case exact.Money:
		places := exact.MinorUnits(v.Currency)
		if len(a) == 2 {
			places = int32(a[1].(int64))
		}
		return exact.Money{Amount: v.Amount.Round(places, exact.HalfEven), Currency: v.Currency}, nil
	}
	return nil, fmt.Errorf("%v cannot be rounded", a[0])
}

// percent is n hundredths of a quantity, unrounded.
func percent(a []any) (any, error) {
	n, err := toDecimal(a[1])
	if err != nil {
		return nil, err
	}
	share := n.(exact.Decimal).Mul(hundredth)
	if m, ok := a[0].(exact.Money); ok {
		return exact.Money{Amount: m.Amount.Mul(share), Currency: m.Currency}, nil
	}
	return a[0].(exact.Decimal).Mul(share), nil
}

var hundredth = exact.MustDecimal("0.01")

// apportion gives each of several items its share of an amount, in coins. The shares add up: each is what the items up to
// it have, rounded, less what was given before.
func apportion(a []any) (any, error) {
	total, field := a[0].(exact.Money), a[2].(string)
	items, ok := a[1].([]any)
	if !ok {
		return nil, fmt.Errorf("%v is no list", a[1])
	}
	places, out := exact.MinorUnits(total.Currency), make([]any, len(items))
	var percents, given exact.Decimal
	for i, v := range items {
		item, ok := v.(map[string]any)
		if !ok || item[field] == nil {
			return nil, fmt.Errorf("item %d has no %s", i+1, field)
		}
		share, err := toDecimal(item[field])
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
		percents = percents.Add(share.(exact.Decimal))
		upTo := total.Amount.Mul(percents).Mul(hundredth).Round(places, exact.HalfEven)
		item = maps.Clone(item)
		item["amount"] = exact.Money{Amount: upTo.Sub(given), Currency: total.Currency}
		out[i], given = item, upTo
	}
	return out, nil
}

// toDate reads a business date; from an instant only in a named zone.
func toDate(a []any) (any, error) {
	switch v := a[0].(type) {
	case exact.Date:
		return v, nil
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, nil
		}
		if len(v) == len("2006-01-02") {
			return exact.ParseDate(v)
		}
	}
	if len(a) < 2 {
		return nil, fmt.Errorf("%v is no date; an instant needs a zone: day(x, \"Europe/Berlin\")", a[0])
	}
	zone, err := time.LoadLocation(a[1].(string))
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q", a[1])
	}
	i, err := toInstant(a[0])
	if err != nil {
		return nil, err
	}
	return exact.DateOf(i.(time.Time), zone), nil
}

// toInstant reads RFC 3339, or milliseconds since 1970 as many vendors write them.
func toInstant(v any) (any, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case int64:
		return time.UnixMilli(v).UTC(), nil
	case string:
		i, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return nil, fmt.Errorf("%q is no instant; RFC 3339 such as 2026-03-01T09:30:00Z is wanted", v)
		}
		return i.UTC(), nil
	}
	return nil, fmt.Errorf("%v is no instant", v)
}

// toSeconds reads ISO 8601 durations ("PT1H30M"), clocks ("01:30"), whole seconds.
func toSeconds(v any) (any, error) {
	switch v := v.(type) {
	case exact.Seconds:
		return v, nil
	case int64:
		return exact.Seconds(v), nil
	case string:
		if strings.Contains(v, ":") {
			return exact.ParseClock(v)
		}
		return exact.ParseISODuration(v)
	}
	return nil, fmt.Errorf("%v is no duration in whole seconds", v)
}

func fromHours(v any) (any, error) {
	d, err := toDecimal(v)
	if err != nil {
		return nil, err
	}
	return exact.FromHours(d.(exact.Decimal))
}

func inHours(a []any) (any, error) {
	return a[0].(exact.Seconds).Hours(int32(a[1].(int64)), exact.HalfEven), nil
}

// step is for systems that keep work in minutes or hundredths of an hour: what they cannot hold is
// refused, for to round is a decision of the process, not of the connector.
func step(a []any) (any, error) {
	work, size := a[0].(exact.Seconds), a[1].(int64)
	if size <= 0 {
		return nil, fmt.Errorf("a step has at least one second")
	}
	if int64(work)%size != 0 {
		return nil, fmt.Errorf("%s cannot be kept there, which counts in steps of %s; round it before it is sent", work.ISO(), exact.Seconds(size).ISO())
	}
	return work, nil
}

// nearest rounds work to a multiple of so many seconds.
func nearest(a []any) (any, error) {
	size := a[1].(int64)
	if size <= 0 {
		return nil, fmt.Errorf("work is rounded to at least one second")
	}
	n, err := exact.NewDecimal(int64(a[0].(exact.Seconds))).Div(exact.NewDecimal(size), 0, exact.HalfEven)
	if err != nil {
		return nil, err
	}
	times, err := n.Int64()
	return exact.Seconds(times * size), err
}

var hour = exact.NewDecimal(3600)

// charge is what work costs at a rate per hour, rounded once, to the currency's own places.
func charge(a []any) (any, error) {
	rate, work := a[0].(exact.Money), a[1].(exact.Seconds)
	amount, err := rate.Amount.Mul(exact.NewDecimal(int64(work))).Div(hour, exact.MinorUnits(rate.Currency), exact.HalfEven)
	return exact.Money{Amount: amount, Currency: rate.Currency}, err
}

func toText(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, int64:
		return fmt.Sprint(v), nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case exact.Seconds:
		return v.ISO(), nil
	case fmt.Stringer:
		return v.String(), nil
	}
	return nil, fmt.Errorf("%T has no text", v)
}

func orDefault(a []any) (any, error) {
	if a[0] == nil || a[0] == "" {
		return a[1], nil
	}
	return a[0], nil
}

func first(a []any) (any, error) {
	if list, ok := a[0].([]any); ok {
		if len(list) == 0 {
			return nil, nil
		}
		return list[0], nil
	}
	return a[0], nil
}

// asList makes a list of what vendors send as nothing, one thing or several.
func asList(a []any) (any, error) {
	switch v := a[0].(type) {
	case nil:
		return []any{}, nil
	case []any:
		return v, nil
	}
	return []any{a[0]}, nil
}

// withoutNulls leaves out what has no value, so that a body names only what it sets.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil {
				out[k] = withoutNulls(e)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			if e != nil {
				out = append(out, withoutNulls(e))
			}
		}
		return out
	}
	return v
}

// remarks collects what stands under a key anywhere below v, each with its path: vendors that answer a
// refused record with the record itself, annotated, tell so which fields they mean.
func remarks(v any, key, path string, found []any) []any {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if text, ok := v[k].(string); ok && k == key && text != "" {
				found = append(found, strings.TrimPrefix(path+": "+text, ": "))
				continue
			}
			found = remarks(v[k], key, strings.TrimPrefix(path+"."+k, "."), found)
		}
	case []any:
		for i, e := range v {
			found = remarks(e, key, fmt.Sprintf("%s[%d]", path, i), found)
		}
	}
	return found
}

// clip cuts a text to n characters (code points), never inside one.
func clip(a []any) (any, error) {
	r := []rune(a[0].(string))
	if n := int(a[1].(int64)); n >= 0 && len(r) > n {
		return string(r[:n]), nil
	}
	return a[0], nil
}

// domain is the host of a web address or e-mail address: "https://www.acme.com/x" → "acme.com".
func domain(s string) any {
	s = strings.ToLower(strings.TrimSpace(s))
	if i := strings.Index(s, "://"); i >= 0 {
		s = s[i+3:]
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i] // first: an @ behind it is a page's
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	s, _, _ = strings.Cut(s, ":")
	s = strings.TrimSuffix(s, ".")
	s = strings.TrimPrefix(s, "www.")
	if s == "" {
		return nil
	}
	return s
}

// digits keeps the digits and letters of a number such as a tax id or phone number: "DE 136.695" → "DE136695".
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, s)
}

// quote doubles the quote mark inside a text and puts the text between two: OData and SQL-like
// filters cannot be broken out of.
func quote(a []any) (any, error) {
	mark := a[1].(string)
	if !slices.Contains([]string{"'", `"`}, mark) {
		return nil, fmt.Errorf("the mark must be ' or \"")
	}
	return mark + strings.ReplaceAll(a[0].(string), mark, mark+mark) + mark, nil
}

// wholeOf is a quantity as a whole number: refused, never cut, where it has a fraction.
func wholeOf(a []any) (any, error) {
	switch v := a[0].(type) {
	case int64:
		return v, nil
	case exact.Seconds:
		return int64(v), nil
	}
	d, err := toDecimal(a[0])
	if err != nil {
		return nil, err
	}
	return native(wholeNumber(d.(exact.Decimal)))
}
