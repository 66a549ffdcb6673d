// Package sqlite speaks to SQLite as its C interface is, without database/sql and its driver between: what they do for
// everybody (a lock, a copy and an allocation for each value, a goroutine for each context) a ledger that runs the
// same thirty statements over and over pays for each of its rows. The library itself is modernc.org/sqlite's.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Conn is a connection to a file. One goroutine at a time uses it and what belongs to it.
type Conn struct {
	tls *libc.TLS
	db  uintptr
	ctx context.Context // of the statement under way
}

// Error is what SQLite refused. Its text ends with the extended code.
type Error struct {
	Code    int // extended: 2067
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Taken reports whether a row could not be kept because a unique index has its key already.
func Taken(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == lib.SQLITE_CONSTRAINT_UNIQUE
}

// Unreadable reports whether a file is no database, or a damaged one. The driver for migrations says so in its own way.
func Unreadable(err error) bool {
	var other interface{ Code() int }
	code := 0
	if e := (*Error)(nil); errors.As(err, &e) {
		code = e.Code
	} else if errors.As(err, &other) {
		code = other.Code()
	}
	return code&0xff == lib.SQLITE_NOTADB || code&0xff == lib.SQLITE_CORRUPT
}

// Open opens a file, or makes it, and runs the pragmas: "journal_mode=WAL".
func Open(path string, pragmas ...string) (*Conn, error) {
	c := &Conn{tls: libc.NewTLS()}
	if err := c.open(path); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, p := range append([]string{"busy_timeout=10000"}, pragmas...) {
		if err := c.pragma(p); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (c *Conn) open(path string) error {
	name, err := libc.CString(path)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, name)
	c.db, err = c.pointer(func(into uintptr) int32 {
		return lib.Xsqlite3_open_v2(c.tls, name, into, lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE|lib.SQLITE_OPEN_NOMUTEX, 0)
	})
	if err != nil {
		return err
	}
	conns.Store(c.db, c)
	lib.Xsqlite3_progress_handler(c.tls, c.db, 10_000, onProgress, c.db)
	return c.failed(lib.Xsqlite3_extended_result_codes(c.tls, c.db, 1))
}

// pragma runs it and reads what it answers.
func (c *Conn) pragma(p string) error {
	s, err := c.Prepare("PRAGMA " + p)
	if err != nil {
		return err
	}
	_, err = s.Exec(context.Background())
	return errors.Join(err, s.Close())
}

// pointer calls what puts a pointer into the place that it is given.
func (c *Conn) pointer(call func(into uintptr) int32) (uintptr, error) {
	into := libc.Xcalloc(c.tls, 1, libc.Tsize_t(unsafe.Sizeof(uintptr(0))))
	if into == 0 {
		return 0, errors.New("out of memory")
	}
	defer libc.Xfree(c.tls, into)
	code := call(into)
	got := *(*uintptr)(address(into))
	if code != lib.SQLITE_OK && c.db == 0 {
		c.db = got // a file that cannot be opened has a connection that knows why
	}
	return got, c.failed(code)
}

// failed is the error of a code, in SQLite's words.
func (c *Conn) failed(code int32) error {
	if code == lib.SQLITE_OK {
		return nil
	}
	if code == lib.SQLITE_INTERRUPT && c.ctx != nil && c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	what := libc.GoString(lib.Xsqlite3_errstr(c.tls, code))
	if c.db != 0 {
		if said := libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db)); said != what {
			what += ": " + said
		}
	}
	return &Error{Code: int(code), Message: what}
}

// Close closes the connection; its statements must be closed before.
func (c *Conn) Close() error {
	if c.tls == nil {
		return nil
	}
	conns.Delete(c.db)
	err := c.failed(lib.Xsqlite3_close_v2(c.tls, c.db))
	c.tls.Close()
	c.tls, c.db = nil, 0
	return err
}

// conns are the open connections by their pointer: SQLite asks now and then whether to go on, and knows no more
// than that.
var conns sync.Map

var onProgress = callback(func(_ *libc.TLS, db uintptr) int32 {
	c, ok := conns.Load(db)
	if ok && c.(*Conn).ctx != nil && c.(*Conn).ctx.Err() != nil {
		return 1
	}
	return 0
})

// callback is a function as the library takes it.
func callback(f func(*libc.TLS, uintptr) int32) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct {
		f func(*libc.TLS, uintptr) int32
	}{f}))
}

// address is memory of the library, which Go neither moves nor frees.
func address(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// memory is the bytes there.
func memory(p uintptr, n int) []byte { return unsafe.Slice((*byte)(address(p)), n) }
