// Package connector knows what a connector file may say: how one vendor's API is spoken to. A file
// is data; this package reads it, finds every mistake in it, and compiles its expressions once, so
// that package remote can make calls from it without knowing a vendor.
//
// docs/connectors.md describes the format for those who write it. A vendor that does not fit makes
// the format grow by a named word, never by code in a file.
package connector

import (
	"fmt"

	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// File is connector.yaml.
type File struct {
	Pos       specfile.Pos
	Connector string                `spec:"connector,required" doc:"the name that others refer to" pattern:"^[a-z][a-z0-9-]*$"`
	Version   string                `spec:"version,required" pattern:"^[0-9]+\\.[0-9]+\\.[0-9]+$"`
	Title     string                `spec:"title,required"`
	Roles     []string              `spec:"roles,required" doc:"which parts it can play in a template: crm, erp, time"`
	Docs      string                `spec:"docs" doc:"the vendor's pages this was written from, and when they were read"`
	Sunset    string                `spec:"sunset" doc:"when the vendor ends this version of its API"`
	Settings  specfile.Map[Setting] `spec:"settings" doc:"asked when connecting; expressions read them as settings.NAME"`
	Secrets   specfile.Map[Setting] `spec:"secrets" doc:"what must be kept secret; only auth and webhooks may read them, as secret.NAME"`
	Host      specfile.Template     `spec:"host,required" doc:"where all paths begin; credentials never leave this host"`
	Headers   specfile.Value        `spec:"headers" doc:"sent with every call"`
	Auth      Auth                  `spec:"auth"`
	Whoami    *Call                 `spec:"whoami" doc:"the test call: whose account is this?"`
	RPC       *RPC                  `spec:"rpc" doc:"for vendors whose calls are methods with parameters"`
	Shape     Shape                 `spec:"shape" doc:"how values look in this vendor's JSON"`
	Limits    []Limit               `spec:"limits"`
	Errors    []ErrorRule           `spec:"errors" doc:"first match wins; then the defaults by status"`
	Page      *Page                 `spec:"page" doc:"how lists go on, unless a list says otherwise"`
	Records   specfile.Map[Record]  `spec:"records,required" doc:"the vendor's records, by its own word for them"`
	Webhooks  *Webhooks             `spec:"webhooks"`
}

// Setting is one thing asked when connecting.
type Setting struct {
	Title   string `spec:"title"`
	About   string `spec:"about"`
	Default string `spec:"default"`
	Needed  bool   `spec:"required"`
	Account bool   `spec:"account" doc:"says whose account it is: with another value the ids that are known mean other records"`
}

// Auth says how a call shows who we are. One of its ways is set, or none.
type Auth struct {
	Headers specfile.Value `spec:"headers" doc:"header: value, from secret.NAME"`
	Basic   *Basic         `spec:"basic"`
	Session *Session       `spec:"session" doc:"log in first, then show what the answer gave"`
	OAuth2  *OAuth2        `spec:"oauth2"`
}

// Basic is HTTP Basic.
type Basic struct {
	User     specfile.Expr `spec:"user,required"`
	Password specfile.Expr `spec:"password,required"`
}

// Session is a login whose answer is kept (sealed, shared by all nodes) until the vendor no longer
// takes it. Keep reads from body, header and cookie; calls then read session.NAME.
type Session struct {
	Login   Call           `spec:"login,required"`
	Keep    specfile.Value `spec:"keep,required"`
	Headers specfile.Value `spec:"headers,required"`
	Expired specfile.Expr  `spec:"expired" doc:"the answer that means: log in again; status 401 unless said"`
}

// OAuth2 is RFC 6749; a refresh token that rotates is kept before it is used.
type OAuth2 struct {
	Token  specfile.Template `spec:"token,required" doc:"the token endpoint"`
	Grant  string            `spec:"grant,required" enum:"client_credentials|refresh_token"`
	Client string            `spec:"client" enum:"basic|body" default:"basic"`
	ID     specfile.Expr     `spec:"client_id,required"`
	Secret specfile.Expr     `spec:"client_secret,required"`
	First  specfile.Expr     `spec:"refresh_token" doc:"the one that the consent gave"`
	Scope  string            `spec:"scope"`
}

// RPC wraps methods and parameters into calls.
type RPC struct {
	Post   specfile.Template `spec:"post,required"`
	Body   specfile.Value    `spec:"body,required" doc:"reads method and params"`
	Result specfile.Expr     `spec:"result,required"`
	Failed specfile.Expr     `spec:"failed" doc:"an answer with status 200 that is an error all the same"`
}

// Shape is how values look in the vendor's JSON.
type Shape struct {
	Wrap   string                      `spec:"wrap" doc:"every field is an object with its value under this key"`
	Encode specfile.Map[specfile.Expr] `spec:"encode" doc:"how decimal, date, instant and seconds are written: an expression over v"`
	Decode []Decode                    `spec:"decode" doc:"objects that stand for a value; an expression over v"`
}

// Decode recognises an object that stands for a value.
type Decode struct {
	When  specfile.Expr `spec:"when,required"`
	Value specfile.Expr `spec:"value,required"`
}

// Limit is one of the vendor's limits, shared by all flows of a connection.
type Limit struct {
	Class   string        `spec:"class" doc:"which calls it counts; all unless said"`
	Rate    specfile.Rate `spec:"rate,required"`
	Setting string        `spec:"setting" doc:"the setting in which an account says its own rate, where licences differ"`
}

// In is the limit of an account whose setting says own, or nothing.
func (l Limit) In(own string) (specfile.Rate, error) {
	if own == "" {
		return l.Rate, nil
	}
	r, ok := specfile.ParseRate(own)
	if !ok {
		return l.Rate, &hub.Error{Kind: hub.Invalid, Code: "connection.rate", Field: "settings." + l.Setting, Message: fmt.Sprintf("%q is no rate", own), Hint: "Write it as 50 per second or 400 per minute."}
	}
	return r, nil
}

// ErrorRule recognises an error by status and body.
type ErrorRule struct {
	Status  int           `spec:"status" doc:"0: any"`
	When    specfile.Expr `spec:"when"`
	Kind    string        `spec:"kind,required" enum:"invalid|not_found|exists|conflict|blocked|unavailable|throttled|expired|uncertain"`
	Message specfile.Expr `spec:"message"`
	Field   specfile.Expr `spec:"field"`
	After   specfile.Expr `spec:"after" doc:"seconds to wait, or the instant to wait for"`
}

// Call is one request. Exactly one of the methods or rpc is set.
type Call struct {
	Pos     specfile.Pos
	Get     *specfile.Template `spec:"get"`
	Post    *specfile.Template `spec:"post"`
	Put     *specfile.Template `spec:"put"`
	Patch   *specfile.Template `spec:"patch"`
	Delete  *specfile.Template `spec:"delete"`
	RPC     string             `spec:"rpc" doc:"the method's name"`
	Params  specfile.Value     `spec:"params" doc:"the method's parameters"`
	Query   specfile.Value     `spec:"query"`
	Headers specfile.Value     `spec:"headers"`
	Body    specfile.Value     `spec:"body"`
	Form    bool               `spec:"form" doc:"send the body as a form, not as JSON"`
	Result  specfile.Expr      `spec:"result" doc:"where in the answer the record (or the list of records) is"`
	Name    specfile.Expr      `spec:"name" doc:"for whoami: the account's own name"`
	Class   string             `spec:"class" doc:"the limit that counts it"`
}

// Page says how a list goes on.
type Page struct {
	Number string        `spec:"number" doc:"the query parameter that counts pages from 1"`
	Offset string        `spec:"offset" doc:"the query parameter that counts rows"`
	Cursor string        `spec:"cursor" doc:"the query parameter that takes what next gave"`
	Next   specfile.Expr `spec:"next" doc:"the next page's cursor or address; null at the end"`
	Link   bool          `spec:"link" doc:"next is the address of the next page"`
	Size   string        `spec:"size" doc:"the query parameter for the page's size"`
	Max    int           `spec:"max" default:"100" min:"1" max:"10000"`
	Last   specfile.Expr `spec:"last" doc:"true on the last page; a short page ends the list unless said"`
}

// Record is one kind of record at the vendor.
type Record struct {
	Pos     specfile.Pos
	Path    *specfile.Template `spec:"path" doc:"the collection; get, create, update and delete follow from it"`
	ID      specfile.Expr      `spec:"id,required"`
	As      string             `spec:"as" doc:"which canonical record it is"`
	Version specfile.Expr      `spec:"version" doc:"an instant or a number that grows with every change"`
	Number  specfile.Expr      `spec:"number" doc:"what people there call it"`
	Link    specfile.Expr      `spec:"link" doc:"where a person sees it"`
	Marker  specfile.Expr      `spec:"marker" doc:"the marker that we left in it, as a list shows it; null where it bears none"`
	Get     *Call              `spec:"get"`
	With    specfile.Map[Call] `spec:"with" doc:"further reads that complete a record; their results are x.NAME"`
	List    *List              `spec:"list"`
	Deleted *Deleted           `spec:"deleted" doc:"the vendor's own list of what was deleted since; x.id unless id says otherwise"`
	Sweep   *List              `spec:"sweep" doc:"what there is between the days from and to, to find by its absence what was deleted; rows as list gives them, or ids alone"`
	Find    specfile.Map[Call] `spec:"find" doc:"searches by marker or by a field of the canonical record; they read value"`
	Create  *Write             `spec:"create"`
	Update  *Write             `spec:"update"`
	Delete  *Write             `spec:"delete"`
	After   []Follow           `spec:"after_create" doc:"further writes that belong to a new record, each with an intent of its own"`
	Actions specfile.Map[Do]   `spec:"actions" doc:"what else can be done with a record that is there: complete, release, invoice"`
	Sample  specfile.Value     `spec:"sample" doc:"a record as the vendor answers it, for checks"`
}

// List reads many records.
type List struct {
	Call    `spec:",inline"`
	Changed specfile.Expr     `spec:"changed" doc:"the instant by which changes are found; the list is asked for what changed since"`
	Overlap specfile.Duration `spec:"overlap" default:"2m" doc:"read again, so that nothing slips past the cursor"`
	Order   string            `spec:"order" enum:"any|newest_first" default:"any" doc:"newest_first: the vendor cannot filter by change, but sort by it; reading stops at the cursor"`
	Whole   bool              `spec:"whole" doc:"of sweep: its rows carry everything that list's do"`
	Per     string            `spec:"per" doc:"asked once for each record of this other kind, which stands under parent"`
	Each    specfile.Expr     `spec:"each" doc:"the records in one row (x) of the answer, where a row holds several"`
	Page    *Page             `spec:"page"`
}

// Deleted reads what the vendor says was deleted.
type Deleted struct {
	List `spec:",inline"`
	ID   specfile.Expr `spec:"id" doc:"the id of the record that is gone; x.id unless said"`
}

// Write is a call that changes something, with what may be done when its answer is lost.
type Write struct {
	Call  `spec:",inline"`
	Class string             `spec:"write,required" enum:"K|U|S|X"`
	Lag   specfile.Duration  `spec:"lag" default:"1m" doc:"how long after it was sent a search may still miss what was written: the far side's own time and its search's"`
	With  specfile.Map[Call] `spec:"with" doc:"reads before it; their results are found.NAME"`
	When  specfile.Expr      `spec:"when" doc:"of delete: false where the record (x) cannot be deleted as it stands there"`
	First []string           `spec:"first" doc:"of delete: actions that come before it"`
	Batch *Batch             `spec:"batch" doc:"the same for many records in one call"`
}

// Batch is one call that writes many records. Its expressions read items, a list of {id, marker,
// key, fields}; those about an outcome read item, and x where the outcome is the record itself.
type Batch struct {
	Call    `spec:",inline"`
	Max     int                `spec:"max,required" min:"2" max:"10000" doc:"records in one call"`
	With    specfile.Map[Call] `spec:"with" doc:"reads before it; their results are found.NAME"`
	Items   specfile.Expr      `spec:"items" doc:"the outcomes in the answer; its result unless said"`
	For     specfile.Expr      `spec:"for" doc:"marker or id of the record that an outcome is of; outcomes come in the order of sending unless said"`
	ID      specfile.Expr      `spec:"id" doc:"the id of a record that was written; the record's own id unless said"`
	Failed  specfile.Expr      `spec:"failed" doc:"true: this one was not written"`
	Message specfile.Expr      `spec:"message" doc:"why it was not"`
	Atomic  bool               `spec:"atomic" doc:"one that is refused refuses all: nothing was written, and each is then sent alone"`
}

// Do is a write that moves a record on, beside create, update and delete.
type Do struct {
	Call  `spec:",inline"`
	Class string             `spec:"write,required" enum:"K|U|S|X"`
	With  specfile.Map[Call] `spec:"with" doc:"reads before it; their results are found.NAME"`
	Needs specfile.Expr      `spec:"needs" doc:"false: a person is told what says tells, and it is sent later"`
	Says  string             `spec:"says" doc:"what is missing, for people"`
	Fix   string             `spec:"fix" doc:"what to do about it"`
	When  specfile.Expr      `spec:"when" doc:"false: there is nothing to do"`
	Lag   specfile.Duration  `spec:"lag" default:"1m" doc:"how long after it was sent with may still miss what was written"`
}

// Follow is a write after a create. It is sent once per record, or once per item of each; needs says
// what must be there for it, and when is asked again before a repeat after a lost answer.
type Follow struct {
	Call  `spec:",inline"`
	Step  string             `spec:"step,required" doc:"its name in the ledger"`
	Class string             `spec:"write,required" enum:"K|U|S|X"`
	Each  specfile.Expr      `spec:"each" doc:"once per item, as item"`
	With  specfile.Map[Call] `spec:"with" doc:"reads before it; their results are found.NAME"`
	Needs specfile.Expr      `spec:"needs" doc:"false: a person is told what says tells, and it is sent later"`
	Says  string             `spec:"says" doc:"what is missing, for people"`
	Fix   string             `spec:"fix" doc:"what to do about it"`
	When  specfile.Expr      `spec:"when" doc:"false: there is nothing to do"`
	Lag   specfile.Duration  `spec:"lag" default:"1m" doc:"how long after it was sent with may still miss what was written"`
}

// Webhooks says how the vendor tells us of changes.
type Webhooks struct {
	Verify Verify        `spec:"verify,required"`
	Each   specfile.Expr `spec:"each" doc:"the events in one delivery; the whole body unless said"`
	Events []HookEvent   `spec:"events,required"`
}

// Verify is how a delivery proves where it comes from.
type Verify struct {
	Pos       specfile.Pos
	Scheme    string            `spec:"scheme,required" enum:"hmac-sha256|token|none"`
	Header    string            `spec:"header" doc:"where the signature or token stands"`
	Secret    specfile.Expr     `spec:"secret"`
	Over      []string          `spec:"over" doc:"what is signed, in order: method, url, body, timestamp"`
	Encoding  string            `spec:"encoding" enum:"hex|base64" default:"hex"`
	Prefix    string            `spec:"prefix"`
	Timestamp string            `spec:"timestamp" doc:"the header with the time of sending, in milliseconds or seconds since 1970"`
	Tolerance specfile.Duration `spec:"tolerance" default:"5m"`
}

// HookEvent recognises one kind of event; it reads e.
type HookEvent struct {
	When    specfile.Expr `spec:"when"`
	Record  string        `spec:"record" doc:"the kind of record that changed"`
	ID      specfile.Expr `spec:"id"`
	Looks   []string      `spec:"looks" doc:"instead of a record: the kinds whose lists are read at once, where the event tells that something changed, but not what"`
	Key     specfile.Expr `spec:"key" doc:"the same for repeats of the same event"`
	Version specfile.Expr `spec:"version"`
	Carries specfile.Expr `spec:"carries" doc:"the whole record, where the event brings it"`
}
