package engine

import (
	"fmt"

	"throughline/internal/exact"
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
	schema, edited := r.flow.Schemas.Schema(rec.record.Type), false
	for _, e := range list {
		if !e.Ended.IsZero() {
			continue
		}
		fields, err := schema.Decode(e.Fields)
		if err != nil {
			return fmt.Errorf("read what %s has changed of %s: %w", e.Who, e.Key, err)
		}
		all, err := exact.DecodeJSON(e.Fields)
		if err != nil {
			return err
		}
		for name := range all.(map[string]any) { // Decode has seen that it is an object
			rec.record.Fields[name] = fields[name]
			if fields[name] == nil {
				delete(rec.record.Fields, name)
			}
		}
		edited = true
	}
	if !edited {
		return nil
	}
	if rec.record, err = schema.Normalise(rec.record); err != nil {
		return err
	}
	return r.remember(rec)
}
