package hub

import (
	"errors"
	"fmt"
	"time"
)

// Kind says who has to act on an error. The list only grows: it is stored, and partners' alerts
// refer to it.
type Kind string

// The kinds, with the exception class that each one parks under (see Kind.Class).
const (
	Invalid         Kind = "invalid"         // a person corrects the record or the request
	NotFound        Kind = "not_found"       // what is referred to is not there (or is another tenant's)
	Exists          Kind = "exists"          // the far side has this record already
	Conflict        Kind = "conflict"        // somebody else changed it in the meantime
	Blocked         Kind = "blocked"         // a rule says no
	Unauthenticated Kind = "unauthenticated" // the caller has not said who it is
	Forbidden       Kind = "forbidden"       // the caller may not do this
	Unavailable     Kind = "unavailable"     // nothing has happened there; try again on the schedule
	Throttled       Kind = "throttled"       // come back when told; uses no attempt (R8)
	Expired         Kind = "expired"         // the connection must be renewed by a person
	Uncertain       Kind = "uncertain"       // a write may or may not have happened (R3)
	Internal        Kind = "internal"        // a defect of ours
)

var classes = map[Kind]string{
	Invalid: "validation", NotFound: "missing_reference", Exists: "duplicate", Conflict: "conflict",
	Blocked: "blocked_by_rule", Unavailable: "intermittent", Throttled: "rate_limit",
	Expired: "connection", Uncertain: "uncertain", Internal: "defect",
	Unauthenticated: "connection", Forbidden: "connection",
}

// Class is the exception class under which an error of this kind is parked.
func (k Kind) Class() string {
	if c, ok := classes[k]; ok {
		return c
	}
	return "defect"
}

// Error is the one error type that carries meaning from room to room.
//
// Code is stable and listed in docs/errors.md. Message and Hint are for people: one says what is
// wrong, the other what to do about it. Err is for the log only and never leaves the process.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Hint    string
	Field   string        // the field at fault, in the words of the file or record it stands in; may be empty
	Value   string        // what stands in it: errors of the same cause have the same
	After   time.Duration // how long to wait, for Throttled and Unavailable; 0 = nobody said
	Err     error
}

func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Hint != "" {
		s += " " + e.Hint
	}
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// Unwrap gives the cause, so that errors.Is and errors.As see through.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the first Error in err's chain; Internal for any other error, "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e := AsError(err); e != nil {
		return e.Kind
	}
	return Internal
}

// AsError finds the first Error in err's chain, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// ErrConnectionChanged says that a connection was changed while somebody used it as it was before.
var ErrConnectionChanged = &Error{Kind: Unavailable, Code: "connection.changed", Message: "The connection was changed meanwhile.", Hint: "Nothing is to be done: it is tried again as it is now."}
