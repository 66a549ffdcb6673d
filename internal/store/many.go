package store

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A statement is written for one row. Where a commit has many rows for it, PostgreSQL is told them at once, column
// by column: what it and we pay for is the statement more than the row.

// manyRows is from how many rows on that is worth it.
const manyRows = 4

// manyText is a statement said of many rows.
type manyText struct {
	text     string
	told     string // the same, answering which rows it changed; empty: it cannot
	inserts  bool
	place    []int // parameters that say which row is touched: two rows of the same place go one after the other
	returned []int // parameters by which a row that was inserted is known
}

var (
	insertForm = regexp.MustCompile(`^INSERT INTO \w+ \(([^)]+)\) (?:VALUES \((.+?)\)|SELECT (.+?) WHERE (.+?))( ON CONFLICT .*)?$`)
	targetForm = regexp.MustCompile(`^ ON CONFLICT \(([^)]+)\)`)
	updateForm = regexp.MustCompile(`^(UPDATE \w+ SET .+?) WHERE ((?:\w+ (?:=|<>) (?:\?|'\w*')(?: AND )?)+)$`)
)

// manyOf turns a statement for one row into one for many, once for each; nil where it cannot be said of many.
func manyOf(q string, kinds string) *manyText {
	type known struct{ q, kinds string }
	if m, ok := manyTexts.Load(known{q, kinds}); ok {
		return m.(*manyText)
	}
	var m *manyText
	one := strings.Join(strings.Fields(q), " ")
	if f := insertForm.FindStringSubmatch(one); f != nil {
		m = insertMany(one, f, kinds)
	} else if f := updateForm.FindStringSubmatch(one); f != nil {
		m = updateMany(f[1], f[2], kinds)
	}
	manyTexts.Store(known{q, kinds}, m)
	return m
}

var manyTexts sync.Map

func insertMany(one string, f []string, kinds string) *manyText {
	head, _, _ := strings.Cut(one, ") ")
	list, where, conflict := f[2]+f[3], f[4], f[5]
	m := &manyText{inserts: true}
	m.text = head + ") SELECT " + named(list, 0) + " FROM " + given(kinds)
	if where != "" {
		n := strings.Count(list, "?")
		m.text += " WHERE " + named(where, n)
		m.place = compared(where, n)
	}
	m.text += conflict
	target := targetForm.FindStringSubmatch(conflict)
	if target == nil {
		return m
	}
	m.returned = valuesOf(strings.Split(target[1], ", "), strings.Split(f[1], ", "), strings.Split(list, ", "))
	if m.place == nil {
		m.place = m.returned
	}
	if !slices.ContainsFunc(m.returned, func(i int) bool { return kinds[i] != 't' }) {
		m.told = m.text + " RETURNING " + target[1]
	}
	return m
}

// updateMany takes conditions that are equalities: rows that differ in one of their values touch different rows.
func updateMany(set, where, kinds string) *manyText {
	n := strings.Count(set, "?")
	m := &manyText{place: compared(where, n)}
	m.text = named(set, 0) + " FROM " + given(kinds) + " WHERE " + named(where, n)
	m.told = m.text + " RETURNING v.nth"
	return m
}

// valuesOf are the parameters that stand for columns.
func valuesOf(want, columns, items []string) (list []int) {
	for _, c := range want {
		at := slices.Index(columns, c)
		list = append(list, strings.Count(strings.Join(items[:at], ""), "?"))
	}
	return list
}

// compared are the parameters of a condition that a column is compared with.
func compared(where string, n int) (list []int) {
	parts := strings.Split(where, "?")
	for i, before := range parts[:len(parts)-1] {
		if strings.HasSuffix(before, " = ") {
			list = append(list, n+i)
		}
	}
	return list
}

// named puts the rows' columns in the place of parameters.
func named(q string, n int) string {
	parts := strings.Split(q, "?")
	for i := range parts[:len(parts)-1] {
		parts[i] += "v.p" + strconv.Itoa(n+i)
	}
	return strings.Join(parts, "")
}

// given are the rows, as a table.
func given(kinds string) string {
	var arrays, names []string
	for i, k := range kinds {
		arrays = append(arrays, "?::"+map[rune]string{'t': "text", 'i': "bigint", 'b': "bytea"}[k]+"[]")
		names = append(names, "p"+strconv.Itoa(i))
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY v (" + strings.Join(names, ", ") + ", nth)"
}

// kindsOf says of what kind each value of a row is: text, integer or bytes; "" where one is of none.
func kindsOf(row []any) string {
	kinds := make([]byte, len(row))
	for i, v := range row {
		switch t := reflect.TypeOf(v); {
		case t == nil:
			return ""
		case t.Kind() == reflect.String:
			kinds[i] = 't'
		case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
			kinds[i] = 'i'
		case t == reflect.TypeFor[[]byte]():
			kinds[i] = 'b'
		default:
			return ""
		}
	}
	return string(kinds)
}

// atOnce is a statement for these rows, or nil: then each is said by itself.
func atOnce(q string, args [][]any) *manyText {
	if len(args) < manyRows {
		return nil
	}
	kinds := kindsOf(args[0])
	if kinds == "" || slices.ContainsFunc(args, func(row []any) bool { return slices.Contains(row, nil) }) {
		return nil
	}
	return manyOf(q, kinds)
}

// rounds parts rows so that none holds two of the same place, each with those before it done: what a row finds is
// what the one before it left.
func (m *manyText) rounds(args [][]any) (list [][]int) {
	seen := make(map[string]int, len(args))
	for i, row := range args {
		n := 0
		if m.place != nil {
			at := placeOf(row, m.place)
			n = seen[at]
			seen[at]++
		}
		if n == len(list) {
			list = append(list, make([]int, 0, len(args)-i))
		}
		list[n] = append(list[n], i)
	}
	return list
}

func placeOf(row []any, by []int) string {
	var b strings.Builder
	for _, i := range by {
		if v := reflect.ValueOf(row[i]); v.Kind() == reflect.String {
			b.WriteString(v.String())
		} else {
			fmt.Fprint(&b, row[i])
		}
		b.WriteByte(0)
	}
	return b.String()
}

// columns are the values of some rows, column by column.
func columns(args [][]any, some []int) []any {
	list := make([]any, len(args[0]))
	for c := range list {
		switch reflect.TypeOf(args[0][c]).Kind() {
		case reflect.String:
			list[c] = gathered(args, some, c, func(v any) string { return reflect.ValueOf(v).String() })
		case reflect.Slice:
			list[c] = gathered(args, some, c, func(v any) []byte { return v.([]byte) })
		default:
			list[c] = gathered(args, some, c, func(v any) int64 { return reflect.ValueOf(v).Int() })
		}
	}
	return list
}

func gathered[T any](args [][]any, some []int, c int, of func(any) T) []T {
	list := make([]T, len(some))
	for i, row := range some {
		if v, ok := args[row][c].(T); ok {
			list[i] = v
			continue
		}
		list[i] = of(args[row][c])
	}
	return list
}

// eachOf runs the statement for all rows and says how many each has changed.
func (m *manyText) eachOf(ctx context.Context, t *pgTx, args [][]any) ([]int64, error) {
	counts := make([]int64, len(args))
	for _, round := range m.rounds(args) {
		r, err := t.query(ctx, m.told, columns(args, round)...)
		changed, err := all(r, err, m.changed(args, round))
		if err != nil {
			return nil, err
		}
		for _, i := range changed {
			counts[i]++
		}
	}
	return counts, nil
}

// changed scans which row of a round an answer is about.
func (m *manyText) changed(args [][]any, round []int) func(rows, *int) error {
	if !m.inserts {
		return func(r rows, i *int) error {
			var nth int
			err := r.Scan(&nth)
			if err == nil {
				*i = round[nth-1]
			}
			return err
		}
	}
	at := make(map[string]int, len(round))
	for _, i := range round {
		at[placeOf(args[i], m.returned)] = i
	}
	texts, into := make([]string, len(m.returned)), make([]any, len(m.returned))
	for i := range texts {
		into[i] = &texts[i]
	}
	return func(r rows, i *int) error {
		if err := r.Scan(into...); err != nil {
			return err
		}
		*i = at[strings.Join(texts, "\x00")+"\x00"]
		return nil
	}
}
