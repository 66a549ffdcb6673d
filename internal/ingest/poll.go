package ingest

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/crashpoint"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// The keys of the rows of work that tick by themselves.
const (
	PollKey     = "poll"      // looks for changes
	SweepKey    = "sweep"     // looks for what is gone
	backfillKey = "backfill/" // and from, "/", to: reads a span of business dates again
)

// Patience is how long a reading waits for one of its calls, in the midst of it: for a limit, or for a far side that
// fails now and then. To begin anew would ask for all that was read once more; a list that is longer than what a
// limit lets through in one go would never come to its end.
const Patience = 2 * time.Minute

// Tick does what is due for a flow, and says when it is due again.
func (in *Ingest) Tick(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	ctx = remote.Reading(ctx)
	switch {
	case w.Key == SweepKey:
		return in.sweep(ctx, f, w)
	case strings.HasPrefix(w.Key, backfillKey):
		return in.backfill(ctx, f, w)
	}
	return in.poll(ctx, f, w)
}

// next is the row's next turn; without a schedule it rests.
func next(w hub.Work, s engine.Schedule, now time.Time) *store.Defer {
	w.Attempts, w.Reason, w.Revision = 0, "", 0
	w.State, w.Due = hub.Idle, now
	if s.Set() {
		w.State, w.Due = hub.Later, s.Next(now)
	}
	return &store.Defer{Work: w}
}

// trigger is where the records come from that start a flow's runs.
func trigger(f *engine.Flow) (*engine.End, *connector.Kind, error) {
	t := f.Template.File.Trigger
	end := f.Roles[t.From]
	kind := end.Conn.Connector.KindAs(t.Record)
	if kind == nil || kind.List == nil {
		return nil, nil, &hub.Error{Kind: hub.Invalid, Code: "connector.no_list", Message: fmt.Sprintf("The connector cannot list a %s.", t.Record), Hint: "Let the flow run by webhook."}
	}
	return end, kind, nil
}

// CanList refuses a flow whose records come by webhook only.
func CanList(f *engine.Flow) error {
	_, _, err := trigger(f)
	return err
}

// poll reads what changed since the cursor, page by page, and what the vendor says was deleted; the
// cursor moves with the next turn, in one transaction (R5).
func (in *Ingest) poll(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	end, kind, err := trigger(f)
	if err != nil {
		return store.Step{}, err
	}
	value, err := in.store.Tenant(w.Tenant).CursorValue(ctx, f.ID, w.Key)
	if err != nil {
		return store.Step{}, err
	}
	reach, err := f.Reach(value)
	if err != nil {
		return store.Step{}, err
	}
	begun, since := in.now(), reach.Since
	newest, moved, err := in.read(ctx, f, end, kind, reach)
	if err != nil {
		return store.Step{}, err
	}
	if kind.Deleted != nil && f.Template.Post != nil {
		at, err := in.remote.Rows(ctx, end.Conn, kind.Deleted, since, nil, func(page []remote.Row) error { return in.deleted(ctx, f, end, kind, page) })
		if err != nil {
			return store.Step{}, err
		}
		if at.After(newest) {
			newest = at
		}
	}
	if newest.After(begun) && begun.After(since) {
		newest = begun // what changed since then may stand behind a page that was read before it did
	}
	now, reach := in.now(), reach.Read(newest, moved)
	turn, err := in.nextPoll(ctx, f, w, now)
	return store.Step{Cursor: &store.Cursor{Deployment: f.ID, Key: w.Key, Value: reach.String(), Updated: now}, Defer: turn}, err
}

// nextPoll is the poll's next turn: at once, where a webhook has asked for another look since this one began
// (store.Tenant.DueNow).
func (in *Ingest) nextPoll(ctx context.Context, f *engine.Flow, w hub.Work, now time.Time) (*store.Defer, error) {
	turn := next(w, f.Poll, now)
	rows, err := in.store.Tenant(w.Tenant).Work(ctx, store.Filter{Deployment: w.Deployment, Key: w.Key, Limit: 1})
	if len(rows) > 0 && rows[0].State == hub.Running && rows[0].Due.After(w.Due) {
		turn.Work.State, turn.Work.Due = hub.Later, now
	}
	return turn, err
}

// maxReadings bounds how often a poll reads one span; the next one goes on.
const maxReadings = 5

// read keeps what the list has from the reach's beginning. What brought something new on several pages has
// moved, perhaps: its rows may have hidden others. It is read again by the next poll, and there and then until
// a reading finds nothing that the one before should have shown.
func (in *Ingest) read(ctx context.Context, f *engine.Flow, end *engine.End, kind *connector.Kind, reach engine.Reach) (newest time.Time, moved bool, err error) {
	for range maxReadings {
		pages, fresh, missed := 0, 0, 0
		newest, err = in.remote.Rows(ctx, end.Conn, kind.List, reach.Since, nil, func(page []remote.Row) error {
			taken, err := in.keep(ctx, f, end, kind, "poll", hub.Normal, page, len(page))
			pages++
			for i, isNew := range taken {
				if isNew {
					fresh++
				}
				if at := page[i].Changed; isNew && !at.IsZero() && !at.After(reach.Next) {
					missed++
				}
			}
			return err
		})
		if err != nil || reach.Next.IsZero() {
			return newest, pages > 1 && fresh > 0, err
		}
		if moved = missed > 0; !moved {
			break
		}
	}
	return newest, moved, nil
}

// keep stores a page as events before the next one is read, so that a long list takes no more memory
// than a short one; it says of each whether it is new. A page that is read again is known by its events' ids.
// A row that cannot be read takes nothing from the others: of is how many rows the far side gave, with those that
// are not kept.
func (in *Ingest) keep(ctx context.Context, f *engine.Flow, end *engine.End, kind *connector.Kind, source string, lane hub.Lane, page []remote.Row, of int) (fresh []bool, err error) {
	list, unread := make([]store.Arrival, len(page)), 0
	for i, x := range page {
		a, err := in.found(f, end, kind, x.Record)
		if err = cmp.Or(x.Err, err); err != nil {
			if unread++; unread == of && unread > 1 {
				return nil, err // it is not the rows
			}
			a = connector.Arrived{Kind: kind, Payload: x.Record, Err: err}
		}
		if list[i], err = in.arrival(f.Tenant, end.Conn.ID, a, []*engine.Flow{f}, source, lane); err != nil {
			return nil, err
		}
	}
	crashpoint.At("page.read")
	if fresh, err = in.put(ctx, list); err == nil {
		err = in.shown(ctx, f, list, fresh)
	}
	crashpoint.At("page.stored")
	return fresh, err
}

func (in *Ingest) put(ctx context.Context, list []store.Arrival) (fresh []bool, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	if fresh, err = in.journal.Accept(ctx, list...); err != nil {
		return nil, fmt.Errorf("store what was read: %w", err)
	}
	in.wake()
	return fresh, nil
}

// found is an event that a flow's poll makes of a record: repeats are told by its content. Another flow
// that polls the same list finds its own.
func (in *Ingest) found(f *engine.Flow, end *engine.End, kind *connector.Kind, x any) (connector.Arrived, error) {
	id, err := idOf(end, kind, x)
	if err != nil {
		return connector.Arrived{}, err
	}
	version, err := kind.VersionOf(x)
	if err != nil {
		return connector.Arrived{}, err
	}
	hash, err := contentOf(x)
	if err != nil {
		return connector.Arrived{}, err
	}
	a := connector.Arrived{Kind: kind, ID: id, Version: version, Dedupe: "poll/" + string(f.ID) + "/" + hash}
	if len(kind.With) == 0 && !strings.Contains(kind.Spec.As, "@") {
		a.Payload = x // nothing is missing from it: no second read
	}
	return a, nil
}

// idOf is a record's id in its far side. It has to have one.
func idOf(end *engine.End, kind *connector.Kind, x any) (string, error) {
	id, err := kind.IDOf(x, end.Conn.Settings)
	if err == nil && id == "" {
		err = noID(kind)
	}
	return id, err
}

func noID(kind *connector.Kind) error { return fmt.Errorf("it has no id (%s)", kind.Spec.ID.Source) }

// contentOf tells records of different content apart.
func contentOf(x any) (string, error) {
	body, err := exact.AppendJSON(nil, x)
	return canonical.Hash(body), err
}
