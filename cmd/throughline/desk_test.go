package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"throughline/internal/api"
)

// deskFar is the far side of the scripts: a time tracker's people, and an ERP that takes receipts.
type deskFar struct {
	mu       sync.Mutex
	locked   bool // it takes no receipts
	receipts map[string]*receipt
}

type receipt struct {
	ID     string      `json:"id"`
	Marker string      `json:"marker"`
	Kind   string      `json:"kind"`
	Note   string      `json:"note"`
	State  string      `json:"state"`
	Amount json.Number `json:"amount"`
}

func (f *deskFar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	const person = `{"id":"u1","name":"Ana","email":"ana@alder.example"}`
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case parts[0] == "users" || parts[0] == "people" && len(parts) == 1:
		fmt.Fprintf(w, "[%s]", person)
	case parts[0] == "people":
		fmt.Fprint(w, person)
	case parts[0] == "projects" && strings.HasPrefix(parts[1], "P"):
		fmt.Fprintf(w, `{"id":%q,"name":"Alder"}`, parts[1])
	case r.Method == http.MethodPost && f.locked:
		http.Error(w, `{"message":"the period is being closed"}`, http.StatusUnprocessableEntity)
	case r.Method == http.MethodPost:
		one := &receipt{ID: fmt.Sprint("r", len(f.receipts)+1), State: "open"}
		if err := json.NewDecoder(r.Body).Decode(one); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.receipts[one.ID] = one
		fmt.Fprintf(w, `{"id":%q}`, one.ID)
	case parts[0] == "receipts" && len(parts) == 2 && f.receipts[parts[1]] != nil:
		_ = json.NewEncoder(w).Encode(f.receipts[parts[1]])
	case len(parts) == 1:
		fmt.Fprint(w, "[]")
	default:
		http.Error(w, `{"message":"there is none"}`, http.StatusNotFound)
	}
}

// desks are the far sides of scripts, by their folders.
var desks sync.Map

func deskOf(ts *testscript.TestScript) *deskFar {
	f, ok := desks.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("the script has no far side: desk comes first")
	}
	return f.(*deskFar)
}

// desk starts the far side, puts its address into customer.yaml in place of FAR, and starts the service with the
// definitions in this folder.
func desk(ts *testscript.TestScript, _ bool, _ []string) {
	f := &deskFar{receipts: map[string]*receipt{}}
	far := httptest.NewServer(f)
	desks.Store(ts.Getenv("WORK"), f)
	customer := strings.ReplaceAll(ts.ReadFile("customer.yaml"), "FAR", far.URL)
	ts.Check(os.WriteFile(ts.MkAbs("customer.yaml"), []byte(customer), 0o600))
	ts.Setenv("THROUGHLINE_DATA", ts.MkAbs("data"))
	program, err := exec.LookPath("throughline")
	ts.Check(err)
	cmd := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--data", ts.MkAbs("data"), "--definitions", ts.MkAbs("."), "--allow", "127.0.0.1/32")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var said strings.Builder
	cmd.Stderr = &said
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed" is what we want
		far.Close()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, found := strings.CutPrefix(lines.Text(), "listening on "); found {
			ts.Setenv("THROUGHLINE_SERVER", url)
		}
		if strings.HasPrefix(lines.Text(), "admin key") {
			return
		}
	}
	_ = cmd.Wait()
	ts.Fatalf("the service did not start: %s", said.String())
}

// tell N BODY sends N deliveries of the time tracker; %d in the body counts them.
func tell(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := range n {
		body := strings.ReplaceAll(args[1], "%d", fmt.Sprint(i+1))
		res, err := http.Post(ts.Getenv("THROUGHLINE_SERVER")+"/hooks/t1/time", "application/json", strings.NewReader(body))
		ts.Check(err)
		text, err := io.ReadAll(res.Body)
		ts.Check(err)
		res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			ts.Fatalf("the delivery was answered %d %s", res.StatusCode, text)
		}
	}
}

// until waits for something that the service is about to do.
func until(ts *testscript.TestScript, what string, met func() bool) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if met() {
			return
		}
	}
	ts.Fatalf("not within 30 s: %s", what)
}

// cause NAME CODE N waits until a cause of this code holds up N records, and puts its id in $NAME; the id of
// one of its exceptions in $NAME_EXC.
func cause(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[2], 10, 64)
	ts.Check(err)
	var seen []api.Cause
	until(ts, fmt.Sprintf("%s holds up %d", args[1], n), func() bool {
		seen = asked[api.Cause](ts, "exceptions", "t1")
		for _, c := range seen {
			if c.Code == args[1] && c.Count == n {
				ts.Setenv(args[0], c.ID)
				for _, e := range asked[api.Exception](ts, "exceptions", "t1", "--cause", c.ID, "--limit", "1") {
					ts.Setenv(args[0]+"_EXC", e.ID)
				}
				return true
			}
		}
		return false
	})
}

// asked is what a command lists.
func asked[T any](ts *testscript.TestScript, args ...string) (out []T) {
	program, err := exec.LookPath("throughline")
	ts.Check(err)
	text, err := exec.Command(program, append(args, "--json", "--server", ts.Getenv("THROUGHLINE_SERVER"), "--data", ts.Getenv("THROUGHLINE_DATA"))...).Output()
	ts.Check(err)
	ts.Check(json.Unmarshal(text, &out))
	return out
}

// bills N KIND AMOUNT waits until the ERP has N receipts of a kind and amount, and then looks again whether it stays so.
func bills(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	count := func() (have int) {
		f := deskOf(ts)
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.receipts {
			if r.Kind == args[1] && r.Amount.String() == args[2] {
				have++
			}
		}
		return have
	}
	until(ts, fmt.Sprintf("the ERP has %d of %s at %s, it has %d", n, args[1], args[2], count()), func() bool { return count() >= n })
	if have := count(); have != n {
		ts.Fatalf("the ERP has %d of %s at %s, want %d", have, args[1], args[2], n)
	}
}

// erp lock, erp unlock, erp invoice: what people do over there.
func erp(ts *testscript.TestScript, _ bool, args []string) {
	f := deskOf(ts)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch args[0] {
	case "lock", "unlock":
		f.locked = args[0] == "lock"
	case "invoice":
		for _, r := range f.receipts {
			r.State = "invoiced"
		}
	default:
		ts.Fatalf("nobody can %s there", args[0])
	}
}

// table FILE END N LAST writes a table of N expenses, whose lines end so, and of a last line.
func tabled(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	lines := []string{"id,project,kind,amount"}
	for i := range n {
		lines = append(lines, fmt.Sprintf("t%d,p1,Travel,14", i+1))
	}
	end, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(append(lines, args[3]), end)+end), 0o600))
}
