package farside

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The people, projects and tasks of the measurement of hours.
const (
	Users    = 200
	Projects = 50
)

// Hours is a time tracker with any number of approved entries and an ERP that takes their lines, for
// measuring. Nothing is kept of a line but its marker.
//
//	GET  /hours/entries/{n}?page=&size=  a page of n entries; {n}-{m}: each mth is poison, with hours below nought
//	GET  /hours/users                    the tracker's people
//	GET  /hours/employees[/{id}], /hours/projects/{id}, /hours/tasks/{id}, /hours/categories
//	POST /hours/lines                    many lines: {"items":[{"marker":…,"seconds":…}]}
//	GET  /hours/lines?marker=            what a marker has made
//	GET  /hours/stats                    HoursStats
type Hours struct {
	mu    sync.Mutex
	lines map[string]string // by marker
	stats HoursStats
}

// HoursStats is what the ERP holds of the lines.
type HoursStats struct {
	Lines    int   `json:"lines"`
	Repeated int   `json:"repeated"`
	Seconds  int64 `json:"seconds"`
	Calls    int   `json:"calls"` // all of the vendor's calls, reads included
}

// ServeHTTP answers one call.
func (h *Hours) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := append(strings.Split(strings.TrimPrefix(r.URL.Path, "/hours/"), "/"), "", "")
	h.mu.Lock()
	defer h.mu.Unlock()
	if parts[0] == "stats" {
		answer(w, http.StatusOK, h.stats)
		return
	}
	h.stats.Calls++
	switch q := r.URL.Query(); parts[0] {
	case "entries":
		entries(w, parts[1], q.Get("page"), q.Get("size"))
	case "users":
		list := []any{}
		for i := range Users {
			list = append(list, map[string]any{"id": fmt.Sprint("u", i), "name": fmt.Sprint("Person ", i), "email": fmt.Sprintf("p%d@far.example", i)})
		}
		answer(w, http.StatusOK, list)
	case "employees":
		email := q.Get("email")
		one := map[string]any{"id": "E-" + email, "name": email, "email": email, "active": true}
		if email == "" {
			answer(w, http.StatusOK, map[string]any{"id": parts[1], "name": parts[1], "email": strings.TrimPrefix(parts[1], "E-"), "active": true})
			return
		}
		answer(w, http.StatusOK, []any{one})
	case "projects":
		answer(w, http.StatusOK, map[string]any{"id": parts[1], "name": "Project " + parts[1], "customer": "C1", "status": "active"})
	case "tasks":
		answer(w, http.StatusOK, map[string]any{"id": parts[1], "name": "Task " + parts[1], "project": strings.Replace(parts[1], "T", "P", 1), "status": "open", "category": "CONS"})
	case "categories":
		answer(w, http.StatusOK, []any{map[string]any{"code": q.Get("code"), "name": q.Get("code")}})
	case "lines":
		h.line(w, r)
	default:
		http.NotFound(w, r)
	}
}

// entries is one page of n entries: eight hours a day of each person, one hour each.
func entries(w http.ResponseWriter, all, page, size string) {
	all, each, _ := strings.Cut(all, "-")
	n, err := strconv.Atoi(all)
	poison, _ := strconv.Atoi(each) // 0: none
	number, err2 := strconv.Atoi(page)
	many, err3 := strconv.Atoi(size)
	if err != nil || err2 != nil || err3 != nil || number < 1 || many < 1 {
		http.Error(w, "n, page and size are whole numbers", http.StatusBadRequest)
		return
	}
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	list := []any{}
	for i := (number - 1) * many; i < min(number*many, n); i++ {
		seconds := 3600
		if poison > 0 && i%poison == poison-1 {
			seconds = -3600
		}
		list = append(list, map[string]any{"id": fmt.Sprint("e", i), "user": fmt.Sprint("u", i%Users), "project": fmt.Sprint("p", i%Projects), "task": fmt.Sprint("t", i%Projects),
			"day": begin.AddDate(0, 0, i/Users/8).Format(time.DateOnly), "seconds": seconds, "billable": true, "note": "Build and test", "changed": "2026-11-01T00:00:00Z"})
	}
	answer(w, http.StatusOK, list)
}

func (h *Hours) line(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		found := []any{}
		if id, ok := h.lines[r.URL.Query().Get("marker")]; ok {
			found = append(found, map[string]any{"id": id})
		}
		answer(w, http.StatusOK, found)
		return
	}
	var body struct {
		Items []struct {
			Marker  string
			Seconds int64
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if h.lines == nil {
		h.lines = map[string]string{}
	}
	results := []any{}
	for _, l := range body.Items {
		h.stats.Lines++
		h.stats.Seconds += l.Seconds
		if _, twice := h.lines[l.Marker]; twice {
			h.stats.Repeated++
		}
		id := fmt.Sprint("L", h.stats.Lines)
		h.lines[l.Marker] = id
		results = append(results, map[string]any{"id": id})
	}
	answer(w, http.StatusOK, map[string]any{"results": results})
}
