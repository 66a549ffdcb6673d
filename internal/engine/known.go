package engine

import (
	"sync"
	"time"
)

// known keeps what far sides have answered about records that many runs refer to, so that a thousand
// entries of one project ask for it once. Who comes while the question is under way waits for the answer.
type known struct {
	mu   sync.Mutex
	list map[string]*answered
}

type answered struct {
	asked time.Time
	done  chan struct{}
	value any
	err   error
}

// mostKnown bounds the memory; past it, what is known is asked anew.
const mostKnown = 20_000

// get gives an answer that was asked for at since or later, asking where there is none. Only answers
// are kept: after an error the next one asks again.
func (k *known) get(name string, since, now time.Time, ask func() (any, error)) (any, error) {
	k.mu.Lock()
	a := k.list[name]
	if a != nil && !a.asked.Before(since) {
		k.mu.Unlock()
		<-a.done
		return a.value, a.err
	}
	a = &answered{asked: now, done: make(chan struct{})}
	if k.list == nil || len(k.list) >= mostKnown {
		k.list = map[string]*answered{}
	}
	k.list[name] = a
	k.mu.Unlock()
	defer close(a.done)
	a.err = errUnanswered // stays where ask panics
	a.value, a.err = ask()
	if a.err != nil {
		k.mu.Lock()
		if k.list[name] == a {
			delete(k.list, name)
		}
		k.mu.Unlock()
	}
	return a.value, a.err
}
