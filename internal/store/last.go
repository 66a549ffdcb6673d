package store

import (
	"context"
	"slices"
	"strings"

	"throughline/internal/hub"
)

// LastEvents reads what came last of records to a flow, by the keys of their rows.
func (t *Tenant) LastEvents(ctx context.Context, d hub.DeploymentID, keys []string) (map[string]hub.Event, error) {
	last := make(map[string]hub.Event, len(keys))
	for some := range slices.Chunk(keys, Together) {
		args := make([]any, 0, Together+2)
		for i := range Together { // the last places are filled up, so that there is one text (see lookUp)
			args = append(args, some[min(i, len(some)-1)])
		}
		r, err := t.db.query(ctx, `SELECT w.record_key, e.id, e.version, e.payload, e.source, e.gone, e.received_at FROM (VALUES (?)`+strings.Repeat(", (?)", Together-1)+`) v
			CROSS JOIN work w CROSS JOIN event e
			WHERE w.tenant = ? AND w.deployment = ? AND w.record_key = v.column1
			AND e.tenant = w.tenant AND e.id = CASE WHEN w.next_event <> '' THEN w.next_event ELSE w.event END`, append(args, t.id, d)...)
		_, err = all(r, err, func(r rows, _ *struct{}) error {
			var key string
			var e hub.Event
			var at, gone int64
			err := r.Scan(&key, &e.ID, &e.Version, &e.Payload, &e.Source, &gone, &at)
			e.Tenant, e.Gone, e.Received = t.id, gone != 0, instant(at)
			last[key] = e
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}
