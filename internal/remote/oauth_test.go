package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

const oauth = `
connector: acme
version: 1.0.0
title: Acme
roles: [crm]
host: https://acme.example
secrets: {id: {title: Id, required: true}, secret: {title: Secret, required: true}, refresh: {title: Refresh token, required: true}}
auth:
  oauth2: {token: https://login.acme.example/token, grant: refresh_token, client: body, client_id: =secret.id, client_secret: =secret.secret, refresh_token: =secret.refresh}
records:
  deal: {path: /deals, id: =x.id, as: opportunity, get: {get: "/deals/{id}"}}
`

// vendor gives access tokens that expire, and new refresh tokens with each; an old one shown again
// costs the whole consent, as vendors with reuse detection have it.
type vendor struct {
	mu        sync.Mutex
	refresh   int // the one that is good
	access    int // 0: none is good
	refreshes int
	revoked   bool
	deaf      bool      // takes no token
	down      bool      // the token endpoint does not answer
	lose      bool      // its next answer is lost on the way
	asked     int       // how often it was
	reads     int       // calls of a deal that it has heard
	at        time.Time // what the nodes' clocks say, where they stand
}

// consent is what a person gives the customer's connection: a new refresh token.
func (v *vendor) consent() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refresh, v.access, v.revoked = 0, 0, false
}

func (v *vendor) now() time.Time {
	if v.at.IsZero() {
		return time.Now()
	}
	return v.at
}

func (v *vendor) expire() { v.mu.Lock(); defer v.mu.Unlock(); v.access = 0 }

func (v *vendor) Send(_ context.Context, _, address string, header map[string]string, body []byte, host string) (int, http.Header, []byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if u, err := url.Parse(address); err != nil || u.Host != host { // as egress would have it
		return 0, nil, nil, &hub.Error{Kind: hub.Blocked, Code: "egress.host", Message: address + " is not within " + host, Err: err}
	}
	if address != "https://login.acme.example/token" {
		v.reads++
		if v.deaf || v.access == 0 || header["Authorization"] != fmt.Sprintf("Bearer access-%d", v.access) {
			return 401, http.Header{}, []byte(`{}`), nil
		}
		return 200, http.Header{}, []byte(`{"id":"7"}`), nil
	}
	v.asked++
	if v.down {
		return 503, http.Header{}, nil, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("grant_type") != "refresh_token" || form.Get("client_id") != "me" || form.Get("client_secret") != "mine" {
		return 400, http.Header{}, []byte(`{"error":"invalid_client"}`), err
	}
	if v.revoked || form.Get("refresh_token") != fmt.Sprintf("refresh-%d", v.refresh) {
		v.revoked = true
		return 400, http.Header{}, []byte(`{"error":"invalid_grant"}`), nil
	}
	v.refreshes++
	v.refresh++
	v.access = v.refresh
	if v.lose {
		v.lose = false
		return 0, nil, nil, &hub.Error{Kind: hub.Uncertain, Code: "egress.lost", Message: "The answer was lost."}
	}
	return 200, http.Header{}, fmt.Appendf(nil, `{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":30}`, v.access, v.refresh), nil
}

// kept is what all nodes share.
type kept struct {
	mu      sync.Mutex
	session map[string]any
	version int64
}

func (k *kept) Load(context.Context, hub.TenantID, hub.ConnectionID) (map[string]any, int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session, k.version, nil
}

func (k *kept) Renew(_ context.Context, _ hub.TenantID, _ hub.ConnectionID, stale int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.version != stale && k.session != nil {
		return k.session, k.version, nil
	}
	session, err := login(k.session)
	if err == nil {
		k.session, k.version = session, k.version+1
	}
	return k.session, k.version, err
}

type node struct {
	client *remote.Client
	conn   *remote.Connection
	op     *connector.Op
	shared *kept
}

func nodes(t *testing.T, v *vendor, n int) []node {
	t.Helper()
	c, err := connector.Load(fstest.MapFS{"acme/connector.yaml": {Data: []byte(oauth)}}, "acme")
	if err != nil {
		t.Fatal(err)
	}
	shared, out := &kept{}, make([]node, n)
	for i := range out {
		out[i] = node{remote.New(v, shared, nil, v.now), &remote.Connection{Tenant: "t1", ID: "crm", Connector: c,
			Secret: map[string]any{"id": "me", "secret": "mine", "refresh": "refresh-0"}}, c.Operation("deal.get"), shared}
	}
	return out
}

func (n node) read() error {
	_, err := n.client.Call(context.Background(), n.conn, n.op, remote.Vars{"id": "7"})
	return err
}

// TestATokenIsRenewedOncePerExpiry on two nodes with many calls under way; the consent is never lost (F6).
func TestATokenIsRenewedOncePerExpiry(t *testing.T) {
	v := &vendor{}
	list := nodes(t, v, 2)
	const expiries = 1000
	for range expiries {
		v.expire()
		var hands sync.WaitGroup
		for i := range 50 {
			hands.Go(func() {
				if err := list[i%2].read(); err != nil {
					t.Error(err)
				}
			})
		}
		hands.Wait()
	}
	if v.refreshes != expiries || v.revoked {
		t.Errorf("%d refreshes for %d expiries, revoked %v", v.refreshes, expiries, v.revoked)
	}
}

// TestASessionOfAnotherNodeHasEnded: what this node has is two renewals old. It tries the one that another node has made
// meanwhile, and where that has ended, too, makes its own: with three nodes a poll met one such after the other, and was
// parked.
func TestASessionOfAnotherNodeHasEnded(t *testing.T) {
	v := &vendor{}
	list := nodes(t, v, 2)
	for i, n := range []node{list[0], list[1]} {
		if err := n.read(); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	v.expire()
	if err := list[1].read(); err != nil {
		t.Fatal(err)
	}
	v.expire()
	v.reads = 0
	if err := list[0].read(); err != nil || v.reads != 3 || v.refreshes != 3 {
		t.Errorf("%v after %d calls, %d sessions made in all; want it read by the third call, with the third", err, v.reads, v.refreshes)
	}
}

// TestWhoRefusesEverySession is asked for no third one by a call: vendors lock accounts that knock.
func TestWhoRefusesEverySession(t *testing.T) {
	v := &vendor{deaf: true}
	if err := nodes(t, v, 1)[0].read(); hub.KindOf(err) != hub.Expired || v.refreshes != 2 || v.reads != 2 {
		t.Errorf("%v after %d calls with %d sessions, want two of each", err, v.reads, v.refreshes)
	}
}

// TestALostRefreshIsTriedOnceMore with the old token, as nobody knows whether it was taken. A far side that
// detects reuse revokes the consent then, and a person has to give it again: until then nobody knocks more
// often than once for all that wait; afterwards all go on (F6).
func TestALostRefreshIsTriedOnceMore(t *testing.T) {
	v := &vendor{}
	list := nodes(t, v, 2)
	if err := list[0].read(); err != nil {
		t.Fatal(err)
	}
	v.expire()
	v.lose = true
	if err := list[0].read(); hub.KindOf(err) != hub.Unavailable {
		t.Fatalf("the answer was lost: %v, want it tried again", err)
	}
	before := v.asked
	v.at = time.Now() // the clock stands: all of them begin before the far side has refused the first
	refused := make(chan error, 50)
	for i := range 50 {
		go func() { refused <- list[i%2].read() }()
	}
	for range 50 {
		if e := hub.AsError(<-refused); e == nil || e.Code != "login.refused" {
			t.Fatalf("got %v, want the login refused", e)
		}
	}
	if n := v.asked - before; n > 2 {
		t.Errorf("%d requests with a token that was refused, want one of each node", n)
	}
	v.consent()
	v.at = time.Time{}
	for i, n := range nodes(t, v, 2) { // as they are opened after the customer has connected again
		if err := n.read(); err != nil {
			t.Errorf("node %d after the consent was given again: %v", i, err)
		}
	}
}

func TestALostConsentIsAPersonsBusiness(t *testing.T) {
	v := &vendor{}
	n := nodes(t, v, 1)[0]
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	v.expire()
	v.down = true
	if err := n.read(); hub.KindOf(err) != hub.Unavailable {
		t.Errorf("the token endpoint is down: %v, want it tried again", err)
	}
	v.down = false
	if err := n.read(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	v.expire()
	v.refresh = 99 // somebody else has renewed it
	err := n.read()
	if e := hub.AsError(err); e == nil || e.Kind != hub.Expired || e.Code != "login.refused" || e.Hint == "" {
		t.Errorf("the consent is gone: %+v", err)
	}
}

// TestACallIsWithheldAfterItsLogin: whoever was to call may not any more once the login that it took has come to
// an end. The login was worth its while, the call is not sent.
func TestACallIsWithheldAfterItsLogin(t *testing.T) {
	v := &vendor{}
	n := nodes(t, v, 1)[0]
	gone := errors.New("the lease is gone")
	ctx := remote.OnlyIf(context.Background(), func() error {
		if v.refreshes > 0 {
			return gone
		}
		return nil
	})
	if _, err := n.client.Call(ctx, n.conn, n.op, remote.Vars{"id": "7"}); !errors.Is(err, gone) || v.reads != 0 {
		t.Errorf("got %v, and %d calls; want none", err, v.reads)
	}
	if err := n.read(); err != nil || v.reads != 1 || v.refreshes != 1 {
		t.Errorf("afterwards: %v, %d calls, %d logins", err, v.reads, v.refreshes)
	}
}

// TestALoginOfAConnectionThatWasChanged: who still has the old credentials does not log in with them any more. The run
// comes back with the new ones.
func TestALoginOfAConnectionThatWasChanged(t *testing.T) {
	v := &vendor{}
	n := nodes(t, v, 1)[0]
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	n.shared.session, n.shared.version = nil, n.shared.version+1 // as an edit does
	v.expire()
	if err := n.read(); hub.KindOf(err) != hub.Unavailable || v.asked != 1 {
		t.Errorf("asked for %d tokens, the call ended with %v", v.asked, err)
	}
}
