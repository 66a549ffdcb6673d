package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// asking is a question of a run that waits for its answer.
type asking struct {
	question
	ctx  context.Context
	read func(rows) error // the answer; it may be called again where the answers of others spoilt it
	err  error
	done chan struct{}
}

const (
	askedAtMost = 64
	askPace     = 5 * time.Millisecond
)

// soon asks for all rows of an answer. On PostgreSQL the questions that runs ask at the same moment share a round trip.
func soon[T any](ctx context.Context, s scope, scan func(rows, *T) error, q string, args ...any) (list []T, err error) {
	d, ok := s.(*postgresDB)
	if !ok {
		r, err := s.query(ctx, q, args...)
		return all(r, err, scan)
	}
	a := &asking{question: question{q, args}, ctx: ctx, done: make(chan struct{})}
	a.read = func(r rows) (err error) { list, err = all(r, nil, scan); return err }
	d.asks.add(a)
	<-a.done
	return list, a.err
}

// answer asks what has gathered, in one round trip. Where that fails, each is asked alone, so that it fails alone and
// keeps nobody.
func (d *postgresDB) answer(list []*asking) {
	if len(list) == 1 {
		d.answerOne(list[0])
		return
	}
	err := d.answerAll(list)
	for _, a := range list {
		if err != nil {
			go d.answerOne(a)
			continue
		}
		close(a.done)
	}
}

func (d *postgresDB) answerOne(a *asking) {
	defer close(a.done)
	ctx, cancel := context.WithTimeout(a.ctx, changeLimit)
	defer cancel()
	r, err := d.query(ctx, a.text, a.args...)
	if err == nil {
		err = a.read(r)
	}
	a.err = err
}

func (d *postgresDB) answerAll(list []*asking) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(list[0].ctx), changeLimit) // one who leaves must not silence the others
	defer cancel()
	var batch pgx.Batch
	for _, a := range list {
		batch.Queue(numbered(a.text), a.args...)
	}
	return readAll(d.pool.SendBatch(ctx, &batch), len(list), func(i int, r rows) error { return list[i].read(r) })
}
