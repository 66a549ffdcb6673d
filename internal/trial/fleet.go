package trial

import (
	"context"
	"sync"
	"time"
)

// fleet are the product's processes. What ends is started again.
type fleet struct {
	stage *Stage

	mu    sync.Mutex
	nodes []*node
	turn  int
}

type node struct {
	process *Process
	away    bool // taken out of the rotation, as a load balancer does before a restart
}

// open starts n nodes, one after the other: the first one makes the tables and the key.
func (s *Stage) open(ctx context.Context, n int, env ...string) (*fleet, error) {
	f := &fleet{stage: s}
	for range n {
		p, err := s.Product(ctx, env...)
		if err != nil {
			f.kill()
			return nil, err
		}
		f.nodes = append(f.nodes, &node{process: p})
	}
	return f, nil
}

// webhook is where a tenant's next webhook goes: nodes in the rotation take turns.
func (f *fleet) webhook(tenant string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.nodes {
		f.turn++
		if n := f.nodes[f.turn%len(f.nodes)]; !n.away {
			return n.process.Ready.URL + "/hooks/" + tenant + "/crm"
		}
	}
	return f.nodes[0].process.Ready.URL + "/hooks/" + tenant + "/crm"
}

func (f *fleet) process(i int) *Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[i].process
}

func (f *fleet) setAway(i int, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[i].away = away
}

// restart starts node i anew after its process has ended, and says how long that took.
func (f *fleet) restart(ctx context.Context, i int, env ...string) (time.Duration, error) {
	begun := time.Now()
	p, err := f.stage.Product(ctx, env...)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[i].process = p
	return time.Since(begun), nil
}

// stop ends all nodes by SIGTERM and returns the longest time that one took.
func (f *fleet) stop() (longest time.Duration, err error) {
	for i := range f.nodes {
		took, stopErr := f.process(i).Stop(stopLimit)
		longest = max(longest, took)
		if err == nil {
			err = stopErr
		}
	}
	return longest, err
}

// stopLimit is how long a process may take to finish what it has in hand (C7).
const stopLimit = 30 * time.Second

func (f *fleet) kill() {
	for i := range f.nodes {
		f.process(i).Kill()
	}
}
