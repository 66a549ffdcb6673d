package sqlite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Stmt is a compiled statement. It is run by Exec, or begun by Query, read with Next and Scan, and ended by Reset.
type Stmt struct {
	conn    *Conn
	p       uintptr
	places  int     // of parameters
	columns int     // of a row
	texts   uintptr // memory of the library that holds what is bound
	size    int
}

// Prepare compiles one statement.
func (c *Conn) Prepare(q string) (*Stmt, error) {
	text, err := libc.CString(q)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	p, err := c.pointer(func(into uintptr) int32 {
		return lib.Xsqlite3_prepare_v3(c.tls, c.db, text, int32(len(q)), lib.SQLITE_PREPARE_PERSISTENT, into, 0)
	})
	if err != nil {
		return nil, err
	}
	if p == 0 {
		return nil, fmt.Errorf("no statement in %q", q)
	}
	return &Stmt{conn: c, p: p, places: int(lib.Xsqlite3_bind_parameter_count(c.tls, p)), columns: int(lib.Xsqlite3_column_count(c.tls, p))}, nil
}

// Close gives the statement's memory back.
func (s *Stmt) Close() error {
	code := lib.Xsqlite3_finalize(s.conn.tls, s.p)
	libc.Xfree(s.conn.tls, s.texts)
	s.p, s.texts, s.size = 0, 0, 0
	return s.conn.failed(code)
}

// Exec runs the statement to its end and says how many rows it changed.
func (s *Stmt) Exec(ctx context.Context, args ...any) (n int64, err error) {
	if err := s.Query(ctx, args...); err != nil {
		return 0, err
	}
	for more := true; more && err == nil; {
		more, err = s.Next()
	}
	if err == nil {
		n = lib.Xsqlite3_changes64(s.conn.tls, s.conn.db)
	}
	s.Reset()
	return n, err
}

// Query begins the statement. It ends early where the context does.
func (s *Stmt) Query(ctx context.Context, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.conn.ctx = ctx
	return s.bind(args)
}

// Next goes on to the next row; false: there is none, or the error says what happened.
func (s *Stmt) Next() (bool, error) {
	switch code := lib.Xsqlite3_step(s.conn.tls, s.p); code {
	case lib.SQLITE_ROW:
		return true, nil
	case lib.SQLITE_DONE:
		return false, nil
	default:
		return false, s.conn.failed(code)
	}
}

// Reset ends the statement; what went wrong in it was said by Next.
func (s *Stmt) Reset() { lib.Xsqlite3_reset(s.conn.tls, s.p) }

// bind puts values into the statement's places. Texts are copied into memory of the statement's own, where they stay
// until the next ones come: SQLite neither copies nor frees them.
func (s *Stmt) bind(args []any) error {
	if len(args) != s.places {
		return fmt.Errorf("%d values for %d places", len(args), s.places)
	}
	used := 0
	for i := 0; i < len(args); i++ {
		v, err := valueOf(args[i])
		if err != nil {
			return fmt.Errorf("place %d: %w", i+1, err)
		}
		if used+len(v.text) > s.size || s.texts == 0 {
			if err := s.grow(used + len(v.text)); err != nil {
				return err
			}
			i, used = -1, 0 // what is bound already lies in memory that is gone
			continue
		}
		if err := s.conn.failed(s.put(int32(i+1), v, used)); err != nil {
			return err
		}
		used += len(v.text)
	}
	return nil
}

func (s *Stmt) grow(need int) error {
	size := max(1024, 2*need)
	libc.Xfree(s.conn.tls, s.texts)
	s.texts, s.size = libc.Xmalloc(s.conn.tls, libc.Tsize_t(size)), size
	if s.texts == 0 {
		return errors.New("out of memory")
	}
	return nil
}

func (s *Stmt) put(place int32, v value, at int) int32 {
	tls := s.conn.tls
	into := s.texts + uintptr(at)
	copy(memory(into, len(v.text)), v.text)
	switch v.kind {
	case isText:
		return lib.Xsqlite3_bind_text(tls, s.p, place, into, int32(len(v.text)), lib.SQLITE_STATIC)
	case isBytes:
		return lib.Xsqlite3_bind_blob(tls, s.p, place, into, int32(len(v.text)), lib.SQLITE_STATIC)
	case isNumber:
		return lib.Xsqlite3_bind_int64(tls, s.p, place, v.number)
	}
	return lib.Xsqlite3_bind_null(tls, s.p, place)
}

// value is one as SQLite takes it.
type value struct {
	kind   int
	number int64
	text   string // or bytes
}

const (
	isNull = iota
	isNumber
	isText
	isBytes
)

func valueOf(v any) (value, error) {
	switch v := v.(type) {
	case nil:
		return value{}, nil
	case string:
		return value{kind: isText, text: v}, nil
	case int64:
		return value{kind: isNumber, number: v}, nil
	case int:
		return value{kind: isNumber, number: int64(v)}, nil
	case []byte:
		if v == nil {
			return value{}, nil
		}
		return value{kind: isBytes, text: unsafe.String(unsafe.SliceData(v), len(v))}, nil
	}
	switch r := reflect.ValueOf(v); {
	case r.Kind() == reflect.String:
		return value{kind: isText, text: r.String()}, nil
	case r.CanInt():
		return value{kind: isNumber, number: r.Int()}, nil
	}
	return value{}, fmt.Errorf("%T cannot be kept", v)
}

// Scan reads the row's columns: a text into what is a text, a number into what is a number.
func (s *Stmt) Scan(into ...any) error {
	if len(into) != s.columns {
		return fmt.Errorf("%d columns, and places for %d", s.columns, len(into))
	}
	for i, to := range into {
		if err := s.scan(int32(i), to); err != nil {
			return fmt.Errorf("column %s: %w", libc.GoString(lib.Xsqlite3_column_name(s.conn.tls, s.p, int32(i))), err)
		}
	}
	return nil
}

func (s *Stmt) scan(i int32, into any) error {
	kind := lib.Xsqlite3_column_type(s.conn.tls, s.p, i)
	switch to := into.(type) {
	case *any:
		return s.scanAny(i, kind, to)
	case *[]byte:
		switch kind {
		case lib.SQLITE_NULL:
			*to = nil
			return nil
		case lib.SQLITE_BLOB, lib.SQLITE_TEXT:
			*to = s.bytes(i)
			return nil
		}
	case *string:
		if kind == lib.SQLITE_TEXT || kind == lib.SQLITE_BLOB {
			*to = s.text(i)
			return nil
		}
	case *int64:
		if kind == lib.SQLITE_INTEGER {
			*to = lib.Xsqlite3_column_int64(s.conn.tls, s.p, i)
			return nil
		}
	}
	return s.assign(i, kind, reflect.ValueOf(into).Elem())
}

// assign puts a column into a place whose type has a name of its own.
func (s *Stmt) assign(i, kind int32, to reflect.Value) error {
	switch {
	case to.Kind() == reflect.String && (kind == lib.SQLITE_TEXT || kind == lib.SQLITE_BLOB):
		to.SetString(s.text(i))
		return nil
	case to.CanInt() && kind == lib.SQLITE_INTEGER:
		if n := lib.Xsqlite3_column_int64(s.conn.tls, s.p, i); !to.OverflowInt(n) {
			to.SetInt(n)
			return nil
		}
	}
	return fmt.Errorf("%s does not fit into %s", kinds[kind], to.Type())
}

var kinds = map[int32]string{lib.SQLITE_INTEGER: "a number", lib.SQLITE_FLOAT: "a floating number", lib.SQLITE_TEXT: "a text", lib.SQLITE_BLOB: "bytes", lib.SQLITE_NULL: "nothing"}

func (s *Stmt) scanAny(i, kind int32, to *any) error {
	switch kind {
	case lib.SQLITE_NULL:
		*to = nil
	case lib.SQLITE_INTEGER:
		*to = lib.Xsqlite3_column_int64(s.conn.tls, s.p, i)
	case lib.SQLITE_TEXT:
		*to = s.text(i)
	case lib.SQLITE_BLOB:
		*to = s.bytes(i)
	default:
		return fmt.Errorf("%s is nothing that the ledger keeps", kinds[kind])
	}
	return nil
}

// raw is a column where SQLite has it, until the next row.
func (s *Stmt) raw(i int32) []byte {
	p := lib.Xsqlite3_column_blob(s.conn.tls, s.p, i)
	n := lib.Xsqlite3_column_bytes(s.conn.tls, s.p, i)
	if p == 0 || n == 0 {
		return nil
	}
	return memory(p, int(n))
}

func (s *Stmt) text(i int32) string { return string(s.raw(i)) }

func (s *Stmt) bytes(i int32) []byte { return append([]byte{}, s.raw(i)...) }
