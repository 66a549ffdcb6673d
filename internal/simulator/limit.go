package simulator

import (
	"math"
	"time"
)

// window counts the calls of one limit in one account.
type window struct {
	ends time.Time
	n    int
}

// limit counts the call against every limit that speaks of its route.
func (c *call) limit() error {
	var refused *refusal
	for _, l := range c.sim.plan.limits {
		if !l.spec.Every && l.spec.Class != c.route.spec.Class {
			continue
		}
		w := c.window(l)
		over := w.n >= l.spec.Rate.N && !c.sim.opt.Unlimited
		if !over {
			w.n++
		}
		if err := c.tellLimit(l, w); err != nil {
			return err
		}
		if over && l.spec.Slow {
			c.waiting += w.ends.Sub(c.now)
		} else if over && refused == nil {
			refused = throttled(l, w.ends.Sub(c.now))
		} else if l.spec.Slow && !c.sim.opt.Unlimited {
			c.waiting += brake(l.spec.Rate.N, w, c.now)
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

func (c *call) window(l limit) *window {
	w := c.world.windows[l.spec.Name]
	if w == nil || !c.now.Before(w.ends) {
		w = &window{ends: c.now.Add(l.spec.Rate.Per)}
		c.world.windows[l.spec.Name] = w
	}
	return w
}

func throttled(l limit, wait time.Duration) *refusal {
	return &refusal{name: "throttled", code: l.spec.Name, message: "Too many requests", extra: map[string]any{
		"limit": l.spec.Name, "retry_after": int64(math.Ceil(wait.Seconds())), "wait_millis": wait.Milliseconds(),
	}}
}

// brake is the delay of a far side that slows callers down instead of refusing them: from half of
// the quota on, what is left of the window is spread over what is left of the quota.
func brake(quota int, w *window, now time.Time) time.Duration {
	if w.n*2 <= quota {
		return 0
	}
	return w.ends.Sub(now) / time.Duration(max(quota-w.n+1, 1))
}

// tellLimit sets the headers that speak of a limit.
func (c *call) tellLimit(l limit, w *window) error {
	if len(l.headers) == 0 {
		return nil
	}
	vars := map[string]any{
		"max": int64(l.spec.Rate.N), "left": int64(max(l.spec.Rate.N-w.n, 0)),
		"window_millis": l.spec.Rate.Per.Milliseconds(), "wait_millis": w.ends.Sub(c.now).Milliseconds(), "ends": w.ends,
	}
	return c.with("limit", vars, func() error {
		for _, h := range l.headers {
			v, err := h.value.value(c)
			if err != nil {
				return err
			}
			// As the vendor spells it: some write these headers in lower case only.
			c.header.Set(h.name, textOf(v))
		}
		return nil
	})
}
