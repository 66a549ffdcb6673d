package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
	"throughline/internal/store"
)

// BackfillKey is the key of the row of work that reads a span of business dates again.
func BackfillKey(from, to exact.Date) string { return backfillKey + from.String() + "/" + to.String() }

// Stopped is the cursor of a backfill that a person has stopped.
const Stopped = "stopped"

// backfill reads what changed since the span's first day, or since so long before it as people log ahead, keeps what lies in
// the span, and rests. What
// was read before is known by its events, so that one that was stopped or killed goes on where it was
// without doing anything twice.
func (in *Ingest) backfill(ctx context.Context, f *engine.Flow, w hub.Work) (store.Step, error) {
	first, last, _ := strings.Cut(strings.TrimPrefix(w.Key, backfillKey), "/")
	from, err := exact.ParseDate(first)
	if err != nil {
		return store.Step{}, err
	}
	to, err := exact.ParseDate(last)
	if err != nil {
		return store.Step{}, err
	}
	end, kind, err := trigger(f)
	if err != nil {
		return store.Step{}, err
	}
	begin := from.AddDays(-ahead)
	since := time.Date(begin.Year(), begin.Month(), begin.Day(), 0, 0, 0, 0, f.Zone)
	read := 0
	for range maxReadings {
		var moved bool
		if read, moved, err = in.span(ctx, f, end, kind, w, since, from, to); err != nil || !moved {
			break
		}
	}
	now := in.now()
	value := fmt.Sprintf("read %d", read)
	if errors.Is(err, errStopped) {
		value, err = Stopped, nil
	}
	return store.Step{Cursor: &store.Cursor{Deployment: f.ID, Key: w.Key, Value: value, Updated: now}, Defer: next(w, engine.Schedule{}, now)}, err
}

// span reads a backfill's span once. It moved, perhaps, where it brought something new on several pages (see read).
func (in *Ingest) span(ctx context.Context, f *engine.Flow, end *engine.End, kind *connector.Kind, w hub.Work, since time.Time, from, to exact.Date) (read int, moved bool, err error) {
	begun, pages, missed := in.now(), 0, 0
	_, err = in.remote.Rows(ctx, end.Conn, kind.List, since, nil, func(page []remote.Row) error {
		value, err := in.store.Tenant(w.Tenant).CursorValue(ctx, f.ID, w.Key)
		if err != nil {
			return err
		}
		if value == Stopped {
			return errStopped
		}
		inside := between(f, end, page, from, to)
		pages, read = pages+1, read+len(inside)
		taken, err := in.keep(ctx, f, end, kind, "backfill", hub.Bulk, inside, len(page))
		for i, isNew := range taken {
			if isNew && !inside[i].Changed.After(begun) {
				missed++
			}
		}
		return err
	})
	return read, pages > 1 && missed > 0, err
}

var errStopped = errors.New("stopped by a person")

// between keeps the records whose business date lies in a span. What cannot be read is kept: its run
// tells a person what is wrong with it.
func between(f *engine.Flow, end *engine.End, page []remote.Row, from, to exact.Date) []remote.Row {
	m := end.Mappings[f.Template.File.Trigger.Record]
	c := mapping.Context{Tenant: f.Tenant, Connection: end.Conn.ID, Settings: end.Conn.Settings, Kinds: end.Conn.Connector.KindAs, Values: end.Values}
	var out []remote.Row
	for _, x := range page {
		rec, err := m.Read(c, x.Record)
		if d, ok := rec.Fields["date"].(exact.Date); err == nil && ok && (d.Compare(from) < 0 || d.Compare(to) > 0) {
			continue
		}
		out = append(out, x)
	}
	return out
}
