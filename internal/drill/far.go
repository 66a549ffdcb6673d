package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"throughline/internal/oracle"
)

// The things that stand at far sides, as the ledger names them.
const (
	customer  = "erp.customer"
	project   = "erp.project"
	timeWork  = "time.project"
	writeBack = "crm.deal"
)

// far is every tenant's CRM, ERP and time tracker. Hosts are ROLE.TENANT.example.
type far struct {
	plan   Plan
	chance *chance
	begun  time.Time
	fault  func(format string, args ...any) // told what is wrong beyond what the oracle sees

	mu      sync.Mutex
	nextID  int
	tenants map[string]*account
	effects []oracle.Effect
	counts  map[string]int // what has happened that shows only in the end
}

// count notes that something has happened; f.mu is held.
func (f *far) count(what string) { f.counts[what]++ }

// account is what one tenant has at the far sides.
type account struct {
	name  string
	class map[string]string // write class by role
	deals []*deal
	made  []*object
	keys  map[string]*object // by idempotency key
	login string             // the role that asks for tokens
	token tokens
}

// deal is a record of the CRM as it stands.
type deal struct {
	id      string
	version int64
	poison  Poison
	number  string // of its project, as it was written back
	changed time.Time
	shown   time.Time // when lists show it
}

// object is something that was made.
type object struct {
	ID         string `json:"id"`
	ExternalID string `json:"externalId"`
	kind       string
	about      about
	shown      time.Time // when searches show it
}

// about says whose data something holds: the name tells.
type about struct {
	owner, key string
	version    int64
}

// sent is a customer or a project as callers send it.
type sent struct {
	Name       string `json:"name"`
	Budget     string `json:"budget"`
	Customer   string `json:"customer"`
	ExternalID string `json:"externalId"`
	Number     string `json:"projectNumber"`
	Items      []sent `json:"items"`
}

// reply is an answer; whole is false where the connection ends in the middle of it.
type reply struct {
	status int
	header http.Header
	body   []byte
	whole  bool
}

func newFar(p Plan, c *chance) *far {
	f := &far{plan: p, chance: c, tenants: map[string]*account{}, counts: map[string]int{}}
	for _, t := range p.Tenants {
		f.tenants[t.Name] = &account{name: t.Name, class: map[string]string{"erp": t.ERP, "time": t.Time}, keys: map[string]*object{}, login: t.Login}
	}
	return f
}

func nameOf(tenant, id string, version int64) string {
	return fmt.Sprintf("Platform rollout %s/%s/%d", tenant, id, version)
}

func aboutOf(name string) about {
	parts := strings.Split(strings.TrimPrefix(name, "Platform rollout "), "/")
	if len(parts) != 3 {
		return about{owner: "nobody", key: name}
	}
	version, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return about{owner: "nobody", key: name}
	}
	return about{parts[0], parts[1], version}
}

// expect is what a version of a deal shall become.
func expect(tenant, id string, version int64) map[string]string {
	name := nameOf(tenant, id, version)
	return map[string]string{customer: name, project: fmt.Sprintf("%s, %d, for %s/%s", name, 1000+version, tenant, id), timeWork: name, writeBack: "project of " + tenant + "/" + id}
}

// change makes a deal what the version says.
func (f *far) change(tenant, id string, version int64, poison Poison) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.tenants[tenant]
	d := a.deal(id)
	if d == nil {
		d = &deal{id: id}
		a.deals = append(a.deals, d)
	}
	d.version, d.poison = version, poison
	f.touch(a, d)
}

// touch moves a deal to the end of what has changed; f.mu is held.
func (f *far) touch(a *account, d *deal) {
	d.changed = time.Now()
	d.shown = d.changed.Add(f.lag("list " + a.name + d.id))
}

func (f *far) lag(label string) time.Duration {
	if f.plan.Lag == 0 {
		return 0
	}
	return f.chance.of("lag "+label).span(0, f.plan.Lag)
}

func (a *account) deal(id string) *deal {
	for _, d := range a.deals {
		if d.id == id {
			return d
		}
	}
	return nil
}

// json is a deal as the CRM answers it.
func (d *deal) json(tenant string) map[string]any {
	out := map[string]any{"id": d.id, "version": d.version, "changed": d.changed.UTC().Format(time.RFC3339Nano), "name": nameOf(tenant, d.id, d.version),
		"stage": "Closed Won", "amount": 1000 + d.version, "currency": "USD", "closeDate": "2026-11-02", "servicePackage": "standard", "projectNumber": d.number,
		"lineItems": []any{map[string]any{"name": "Discovery", "sku": "D", "hours": 8, "rate": 100}}}
	switch d.poison {
	case empty:
		out["amount"] = nil
	case lost:
		out["stage"] = "Closed Lost"
	}
	return out
}

// answer carries out one call. What it changes has happened, and is in the ledger, at this instant.
func (f *far) answer(r *http.Request, body []byte, lostAnswer bool) reply {
	role, tenant, _ := strings.Cut(strings.TrimSuffix(r.URL.Hostname(), ".example"), ".")
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.tenants[tenant]
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if a != nil && role == a.login {
		if parts[0] == "token" {
			return f.refresh(a, body)
		}
		if !a.token.good(r) {
			return says(http.StatusUnauthorized, map[string]any{"message": "the token has expired"})
		}
	}
	var s sent
	if len(body) > 0 {
		if err := json.Unmarshal(body, &s); err != nil {
			return says(http.StatusBadRequest, map[string]any{"message": err.Error()})
		}
	}
	before := len(f.effects)
	out := reply{status: http.StatusNotFound, whole: true}
	if a != nil && role == "crm" {
		out = f.crm(a, r, parts, s)
	} else if a != nil {
		out = f.books(a, role, r, parts, s)
	}
	for i := before; i < len(f.effects); i++ {
		f.effects[i].Lost = f.effects[i].Lost || lostAnswer
	}
	return out
}

func says(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return reply{status: http.StatusInternalServerError, whole: true}
	}
	return reply{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body, whole: true}
}

func (f *far) crm(a *account, r *http.Request, parts []string, s sent) reply {
	if len(parts) == 1 {
		return a.list(r)
	}
	d := a.deal(parts[1])
	switch {
	case d == nil:
		return says(http.StatusNotFound, nil)
	case r.Method == http.MethodGet:
		return says(http.StatusOK, d.json(a.name))
	}
	e := oracle.Effect{At: time.Now(), Account: a.name, Owner: a.name, Entity: writeBack, Op: "update", Key: d.id, ID: d.id, Content: "project of " + a.whose(project, s.Number)}
	f.effects = append(f.effects, e)
	d.number = s.Number
	f.touch(a, d)
	return reply{status: http.StatusNoContent, whole: true}
}

// whose says whose data a thing holds.
func (a *account) whose(kind, id string) string {
	for _, o := range a.made {
		if o.kind == kind && o.ID == id {
			return o.about.owner + "/" + o.about.key
		}
	}
	return "nobody: there is no " + kind + " " + id
}

// list answers deals that changed since an instant, oldest change first, two a page. A page begins
// behind the last change of the one before, so that none is skipped when another moves to the end.
func (a *account) list(r *http.Request) reply {
	since, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since"))
	if err != nil {
		return says(http.StatusBadRequest, map[string]any{"message": err.Error()})
	}
	after, _ := time.Parse(time.RFC3339Nano, r.URL.Query().Get("after")) // none on the first page
	var found []*deal
	for _, d := range a.deals {
		if !d.changed.Before(since) && d.changed.After(after) && !d.shown.After(time.Now()) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(x, y *deal) int { return x.changed.Compare(y.changed) })
	rows, next := []any{}, any(nil)
	for i, d := range found {
		if i == 2 {
			next = found[1].changed.UTC().Format(time.RFC3339Nano)
			break
		}
		rows = append(rows, d.json(a.name))
	}
	return says(http.StatusOK, map[string]any{"rows": rows, "next": next})
}

func (f *far) books(a *account, role string, r *http.Request, parts []string, s sent) reply {
	kind := role + "." + strings.TrimSuffix(parts[0], "s")
	if len(parts) == 2 && parts[1] == "batch" {
		return f.batch(a, kind, s.Items)
	}
	switch r.Method {
	case http.MethodGet:
		return f.search(a, kind, r.URL.Query().Get("externalId"))
	case http.MethodPatch:
		for _, o := range a.made {
			if o.kind == kind && o.ID == parts[1] {
				return f.update(a, o, s)
			}
		}
		return says(http.StatusNotFound, nil)
	case http.MethodPut:
		for _, o := range a.made {
			if o.kind == kind && o.ExternalID == parts[2] {
				return f.update(a, o, s)
			}
		}
		s.ExternalID = parts[2]
	case http.MethodPost:
		if o := a.keys[r.Header.Get("Idempotency-Key")]; o != nil {
			return says(http.StatusCreated, o)
		}
	}
	return f.create(a, kind, r.Header.Get("Idempotency-Key"), s)
}

func (f *far) search(a *account, kind, marker string) reply {
	found := []any{}
	for _, o := range a.made {
		if o.kind == kind && o.ExternalID == marker && !o.shown.After(time.Now()) {
			found = append(found, o)
		}
	}
	return says(http.StatusOK, found)
}

func (f *far) create(a *account, kind, key string, s sent) reply {
	if f.refuses(a, kind, s) {
		return says(http.StatusBadRequest, map[string]any{"message": "no such project here"})
	}
	o := f.add(a, kind, s)
	if key != "" {
		a.keys[key] = o
	}
	f.note(a, o, oracle.Create, s)
	return says(http.StatusCreated, o)
}

func (f *far) add(a *account, kind string, s sent) *object {
	f.nextID++
	o := &object{ID: strconv.Itoa(f.nextID), ExternalID: s.ExternalID, kind: kind, about: aboutOf(s.Name), shown: time.Now().Add(f.lag(a.name + kind + s.ExternalID))}
	a.made = append(a.made, o)
	return o
}

func (f *far) update(a *account, o *object, s sent) reply {
	if f.refuses(a, o.kind, s) {
		return says(http.StatusBadRequest, map[string]any{"message": "no such project here"})
	}
	o.about = aboutOf(s.Name)
	f.note(a, o, "update", s)
	return says(http.StatusOK, o)
}

// refuses reports whether the ERP takes no such project.
func (f *far) refuses(a *account, kind string, s sent) bool {
	at := aboutOf(s.Name)
	return kind == project && f.poisonOf(a.name, at.key, at.version) == refused
}

func (f *far) poisonOf(tenant, id string, version int64) Poison {
	for _, t := range f.plan.Tenants {
		for _, d := range t.Deals {
			if t.Name == tenant && d.ID == id && version >= 1 && int(version) <= len(d.Versions) {
				return d.Versions[version-1].Poison
			}
		}
	}
	return sound
}

func (f *far) note(a *account, o *object, op string, s sent) {
	content := s.Name
	if o.kind == project {
		content += ", " + s.Budget + ", for " + a.whose(customer, s.Customer)
	}
	f.effects = append(f.effects, oracle.Effect{At: time.Now(), Account: a.name, Owner: o.about.owner, Entity: o.kind, Op: op, Key: o.about.key, ID: o.ID,
		Marker: o.ExternalID, Version: o.about.version, Content: content})
}

// response is a reply as the wire gives it.
func (p reply) response(r *http.Request) *http.Response {
	header := p.header
	if header == nil {
		header = http.Header{}
	}
	body := io.Reader(bytes.NewReader(p.body))
	length := int64(len(p.body))
	if !p.whole {
		body = bytes.NewReader(p.body[:len(p.body)/2])
		length++
	}
	return &http.Response{StatusCode: p.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: io.NopCloser(body), ContentLength: length, Request: r}
}
