package api

import (
	"encoding/json"
	"time"

	"throughline/internal/control"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/store"
)

// List is a list of things.
type List[T any] struct {
	Items []T `json:"items"`
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	After string `json:"after,omitempty" doc:"where the next page begins; empty: this was the last"`
}

// Run is an ended run.
type Run struct {
	ID       string    `json:"id"`
	Flow     string    `json:"flow"`
	Record   string    `json:"record" doc:"connection, kind and id of the record that started it"`
	Label    string    `json:"label"`
	Outcome  string    `json:"outcome" enum:"written,unchanged,filtered,superseded,parked"`
	Message  string    `json:"message,omitempty"`
	Calls    int       `json:"calls"`
	Revision int64     `json:"revision"`
	Accepted time.Time `json:"accepted"`
	Ended    time.Time `json:"ended"`
}

// Exception is a parked run that waits for a person; among a cause's members also a record that waits.
type Exception struct {
	ID         string    `json:"id" doc:"empty for a record that waits for another one"`
	Flow       string    `json:"flow"`
	Record     string    `json:"record"`
	Label      string    `json:"label"`
	Class      string    `json:"class"`
	Code       string    `json:"code"`
	Field      string    `json:"field,omitempty"`
	Value      string    `json:"value,omitempty" doc:"what stood in the field"`
	Cause      string    `json:"cause" doc:"what it has in common with others"`
	Seconds    int64     `json:"seconds" doc:"of work at risk"`
	Amount     string    `json:"amount,omitempty" doc:"of money at risk: 150.00 EUR"`
	Message    string    `json:"message"`
	Hint       string    `json:"hint,omitempty"`
	State      string    `json:"state"`
	Resolution string    `json:"resolution,omitempty"`
	Opened     time.Time `json:"opened"`
}

// Record is a canonical record and where it is known.
type Record struct {
	ID     string         `json:"id"`
	Type   string         `json:"type"`
	Label  string         `json:"label"`
	Fields map[string]any `json:"fields"`
	Known  []Known        `json:"known"`
}

// Known is a record's cross-reference in one connection.
type Known struct {
	Connection string `json:"connection"`
	Kind       string `json:"kind"`
	ID         string `json:"id"`
	Number     string `json:"number,omitempty"`
	Link       string `json:"link,omitempty"`
}

// Write is a write with the rules behind it.
type Write struct {
	Connection string         `json:"connection"`
	Operation  string         `json:"operation"`
	Class      string         `json:"class"`
	State      string         `json:"state"`
	Run        string         `json:"run"`
	Started    time.Time      `json:"started"`
	Sent       map[string]any `json:"sent"`
	Rules      []control.Rule `json:"rules"`
	Edits      []Edit         `json:"edits" doc:"what people had changed of the record that it comes from"`
}

// Edit is what a person has changed of a record that starts a flow; what came stays as it came.
type Edit struct {
	Flow   string         `json:"flow"`
	Record string         `json:"record"`
	Fields map[string]any `json:"fields" doc:"null: taken away"`
	Who    string         `json:"who"`
	Reason string         `json:"reason,omitempty"`
	Made   time.Time      `json:"made"`
	Ended  *time.Time     `json:"ended,omitempty"`
}

// Cause is what many exceptions, or records that wait, have in common.
type Cause struct {
	ID      string    `json:"id"`
	Flow    string    `json:"flow"`
	Class   string    `json:"class"`
	Code    string    `json:"code"`
	Field   string    `json:"field,omitempty"`
	Value   string    `json:"value,omitempty" doc:"what stood in the field, or what is waited for"`
	Message string    `json:"message"`
	Hint    string    `json:"hint,omitempty"`
	Waits   bool      `json:"waits" doc:"its records wait and go on by themselves"`
	Count   int64     `json:"count"`
	Seconds int64     `json:"seconds" doc:"of work at risk"`
	Amounts []string  `json:"amounts" doc:"of money at risk, one per currency: 150.00 EUR"`
	Oldest  time.Time `json:"oldest"`
}

// Resolved says what an action does, or has done.
type Resolved struct {
	Does    []string `json:"does" doc:"what happens, one sentence each"`
	Count   int64    `json:"count" doc:"of the records that it concerns"`
	Seconds int64    `json:"seconds"`
	Amounts []string `json:"amounts"`
	Done    int      `json:"done" doc:"records dealt with by this request"`
	After   string   `json:"after,omitempty" doc:"send it as after with the same request to go on; empty: it is done"`
}

// Connection is a customer's link to an account at a vendor's, without its secrets.
type Connection struct {
	ID        string            `json:"id"`
	Connector string            `json:"connector"`
	Version   string            `json:"version" doc:"of the connector"`
	Settings  map[string]string `json:"settings"`
	State     string            `json:"state" enum:"active,broken,paused"`
	Message   string            `json:"message,omitempty"`
	Updated   time.Time         `json:"updated"`
}

// Taken is what came of an upload.
type Taken struct {
	Rows    int        `json:"rows"`
	New     int        `json:"new" doc:"those that were not taken before"`
	Checked []TableRow `json:"checked,omitempty" doc:"with check: the rows, of which none was taken"`
}

// TableRow is a row of a table that could be taken.
type TableRow struct {
	Line int    `json:"line"`
	ID   string `json:"id" doc:"of the record"`
	Says string `json:"says" doc:"the same for rows that say the same of the same record; a table in several parts may hold no two that say different things"`
}

func viewRow(r ingest.UploadRow) TableRow { return TableRow(r) }

// Flow is a deployment in its newest revision.
type Flow struct {
	ID       string         `json:"id"`
	Revision int64          `json:"revision"`
	State    string         `json:"state" enum:"active,paused,removed"`
	Spec     map[string]any `json:"spec" doc:"template, roles, parameters, values, extensions"`
	Looks    int64          `json:"looks" doc:"how often a day it looks for changes: each time at least one of the vendor's calls"`
	Sweeps   int64          `json:"sweeps" doc:"how often a day it looks for what was deleted"`
	Created  time.Time      `json:"created"`
}

// Work is a record on its way through a flow.
type Work struct {
	Flow     string    `json:"flow"`
	Record   string    `json:"record"`
	State    string    `json:"state" enum:"ready,running,later,waiting,idle,parked"`
	Reason   string    `json:"reason,omitempty" doc:"why it waits"`
	Due      time.Time `json:"due"`
	Attempts int       `json:"attempts" doc:"that failed"`
}

// Status is how the service stands.
type Status struct {
	State     string     `json:"state" enum:"working,held"`
	Ledger    string     `json:"ledger" doc:"its identity, the same in all its copies"`
	Since     *time.Time `json:"since,omitempty" doc:"since when it is held"`
	Reason    string     `json:"reason,omitempty"`
	Do        string     `json:"do,omitempty" doc:"what a person does about it"`
	LostFrom  *time.Time `json:"lost_from,omitempty" doc:"what was written from here"`
	LostUntil *time.Time `json:"lost_until,omitempty" doc:"to here is not known; creates look first"`
}

func viewStatus(s store.Standing) Status {
	out := Status{State: "working", Ledger: s.Ledger, LostFrom: known(s.LostFrom), LostUntil: known(s.LostUntil)}
	if !s.Held.IsZero() {
		out.State, out.Since, out.Reason, out.Do = "held", &s.Held, s.Reason, control.WhatToDo
	}
	return out
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func viewRun(r store.Run) Run {
	return Run{ID: string(r.ID), Flow: string(r.Deployment), Record: r.Key, Label: r.Label, Outcome: string(r.Outcome), Message: r.Message,
		Calls: r.Calls, Revision: r.Revision, Accepted: r.Accepted, Ended: r.Ended}
}

func viewException(e store.Exception) Exception {
	return Exception{ID: string(e.ID), Flow: string(e.Deployment), Record: e.Key, Label: e.Label, Class: e.Class, Code: e.Code, Field: e.Field,
		Value: e.Value, Cause: string(e.Cause), Seconds: e.Seconds, Amount: e.Amount, Message: e.Message, Hint: e.Hint, State: e.State, Resolution: e.Resolution, Opened: e.Opened}
}

func viewRecord(r control.KnownRecord) Record {
	out := Record{ID: string(r.ID), Type: r.Type, Label: r.Label, Fields: map[string]any{}, Known: make([]Known, len(r.Links))}
	if err := json.Unmarshal(r.Fields, &out.Fields); err != nil {
		out.Fields["unreadable"] = err.Error()
	}
	for i, l := range r.Links {
		out.Known[i] = Known{Connection: string(l.Connection), Kind: l.Kind, ID: l.ExternalID, Number: l.Number, Link: l.URL}
	}
	return out
}

func viewWrite(e control.Explained) Write {
	w := e.Write
	return Write{Connection: string(w.Connection), Operation: w.Operation, Class: string(w.Class), State: w.State, Run: string(w.Run), Started: w.Started, Sent: e.Sent, Rules: e.Rules, Edits: each(e.Edits, viewEdit).Items}
}

func viewEdit(e store.Edit) Edit {
	out := Edit{Flow: string(e.Deployment), Record: e.Key, Who: e.Who, Reason: e.Reason, Made: e.Made}
	if err := json.Unmarshal(e.Fields, &out.Fields); err != nil {
		out.Fields = map[string]any{"unreadable": err.Error()}
	}
	if !e.Ended.IsZero() {
		out.Ended = &e.Ended
	}
	return out
}

func viewCause(c store.Cause) Cause {
	return Cause{ID: string(c.ID), Flow: string(c.Deployment), Class: c.Class, Code: c.Code, Field: c.Field, Value: c.Value, Message: c.Message, Hint: c.Hint, Waits: c.WaitsOn != "",
		Count: c.Count, Seconds: c.Seconds, Amounts: viewAmounts(c.Amounts), Oldest: c.Oldest}
}

func viewAmounts(list []exact.Money) []string { return each(list, exact.Money.String).Items }

func viewResolved(r *control.Resolved) Resolved {
	return Resolved{Does: append([]string{}, r.Does...), Count: r.Count, Seconds: r.Seconds, Amounts: viewAmounts(r.Amounts), Done: r.Done, After: r.After}
}

func viewConnection(c store.Connection) Connection {
	out := Connection{ID: string(c.ID), Connector: c.Connector, Version: c.Version, State: c.State, Message: c.Message, Updated: c.Updated}
	if err := json.Unmarshal([]byte(c.Settings), &out.Settings); err != nil {
		out.Message = "The settings cannot be read: " + err.Error()
	}
	return out
}

func viewFlow(d store.Deployment) Flow {
	out := Flow{ID: string(d.ID), Revision: d.Revision, State: d.State, Created: d.Created}
	if err := json.Unmarshal([]byte(d.Spec), &out.Spec); err != nil {
		out.Spec = map[string]any{"unreadable": err.Error()}
	}
	out.Looks, out.Sweeps = perDay(out.Spec, "poll"), perDay(out.Spec, "sweep")
	return out
}

// perDay is how often a schedule of the flow comes on an ordinary day.
func perDay(spec map[string]any, name string) int64 {
	text, _ := spec[name].(string)
	s, err := engine.ParseSchedule(text, "UTC")
	if err != nil {
		return 0 // it has none
	}
	return s.PerDay()
}

func viewWork(w hub.Work) Work {
	return Work{Flow: string(w.Deployment), Record: w.Key, State: string(w.State), Reason: w.Reason, Due: w.Due, Attempts: w.Attempts}
}
