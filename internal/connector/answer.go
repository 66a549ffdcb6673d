package connector

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/hub"
)

// Answer is what came back, decoded.
type Answer struct {
	Status int
	Header http.Header
	Body   any
	Result any  // where the operation says the record or the list is
	empty  bool // nothing came
	vars   map[string]any
}

type rule struct {
	spec                        ErrorRule
	when, message, field, after *expr.Program
}

type rpcOps struct {
	post           *text
	body           *tree
	result, failed *expr.Program
}

func (k *compiler) rpcOps(r *RPC) *rpcOps {
	return &rpcOps{k.text(r.Post), k.tree(r.Body), k.expr(r.Result, expr.Dyn), k.expr(r.Failed, expr.Bool)}
}

// Read decodes an answer and, where it is an error, says of what kind. Now places dates in
// Retry-After. What cannot be classified is Uncertain for a write and Unavailable for a read:
// only the vendor's file may say that nothing has happened.
func (c *Connector) Read(op *Op, vars map[string]any, status int, header http.Header, body []byte, now time.Time) (*Answer, error) {
	a := &Answer{Status: status, Header: header, empty: blank(body)}
	decoded, parseErr := decodeBody(body)
	shaped, err := c.shape.decode(decoded)
	if err != nil {
		return nil, err
	}
	a.Body = shaped
	a.vars = make(map[string]any, len(vars)+4)
	for name, v := range vars {
		if asked[name] {
			a.vars[name] = v
		}
	}
	a.vars["body"], a.vars["status"], a.vars["header"] = shaped, int64(status), headers(header)
	if status >= 400 {
		a.vars["raw"], _ = decodeBody(body) // as it came: what the shape leaves out may be what is wrong
	}
	if failure := c.failure(op, a, parseErr, now); failure != nil {
		return a, failure
	}
	result := op.result
	if result == nil && op.rpc != "" {
		result = c.rpc.result
	}
	a.Result = shaped
	if result != nil {
		if a.Result, err = result.Eval(a.vars); err != nil {
			return a, err
		}
	}
	if op.list && a.Result == nil && !a.empty {
		// Nothing there is [], or 204. Taken for an empty list, this would end a reading, or take back all that a sweep looks for.
		return a, unreadable(op, "its answer holds no list", nil)
	}
	return a, nil
}

// asked are the values of a question that may be seen beside its answer.
var asked = map[string]bool{"settings": true, "x": true, "id": true, "page": true, "marker": true, "value": true, "fields": true, "record": true,
	"item": true, "found": true, "items": true, "parent": true, "from": true, "to": true}

func decodeBody(body []byte) (any, error) {
	if blank(body) {
		return nil, nil
	}
	return exact.DecodeJSON(body)
}

func blank(body []byte) bool { return len(bytes.TrimSpace(body)) == 0 }

// headers are read by lower-case names with "_" for "-": header.x_quota_left.
func headers(h http.Header) map[string]any {
	out := make(map[string]any, len(h))
	for k, v := range h {
		if len(v) > 0 {
			out[strings.ReplaceAll(strings.ToLower(k), "-", "_")] = v[0]
		}
	}
	return out
}

func (c *Connector) failure(op *Op, a *Answer, parseErr error, now time.Time) error {
	if c.auth.sessionExpired(a) {
		return &hub.Error{Kind: hub.Expired, Code: "far.session_expired", Message: "The far side wants a new login."}
	}
	for _, r := range c.rules {
		if hit, err := r.hits(a); err != nil {
			return err
		} else if hit {
			return r.failure(op, a, now)
		}
	}
	switch {
	case a.Status >= 400:
		return byStatus(op, a, now)
	case a.Status >= 300:
		return unreadable(op, fmt.Sprintf("it answered with a redirect (%d)", a.Status), nil)
	case parseErr != nil:
		return unreadable(op, "its answer is no JSON", parseErr)
	case a.Status == http.StatusOK && a.empty && op.Write == nil && !c.logsIn(op):
		// Who finds nothing says so, by [] or by 204. Taken for "not there", this would create a thing twice.
		return unreadable(op, "its answer is empty", nil)
	case op.rpc != "" && c.rpc.failed != nil:
		if failed, err := c.rpc.failed.True(a.vars); err != nil || failed {
			return unreadable(op, "it answered with an error that the connector does not know: "+excerpt(a.Body), err)
		}
	}
	return nil
}

func (r rule) hits(a *Answer) (bool, error) {
	if r.spec.Status != 0 && r.spec.Status != a.Status {
		return false, nil
	}
	if r.when == nil {
		return true, nil
	}
	return r.when.True(a.vars)
}

func (r rule) failure(op *Op, a *Answer, now time.Time) error {
	e := &hub.Error{Kind: hub.Kind(r.spec.Kind), Code: "far." + r.spec.Kind, Message: said(op, a)}
	if r.message != nil {
		if v, err := r.message.Eval(a.vars); err == nil && v != nil {
			e.Message = op.Name + ": " + told(v)
		}
	}
	if r.field != nil {
		if v, err := r.field.Eval(a.vars); err == nil && v != nil {
			e.Field = told(v)
		}
	}
	e.After = r.wait(a, now)
	return e
}

func (r rule) wait(a *Answer, now time.Time) time.Duration {
	if r.after != nil {
		switch v, _ := r.after.Eval(a.vars); v := v.(type) {
		case int64:
			return seconds(v)
		case time.Time:
			return clamp(v.Sub(now))
		}
	}
	return retryAfter(a.Header, now)
}

// byStatus is what a status means where the connector does not say otherwise.
func byStatus(op *Op, a *Answer, now time.Time) error {
	kind := hub.Invalid
	switch s := a.Status; {
	case s == 401:
		kind = hub.Expired
	case s == 403:
		kind = hub.Forbidden
	case s == 404 || s == 410:
		kind = hub.NotFound
	case s == 409 || s == 412 || s == 423:
		kind = hub.Conflict
	case s == 429:
		kind = hub.Throttled
	case s == 408 || s >= 500:
		kind = hub.Unavailable
		if op.Write != nil {
			kind = hub.Uncertain // it may have been done before it failed
		}
	}
	return &hub.Error{Kind: kind, Code: "far." + string(kind), Message: said(op, a), After: retryAfter(a.Header, now)}
}

func unreadable(op *Op, what string, err error) error {
	kind := hub.Unavailable
	if op.Write != nil {
		kind = hub.Uncertain
	}
	return &hub.Error{Kind: kind, Code: "far.unreadable", Message: fmt.Sprintf("%s: the far side cannot be understood: %s.", op.Name, what), Err: err}
}

func said(op *Op, a *Answer) string {
	return fmt.Sprintf("%s: the far side answered %d: %s", op.Name, a.Status, excerpt(a.Body))
}

// excerpt is the far side's own word, short enough for a person.
func excerpt(body any) string {
	s, err := plain(body)
	if err != nil || s == "" {
		return "nothing more"
	}
	return clipped(s, 300)
}

// told is what a far side says of an error.
func told(v any) string { return clipped(fmt.Sprint(v), 2000) }

// clipped is a text of reasonable length that every store can keep: PostgreSQL takes no NUL, and with one in its message no
// outcome would ever be recorded.
func clipped(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + " …"
	}
	return s
}

// retryAfter reads the header as seconds or as a date. What cannot be read counts as unsaid.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
		return seconds(n)
	}
	if t, err := http.ParseTime(v); err == nil {
		return clamp(t.Sub(now))
	}
	return 0
}

func seconds(n int64) time.Duration { return clamp(time.Duration(min(max(n, 0), 1<<31)) * time.Second) }

// clamp keeps a wait between a second and a day: what a far side says is advice, not a command to
// stop for ten years.
func clamp(d time.Duration) time.Duration { return min(max(d, time.Second), 24*time.Hour) }

// Items are the records in a list's answer.
func (a *Answer) Items() []any {
	switch v := a.Result.(type) {
	case []any:
		return v
	case nil:
		return nil
	}
	return []any{a.Result}
}

// IDOf, VersionOf, NumberOf and LinkOf read a record's own expressions.
func (k *Kind) IDOf(x any, settings any) (string, error) { return k.read(k.ID, x, settings) }

// NumberOf is what people at the vendor call the record; "" where the connector does not say.
func (k *Kind) NumberOf(x any, settings any) (string, error) { return k.read(k.Number, x, settings) }

// LinkOf is where a person sees the record; "" where the connector does not say.
func (k *Kind) LinkOf(x any, settings any) (string, error) { return k.read(k.Link, x, settings) }

// MarkerOf is the marker that we left in the record; "" where it bears none, or the connector does not say.
func (k *Kind) MarkerOf(x any, settings any) (string, error) { return k.read(k.Marker, x, settings) }

func (k *Kind) read(p *expr.Program, x, settings any) (string, error) {
	if p == nil {
		return "", nil
	}
	v, err := p.Eval(map[string]any{"x": x, "settings": settings})
	if err != nil {
		return "", err
	}
	return keyed(v)
}

// keyed is a value that stands in keys: an id, a number, what tells events apart.
func keyed(v any) (string, error) {
	s, err := plain(v)
	if err == nil && strings.ContainsRune(s, 0) {
		return "", &hub.Error{Kind: hub.Invalid, Code: "record.invalid", Message: fmt.Sprintf("%q holds a NUL character.", s), Hint: "Correct it where it comes from, then retry."}
	}
	return s, err
}

// VersionOf orders versions of a record: microseconds for an instant, the number itself else; 0
// where the vendor tells none.
func (k *Kind) VersionOf(x any) (int64, error) {
	if k.Version == nil {
		return 0, nil
	}
	return k.versionFrom(map[string]any{"x": x})
}

func (k *Kind) versionFrom(vars map[string]any) (int64, error) {
	v, err := k.Version.Eval(vars)
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case time.Time:
		return v.UnixMicro(), nil
	case int64:
		return v, nil
	case nil:
		return 0, nil
	}
	return 0, fmt.Errorf("%s: a version is an instant or a whole number, this is %v", k.Name, v)
}
