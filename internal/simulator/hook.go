package simulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"throughline/internal/exact"
)

// post is one webhook delivery on its way: one event, or several that were gathered.
type post struct {
	world  *world
	hook   *row
	events []any
	due    time.Time
	tries  int
	closed bool // already tried: nothing is added any more
}

// tell queues a change for every hook that wants to know of it. What the far side does before a
// customer exists (the seed) it tells nobody.
func (c *call) tell(k *kind, op string, r *row, old map[string]any) {
	spec := c.sim.plan.webhooks
	if spec == nil || c.by == "seed" {
		return
	}
	for i := range spec.events {
		e := &spec.events[i]
		if e.spec.Of != k.name || !slices.Contains(e.spec.On, op) && !slices.Contains(e.spec.On, verbOf(op, old)) {
			continue
		}
		if err := c.tellOne(spec, e, op, r, old); err != nil {
			// A defect of the description must not undo what has happened; it shows in the log.
			c.sim.broken(fmt.Errorf("webhook for %s: %w", k.name, err))
		}
	}
}

func (c *call) tellOne(spec *webhooks, e *event, op string, r *row, old map[string]any) error {
	was := map[string]any{"row": c.vars["row"], "old": c.vars["old"], "event": c.vars["event"], "hook": c.vars["hook"]}
	defer func() {
		for name, v := range was {
			c.vars[name] = v
		}
	}()
	c.vars["row"], c.vars["old"] = r.fields, orNil(old)
	for _, change := range changes(e, r.fields, old) {
		change["op"], change["by"], change["number"] = op, c.by, int64(c.sim.rand.Uint32())
		c.vars["event"] = change
		if err := c.announce(spec, e, change); err != nil {
			return err
		}
	}
	return nil
}

// changes are the occasions of an event: the row, or each of its changed fields.
func changes(e *event, fields, old map[string]any) []map[string]any {
	if e.spec.Each != "changed" {
		return []map[string]any{{}}
	}
	var list []map[string]any
	for _, name := range sortedKeys(fields) {
		if !equal(fields[name], old[name]) && !(blank(fields[name]) && blank(old[name])) {
			list = append(list, map[string]any{"field": name, "value": fields[name], "before": old[name]})
		}
	}
	return list
}

func (c *call) announce(spec *webhooks, e *event, change map[string]any) error {
	if e.when != nil {
		if yes, err := e.when.True(c); err != nil || !yes {
			return err
		}
	}
	if e.kind != nil {
		v, err := e.kind.value(c)
		if err != nil {
			return err
		}
		change["type"] = v
	}
	for _, hook := range c.world.collections[spec.spec.Hooks].order {
		if hook.gone {
			continue
		}
		c.vars["hook"] = hook.fields
		if spec.when != nil {
			if yes, err := spec.when.True(c); err != nil || !yes {
				if err != nil {
					return err
				}
				continue
			}
		}
		body, err := e.body.value(c)
		if err != nil {
			return err
		}
		c.sim.queue(c.world, hook, body)
	}
	return nil
}

// queue gathers events for a hook until its delivery is due.
func (s *Simulator) queue(w *world, hook *row, event any) {
	if s.chance.webhook(DropWebhook) {
		return
	}
	spec := s.plan.webhooks.spec
	times := 1
	if s.chance.webhook(TwiceWebhook) {
		times = 2
	}
	for range times {
		s.gather(w, hook, event, spec.Batch)
	}
	s.stir()
}

func (s *Simulator) gather(w *world, hook *row, event any, most int) {
	for _, p := range s.posts {
		if p.hook == hook && p.world == w && !p.closed && len(p.events) < most {
			p.events = append(p.events, event)
			return
		}
	}
	due := s.now().Add(s.plan.webhooks.spec.Delay.D)
	s.posts = append(s.posts, &post{world: w, hook: hook, events: []any{event}, due: due})
}

// stir wakes Run; a wake-up that is already waiting will do.
func (s *Simulator) stir() {
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

// DeliverDue sends the webhooks whose time has come and says how many arrived. What fails is tried
// again later, as the description says, and finally given up.
func (s *Simulator) DeliverDue(ctx context.Context) (int, error) {
	arrived := 0
	for {
		p, req, err := s.nextPost(ctx)
		if err != nil || p == nil {
			return arrived, err
		}
		if s.opt.Deliver == nil {
			continue
		}
		if err := s.opt.Deliver(req); err != nil {
			s.again(p)
			continue
		}
		arrived++
	}
}

// nextPost takes a delivery that is due off the queue.
func (s *Simulator) nextPost(ctx context.Context) (*post, *http.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var ready []int
	for i, p := range s.posts {
		if !now.Before(p.due) {
			ready = append(ready, i)
		}
	}
	if len(ready) == 0 {
		return nil, nil, nil
	}
	i := ready[0]
	if s.plan.webhooks.spec.Shuffle {
		i = ready[s.rand.IntN(len(ready))]
	}
	p := s.posts[i]
	s.posts = slices.Delete(s.posts, i, i+1)
	p.closed = true
	p.tries++
	req, err := s.letter(ctx, p)
	return p, req, err
}

func (s *Simulator) again(p *post) {
	s.mu.Lock()
	defer s.mu.Unlock()
	retry := s.plan.webhooks.spec.Retry
	if p.tries > len(retry) {
		return
	}
	p.due = s.now().Add(retry[p.tries-1].D)
	s.posts = append(s.posts, p)
	s.stir()
}

// letter is the request of a delivery, signed as the vendor signs.
func (s *Simulator) letter(ctx context.Context, p *post) (*http.Request, error) {
	spec := s.plan.webhooks
	if spec.spec.Shuffle {
		s.rand.Shuffle(len(p.events), func(i, j int) { p.events[i], p.events[j] = p.events[j], p.events[i] })
	}
	var content any = p.events
	if spec.spec.Batch <= 1 {
		content = p.events[0]
	}
	data, err := exact.AppendJSON(nil, content)
	if err != nil {
		return nil, fmt.Errorf("write a webhook: %w", err)
	}
	url := textOf(p.hook.fields[spec.spec.URL])
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("address a webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	c := s.newCall(p.world, "system")
	c.vars["hook"], c.vars["raw"], c.vars["url"], c.vars["tries"] = p.hook.fields, string(data), url, int64(p.tries)
	c.vars["body"] = content
	for _, h := range spec.headers {
		v, err := h.value.value(c)
		if err != nil {
			return nil, fmt.Errorf("webhook header %s: %w", h.name, err)
		}
		if v != nil {
			req.Header.Set(h.name, textOf(v))
		}
	}
	return req, nil
}

// NextDelivery says when the next webhook is due.
func (s *Simulator) NextDelivery() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.posts) == 0 {
		return time.Time{}, false
	}
	first := slices.MinFunc(s.posts, func(a, b *post) int { return a.due.Compare(b.due) })
	return first.due, true
}

// Run delivers webhooks until ctx ends: what a far side does day and night.
func (s *Simulator) Run(ctx context.Context) error {
	for {
		if _, err := s.DeliverDue(ctx); err != nil {
			return err
		}
		wait := time.Hour
		if due, any := s.NextDelivery(); any {
			wait = max(time.Until(due.Add(-s.aheadNow())), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.stirred:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (s *Simulator) aheadNow() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ahead
}

// Post is the Deliver of a simulator that speaks to real receivers: anything but 2xx is an error.
func Post(client *http.Client) func(*http.Request) error {
	return func(r *http.Request) error {
		resp, err := client.Do(r)
		if err != nil {
			return fmt.Errorf("deliver a webhook: %w", err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)); err != nil {
			return fmt.Errorf("deliver a webhook: %w", err)
		}
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("deliver a webhook: the receiver answered %d", resp.StatusCode)
		}
		return nil
	}
}
