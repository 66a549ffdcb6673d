package hub

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// IDs are types, so that a run's cannot be handed where a record's is wanted. Each prints with a
// prefix that tells a person what it is.
type (
	TenantID     string // a slug that the partner chose: "northwind"
	ConnectionID string // the tenant's own name for it: "crm"
	DeploymentID string // the tenant's own name for the flow: "deals"
	EventID      string // evt_…
	RunID        string // run_…
	RecordID     string // rec_…
	ExceptionID  string // exc_…
	CauseID      string // cause_…
)

// RecordKey names a vendor's record inside one tenant: connection, kind and the vendor's id. Order
// is kept per key (R4).
type RecordKey struct {
	Connection ConnectionID
	Kind       string // the vendor's own word, as the connector file has it: "deal"
	ID         string // the vendor's id
}

// String is the key as stored and shown: "crm/deal/4711". The id comes last, for it may contain "/".
func (k RecordKey) String() string { return string(k.Connection) + "/" + k.Kind + "/" + k.ID }

// ParseRecordKey is the inverse of String.
func ParseRecordKey(s string) (RecordKey, bool) {
	connection, rest, ok := strings.Cut(s, "/")
	kind, id, ok2 := strings.Cut(rest, "/")
	return RecordKey{ConnectionID(connection), kind, id}, ok && ok2 && id != ""
}

// IsName reports whether a connection, a flow or a vendor's kind of record may be called this: names stand in keys beside
// each other, and in addresses.
func IsName(s string) bool {
	for i, c := range []byte(s) {
		switch letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'; {
		case letter, i > 0 && (c == '_' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != "" && len(s) <= 100
}

// RecordIDFor derives the canonical ID of a record from what it came from, the vendor's id last. The same
// deal gives the same project in every run, so a second run finds what the first one made.
//
// IDs of records whose vendor's ids differ in the last two characters only begin alike: many vendors
// count, and what arrives together then lies together in the store, and is written to disk together.
func RecordIDFor(tenant TenantID, parts ...string) RecordID {
	return RecordID("rec_" + digest(string(tenant), nearby(parts)...)[:rootLength] + digest(string(tenant), parts...)[:ownLength])
}

// nearby are the parts without what tells the last one from those that are counted right beside it.
func nearby(parts []string) []string {
	last := len(parts) - 1
	if last < 0 {
		return parts
	}
	cut := append([]string{"near"}, parts...)
	cut[last+1] = parts[last][:max(0, len(parts[last])-2)]
	return cut
}

// Derive is the ID of a record that comes from this one. Both begin alike: what is made of one deal
// lies together in the store, and is written to disk together.
func (r RecordID) Derive(tenant TenantID, parts ...string) RecordID {
	own := digest(string(tenant), append([]string{string(r)}, parts...)...)
	return r[:len("rec_")+rootLength] + RecordID(own[:ownLength])
}

// Line is the ID of the nth line that a flow has of this record in the books: the record's own with
// something behind it, so that all lines of a record are found by it.
func (r RecordID) Line(tenant TenantID, flow DeploymentID, n int64) RecordID {
	return r + RecordID("l"+digest(string(tenant), string(flow))[:flowLength]+strconv.FormatInt(n, 10))
}

// Lines is between which IDs those of the record's lines lie.
func (r RecordID) Lines() (from, to RecordID) { return r + "l", r + "lzzzzz" }

const (
	rootLength = 10 // shared by a record and those derived from it
	ownLength  = 16 // 80 bits that are its own
	flowLength = 4  // tells a customer's flows apart that post the same record
)

// EventIDFor derives an event's ID from what makes it unique, so that a repeat has the same: connection,
// kind, the vendor's id, and what tells the record's events apart. Like those of records, IDs of events
// that are counted right beside each other begin alike.
func EventIDFor(tenant TenantID, connection ConnectionID, kind, id, dedupe string) EventID {
	root := digest(string(tenant), nearby([]string{string(connection), kind, id})...)
	return EventID("evt_" + root[:rootLength] + digest(string(tenant), string(connection), kind, id, dedupe)[:ownLength])
}

// CauseIDFor derives the ID of what many exceptions of a flow have in common.
func CauseIDFor(d DeploymentID, parts ...string) CauseID {
	return CauseID("cause_" + digest(string(d), parts...)[:12])
}

// OpKeyFor derives the key of a write, the same in every attempt.
func OpKeyFor(tenant TenantID, parts ...string) string {
	return "op_" + digest(string(tenant), parts...)[:26]
}

// Marker is what we leave in a vendor's record so that it can be found again (write class S): short,
// lower case, letters first, and naming nobody.
func (r RecordID) Marker() string {
	if len(r) > len("rec_")+rootLength+ownLength { // a line's: its end is no longer its own
		return "k" + digest("", string(r))[:ownLength-1]
	}
	return "k" + string(r[max(0, len(r)-ownLength+1):])
}

func digest(first string, parts ...string) string {
	all := append(make([]byte, 0, 256), first...)
	for _, p := range parts {
		all = append(append(all, 0), p...)
	}
	sum := sha256.Sum256(append(all, 0))
	return letters.EncodeToString(sum[:])
}

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Outcome is how a run ended. Every accepted event gets exactly one (R2).
type Outcome string

// The outcomes.
const (
	Written    Outcome = "written"    // at least one far side was changed
	Unchanged  Outcome = "unchanged"  // everything stood there already
	Filtered   Outcome = "filtered"   // the flow does not want this record
	Superseded Outcome = "superseded" // a newer event on the same record took its place
	Parked     Outcome = "parked"     // an exception waits for a person
)

// WorkState is where a record key stands in a deployment.
type WorkState string

// The states. Idle rows stay: they say what was last done with the record.
const (
	Idle    WorkState = "idle"    // nothing to do
	Ready   WorkState = "ready"   // may be claimed
	Later   WorkState = "later"   // due at a time: retry, limit, schedule
	Waiting WorkState = "waiting" // for another record, an approval, a paused flow
	Running WorkState = "running" // claimed under a lease
	Stopped WorkState = "parked"  // an exception is open
)

// Lane orders the claiming inside a tenant.
type Lane int

// The lanes, first served first.
const (
	Interactive Lane = 0 // a person looks at it
	Normal      Lane = 1
	Bulk        Lane = 2 // backfill
)

// WriteClass says what may be done when the answer to a write is lost (R3).
type WriteClass string

// The write classes.
const (
	ClassK WriteClass = "K" // the far side honours a key: repeat with the same key
	ClassU WriteClass = "U" // upsert on an external id: repeat
	ClassS WriteClass = "S" // search by marker before anything else
	ClassX WriteClass = "X" // nothing protects: a person looks
)

// Event is one stored arrival.
type Event struct {
	ID       EventID
	Tenant   TenantID
	Key      RecordKey
	Version  int64  // the vendor's order of versions of this record; 0 = unknown
	Payload  []byte // JSON; empty where the event carries only an id
	Source   string // webhook, poll, api, backfill, retry; Unreadable
	Gone     bool   // the record was deleted there
	Received time.Time
}

// Unreadable is the Source of an event that tells no record: its ID is made up, and its Payload is an Unread.
const Unreadable = "unreadable"

// Unread is what came, and why it could not be read. It is kept so that a person hears of it.
type Unread struct {
	Says  string `json:"says"`
	Event any    `json:"event"`
}

// Work is one row of the queue: a record key in a deployment (design §3).
type Work struct {
	Tenant     TenantID
	Deployment DeploymentID
	Key        string // RecordKey, or "poll:…" for a schedule's tick
	State      WorkState
	Lane       Lane
	Due        time.Time
	Reason     string // why it waits, for people
	WaitsOn    string // what releases it: a record and connection, an approval
	Event      EventID
	Version    int64
	Next       EventID // arrived while running; runs next
	Run        RunID   // the run under way; kept over retries and crashes
	Revision   int64   // of the deployment, fixed when the run began (R9)
	Epoch      int64   // who holds it
	Attempts   int     // failed attempts of this run
	Crashes    int     // times the process died with it
	Parked     bool    // an exception of an earlier run may be open
	Cause      string  // what it waits for, for people: "project Alder automation in erp"; the same for all that wait for it
	Seconds    int64   // of work that waits with it
	Amount     string  // of money: "150.00 EUR"; empty: not known
}
