package farside

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// tokens are what an account has given for its consent: access tokens that last a moment, and with each a new token
// to refresh it. The one that it was given for is good until one of them has been shown, for the answer may not have
// arrived. Shown after that, it costs the consent, as vendors with reuse detection have it.
type tokens struct {
	nth     int // which were given last
	parent  int // the refresh token for which they were given
	shown   bool
	issued  time.Time
	revoked bool
}

// tokenLife is how long an access token lasts: a process that starts again finds it ended.
const tokenLife = 250 * time.Millisecond

// login answers POST /token and POST /{account}/token.
func (f *Far) login(w http.ResponseWriter, r *http.Request) {
	name := strings.Trim(strings.TrimSuffix(r.URL.Path, "token"), "/")
	if name == "" {
		name = Main
	}
	time.Sleep(f.latency)
	shown := r.FormValue("refresh_token")
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.account(name).tokens
	if !t.refresh(shown) {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	f.count(Login, name)
	answer(w, http.StatusOK, map[string]any{"access_token": fmt.Sprint("access-", t.nth), "refresh_token": fmt.Sprint("refresh-", t.nth)})
}

// refresh gives new tokens for the last refresh token, or once more for the one before it.
func (t *tokens) refresh(shown string) bool {
	switch {
	case t.revoked:
		return false
	case shown == fmt.Sprint("refresh-", t.nth):
		t.parent = t.nth
	case t.shown || shown != fmt.Sprint("refresh-", t.parent):
		t.revoked = true
		return false
	}
	t.nth, t.shown, t.issued = t.nth+1, false, time.Now()
	return true
}

// admits reports whether a call shows no token at all, as where no login is asked for, or one that lasts.
func (f *Far) admits(name string, r *http.Request) bool {
	token, shows := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !shows {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.account(name).tokens
	if t.revoked || t.nth == 0 || token != fmt.Sprint("access-", t.nth) || time.Since(t.issued) >= tokenLife {
		return false
	}
	t.shown = true
	return true
}
