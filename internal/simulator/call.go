package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
)

// call is one request on its way through: what expressions may see, and what it has done so far.
// Work through the back door and seeding are calls as well, without a route.
type call struct {
	sim   *Simulator
	world *world
	route *route
	now   time.Time
	by    string // api, person or seed
	vars  map[string]any
	fault Fault

	header  http.Header // of the answer
	waiting time.Duration
	cut     bool // the connection broke in the middle of the work
	session string
}

func (s *Simulator) newCall(w *world, by string) *call {
	c := &call{sim: s, world: w, now: s.now(), by: by, header: http.Header{}}
	c.vars = map[string]any{"now": c.now, "base": s.opt.BaseURL}
	if w != nil {
		c.vars["account"] = w.secrets
	}
	return c
}

// with evaluates f while a variable has another value.
func (c *call) with(name string, v any, f func() error) error {
	old, had := c.vars[name]
	c.vars[name] = v
	err := f()
	if had {
		c.vars[name] = old
	} else {
		delete(c.vars, name)
	}
	return err
}

// serve carries out one request. The lock is held.
func (s *Simulator) serve(r *http.Request, body []byte) answer {
	c := s.newCall(nil, "api")
	err := c.admit(r)
	if err == nil {
		c.fault = s.chance.pick(c.attempt(r))
		err = c.before()
	}
	if err == nil && c.fault == LoseRequest {
		return answer{mishap: LoseRequest}
	}
	if err == nil && c.fault == HTML {
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte(loginPage)}
	}
	if err == nil {
		err = c.decode(r, body)
	}
	var a answer
	if err == nil {
		a, err = c.act()
	}
	if c.cut {
		return answer{mishap: CutBatch}
	}
	if err == nil && c.fault == ErrorAfter {
		err = refuse("unavailable", "Service Unavailable")
	}
	if err != nil {
		a, err = c.refused(err)
	}
	if err != nil {
		return s.broken(err)
	}
	return c.finish(a)
}

// admit finds the route and the account, and counts the call against the limits.
func (c *call) admit(r *http.Request) error {
	route, path, name := c.sim.plan.router.find(r.Method, r.URL.EscapedPath())
	c.vars["method"], c.vars["uri"] = r.Method, r.URL.Path
	c.vars["query"], c.vars["header"] = queryVars(r.URL.RawQuery), headerVars(r.Header)
	if route == nil {
		return refuse(name, "no such address")
	}
	c.route, c.vars["path"] = route, path
	if route.spec.Public {
		return nil
	}
	if err := c.authenticate(r); err != nil {
		return err
	}
	c.vars["account"] = c.world.secrets
	return c.limit()
}

func (c *call) attempt(r *http.Request) attempt {
	a := attempt{method: r.Method, path: r.URL.Path, entity: c.route.spec.Of, writes: c.route.writes()}
	if c.world != nil {
		a.account = c.world.account
	}
	return a
}

// before are the faults that happen instead of the call.
func (c *call) before() error {
	switch c.fault {
	case ErrorBefore:
		return refuse("unavailable", "Service Unavailable")
	case Throttle:
		c.header.Set("Retry-After", c.sim.chance.retryAfter(c.now))
		return refuse("throttled", "Too many requests")
	case ExpireToken:
		c.forgetSession()
		return &refusal{name: "unauthenticated", code: "expired", message: "The token has expired."}
	}
	return nil
}

func (c *call) decode(r *http.Request, body []byte) error {
	c.vars["body"] = nil
	if len(body) == 0 {
		return nil
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		c.vars["body"] = queryVars(string(body))
		return nil
	}
	v, err := exact.DecodeJSON(body)
	if err != nil {
		return refuse("malformed", err.Error())
	}
	c.vars["body"] = v
	return nil
}

// refused words a refusal as the vendor does. What is no refusal is given back.
func (c *call) refused(err error) (answer, error) {
	r, ok := isRefusal(err)
	if !ok {
		return answer{}, err
	}
	if err := c.word(r); err != nil {
		return answer{}, err
	}
	c.vars["error"] = r.vars()
	spec := c.sim.plan.errors[r.name]
	if spec == nil {
		spec = c.sim.plan.errors["invalid"]
	}
	return c.render(spec, nil)
}

// word puts the vendor's words to each fault.
func (c *call) word(r *refusal) error {
	for i := range r.faults {
		f := &r.faults[i]
		if f.message != "" {
			continue
		}
		f.message = f.plain()
		if s := c.sim.plan.messages[f.code]; s != nil {
			err := c.with("fault", f.vars(), func() error {
				v, err := s.value(c)
				f.message = textOf(v)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	if r.message == "" && len(r.faults) > 0 {
		r.message = r.faults[0].message
	}
	return nil
}

// render makes an answer; item is its body where the description has none.
func (c *call) render(spec *answerPlan, item any) (answer, error) {
	a := answer{status: http.StatusOK, header: c.header}
	body := item
	if spec != nil {
		if spec.status != 0 {
			a.status = spec.status
		}
		for _, h := range spec.headers {
			v, err := h.value.value(c)
			if err != nil {
				return a, err
			}
			if v != nil && a.header.Get(h.name) == "" {
				a.header.Set(h.name, textOf(v))
			}
		}
		if spec.body != nil {
			v, err := spec.body.value(c)
			if err != nil {
				return a, err
			}
			body = v
		}
	}
	return a, c.fill(&a, spec, body)
}

func (c *call) fill(a *answer, spec *answerPlan, body any) error {
	if a.status == http.StatusNoContent || body == nil {
		return nil
	}
	if c.fault == Rename {
		body = c.renamed(body)
	}
	kind := "application/json"
	if spec != nil && spec.kind != "" {
		kind = spec.kind
	}
	if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", kind)
	}
	if s, ok := body.(string); ok && !strings.Contains(kind, "json") {
		a.body = []byte(s)
		return nil
	}
	data, err := exact.AppendJSON(nil, body)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	a.body = data
	return nil
}

// finish adds what every answer carries, and the faults that happen on the way back.
func (c *call) finish(a answer) answer {
	a.waiting += c.waiting
	switch c.fault {
	case DropAnswer, CloseAnswer, Hang, Truncate, Drip:
		a.mishap = c.fault
	case Empty:
		a.status, a.body = http.StatusOK, nil
	}
	return a
}

// queryVars are parameters as expressions see them: the first value of each; all under name[].
func queryVars(raw string) map[string]any {
	out := map[string]any{}
	if raw == "" {
		return out
	}
	values, _ := url.ParseQuery(raw) // a piece that cannot be read is as good as not sent
	for name, list := range values {
		out[name] = list[0]
		if len(list) > 1 {
			all := make([]any, len(list))
			for i, v := range list {
				all[i] = v
			}
			out[name+"[]"] = all
		}
	}
	return out
}

func headerVars(h http.Header) map[string]any {
	out := make(map[string]any, len(h))
	for name, list := range h {
		out[strings.ReplaceAll(strings.ToLower(name), "-", "_")] = list[0]
	}
	return out
}

// leaf turns one value into what JSON can carry. Containers are taken as they are: what stands in
// rows and requests is clean.
func (c *call) leaf(v any) any {
	switch v := v.(type) {
	case time.Time:
		return c.sim.stamp(v)
	case exact.Decimal:
		return json.Number(v.String())
	case exact.Date:
		return v.String()
	case exact.Seconds:
		return v.ISO()
	}
	return v
}

// tree is leaf for what an expression has put together.
func (c *call) tree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			if foreign(one) {
				return c.copyMap(v)
			}
		}
	case []any:
		if slices.ContainsFunc(v, foreign) {
			return c.copyList(v)
		}
	}
	return c.leaf(v)
}

// foreign says that JSON has no such value, or that one may stand inside.
func foreign(v any) bool {
	switch v.(type) {
	case time.Time, exact.Decimal, exact.Date, exact.Seconds, map[string]any, []any:
		return true
	}
	return false
}

func (c *call) copyMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		out[name] = c.tree(v)
	}
	return out
}

func (c *call) copyList(list []any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = c.tree(v)
	}
	return out
}
