package simulator

import (
	"net/http"
	"slices"
	"time"
)

// job is a move that is carried out after its call was answered.
type job struct {
	due      time.Time
	location string
	run      func() error
	failed   error
}

// later says when a move is postponed, and where its state can be asked for.
type later struct {
	after    time.Duration
	when     *predicate
	location shape
}

func (l *later) wanted(c *call) (bool, error) {
	if l.when == nil {
		return true, nil
	}
	return l.when.True(c)
}

// postpone answers 202 at once. The move happens when its time has come and somebody looks: reading
// and asking for the job both count.
func (c *call) postpone(l *later, col *collection, m *move, r *row) (answer, error) {
	id := c.sim.uuid()
	c.vars["job"] = id
	v, err := l.location.value(c)
	if err != nil {
		return answer{}, err
	}
	j := &job{due: c.now.Add(l.after), location: textOf(v)}
	j.run = func() error {
		// The request is over by then: the move is carried out by a call of its own.
		then := c.sim.newCall(c.world, c.by)
		then.route = c.route
		then.vars["row"] = r.fields
		return then.move(col, m, r)
	}
	c.world.jobs[id] = j
	c.world.waiting = append(c.world.waiting, j)
	a, err := c.render(nil, nil)
	a.status = http.StatusAccepted
	a.header.Set("Location", j.location)
	return a, err
}

// settleJobs carries out what is due in an account, in the order in which it was asked for, before
// anything else looks at its rows.
func (w *world) settleJobs(now time.Time) {
	w.waiting = slices.DeleteFunc(w.waiting, func(j *job) bool {
		if now.Before(j.due) {
			return false
		}
		j.failed = j.run()
		return true
	})
}
