package drill

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// chance answers by what is asked, not by who comes first: at the nth instant at which a label comes up it has
// the same luck in every run of a seed, whichever goroutine the scheduler prefers. Who asks the same at the same
// instant has the same luck, so that it makes no difference who of them was first.
type chance struct {
	seed uint64

	mu   sync.Mutex
	seen map[string]asked
}

// asked is how often a label has come up, and when it did last.
type asked struct {
	times uint64
	last  time.Time
}

func newChance(seed uint64) *chance { return &chance{seed: seed, seen: map[string]asked{}} }

// of is the luck of the next time that label comes up.
func (c *chance) of(label string) dice {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, now := c.seen[label], time.Now()
	if !a.last.Equal(now) {
		a = asked{a.times + 1, now}
		c.seen[label] = a
	}
	return dice{rand.New(rand.NewPCG(c.seed^a.times<<32, hash(label)))}
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum64()
}

// byClock is randomness that follows from the instant at which it is asked for: the engine's jitter
// does not depend on which of its runs draws first.
type byClock uint64

func (seed byClock) Uint64() uint64 {
	return rand.New(rand.NewPCG(uint64(seed), uint64(time.Now().UnixNano()))).Uint64()
}
