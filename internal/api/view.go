package api

import (
	"encoding/json"

	"throughline/internal/control"
	"throughline/internal/store"
)

func viewRun(r store.Run) Run {
	return Run{ID: string(r.ID), Flow: string(r.Deployment), Record: r.Key, Label: r.Label, Outcome: string(r.Outcome), Message: r.Message,
		Calls: r.Calls, Revision: r.Revision, Accepted: r.Accepted, Ended: r.Ended}
}

func viewException(e store.Exception) Exception {
	return Exception{ID: string(e.ID), Flow: string(e.Deployment), Record: e.Key, Label: e.Label, Class: e.Class, Code: e.Code, Field: e.Field,
		Message: e.Message, Hint: e.Hint, State: e.State, Resolution: e.Resolution, Opened: e.Opened}
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
	return Write{Connection: string(w.Connection), Operation: w.Operation, Class: string(w.Class), State: w.State, Run: string(w.Run), Started: w.Started, Sent: e.Sent, Rules: e.Rules}
}
