package books

import (
	"errors"
	"hash/maphash"
	"time"

	"throughline/internal/connector"
	"throughline/internal/engine"
	"throughline/internal/remote"
)

// list is a far side's list, as often as it is read for a statement. In pages it is no picture of one moment: what
// moves while it is read may slip from a page that is still to come to one that was read already (engine.Reach).
type list struct {
	name  string
	since time.Time
	rows  func(page func([]remote.Row) error) error // reads it once
	take  func(x any) (id string, err error)

	seen         map[uint64]glimpse // by the hash of the id: there may be a million
	began        time.Time          // when it was read last
	look, before int                // the last reading, and the one before it; 0: none
	moved        bool               // in the last reading
	nameless     []nameless         // of the last reading
}

// nameless is a row that does not tell whose it is, with its place in the list. The row is at fault, not the reading.
type nameless struct {
	error
	at int
	x  any
}

// glimpse is where a row was seen last.
type glimpse struct {
	look, page int32
	changed    int64
}

var seed = maphash.MakeSeed()

// listOf is a list of a far side, not read yet.
func (r *reading) listOf(end *engine.End, kind *connector.Kind, op *connector.ListOp, since time.Time, vars remote.Vars, take func(any) (string, error)) *list {
	l := &list{name: string(end.Conn.ID) + "/" + kind.Name, since: since, take: take, seen: map[uint64]glimpse{}}
	l.rows = func(page func([]remote.Row) error) error {
		_, err := r.remote.Rows(r.ctx, end.Conn, op, since, vars, page)
		return err
	}
	r.lists = append(r.lists, l)
	return l
}

// most is how often a list is read before it is said that it does not come to rest.
const most = 3

// rest reads a list until it is at rest: until a reading shows nothing that the one before should have shown.
// The first one has nothing before it: there rows tell that stand on two pages, or that changed meanwhile.
func (r *reading) rest(l *list) error {
	for range most {
		r.looks++
		if err := l.read(r.looks, r.now()); err != nil || !l.moved {
			return err
		}
	}
	return nil
}

func (l *list) read(look int, now time.Time) error {
	before, moved, pages := l.began, false, int32(0)
	l.look, l.before, l.began, l.nameless = look, l.look, now, nil
	place := 0
	err := l.rows(func(page []remote.Row) error {
		pages++
		unread := 0
		for _, x := range page {
			place++
			id, err := l.take(x.Record)
			if odd := (nameless{}); errors.As(err, &odd) {
				if unread++; unread == len(page) && unread > 1 {
					return err // it is not the rows
				}
				l.nameless = append(l.nameless, nameless{odd.error, place, x.Record})
				continue
			}
			if err != nil {
				return err
			}
			moved = l.moves(id, pages, x.Changed, before) || moved
		}
		return nil
	})
	l.moved = moved && pages > 1
	return err
}

// moves notes a row, and reports whether the list has moved by it.
func (l *list) moves(id string, page int32, changed, before time.Time) bool {
	last, known := l.saw(id, page, changed)
	if l.before == 0 {
		return changed.After(l.began) || known && last.page != page && last.changed == changed.UnixMicro()
	}
	return (!known || int(last.look) < l.before) && !changed.After(before)
}

// saw notes where a row is, and says where it was.
func (l *list) saw(id string, page int32, changed time.Time) (last glimpse, known bool) {
	key := maphash.String(seed, id)
	last, known = l.seen[key]
	l.seen[key] = glimpse{int32(l.look), page, changed.UnixMicro()}
	return last, known
}

// shows reports whether the last reading has shown a row.
func (l *list) shows(id string) bool { return int(l.seen[maphash.String(seed, id)].look) == l.look }
