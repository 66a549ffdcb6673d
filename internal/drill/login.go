package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// tokens are what a far side has given for one consent: access tokens that expire, and with each a new token
// to refresh it. One that was used and is shown again costs the whole consent, as vendors with reuse detection
// have it.
type tokens struct {
	consent int // which one: a person may give another
	nth     int // the refresh token that is good; 0: the first one, which the consent gave
	heard   int // the newest that has reached the product
	revoked bool
	issued  time.Time
}

// tokenLife is how long an access token lasts.
const tokenLife = 30 * time.Second

func (t *tokens) access() string { return fmt.Sprintf("access-%d-%d", t.consent, t.nth) }

// refreshed is the nth refresh token; the first is known to the connector's file.
func (t *tokens) refreshed() string {
	if t.nth == 0 {
		return firstToken
	}
	return fmt.Sprintf("refresh-%d-%d", t.consent, t.nth)
}

// good reports whether a call shows a token that lasts.
func (t *tokens) good(r *http.Request) bool {
	return t.nth > 0 && !t.revoked && r.Header.Get("Authorization") == "Bearer "+t.access() && time.Since(t.issued) < tokenLife
}

// refresh gives new tokens for a refresh token; f.mu is held.
func (f *far) refresh(a *account, body []byte) reply {
	t := &a.token
	form, err := url.ParseQuery(string(body))
	shown := form.Get("refresh_token")
	if err != nil || t.revoked || shown != t.refreshed() {
		current := shown == firstToken || strings.HasPrefix(shown, fmt.Sprintf("refresh-%d-", t.consent))
		if current && !t.revoked {
			t.revoked = true
			f.count("consents revoked")
			if t.heard == t.nth {
				f.fault("%s: %q is shown again, though what followed it has arrived", a.name, shown)
			}
		}
		return says(http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	}
	t.nth++
	t.issued = time.Now()
	f.count("tokens given")
	return says(http.StatusOK, map[string]any{"access_token": t.access(), "refresh_token": t.refreshed(), "expires_in": int(tokenLife / time.Second)})
}

// arrived notes that the product has heard the answer to a call.
func (f *far) arrived(r *http.Request) {
	if strings.Trim(r.URL.Path, "/") != "token" {
		return
	}
	_, tenant, _ := strings.Cut(strings.TrimSuffix(r.URL.Hostname(), ".example"), ".")
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.tenants[tenant].token
	t.heard = t.nth // one refresh at a time: it is this one's answer
}

// reconnect is the person who gives consent anew where a far side has revoked it.
func (w *world) reconnect(ctx context.Context, t Tenant) error {
	w.far.mu.Lock()
	token := &w.far.tenants[t.Name].token
	revoked := token.revoked
	if revoked {
		*token = tokens{consent: token.consent + 1}
	}
	w.far.mu.Unlock()
	if !revoked {
		return nil
	}
	return w.store.Apply(ctx, store.Setup{Customer: store.Customer{ID: hub.TenantID(t.Name), Name: t.Name, Zone: "UTC", Currency: "USD", Created: time.Now()},
		Connections: []store.Connection{t.connection(t.Login)}})
}

// sessions keep what logins give, in the clear. While one node renews a session the others wait, as for the row
// of a database that they share.
type sessions struct{ *node }

// Load implements remote.Sessions.
func (s sessions) Load(ctx context.Context, t hub.TenantID, id hub.ConnectionID) (map[string]any, int64, error) {
	c, err := s.store.Tenant(t).Connection(ctx, id)
	if err != nil || c == nil {
		return nil, 0, err
	}
	session, err := opened(c.Session)
	return session, c.SessionVersion, err
}

// Renew implements remote.Sessions.
func (s sessions) Renew(ctx context.Context, t hub.TenantID, id hub.ConnectionID, stale int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	lock := s.lock(string(t) + "/" + string(id))
	select {
	case lock <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	defer func() { <-lock }() // where the process ends meanwhile, too: its connection to the database does
	return s.renew(ctx, t, id, stale, login)
}

func (s sessions) renew(ctx context.Context, t hub.TenantID, id hub.ConnectionID, stale int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	s.pause("login " + string(t) + string(id))
	kept, version, err := s.store.Tenant(t).RenewSession(ctx, id, stale, func(before []byte) ([]byte, error) {
		session, err := opened(before)
		if err != nil {
			return nil, err
		}
		if session, err = login(session); err != nil {
			return nil, err
		}
		return json.Marshal(session)
	})
	if err != nil {
		return nil, 0, err
	}
	session, err := opened(kept)
	return session, version, err
}

func opened(kept []byte) (session map[string]any, err error) {
	if len(kept) == 0 {
		return nil, nil
	}
	return session, json.Unmarshal(kept, &session)
}

func (w *world) lock(name string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.locks[name] == nil {
		w.locks[name] = make(chan struct{}, 1)
	}
	return w.locks[name]
}
