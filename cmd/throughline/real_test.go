package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// real speaks to the living systems directly, past the product.
type real struct {
	*testing.T
	env map[string]string
}

// openReal reads the environment that scripts/real/up.sh wrote.
func openReal(t *testing.T) *real {
	file := os.Getenv("THROUGHLINE_REAL")
	if file == "" {
		t.Skip("THROUGHLINE_REAL is not set: the test on Tryton and Redmine does not run (make real sets it)")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := &real{t, map[string]string{}}
	for _, line := range strings.Split(string(data), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			r.env[k] = v
		}
	}
	return r
}

// call sends a request and gives its answer; nil where that is empty.
func (r *real) call(method, url, auth, body string) any {
	r.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if name, v, ok := strings.Cut(auth, ": "); ok {
		req.Header.Set(name, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil && len(data) > 0 {
		r.Fatalf("%s %s answered %d: %.300s", method, url, res.StatusCode, data)
	}
	return out
}

// tryton calls a model's method; the last parameter is the user's context in that database.
func (r *real) tryton(db, method string, params ...any) any {
	r.Helper()
	return r.rpc(db, "model."+method, params...)
}

func (r *real) rpc(db, method string, params ...any) any {
	r.Helper()
	body, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	if err != nil {
		r.Fatal(err)
	}
	auth := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(r.env["TRYTON_USER"]+":"+r.env["TRYTON_PASSWORD"]))
	out, _ := r.call("POST", r.env["TRYTON_URL"]+"/"+db+"/", auth, string(body)).(map[string]any)
	if out["error"] != nil {
		r.Fatalf("%s: %.400v", method, out["error"])
	}
	return out["result"]
}

func (r *real) first(v any) any {
	r.Helper()
	list, _ := v.([]any)
	if len(list) == 0 {
		r.Fatal("nothing found")
	}
	return list[0]
}

type object = map[string]any

// win sells a package in Tryton as CRM, as its people would, and returns the deal's name.
func (r *real) win() (deal string) {
	r.Helper()
	ctx := r.tryton("crm", "res.user.get_preferences", true, object{})
	find := func(model string, domain ...any) any {
		return r.first(r.tryton("crm", model+".search", domain, 0, 1, nil, ctx))
	}
	deal = fmt.Sprintf("Alder automation %d 🚀", time.Now().UnixNano())
	party := r.first(r.tryton("crm", "party.party.create", []any{object{"name": "Alder Robotics " + deal, "addresses": []any{[]any{"create",
		[]any{object{"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "invoice": true}}}}}}, ctx))
	address := find("party.address", []any{"party", "=", party})
	product, hour := find("product.product", []any{"code", "=", "CONS-SR"}), find("product.uom", []any{"symbol", "=", "h"})
	term := find("account.invoice.payment_term", []any{"name", "=", "30 days net"})
	now := time.Now().UTC()
	o := r.first(r.tryton("crm", "sale.opportunity.create", []any{object{"party": party, "address": address, "description": deal,
		"amount": object{"__class__": "Decimal", "decimal": "14400.00"}, "employee": ctx.(object)["employee"], "payment_term": term,
		"start_date": object{"__class__": "date", "year": now.Year(), "month": int(now.Month()), "day": now.Day()},
		"lines":      []any{[]any{"create", []any{object{"product": product, "quantity": 80.0, "unit": hour}}}}}}, ctx))
	r.tryton("crm", "sale.opportunity.opportunity", []any{o}, ctx)
	r.tryton("crm", "sale.opportunity.convert", []any{o}, ctx)
	sale := r.first(r.first(r.tryton("crm", "sale.opportunity.read", []any{o}, []any{"sales"}, ctx)).(object)["sales"])
	for _, button := range []string{"quote", "confirm", "process"} {
		r.tryton("crm", "sale.sale."+button, []any{sale}, ctx)
	}
	return deal
}

// holds counts what the ERP and the time tracker have of a deal, by asking them.
func (r *real) holds(deal string) map[string]int {
	r.Helper()
	ctx := r.tryton("erp", "res.user.get_preferences", true, object{})
	count := func(model string, domain ...any) int {
		n, _ := r.tryton("erp", model+".search_count", domain, ctx).(float64)
		return int(n)
	}
	out := map[string]int{
		"customers": count("party.party", []any{"name", "=", "Alder Robotics " + deal}),
		"contracts": count("sale.sale", []any{"description", "=", deal}),
		"projects":  count("project.work", []any{"name", "=", deal}, []any{"type", "=", "project"}),
		"tasks":     count("project.work", []any{"parent.name", "=", deal}, []any{"type", "=", "task"}),
	}
	key := "X-Redmine-API-Key: " + r.env["REDMINE_KEY"]
	list := r.call("GET", r.env["REDMINE_URL"]+"/projects.json?limit=100", key, "").(object)["projects"].([]any)
	for _, p := range list {
		if p.(object)["name"] == deal {
			out["time projects"]++
			issues := r.call("GET", fmt.Sprintf("%s/issues.json?status_id=*&project_id=%v", r.env["REDMINE_URL"], p.(object)["id"]), key, "").(object)
			out["issues"] += int(issues["total_count"].(float64))
			members := r.call("GET", fmt.Sprintf("%s/projects/%v/memberships.json", r.env["REDMINE_URL"], p.(object)["id"]), key, "").(object)
			out["members"] += int(members["total_count"].(float64))
		}
	}
	return out
}

const realCustomer = `
customer: alder
name: Alder
zone: Europe/Berlin
connections:
  crm:  {connector: tryton@1, settings: {url: "${TRYTON_URL}", database: crm, user: ${TRYTON_USER}}, secret: "file:${DIR}/tryton.json"}
  erp:  {connector: tryton@1, settings: {url: "${TRYTON_URL}", database: erp, user: ${TRYTON_USER}, product: "3", price: "95"}, secret: "file:${DIR}/tryton.json"}
  time: {connector: redmine@1, settings: {url: "${REDMINE_URL}"}, secret: "file:${DIR}/redmine.json"}
packages:
  CONS:
    name: Consulting
    team: [ana@northlight.example, Ben@Northlight.example]
    tasks:
      - {code: DISC, name: Discovery, hours: 40}
      - {code: BUILD, name: Build, hours: 120}
    milestones: []
flows:
  deals:
    template: deal-to-project@1
    roles: {crm: crm, erp: erp, time: time}
    without: [erp/billing_milestone, time/account]
    poll: 1s
    from: 2026-01-01
    values: {service_package: {CONS-SR: CONS}}
`

// service is the real binary.
type service struct {
	r        *real
	bin, dir string
	addr     string
	cmd      *exec.Cmd
}

func (r *real) service() *service {
	r.Helper()
	s := &service{r: r, dir: r.TempDir(), addr: "127.0.0.1:18453"}
	s.bin = filepath.Join(s.dir, "throughline")
	if out, err := exec.Command("go", "build", "-o", s.bin, ".").CombinedOutput(); err != nil {
		r.Fatalf("build: %v\n%s", err, out)
	}
	r.env["DIR"] = s.dir
	for name, text := range map[string]string{"tryton.json": fmt.Sprintf(`{"password": %q}`, r.env["TRYTON_PASSWORD"]),
		"redmine.json": fmt.Sprintf(`{"key": %q}`, r.env["REDMINE_KEY"]), "customer.yaml": os.Expand(realCustomer, func(k string) string { return r.env[k] })} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			r.Fatal(err)
		}
	}
	return s
}

func (s *service) start() {
	s.r.Helper()
	s.cmd = exec.Command(s.bin, "serve", "--data", filepath.Join(s.dir, "data"), "--addr", s.addr, "--allow", "127.0.0.1/32")
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.r.Fatal(err)
	}
	s.r.until("the service answers", func() bool {
		res, err := http.Get("http://" + s.addr + "/healthz")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
}

// kill is kill -9.
func (s *service) kill() {
	s.r.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.r.Fatal(err)
	}
	_ = s.cmd.Wait() // "signal: killed" is what we want
}

func (s *service) run(args ...string) []byte {
	s.r.Helper()
	args = append(args, "--server", "http://"+s.addr, "--data", filepath.Join(s.dir, "data"))
	out, err := exec.Command(s.bin, args...).CombinedOutput()
	if err != nil {
		s.r.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// until polls a condition of another process, for three minutes at most: a create whose answer died
// with the process is sent again only when the far side's declared search lag, a minute, is over.
func (r *real) until(what string, met func() bool) {
	r.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); <-tick.C {
		if met() {
			return
		}
	}
	r.Fatalf("not within three minutes: %s", what)
}

// written is how many runs of the deal ended written.
func (s *service) written(deal string) int {
	s.r.Helper()
	return bytes.Count(s.run("runs", "alder", "--json", "--outcome", "written"), []byte(deal))
}

// TestRealSystems wins deals in Tryton, and asks Tryton and Redmine what has become of them; the
// product is killed in between.
func TestRealSystems(t *testing.T) {
	r := openReal(t)
	s := r.service()
	s.start()
	defer func() { s.kill() }()
	s.run("apply", filepath.Join(s.dir, "customer.yaml"))
	want := fmt.Sprint(map[string]int{"customers": 1, "contracts": 1, "projects": 1, "tasks": 2, "time projects": 1, "issues": 2, "members": 2})

	deal := r.win()
	r.until("the won deal is carried through", func() bool { return s.written(deal) > 0 })
	if got := fmt.Sprint(r.holds(deal)); got != want {
		t.Errorf("the systems hold %s, want %s", got, want)
	}

	for n, after := range []time.Duration{200, 600, 1200, 2000} {
		second := r.win()
		timer := time.NewTimer(after * time.Millisecond)
		<-timer.C
		s.kill()
		s.start()
		r.until(fmt.Sprintf("the deal that was in hand at kill %d is carried through", n+1), func() bool { return s.written(second) > 0 })
		if got := fmt.Sprint(r.holds(second)); got != want {
			t.Errorf("after kill %d the systems hold %s, want %s", n+1, got, want)
		}
	}

	s.run("apply", filepath.Join(s.dir, "customer.yaml"))
	s.kill()
	s.start()
	if got := fmt.Sprint(r.holds(deal)); got != want {
		t.Errorf("run again, the systems hold %s, want %s", got, want)
	}
}
