package connector

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/hub"
)

type hookOps struct {
	spec   *Webhooks
	secret *expr.Program
	each   *expr.Program
	events []hookEvent
}

type hookEvent struct {
	kind                            *Kind
	looks                           []*Kind
	when, id, key, version, carries *expr.Program
}

func (k *compiler) hooks(w *Webhooks, c *Connector) *hookOps {
	out := &hookOps{spec: w, secret: k.expr(w.Verify.Secret, expr.Dyn), each: k.expr(w.Each, expr.Dyn)}
	if w.Verify.Scheme != "none" && (out.secret == nil || w.Verify.Header == "") {
		k.problem(w.Verify.Pos, "webhooks.verify", "the scheme "+w.Verify.Scheme+" needs header and secret", "Add header: X-Signature and secret: =secret.webhook.")
	}
	for _, e := range w.Events {
		kind := c.kinds[e.Record]
		looks := k.looks(w, e, c)
		if kind == nil && len(looks) == 0 {
			k.problem(e.ID.Pos, "webhooks.events", fmt.Sprintf("there is no record %q", e.Record), "Name one of the connector's records.")
			continue
		}
		if kind != nil && !e.ID.Set() {
			k.problem(w.Verify.Pos, "webhooks.events", "an event of "+e.Record+" names no id", "Add id: with an expression over e.")
		}
		out.events = append(out.events, hookEvent{kind, looks, k.expr(e.When, expr.Bool), k.expr(e.ID, expr.Dyn), k.expr(e.Key, expr.Dyn), k.expr(e.Version, expr.Dyn), k.expr(e.Carries, expr.Dyn)})
	}
	return out
}

// looks finds the kinds whose lists an event asks to be read.
func (k *compiler) looks(w *Webhooks, e HookEvent, c *Connector) (kinds []*Kind) {
	for _, name := range e.Looks {
		kind := c.kinds[name]
		if kind == nil || kind.List == nil {
			k.problem(w.Verify.Pos, "webhooks.events", fmt.Sprintf("there is no record %q with a list to look through", name), "Name one of the connector's records that has list:.")
			continue
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// Delivery is an inbound webhook as it came.
type Delivery struct {
	Method string
	URL    string // as the vendor called it, scheme and host included
	Header http.Header
	Body   []byte
}

// Arrived is one event of a delivery.
type Arrived struct {
	Kind    *Kind
	Looks   []*Kind // instead of a record: lists that are to be read at once
	ID      string
	Dedupe  string
	Version int64
	Payload any   // the whole record, where the event carries it
	Err     error // it cannot be read: Payload is all there is of it
}

// HasWebhooks reports whether the connector can hear of changes.
func (c *Connector) HasWebhooks() bool { return c.webhooks != nil }

var errSignature = &hub.Error{Kind: hub.Unauthenticated, Code: "hook.signature", Message: "The delivery's signature is missing or wrong.",
	Hint: "Check that the webhook's secret is the same here and at the vendor."}

// Verify checks that a delivery comes from the vendor. It fails closed: without a secret nothing
// is accepted.
func (c *Connector) Verify(d Delivery, vars map[string]any, now time.Time) error {
	if c.webhooks == nil {
		return &hub.Error{Kind: hub.NotFound, Code: "hook.none", Message: "This connection takes no webhooks."}
	}
	v := c.webhooks.spec.Verify
	if v.Scheme == "none" {
		return nil
	}
	s, err := c.webhooks.secret.Eval(vars)
	secret, _ := s.(string)
	if err != nil || secret == "" {
		return &hub.Error{Kind: hub.Unauthenticated, Code: "hook.no_secret", Message: "No webhook secret is configured for this connection.",
			Hint: "Add it to the connection's secret.", Err: err}
	}
	got := d.Header.Get(v.Header)
	if v.Scheme == "token" {
		if subtle.ConstantTimeCompare([]byte(got), []byte(secret)) != 1 {
			return errSignature
		}
		return nil
	}
	stamp := d.Header.Get(v.Timestamp)
	if v.Timestamp != "" && !fresh(stamp, v.Tolerance.D, now) {
		return &hub.Error{Kind: hub.Unauthenticated, Code: "hook.stale", Message: "The delivery is too old or from the future."}
	}
	return c.webhooks.hmac(d, secret, got, stamp)
}

func (h *hookOps) hmac(d Delivery, secret, got, stamp string) error {
	mac := hmac.New(sha256.New, []byte(secret))
	over := h.spec.Verify.Over
	if len(over) == 0 {
		over = []string{"body"}
	}
	for _, part := range over {
		switch part {
		case "method":
			mac.Write([]byte(d.Method))
		case "url":
			mac.Write([]byte(d.URL))
		case "timestamp":
			mac.Write([]byte(stamp))
		default:
			mac.Write(d.Body)
		}
	}
	want := h.spec.Verify.Prefix + hex.EncodeToString(mac.Sum(nil))
	if h.spec.Verify.Encoding == "base64" {
		want = h.spec.Verify.Prefix + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	if !hmac.Equal([]byte(want), []byte(got)) {
		return errSignature
	}
	return nil
}

// fresh reports whether a stamp in seconds or milliseconds since 1970 lies within the tolerance.
func fresh(stamp string, tolerance time.Duration, now time.Time) bool {
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return false
	}
	at := time.Unix(n, 0)
	if n > 1e11 {
		at = time.UnixMilli(n)
	}
	return at.Sub(now).Abs() <= tolerance
}

// Events reads what a verified delivery tells. Events of kinds that the connector does not name are
// passed over. One that cannot be read takes nothing from the others; a delivery of which nothing can be
// read is refused.
func (c *Connector) Events(d Delivery, settings any) ([]Arrived, error) {
	body, err := exact.DecodeJSON(d.Body)
	if err != nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "hook.body", Message: "The delivery is no JSON that can be read.", Err: err}
	}
	list, err := c.webhooks.list(body)
	if err != nil {
		return nil, err
	}
	var out []Arrived
	unread := 0
	for _, e := range list {
		a, hit := c.webhooks.event(map[string]any{"e": e, "body": body, "header": headers(d.Header), "settings": settings})
		if a.Err != nil {
			unread++
		}
		if hit {
			out = append(out, a)
		}
	}
	if unread > 0 && unread == len(list) {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "hook.event", Message: "No event in the delivery can be read.", Err: out[0].Err}
	}
	return out, nil
}

// event is what one event of a delivery tells; false where the connector has no use for it.
func (h *hookOps) event(vars map[string]any) (Arrived, bool) {
	for _, ev := range h.events {
		a, hit, err := ev.read(vars)
		if err != nil {
			kind := ev.kind
			if kind == nil {
				kind = ev.looks[0]
			}
			return Arrived{Kind: kind, Payload: vars["e"], Err: err}, true
		}
		if hit {
			return a, true
		}
	}
	return Arrived{}, false
}

func (h *hookOps) list(body any) ([]any, error) {
	v := body
	if h.each != nil {
		var err error
		if v, err = h.each.Eval(map[string]any{"body": body}); err != nil {
			return nil, err
		}
	}
	if list, ok := v.([]any); ok {
		return list, nil
	}
	return []any{v}, nil
}

func (ev hookEvent) read(vars map[string]any) (a Arrived, hit bool, err error) {
	if ev.when != nil {
		if hit, err = ev.when.True(vars); err != nil || !hit {
			return a, false, err
		}
	}
	a.Kind, a.Looks = ev.kind, ev.looks
	if len(ev.looks) > 0 {
		return a, true, nil
	}
	for _, f := range []struct {
		p    *expr.Program
		into *string
	}{{ev.id, &a.ID}, {ev.key, &a.Dedupe}} {
		if f.p == nil {
			continue
		}
		v, err := f.p.Eval(vars)
		if err != nil {
			return a, false, err
		}
		if *f.into, err = keyed(v); err != nil {
			return a, false, err
		}
	}
	if a.ID == "" {
		return a, false, fmt.Errorf("%s: the event names no record", ev.kind.Name)
	}
	if ev.version != nil {
		if a.Version, err = (&Kind{Name: ev.kind.Name, Version: ev.version}).versionFrom(vars); err != nil {
			return a, false, err
		}
	}
	if ev.carries != nil {
		a.Payload, err = ev.carries.Eval(vars)
	}
	return a, true, err
}
