package simulator_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/internal/exact"
	"throughline/internal/simulator"
)

// client speaks to a simulator without sockets.
type client struct {
	t      testing.TB
	sim    *simulator.Simulator
	header http.Header
}

func (c *client) send(method, path string, body any) (*http.Response, any) {
	c.t.Helper()
	resp, data, err := c.try(method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.Header.Get("X-Simulator-Error") != "" {
		c.t.Fatalf("%s %s: %s", method, path, data)
	}
	if len(data) == 0 {
		return resp, nil
	}
	v, err := exact.DecodeJSON(data)
	if err != nil {
		return resp, string(data)
	}
	return resp, v
}

func (c *client) try(method, path string, body any) (*http.Response, []byte, error) {
	c.t.Helper()
	var in io.Reader = http.NoBody
	if text, ok := body.(string); ok {
		in = strings.NewReader(text)
	} else if body != nil {
		data, err := exact.AppendJSON(nil, body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, "https://far.example"+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	resp, err := c.sim.Transport().RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

// want sends and checks the status.
func (c *client) want(status int, method, path string, body any) any {
	c.t.Helper()
	resp, v := c.send(method, path, body)
	if resp.StatusCode != status {
		c.t.Fatalf("%s %s: status %d, want %d: %v", method, path, resp.StatusCode, status, v)
	}
	return v
}

func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

type object = map[string]any
type list = []any

const workspace = "/api/v1/workspaces/64a687e29ae1f428e7ebe303"

func clockify(t testing.TB, opt simulator.Options) *client {
	t.Helper()
	sim, err := simulator.New(describe(t, "clockify"), opt)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, sim, http.Header{"X-Api-Key": {"demo-clockify-key"}, "Content-Type": {"application/json"}}}
}

func TestTimeTrackerProject(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c := clockify(t, simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	client := c.want(201, "POST", workspace+"/clients", object{"name": "Halden GmbH", "note": "tl-1"})
	project := object{"name": "Portal", "clientId": at(client, "id"), "note": "tl-2", "isPublic": false}
	made := c.want(201, "POST", workspace+"/projects", project)
	if at(made, "clientName") != "Halden GmbH" || at(made, "public") != false {
		t.Errorf("the project came back as %v", made)
	}
	again := c.want(400, "POST", workspace+"/projects", project)
	if at(again, "code") == nil || !strings.Contains(at(again, "message").(string), "already exists") {
		t.Errorf("a second project of that name: %v", again)
	}
	c.want(201, "POST", workspace+"/projects", object{"name": "Portal"})
	tasks := workspace + "/projects/" + at(made, "id").(string) + "/tasks"
	c.want(201, "POST", tasks, object{"name": "Design", "estimate": "PT40H"})
	c.want(400, "POST", tasks, object{"name": "Design"})
	c.want(400, "POST", workspace+"/projects/nowhere/tasks", object{"name": "Design"})
	c.want(403, "GET", "/api/v1/workspaces/another/clients", nil)
	found := c.want(200, "GET", workspace+"/projects?name=Portal&strict-name-search=true", nil)
	if len(found.([]any)) != 2 {
		t.Errorf("found %v", found)
	}
	members := c.want(200, "POST", workspace+"/projects/"+at(made, "id").(string)+"/memberships", object{"userIds": list{"5a0ab5acb07987125438b611"}})
	if len(at(members, "memberships").([]any)) != 2 {
		t.Errorf("members: %v", members)
	}
	c.want(400, "DELETE", workspace+"/projects/"+at(made, "id").(string), nil)
	c.want(200, "PUT", workspace+"/projects/"+at(made, "id").(string), object{"archived": true})
	c.want(200, "DELETE", workspace+"/projects/"+at(made, "id").(string), nil)
	var ops []string
	for _, e := range c.sim.Effects() {
		ops = append(ops, e.Entity+" "+e.Op)
	}
	want := "client create, project create, project create, task create, project update, project update, project delete, task delete"
	if got := strings.Join(ops, ", "); got != want {
		t.Errorf("effects: %s\nwant     %s", got, want)
	}
}

func textOf(v any) string {
	if s, ok := v.(interface{ String() string }); ok {
		return s.String()
	}
	s, _ := v.(string)
	return s
}
