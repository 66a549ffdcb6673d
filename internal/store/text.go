package store

import (
	"errors"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A far side may send what is no text for PostgreSQL: a NUL, or bytes that are no UTF-8, in an id or in its words of
// what is wrong. Left as it is, it could never be recorded, and would hold up all that came with it. So it is replaced,
// once it has been refused: hardly anything ever is, and everything would have to be looked through.

// noText reports whether the database holds no such text.
func noText(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "22021"
}

// text is what can be held of s. Wherever the same came, it becomes the same.
func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
}

// onlyText makes text of all that an entry records.
func (e *entry) onlyText() {
	if e.step != nil {
		onlyText(reflect.ValueOf(e.step).Elem())
	}
	onlyText(reflect.ValueOf(e.arrival))
}

func onlyText(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			onlyText(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			onlyText(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // bytes are held as they are
		}
		for i := range v.Len() {
			onlyText(v.Index(i))
		}
	}
}
