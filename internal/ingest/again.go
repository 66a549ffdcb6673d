package ingest

import (
	"bytes"
	"context"
	"time"

	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// settled is how long after a record was gone, or a webhook has told of it, a list may still show what was before: a
// page that was asked for earlier, and what the far side's lists lag behind.
const settled = 2 * time.Minute

// again takes in what is no repeat, though its content was seen before: a record that was changed and changed back,
// where its far side tells no versions, and one that was gone and is there again. What came last of it is something
// else. It marks them as fresh.
func (in *Ingest) again(ctx context.Context, d hub.DeploymentID, list []store.Arrival, fresh []bool, may func(last, now hub.Event) bool) error {
	if len(list) == 0 {
		return nil
	}
	var keys []string
	for i, a := range list {
		if !fresh[i] && a.Event.Source != hub.Unreadable {
			keys = append(keys, a.Event.Key.String())
		}
	}
	last, err := in.store.Tenant(list[0].Event.Tenant).LastEvents(ctx, d, keys)
	if err != nil {
		return err
	}
	var back []store.Arrival
	for i, a := range list {
		e := &a.Event
		before, known := last[e.Key.String()]
		if fresh[i] || !known || before.ID == e.ID || !may(before, *e) {
			continue
		}
		e.ID = hub.EventIDFor(e.Tenant, e.Key.Connection, e.Key.Kind, e.Key.ID, string(e.ID)+" after "+string(before.ID))
		back, fresh[i] = append(back, a), true
	}
	_, err = in.put(ctx, back)
	return err
}

// shown are records that a list shows now.
func (in *Ingest) shown(ctx context.Context, f *engine.Flow, list []store.Arrival, fresh []bool) error {
	return in.again(ctx, f.ID, list, fresh, func(last, now hub.Event) bool {
		stays := now.Received.Sub(last.Received) > settled
		return last.Gone && stays || now.Version == 0 && otherwise(last, now) && (stays || last.Source != "webhook")
	})
}

// otherwise reports whether an event carries another content than the one before it.
func otherwise(last, now hub.Event) bool {
	return len(last.Payload) > 0 && len(now.Payload) > 0 && !bytes.Equal(last.Payload, now.Payload)
}
