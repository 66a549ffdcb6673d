package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/access"
)

// TestWhatALoginGaveAndEdits: a consent outlives a change of settings, which says nothing of it: the refresh token that
// stands in the secret was used up long ago. Other credentials end it, and a session of a login ends with the settings,
// which may say where it is one.
func TestWhatALoginGaveAndEdits(t *testing.T) {
	for name, c := range map[string]struct {
		auth string
		kept bool // when a setting is changed
	}{
		"a consent": {`{oauth2: {token: "{settings.url}/token", grant: refresh_token, client_id: =secret.id, client_secret: =secret.id, refresh_token: =secret.refresh}}`, true},
		"a login":   {`{session: {login: {post: /login}, keep: {key: =body.key}, headers: {X-Key: =session.key}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := string(numbered["connectors/numbered/connector.yaml"].Data)
			file = strings.Replace(file, `settings: {url: {title: Address, required: true}}`, "settings: {url: {title: Address, required: true}, calls: {title: Calls}}\n"+
				"secrets: {id: {title: Id}, refresh: {title: Token}}\nlimits: [{rate: 5 per second, setting: calls}]\nauth: "+c.auth, 1)
			more := maps.Clone(numbered)
			more["connectors/numbered/connector.yaml"] = &fstest.MapFile{Data: []byte(file)}
			const customer = "customer: t1\nname: One\nconnections:\n  crm: {connector: numbered, settings: {url: %[1]q, calls: 7 per second}, secret: \"env:TEST_CRM\"}\n  erp: {connector: far-erp, settings: {url: %[1]q}}\n" +
				"flows:\n  copy: {template: copy@1, roles: {crm: crm, erp: erp}}\n"
			t.Setenv("TEST_CRM", `{"id": "1", "refresh": "first"}`)
			h := newHall(t, http.NotFoundHandler(), customer, more)
			crm := h.app.Store.Tenant("t1")
			if _, _, err := crm.RenewSession(t.Context(), "crm", 0, func([]byte) ([]byte, error) { return []byte("kept"), nil }); err != nil {
				t.Fatal(err)
			}
			applied := func(text string) bool {
				t.Helper()
				if _, err := h.app.Control.Apply(t.Context(), access.Principal{Name: "test", Role: "admin", Tenant: access.Everyone}, "t1.yaml", []byte(text)); err != nil {
					t.Fatal(err)
				}
				conn, err := crm.Connection(t.Context(), "crm")
				if err != nil {
					t.Fatal(err)
				}
				return string(conn.Session) == "kept"
			}
			text := fmt.Sprintf(customer, "http://127.0.0.1:1")
			if kept := applied(text); kept != c.kept {
				t.Errorf("with another address it is kept: %v, want %v", kept, c.kept)
			}
			if kept := applied(strings.Replace(text, "7 per", "8 per", 1)); kept != c.kept {
				t.Errorf("with other settings it is kept: %v, want %v", kept, c.kept)
			}
			t.Setenv("TEST_CRM", `{"id": "1", "refresh": "second"}`)
			if applied(text) {
				t.Error("with other credentials it is kept")
			}
		})
	}
}
