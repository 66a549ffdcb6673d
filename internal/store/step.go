package store

import (
	"time"

	"throughline/internal/hub"
)

// Step is one durable point of a run: everything that must be known together or not at all. Each
// part may be empty. It is recorded only while the node's lease holds.
type Step struct {
	Epoch    int64
	Tenant   hub.TenantID
	Inputs   []Input
	Records  []Record
	Links    []Link      // cross-references that were found rather than written
	Close    []WriteDone // outcomes of writes
	Open     []Write     // intents, recorded after Close
	Postings []Posting   // lines that need no call
	Audit    []AuditEntry
	Finish   *Finish // the run's end
	Defer    *Defer  // or its pause
	Cursor   *Cursor
	Arrive   []Arrival // what a poll found
}

// Input is a vendor's record as a run read it: what the run goes by until its end, and what history
// is replayed from.
type Input struct {
	Run     hub.RunID
	Key     string
	Payload []byte
}

// Record is a canonical record as last seen.
type Record struct {
	ID      hub.RecordID
	Type    string
	Label   string
	Fields  []byte
	Updated time.Time
}

// Link says that a record is known in a connection under an external id (package xref).
type Link struct {
	Record     hub.RecordID
	Connection hub.ConnectionID
	Kind       string
	ExternalID string
	Number     string // what people call it there
	URL        string
	Hash       string // of what was last written; empty: never written by us
	Writes     int64  // how many writes were completed
	Version    int64  // of the source's record, of what was last written (see Write); 0: not known
	Updated    time.Time
}

// Write is an intent: a write that is about to be sent. One that Creates is recorded only while the
// record is not known over there, one with a Version only while nothing newer stands there: the ledger is asked in
// the very moment that the intent is kept.
type Write struct {
	Creates    bool
	Version    int64 // of the source's record from which alone the content follows; 0: it does not, or has none
	OpKey      string
	Run        hub.RunID
	Deployment hub.DeploymentID
	Key        string
	Step       string
	Record     hub.RecordID
	Connection hub.ConnectionID
	Operation  string
	Class      hub.WriteClass
	Hash       string
	Body       []byte
	State      string // open, done, refused, uncertain (a person looks)
	ExternalID string
	Message    string
	Started    time.Time
	Ended      time.Time
	Posting    *Posting // the line that it brings into the books; nil: none
}

// WriteDone is the outcome of a write: done with a link, or refused or uncertain with a message.
type WriteDone struct {
	OpKey      string
	Record     hub.RecordID
	Connection hub.ConnectionID
	State      string
	Link       Link
	Gone       bool // the record is known there no longer
	Message    string
	Ended      time.Time
	Posting    *Posting
}

// Finish ends a run. What waited for records that it wrote goes on.
type Finish struct {
	Work      hub.Work
	Run       Run
	Exception *Exception // for Parked
}

// Defer sets a run aside until a time or an event, keeping its run and revision.
type Defer struct {
	Work hub.Work // with State Later or Waiting, Due, Reason, WaitsOn, Attempts as they shall be
}

// Cursor is how far a poll has read.
type Cursor struct {
	Deployment hub.DeploymentID
	Key        string
	Value      string
	Updated    time.Time
}

// Exception is a parked run that waits for a person.
type Exception struct {
	ID         hub.ExceptionID
	Deployment hub.DeploymentID
	Key        string
	Run        hub.RunID
	Class      string
	Code       string
	Message    string
	Hint       string
	Field      string
	Value      string           // what stood in the field: the same cause has the same
	About      hub.RecordID     // the line of the books, or the record, that is asked about; empty: none
	Connection hub.ConnectionID // where it is looked for; empty: nowhere
	Cause      hub.CauseID      // given by the store
	Label      string
	Seconds    int64  // of work at risk
	Amount     string // of money at risk: "150.00 EUR"; empty: not known
	State      string // open, resolved, ignored, or a person's choice
	Resolution string
	Opened     time.Time
	Closed     time.Time
}
