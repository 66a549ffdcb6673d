package simulator

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// session is one signed-in user of an account.
type session struct {
	world *world
	last  time.Time
}

// authenticate finds the account that the caller may use.
func (c *call) authenticate(r *http.Request) error {
	for _, key := range c.sim.plan.keys {
		v := r.Header.Get(key.Header)
		rest, ok := strings.CutPrefix(v, key.Prefix)
		if w := c.sim.keys[key.Secret+"\x00"+rest]; ok && v != "" && w != nil {
			c.enter(w)
			return nil
		}
	}
	if c.bySession(r) || c.byToken(r) {
		return nil
	}
	code := "missing"
	if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
		code = "invalid"
	}
	return &refusal{name: "unauthenticated", code: code, message: "Unauthorized"}
}

func (c *call) enter(w *world) {
	c.world = w
	w.settleJobs(c.now)
}

func (c *call) bySession(r *http.Request) bool {
	spec := c.sim.plan.session
	if spec == nil {
		return false
	}
	cookie, err := r.Cookie(spec.Cookies[0])
	if err != nil {
		return false
	}
	s := c.sim.sessions[cookie.Value]
	if s == nil {
		return false
	}
	if c.now.Sub(s.last) > spec.Idle.D {
		delete(c.sim.sessions, cookie.Value)
		return false
	}
	s.last, c.session = c.now, cookie.Value
	c.enter(s.world)
	return true
}

// forgetSession ends whatever let the caller in, as if its time were over.
func (c *call) forgetSession() {
	delete(c.sim.sessions, c.session)
	delete(c.sim.tokens, c.session)
}

// doLogin opens a session for whoever names the account's secrets.
func (c *call) doLogin() (answer, error) {
	spec := c.sim.plan.session
	body, _ := c.vars["body"].(map[string]any)
	i := slices.IndexFunc(c.sim.worlds, func(w *world) bool {
		return spec.opens(w, body)
	})
	if i < 0 {
		return answer{}, &refusal{name: "login", code: "credentials", message: "Invalid credentials. Please try again."}
	}
	w := c.sim.worlds[i]
	if spec.Max > 0 && c.open(w) >= spec.Max {
		return answer{}, &refusal{name: "sessions", message: "API Login Limit",
			extra: map[string]any{"limit": int64(spec.Max)}}
	}
	id := c.sim.hex(12)
	c.sim.sessions[id] = &session{world: w, last: c.now}
	c.world = w
	c.vars["account"] = w.secrets
	for n, name := range spec.Cookies {
		value := id
		if n > 0 {
			value = c.sim.hex(16)
		}
		c.header.Add("Set-Cookie", (&http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true}).String())
	}
	return c.render(c.route.answer, nil)
}

// opens says whether a login names the account's secrets.
func (s *SessionSpec) opens(w *world, body map[string]any) bool {
	for _, name := range s.Secrets {
		if textOf(w.secrets[name]) != textOf(body[name]) {
			return false
		}
	}
	for _, name := range s.Maybe {
		if !blank(body[name]) && !strings.EqualFold(textOf(w.secrets[name]), textOf(body[name])) {
			return false
		}
	}
	return true
}

// open counts the sessions that are still alive.
func (c *call) open(w *world) int {
	n := 0
	for id, s := range c.sim.sessions {
		if c.now.Sub(s.last) > c.sim.plan.session.Idle.D {
			delete(c.sim.sessions, id)
		} else if s.world == w {
			n++
		}
	}
	return n
}

func (c *call) doLogout() (answer, error) {
	delete(c.sim.sessions, c.session)
	return c.render(c.route.answer, nil)
}

// token is an access or refresh token. Tokens that descend from one consent are a family.
type token struct {
	world   *world
	ends    time.Time
	refresh bool
	used    bool
	family  string
}

func (c *call) byToken(r *http.Request) bool {
	name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	t := c.sim.tokens[name]
	if t == nil || t.refresh || c.now.After(t.ends) {
		return false
	}
	c.session = name
	c.enter(t.world)
	return true
}

// doToken is an OAuth 2 token endpoint.
func (c *call) doToken() (answer, error) {
	spec := c.sim.plan.token
	body, _ := c.vars["body"].(map[string]any)
	grant := textOf(body["grant_type"])
	if !slices.Contains(spec.Grants, grant) {
		return answer{}, &refusal{name: "grant", code: "unsupported_grant_type", message: "this grant type is not supported"}
	}
	w, family, err := c.grant(grant, body)
	if err != nil {
		return answer{}, err
	}
	c.world = w
	c.vars["account"] = w.secrets
	return c.issue(w, family, textOf(body["refresh_token"]))
}

func (c *call) grant(grant string, body map[string]any) (*world, string, error) {
	if grant == "refresh_token" {
		return c.refresh(textOf(body["refresh_token"]))
	}
	need := map[string][2]string{
		"authorization_code": {"code", c.sim.plan.token.Code},
		"password":           {"password", "password"},
		"client_credentials": {"client_secret", "client_secret"},
	}[grant]
	id, secret := c.client(body)
	body["client_secret"] = secret
	for _, w := range c.sim.worlds {
		if want := textOf(w.secrets[need[1]]); want != "" && want == textOf(body[need[0]]) && c.owns(w, id, secret) {
			return w, c.sim.hex(8), nil
		}
	}
	return nil, "", &refusal{name: "grant", code: "invalid_grant", message: "the grant is not valid"}
}

// client is who asks, from the body or from Basic.
func (c *call) client(body map[string]any) (id, secret string) {
	header, _ := c.vars["header"].(map[string]any)
	if rest, ok := strings.CutPrefix(textOf(header["authorization"]), "Basic "); ok {
		if data, err := base64.StdEncoding.DecodeString(rest); err == nil {
			id, secret, _ = strings.Cut(string(data), ":")
			return id, secret
		}
	}
	return textOf(body["client_id"]), textOf(body["client_secret"])
}

func (c *call) owns(w *world, id, secret string) bool {
	return textOf(w.secrets["client_id"]) == id && textOf(w.secrets["client_secret"]) == secret
}

// refresh takes a refresh token. One that comes a second time was stolen, or its answer was lost; far
// sides that cannot tell end the whole family.
func (c *call) refresh(name string) (*world, string, error) {
	spec := c.sim.plan.token
	t := c.sim.tokens[name]
	if t == nil || !t.refresh || c.now.After(t.ends) {
		return nil, "", &refusal{name: "grant", code: "invalid_grant", message: "the refresh token is not valid"}
	}
	if t.used {
		if spec.Reuse == "revoke" {
			c.revoke(t.family)
		}
		return nil, "", &refusal{name: "grant", code: "invalid_grant", message: "the refresh token was used before"}
	}
	t.used = spec.Rotate
	return t.world, t.family, nil
}

func (c *call) revoke(family string) {
	for name, t := range c.sim.tokens {
		if t.family == family {
			delete(c.sim.tokens, name)
		}
	}
}

func (c *call) issue(w *world, family, old string) (answer, error) {
	spec := c.sim.plan.token
	access, refresh := c.sim.hex(16), old
	c.sim.tokens[access] = &token{world: w, ends: c.now.Add(spec.Expires.D), family: family}
	if old == "" || spec.Rotate {
		refresh = c.sim.hex(16)
		c.sim.tokens[refresh] = &token{world: w, ends: c.now.Add(spec.Refresh.D), family: family, refresh: true}
	}
	return c.render(c.route.answer, map[string]any{
		"access_token": access, "refresh_token": refresh, "token_type": "bearer",
		"expires_in": int64(spec.Expires.D / time.Second),
	})
}

// GiveTokens opens a token family for an account without a browser: what a person's consent gives.
func (s *Simulator) GiveTokens(account string) (access, refresh string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.world(account)
	if err != nil {
		return "", "", err
	}
	if s.plan.token == nil {
		return "", "", invalid("the simulator %s gives no tokens", s.plan.name)
	}
	access, refresh = s.hex(16), s.hex(16)
	family, spec := s.hex(8), s.plan.token
	s.tokens[access] = &token{world: w, ends: s.now().Add(spec.Expires.D), family: family}
	s.tokens[refresh] = &token{world: w, ends: s.now().Add(spec.Refresh.D), family: family, refresh: true}
	return access, refresh, nil
}
