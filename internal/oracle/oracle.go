// Package oracle decides whether anything was lost, written twice, or told wrong. It knows nothing
// of the product: it compares three append-only ledgers that are kept outside of the product's
// process and database - what the source offered and got acknowledged, what really happened at the
// far sides, and how the product says each event ended.
package oracle

import "time"

// Offer is one line of the source's ledger: an event that was offered, and later, on a line of its
// own, that it was acknowledged.
type Offer struct {
	At      time.Time         `json:"at"`
	Tenant  string            `json:"tenant"`
	Key     string            `json:"key"`
	Version int64             `json:"version"`
	Acked   bool              `json:"acked"`
	Expect  map[string]string `json:"expect,omitempty"` // by entity: what shall stand there in the end
	// Unwanted says that the flow does not want it: it ends filtered, or stands in an older version.
	Unwanted bool `json:"unwanted,omitempty"`
}

// Effect is one line of a far side's ledger: a change that really happened, noted before it was
// answered. Owner is the tenant whose data it holds; it equals Account unless worlds have crossed.
type Effect struct {
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Owner   string    `json:"owner"`
	Entity  string    `json:"entity"`
	Op      string    `json:"op"` // create or update
	Key     string    `json:"key"`
	ID      string    `json:"id"`
	Marker  string    `json:"marker,omitempty"`
	Version int64     `json:"version"`
	Content string    `json:"content"`
	Lost    bool      `json:"lost,omitempty"` // its answer was dropped on purpose
}

// Create is the Op of an effect that made something new.
const Create = "create"

// Outcome is how the product says an event ended.
type Outcome struct {
	At     time.Time `json:"at"`
	Tenant string    `json:"tenant"`
	Key    string    `json:"key"`
	Flow   string    `json:"flow,omitempty"`
	State  string    `json:"state"` // written, unchanged, filtered, superseded, parked
	Code   string    `json:"code,omitempty"`
}

// Ledgers are all three.
type Ledgers struct {
	Source   []Offer
	Effects  []Effect
	Outcomes []Outcome
}

// The names of what may be wrong.
const (
	Lost       = "lost"       // acknowledged, and neither at the far side nor parked or filtered
	Unexpected = "unexpected" // at the far side, and never offered: the record, its version, or such a thing of it
	Duplicated = "duplicated" // created more than once
	Stale      = "stale"      // what stands there is older than what was acknowledged last
	Disorder   = "disorder"   // an older version was written over a newer one
	Crossed    = "crossed"    // one tenant's data in another tenant's account
	Mismatch   = "mismatch"   // what stands there, or stood for a while, is not what the source's record should become
	Misplaced  = "misplaced"  // one record's data in another one's place, or in one that nobody made
	Liar       = "liar"       // an outcome without its effect, or an effect without an outcome
)

// Sets are all that may be wrong, in the order in which they are told.
var Sets = []string{Lost, Unexpected, Duplicated, Stale, Disorder, Crossed, Mismatch, Misplaced, Liar}

// Finding is one thing that is wrong.
type Finding struct {
	Set    string `json:"set"`
	Tenant string `json:"tenant"`
	Key    string `json:"key"`
	Says   string `json:"says"`
}

// Verdict is the oracle's answer. Only Findings are faults; the counts tell what was seen.
type Verdict struct {
	Offered   int `json:"offered"`
	Acked     int `json:"acked"`
	Effects   int `json:"effects"`
	Recovered int `json:"recovered"` // at the far side though the acknowledgement never arrived: right
	Upserts   int `json:"upserts"`   // updates with content that stood there already: right
	Parked    int `json:"parked"`
	// ParkedBy counts them by the code of the exception.
	ParkedBy map[string]int `json:"parked_by,omitempty"`
	Findings []Finding      `json:"findings"`
}

// Count says how many findings a set has.
func (v Verdict) Count(set string) int {
	n := 0
	for _, f := range v.Findings {
		if f.Set == set {
			n++
		}
	}
	return n
}

// Good reports that nothing is wrong.
func (v Verdict) Good() bool { return len(v.Findings) == 0 }
