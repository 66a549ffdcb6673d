package engine

import (
	"fmt"

	"throughline/internal/canonical"
	"throughline/internal/exact"
	"throughline/internal/store"
)

// edit lays over the record that started the run what people have changed of it. What the vendor sent
// stays as it came, and is read as it came once the edit has ended.
func (r *run) edit(rec *result) error {
	if r.fresh {
		return nil // nobody has seen the record before
	}
	list, err := r.tenant.Edits(r.ctx, r.work.Deployment, r.work.Key)
	if err != nil {
		return err
	}
	edited := false
	if rec.record, edited, err = Edited(r.flow.Schemas.Schema(rec.record.Type), rec.record, list); err != nil || !edited {
		return err
	}
	return r.remember(rec)
}

// Edited is a record with what people have changed of it laid over, the earliest first; false where no edit holds.
func Edited(schema *canonical.Schema, rec canonical.Record, list []store.Edit) (out canonical.Record, edited bool, err error) {
	for _, e := range list {
		if !e.Ended.IsZero() {
			continue
		}
		fields, err := schema.Decode(e.Fields)
		if err != nil {
			return rec, false, fmt.Errorf("read what %s has changed of %s: %w", e.Who, e.Key, err)
		}
		all, err := exact.DecodeJSON(e.Fields)
		if err != nil {
			return rec, false, err
		}
		for name := range all.(map[string]any) { // Decode has seen that it is an object
			rec.Fields[name] = fields[name]
			if fields[name] == nil {
				delete(rec.Fields, name)
			}
		}
		edited = true
	}
	if !edited {
		return rec, false, nil
	}
	rec, err = schema.Normalise(rec)
	return rec, true, err
}
