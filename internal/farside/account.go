package farside

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"throughline/internal/oracle"
)

// account is what one tenant has at the far side.
type account struct {
	name     string
	marked   map[string]map[string]*object // the newest with a marker, by kind
	byID     map[string]*object
	byKey    map[string]*object // by kind and idempotency key
	versions map[string]int64   // of opportunities
	changed  map[string]time.Time
	tokens   tokens
}

// object is one thing that was made here.
type object struct {
	ID         string `json:"id"`
	ExternalID string `json:"externalId"`
	about      about
	shown      time.Time // from when on a search finds it
}

// sent is a customer or a project as callers send it. Only projects in the ERP carry a budget, and a customer's id.
type sent struct {
	Name       string `json:"name"`
	Customer   string `json:"customer"`
	Budget     any    `json:"budget"`
	ExternalID string `json:"externalId"`
}

// about says whose data something holds: the name of each opportunity tells, so that what lands in
// the wrong account or with the wrong content is found by itself.
type about struct {
	owner, key string
	version    int64
}

// account finds or opens an account; f.mu is held.
func (f *Far) account(name string) *account {
	a := f.accounts[name]
	if a == nil {
		a = &account{name: name, marked: map[string]map[string]*object{}, byID: map[string]*object{}, byKey: map[string]*object{}, versions: map[string]int64{}, changed: map[string]time.Time{}}
		f.accounts[name] = a
	}
	return a
}

func (a *account) make(kind, id string, s sent) (*object, oracle.Effect) {
	o := &object{ID: id, ExternalID: s.ExternalID, about: aboutOf(s.Name)}
	if a.marked[kind] == nil {
		a.marked[kind] = map[string]*object{}
	}
	a.marked[kind][s.ExternalID], a.byID[kind+"/"+o.ID] = o, o
	return o, a.effect(kind, oracle.Create, o, s)
}

func (a *account) change(kind, id string, s sent) (*object, oracle.Effect) {
	o := a.byID[kind+"/"+id]
	if o == nil {
		return nil, oracle.Effect{}
	}
	o.about = aboutOf(s.Name)
	return o, a.effect(kind, "update", o, s)
}

func (a *account) effect(kind, op string, o *object, s sent) oracle.Effect {
	return oracle.Effect{At: time.Now(), Account: a.name, Owner: o.about.owner, Entity: kind, Op: op, Key: o.about.key, ID: o.ID,
		Marker: o.ExternalID, Version: o.about.version, Content: a.content(kind, s)}
}

// writeBack notes which project an opportunity was told of: its own, or whose.
func (a *account) writeBack(id, number string) oracle.Effect {
	e := oracle.Effect{At: time.Now(), Account: a.name, Owner: a.name, Entity: WriteBack, Op: "update", Key: id, ID: id, Content: "no project " + number}
	if p := a.byID[Project+"/"+number]; p != nil {
		e.Content = "project of " + p.about.owner + "/" + p.about.key
	}
	return e
}

// content is what a thing says: of a project in the ERP its budget, too, and whose customer it stands under.
func (a *account) content(kind string, s sent) string {
	if kind != Project {
		return s.Name
	}
	of := "no customer " + s.Customer
	if c := a.byID[Customer+"/"+s.Customer]; c != nil {
		of = c.about.owner + "/" + c.about.key
	}
	return s.Name + ", " + plain(s.Budget) + ", for " + of
}

// plain is a number without the zeroes behind its point: 184500 and "184500.00" are the same.
func plain(v any) string {
	text := fmt.Sprint(v)
	if n, ok := v.(float64); ok {
		text = strconv.FormatFloat(n, 'f', -1, 64)
	}
	if whole, part, ok := strings.Cut(text, "."); ok {
		return strings.TrimSuffix(whole+"."+strings.TrimRight(part, "0"), ".")
	}
	return text
}

// note writes a line to the ledger, durably.
func (f *Far) note(line oracle.Effect) error {
	if f.ledger == nil {
		return nil
	}
	return f.ledger.Append(line)
}
