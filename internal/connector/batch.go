package connector

import (
	"fmt"

	"throughline/internal/expr"
	"throughline/internal/hub"
)

// BatchOp writes many records in one call. Its class is that of the write it stands for: an answer
// that is lost is settled record by record, as if each had been sent alone.
type BatchOp struct {
	*Op
	Spec *Batch

	items, whose, id, failed, message *expr.Program
}

// BatchItem is one record of a batch, as its expressions read it: item.id (of an update or delete),
// item.marker, item.key and item.fields.
type BatchItem struct {
	ID, Marker, Key string
	Fields          map[string]any
}

// Outcome is what became of one record of a batch: its id, or why it was not written.
type Outcome struct {
	ID  string
	Err error
}

func (k *compiler) batch(name string, w *Write) *BatchOp {
	b := w.Batch
	op := k.op(name, b.Call, &Write{Class: w.Class, Lag: w.Lag})
	op.With = k.named(name, b.With)
	if op.path == nil && op.rpc == "" {
		k.problem(b.Pos, name, "this batch has no method", "Add post:, put:, patch: or rpc: to it.")
	}
	if !b.Body.Set() && op.rpc == "" {
		k.problem(b.Pos, name, "this batch does not say how its records are sent", `Add body: with an expression over items: {inputs: '=items.map(i, {"properties": i.fields})'}.`)
	}
	if b.Message.Set() && !b.Failed.Set() {
		k.problem(b.Pos, name, "message is there, failed is not", "Add failed: with the condition under which a record was not written.")
	}
	return &BatchOp{Op: op, Spec: b, items: k.expr(b.Items, expr.Dyn), whose: k.expr(b.For, expr.Dyn),
		id: k.expr(b.ID, expr.Dyn), failed: k.expr(b.Failed, expr.Bool), message: k.expr(b.Message, expr.Dyn)}
}

// Vars is what the batch's expressions read as items.
func (b *BatchOp) Vars(list []BatchItem) map[string]any {
	items := make([]any, len(list))
	for i, one := range list {
		items[i] = map[string]any{"id": one.ID, "marker": one.Marker, "key": one.Key, "fields": one.Fields}
	}
	return map[string]any{"items": items}
}

// Outcomes says what became of each record that was sent, in the order of sending. One of which the
// answer says nothing is uncertain: it is settled like a lost answer.
func (b *BatchOp) Outcomes(kind *Kind, a *Answer, sent []BatchItem, settings any) ([]Outcome, error) {
	rows, err := b.rows(a)
	if err != nil {
		return nil, err
	}
	if b.whose == nil && len(rows) > 0 && len(rows) != len(sent) {
		return nil, fmt.Errorf("%s: the answer speaks of %d records, %d were sent, and it does not say of which", b.Name, len(rows), len(sent))
	}
	out := make([]Outcome, len(sent))
	told := make([]bool, len(sent))
	for n, row := range rows {
		vars := map[string]any{"item": row, "x": row, "body": a.Body, "settings": settings}
		at, err := b.place(n, vars, sent)
		if err != nil {
			return nil, err
		}
		if at < 0 || told[at] {
			return nil, fmt.Errorf("%s: the answer speaks of a record that was not sent, or twice of one: %s", b.Name, excerpt(row))
		}
		told[at] = true
		if out[at], err = b.outcome(kind, row, vars, settings); err != nil {
			return nil, err
		}
		switch was := sent[at].ID; {
		case out[at].Err != nil || was == "" || out[at].ID == was:
		case out[at].ID == "":
			out[at].ID = was
		default:
			return nil, fmt.Errorf("%s: the answer speaks of %s where %s was sent", b.Name, out[at].ID, was)
		}
	}
	for i := range out {
		if !told[i] {
			out[i].Err = &hub.Error{Kind: hub.Uncertain, Code: "far.batch_silent", Message: fmt.Sprintf("%s: the answer does not say what became of this record.", b.Name)}
		}
	}
	return out, nil
}

func (b *BatchOp) rows(a *Answer) ([]any, error) {
	if b.items == nil {
		return a.Items(), nil
	}
	v, err := b.items.Eval(a.vars)
	if err != nil {
		return nil, fmt.Errorf("%s: items: %w", b.Name, err)
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, fmt.Errorf("%s: items gives %T, a list is wanted", b.Name, v)
	}
	return list, nil
}

// place is which of the records an outcome is of; -1 where it is none of them.
func (b *BatchOp) place(n int, vars map[string]any, sent []BatchItem) (int, error) {
	if b.whose == nil {
		if n < len(sent) {
			return n, nil
		}
		return -1, nil
	}
	v, err := b.whose.Eval(vars)
	if err != nil {
		return -1, fmt.Errorf("%s: for: %w", b.Name, err)
	}
	name, err := plain(v)
	if err != nil {
		return -1, err
	}
	for i, one := range sent {
		if name != "" && (name == one.Marker || name == one.ID) {
			return i, nil
		}
	}
	return -1, nil
}

func (b *BatchOp) outcome(kind *Kind, row any, vars map[string]any, settings any) (Outcome, error) {
	if b.failed != nil {
		failed, err := b.failed.True(vars)
		if err != nil {
			return Outcome{}, fmt.Errorf("%s: failed: %w", b.Name, err)
		}
		if failed {
			return Outcome{Err: b.refusal(row, vars)}, nil
		}
	}
	if b.id == nil {
		id, err := kind.IDOf(row, settings)
		return Outcome{ID: id}, err
	}
	v, err := b.id.Eval(vars)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: id: %w", b.Name, err)
	}
	id, err := keyed(v)
	return Outcome{ID: id}, err
}

func (b *BatchOp) refusal(row any, vars map[string]any) error {
	message := excerpt(row)
	if b.message != nil {
		if v, err := b.message.Eval(vars); err == nil && v != nil {
			message = told(v)
		}
	}
	return &hub.Error{Kind: hub.Invalid, Code: "far.invalid", Message: fmt.Sprintf("%s: %s", b.Name, message),
		Hint: "Correct the record where it comes from, then retry."}
}
