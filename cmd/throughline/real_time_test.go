package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/remote"
)

// hours is one project in Redmine and in Tryton, and the work on it.
type hours struct {
	*real
	time, erp *side
	stamp     string
	project   string            // in Redmine
	issue     map[string]string // in Redmine, by the task's code
	work      string            // the project in Tryton
	task      map[string]string // in Tryton
	entry     map[string]string // in Redmine, by name
	line      map[string]string // in Tryton
}

const note = "Zählung ✅ مرحبا 👩‍💻"

// TestRealSystemsTime logs hours in Redmine, reads them as the product does, writes them into Tryton's
// timesheets, has them invoiced by Tryton's own button, and asks Tryton for every figure.
func TestRealSystemsTime(t *testing.T) {
	h := openReal(t).hours()
	h.people()
	h.logged()
	h.listed()
	h.swept()
	h.refusedByRedmine()
	h.written()
	h.loggedOut()
	h.takenBack()
	h.refusedByTryton()
	h.closed()
	h.invoiced()
	h.cancelled()
}

// hours makes a project with two tasks on both sides. An hour of one costs 95, of the other 150.3333.
func (r *real) hours() *hours {
	r.Helper()
	key := "X-Redmine-API-Key: " + r.env["REDMINE_KEY"]
	activity := r.first(r.call("GET", r.env["REDMINE_URL"]+"/enumerations/time_entry_activities.json", key, "").(object)["time_entry_activities"]).(object)["id"]
	product := r.first(r.tryton("erp", "product.product.search", []any{[]any{"code", "=", "CONS-SR"}}, 0, 1, nil, object{"company": 1}))
	h := &hours{real: r, stamp: fmt.Sprint(time.Now().UnixNano()), issue: map[string]string{}, task: map[string]string{}, entry: map[string]string{}, line: map[string]string{}}
	h.time = r.side("redmine", object{"url": r.env["REDMINE_URL"], "activity": fmt.Sprint(activity)}, object{"key": r.env["REDMINE_KEY"]})
	h.erp = r.side("tryton", object{"url": r.env["TRYTON_URL"], "database": "erp", "user": r.env["TRYTON_USER"], "product": fmt.Sprint(product)}, object{"password": r.env["TRYTON_PASSWORD"]})
	customer := h.erp.made("account", h.record("customer", object{"name": "Alder hours " + h.stamp, "street": "Hauptstr. 1", "city": "Berlin"}))
	project := func(account string) canonical.Record {
		return h.record("project", object{"name": "Alder hours " + h.stamp, "account": ref("account", account), "billing": "time_and_material"})
	}
	h.project, h.work = h.time.made("project", project("1")), h.erp.made("project", project(customer))
	for code, price := range map[string]string{"DISC": "95", "BUILD": "150.3333"} {
		h.erp.conn.Settings["price"] = price
		task := func(project string) canonical.Record {
			return h.record("task "+code, object{"name": code, "code": code, "project": ref("project", project), "hours": exact.Seconds(40 * 3600)})
		}
		h.issue[code], h.task[code] = h.time.made("task", task(h.project)), h.erp.made("task", task(h.work))
	}
	return h
}

// record is one of this test, known by a name.
func (h *hours) record(name string, fields map[string]any) canonical.Record {
	return canonical.Record{ID: hub.RecordIDFor("real", h.stamp, name), Fields: fields}
}

func ref(record, id string) canonical.Ref { return canonical.Ref{Type: record, ID: hub.RecordID(id)} }

func (h *hours) day(text string) exact.Date {
	h.Helper()
	d, err := exact.ParseDate(text)
	if err != nil {
		h.Fatal(err)
	}
	return d
}

func (h *hours) same(what string, got, want any) {
	h.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		h.Errorf("%s: %v, want %v", what, got, want)
	}
}

// redmine asks Redmine directly; what it refuses is told in the answer.
func (h *hours) redmine(method, path, body string) any {
	h.Helper()
	return h.call(method, h.env["REDMINE_URL"]+path, "X-Redmine-API-Key: "+h.env["REDMINE_KEY"], body)
}

// ask calls a model's method in the ERP.
func (h *hours) ask(method string, params ...any) any {
	h.Helper()
	return h.tryton("erp", method, append(params, object{"company": 1, "language": "en"})...)
}

func mail(name string) string { return name + "@northlight.example" }

// people are the same in both systems by their e-mail addresses, however they are written.
func (h *hours) people() {
	h.Helper()
	for _, name := range []string{"ana", "ben", "chloe"} {
		user := h.time.only("employee", "email", strings.ToUpper(mail(name)))
		h.redmine("POST", "/projects/"+h.project+"/memberships.json", fmt.Sprintf(`{"membership": {"user_id": %s, "role_ids": [4]}}`, user.id))
		employee := h.erp.only("employee", "email", strings.ToUpper(mail(name)))
		h.same("the e-mail at both sides", employee.fields["email"], user.fields["email"])
		h.same("the name at both sides", h.erp.get("employee", employee.id).fields["name"], h.time.get("employee", user.id).fields["name"])
	}
	h.same("who has a part of an address", len(h.time.find("employee", "email", mail("na"))), 0)
	h.same("a second user with one address", h.redmine("POST", "/users.json", fmt.Sprintf(`{"user": {"login": "x%s", "firstname": "A", "lastname": "B", "mail": %q, "password": "Walnut-Bridge-58"}}`,
		h.stamp, strings.ToUpper(mail("ana")))), "map[errors:[Email has already been taken]]")
	h.locked()
	for _, s := range []*side{h.time, h.erp} {
		rows, _ := s.rows(s.kind("employee").List, remote.Vars{"since": time.Time{}})
		known := map[any]bool{}
		for _, x := range rows {
			known[s.read("employee", x).fields["email"]] = true
		}
		h.same("everybody is listed", known[mail("ana")] && known[mail("ben")] && known[mail("chloe")], true)
	}
}

// locked out of Redmine, a person is read as one who is not active, and leaves the list.
func (h *hours) locked() {
	h.Helper()
	chloe := h.user("chloe")
	lock := func(status int) {
		h.redmine("PUT", "/users/"+chloe+".json", fmt.Sprintf(`{"user": {"status": %d}}`, status))
	}
	defer lock(1)
	lock(3)
	h.same("a locked user is active", h.time.get("employee", chloe).fields["active"], false)
	rows, _ := h.time.rows(h.time.kind("employee").List, remote.Vars{"since": time.Time{}})
	h.same("a locked user is listed", slices.ContainsFunc(rows, func(x any) bool { return h.time.read("employee", x).id == chloe }), false)
}

// user and employee are a person's ids.
func (h *hours) user(name string) string { return h.time.only("employee", "email", mail(name)).id }

func (h *hours) employee(name string) string { return h.erp.only("employee", "email", mail(name)).id }

const bulk = 105 // entries of a quarter of an hour: more than a page of Redmine and a batch of Tryton hold

// logged is what people do in Redmine: an entry for every state that one can be in.
func (h *hours) logged() {
	h.Helper()
	for _, e := range []struct {
		name, who, task, date string
		seconds               exact.Seconds
		state                 string
	}{
		{"kick-off", "ana", "DISC", "2026-03-02", 4536, ""},
		{"edited", "ana", "BUILD", "2026-03-03", 5400, "approved"},
		{"submitted", "ben", "BUILD", "2026-03-04", 27000, ""},
		{"rejected", "ben", "BUILD", "2026-03-04", 3600, "rejected"},
		{"deleted", "ben", "DISC", "2026-03-05", 10800, "approved"},
		{"smallest", "chloe", "DISC", "2026-03-31", 36, "approved"},
		{"long ago", "chloe", "DISC", "2025-11-03", 3600, ""},
	} {
		fields := object{"employee": ref("employee", h.user(e.who)), "project": ref("project", h.project), "task": ref("task", h.issue[e.task]),
			"date": h.day(e.date), "seconds": e.seconds, "note": note, "approval": "submitted", "billable": true}
		h.entry[e.name] = h.time.made("time_entry", h.record(e.name, fields))
		made := h.time.get("time_entry", h.entry[e.name])
		for field, want := range fields {
			if _, isRef := want.(canonical.Ref); !isRef {
				h.same(e.name+": "+field, made.fields[field], want)
			}
		}
		if e.state != "" {
			h.judge(e.name, e.state)
		}
	}
	h.same("found by its marker", h.time.only("time_entry", "marker", h.record("kick-off", nil).ID.Marker()).id, h.entry["kick-off"])
	before := h.time.get("time_entry", h.entry["kick-off"])
	ana := h.user("ana")
	for range bulk {
		made := h.redmine("POST", "/time_entries.json", fmt.Sprintf(`{"time_entry": {"issue_id": %s, "user_id": %s, "spent_on": "2026-03-10", "hours": 0.25, "activity_id": %v, "custom_fields": [{"id": 1, "value": "approved"}]}}`,
			h.issue["BUILD"], ana, h.time.conn.Settings["activity"]))
		h.entry["last"] = fmt.Sprint(made.(object)["time_entry"].(object)["id"])
	}
	// Its clock counts seconds, and the entries above took more than one.
	h.judge("kick-off", "approved")
	if after := h.time.get("time_entry", h.entry["kick-off"]); after.version <= before.version || after.fields["approval"] != "approved" {
		h.Errorf("approved, the entry is %v and was %v", after, before)
	}
	if err := h.time.update("time_entry", h.entry["edited"], h.record("edited", object{"employee": ref("employee", h.user("ana")), "project": ref("project", h.project),
		"task": ref("task", h.issue["BUILD"]), "date": h.day("2026-03-03"), "seconds": exact.Seconds(8100), "note": "edited", "approval": "approved"})); err != nil {
		h.Fatal(err)
	}
	edited := h.time.get("time_entry", h.entry["edited"])
	h.same("an edit leaves the approval as it was", edited.fields["approval"], "approved")
	h.same("edited", edited.fields["seconds"], exact.Seconds(8100))
}

// judge sets the approval, as a manager does.
func (h *hours) judge(entry, state string) {
	h.Helper()
	h.redmine("PUT", "/time_entries/"+h.entry[entry]+".json", fmt.Sprintf(`{"time_entry": {"custom_fields": [{"id": 1, "value": %q}]}}`, state))
}

// mine are the entries of this test among rows of Redmine.
func (h *hours) mine(rows []any) map[string]there {
	h.Helper()
	out := map[string]there{}
	for _, x := range rows {
		e := h.time.read("time_entry", x)
		if e.fields["project"].(canonical.Ref).Key.ID != h.project {
			continue
		}
		if _, twice := out[e.id]; twice {
			h.Errorf("entry %s came twice", e.id)
		}
		out[e.id] = e
	}
	return out
}

// listed reads by the list all of the last days before the cursor, on more than one page.
func (h *hours) listed() {
	h.Helper()
	since := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	rows, pages := h.time.rows(h.time.kind("time_entry").List, remote.Vars{"since": since})
	if pages < 2 {
		h.Errorf("%d entries on %d page", len(rows), pages)
	}
	got := h.mine(rows)
	h.same("entries in the list", len(got), bulk+6)
	if _, old := got[h.entry["long ago"]]; old {
		h.Error("the list goes back further than it says")
	}
	var sum exact.Seconds
	for _, e := range got {
		if e.fields["approval"] == "approved" {
			sum += e.fields["seconds"].(exact.Seconds)
		}
	}
	h.same("approved", sum, exact.Seconds(4536+8100+10800+36+bulk*900))

	// The newest change is found, though its entry comes after a page of entries that did not change.
	h.judge("last", "rejected")
	h.judge("last", "approved")
	h.time.conn.Settings["reach"] = "1000"
	changed := time.UnixMicro(h.time.get("time_entry", h.entry["last"]).version)
	rows, _ = h.time.rows(h.time.kind("time_entry").List, remote.Vars{"since": changed})
	if _, found := h.mine(rows)[h.entry["last"]]; !found {
		h.Errorf("the last change is not among %d entries", len(rows))
	}
}

// swept reads what there is on certain days, where what was deleted is missing.
func (h *hours) swept() {
	h.Helper()
	sweep := func(from, to string) map[string]there {
		rows, _ := h.time.rows(h.time.kind("time_entry").Sweep, remote.Vars{"from": h.day(from), "to": h.day(to)})
		return h.mine(rows)
	}
	h.same("in March", len(sweep("2026-03-02", "2026-03-31")), bulk+6)
	h.same("without the first and the last day", len(sweep("2026-03-03", "2026-03-30")), bulk+4)
	h.same("long ago", len(sweep("2025-11-03", "2025-11-03")), 1)
	gone := h.entry["deleted"]
	if err := h.time.remove("time_entry", gone); err != nil {
		h.Fatal(err)
	}
	if _, still := sweep("2026-03-05", "2026-03-05")[gone]; still {
		h.Error("a deleted entry is still there")
	}
	h.same("deleted twice", refused(h.time.remove("time_entry", gone)), "not_found: entry.delete: the far side answered 404: nothing more")
}

func (h *hours) refusedByRedmine() {
	h.Helper()
	try := func(what string, change map[string]any, want string) {
		h.Helper()
		fields := object{"employee": ref("employee", h.user("ana")), "project": ref("project", h.project), "task": ref("task", h.issue["DISC"]),
			"date": h.day("2026-03-06"), "seconds": exact.Seconds(3600), "approval": "submitted"}
		maps.Copy(fields, change)
		_, err := h.time.create("time_entry", h.record(what, fields))
		h.same(what, refused(err), want)
	}
	try("a stranger's time", object{"employee": ref("employee", "99999")}, "invalid: entry.create: User is invalid")
	try("a negative time", object{"seconds": exact.Seconds(-3600)}, "invalid: entry.create: Hours is invalid")
	try("a day of 1000 hours", object{"seconds": exact.Seconds(3600 * 1000)}, "invalid: entry.create: Cannot log more than 999:00 hours on the same day (0:00 hours have already been logged)")
	try("an issue that is not there", object{"task": ref("task", "99999")}, "invalid: entry.create: Issue is invalid")
	h.redmine("PUT", "/projects/"+h.project+"/close.json", "")
	try("a closed project", nil, "forbidden: entry.create: the far side answered 403: nothing more")
	h.redmine("PUT", "/projects/"+h.project+"/reopen.json", "")
}

// timed is an entry of Tryton's.
func (h *hours) timed(name, who, task, date string, seconds exact.Seconds) canonical.Record {
	return h.record("line "+name, object{"employee": ref("employee", h.employee(who)), "task": ref("task", h.task[task]),
		"date": h.day(date), "seconds": seconds, "note": note, "approval": "approved"})
}

func (h *hours) item(one canonical.Record) connector.BatchItem {
	h.Helper()
	return connector.BatchItem{Marker: one.ID.Marker(), Fields: h.erp.fields("time_entry", one, true)}
}

// lines are those of this test's tasks between two days.
func (h *hours) lines(from, to string) map[string]there {
	h.Helper()
	rows, _ := h.erp.rows(h.erp.kind("time_entry").Sweep, remote.Vars{"from": h.day(from), "to": h.day(to)})
	out := map[string]there{}
	for _, x := range rows {
		l := h.erp.read("time_entry", x)
		if slices.Contains(slices.Collect(maps.Values(h.task)), l.fields["task"].(canonical.Ref).Key.ID) {
			out[l.id] = l
		}
	}
	return out
}

// sum is what Tryton says of a task's time, asked directly.
func (h *hours) sum(task string) (seconds int64) {
	h.Helper()
	work := []any{"work.origin", "=", "project.work," + h.task[task]}
	for _, l := range h.ask("timesheet.line.search_read", []any{work}, 0, nil, nil, []any{"duration"}).([]any) {
		seconds += int64(l.(object)["duration"].(object)["seconds"].(float64))
	}
	return seconds
}

// written is what was approved, sent to Tryton one by one and many at once.
func (h *hours) written() {
	h.Helper()
	begun := time.Now().Add(-time.Minute)
	kickoff := h.timed("kick-off", "ana", "DISC", "2026-03-02", 4536)
	h.line["kick-off"] = h.erp.made("time_entry", kickoff)
	_, err := h.erp.create("time_entry", kickoff)
	h.same("the same again", refused(err), "exists: line.create: The UUID of timesheet line must be unique.")
	h.same("found by its uuid", h.erp.only("time_entry", "marker", kickoff.ID.Marker()).id, h.line["kick-off"])
	got := h.erp.get("time_entry", h.line["kick-off"])
	for field, want := range (object{"seconds": exact.Seconds(4536), "date": h.day("2026-03-02"), "note": note, "billing": "posted", "invoice_number": nil}) {
		h.same("kick-off: "+field, got.fields[field], want)
	}
	h.same("its task", got.fields["task"].(canonical.Ref).Key.ID, h.task["DISC"])
	h.same("its employee", got.fields["employee"].(canonical.Ref).Key.ID, h.employee("ana"))

	// Half a hundredth of an hour each: together they are whole, alone they would be rounded.
	items := []connector.BatchItem{h.item(h.timed("half 1", "ben", "DISC", "2026-03-06", 5418)), h.item(h.timed("half 2", "ben", "DISC", "2026-03-06", 5418)),
		h.item(h.timed("smallest", "chloe", "DISC", "2026-03-31", 36)), h.item(h.timed("edited", "ana", "BUILD", "2026-03-03", 8100))}
	quarter := h.timed("quarter", "ana", "BUILD", "2026-03-10", 900)
	for n := range bulk {
		quarter.ID = hub.RecordIDFor("real", h.stamp, fmt.Sprint("quarter ", n))
		items = append(items, h.item(quarter))
	}
	batch := h.erp.kind("time_entry").Create.Batch
	first, err := h.erp.batch("time_entry", batch, items[:batch.Spec.Max])
	if err != nil {
		h.Fatal(err)
	}
	h.line["half 1"], h.line["half 2"], h.line["edited"] = first[0], first[1], first[3]
	bad := h.timed("bad", "ana", "BUILD", "2026-03-11", 900)
	bad.Fields["employee"] = ref("employee", "99999")
	_, err = h.erp.batch("time_entry", batch, append(slices.Clone(items[batch.Spec.Max:]), h.item(bad)))
	h.same("one bad line in a batch", refused(err), `invalid: line.create.batch: The value "99999" for field "Employee" in "Timesheet Line" does not exist.`)
	h.same("and none was written", len(h.lines("2026-03-01", "2026-03-31")), 1+batch.Spec.Max)
	if _, err = h.erp.batch("time_entry", batch, items[batch.Spec.Max:]); err != nil {
		h.Fatal(err)
	}
	rows, pages := h.erp.rows(h.erp.kind("time_entry").List, remote.Vars{"since": begun})
	if len(rows) < 1+len(items) || pages < 2 {
		h.Errorf("the list of what is new gives %d lines on %d pages", len(rows), pages)
	}
	h.same("seconds of discovery", h.sum("DISC"), 4536+2*5418+36)
	h.same("seconds of building", h.sum("BUILD"), 8100+bulk*900)
}

// loggedOut of Tryton, the next call logs in again, and only that one.
func (h *hours) loggedOut() {
	h.Helper()
	before := *h.erp.logins
	key := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%v:%v", h.env["TRYTON_USER"], before.session["user"], before.session["key"]))
	h.call("POST", h.env["TRYTON_URL"]+"/erp/", "Authorization: Session "+key, `{"id": 1, "method": "common.db.logout", "params": []}`)
	h.erp.get("time_entry", h.line["kick-off"])
	h.erp.get("time_entry", h.line["kick-off"])
	h.same("logins", h.erp.logins.version, before.version+1)
	if h.erp.logins.session["key"] == before.session["key"] {
		h.Error("the session that has ended goes on")
	}
}

// takenBack is changed and deleted as long as it stands on no invoice.
func (h *hours) takenBack() {
	h.Helper()
	var ids []string
	for _, name := range []string{"one", "two", "three"} {
		ids = append(ids, h.erp.made("time_entry", h.timed(name, "chloe", "DISC", "2026-04-01", 3600)))
	}
	moved := h.timed("one", "chloe", "BUILD", "2026-04-02", 7200)
	before := h.erp.get("time_entry", ids[0])
	if err := h.erp.update("time_entry", ids[0], moved); err != nil {
		h.Fatal(err)
	}
	after := h.erp.get("time_entry", ids[0])
	h.same("changed", []any{after.fields["seconds"], after.fields["date"], after.fields["task"].(canonical.Ref).Key.ID}, []any{"02:00", "2026-04-02", h.task["BUILD"]})
	if after.version <= before.version {
		h.Errorf("a change moved the version from %d to %d", before.version, after.version)
	}
	if err := h.erp.remove("time_entry", ids[0]); err != nil {
		h.Fatal(err)
	}
	all := []connector.BatchItem{{ID: ids[1]}, {ID: ids[2]}}
	gone, err := h.erp.batch("time_entry", h.erp.kind("time_entry").Delete.Batch, all)
	if err != nil || len(gone) != 2 {
		h.Fatal(gone, err)
	}
	h.same("in April", len(h.lines("2026-04-01", "2026-04-30")), 0)
	_, err = h.erp.batch("time_entry", h.erp.kind("time_entry").Delete.Batch, all)
	h.same("deleted twice", hub.KindOf(err), hub.NotFound)
	h.same("deleted alone and gone", hub.KindOf(h.erp.remove("time_entry", ids[0])), hub.NotFound)
}

func (h *hours) refusedByTryton() {
	h.Helper()
	try := func(what string, change map[string]any, want string) {
		h.Helper()
		one := h.timed(what, "ana", "DISC", "2026-03-06", 3600)
		maps.Copy(one.Fields, change)
		_, err := h.erp.create("time_entry", one)
		h.same(what, refused(err), want)
	}
	try("an unknown employee", object{"employee": ref("employee", "99999")}, `invalid: line.create: The value "99999" for field "Employee" in "Timesheet Line" does not exist.`)
	try("an unknown task", object{"task": ref("task", "99999")}, "invalid: line.create: The task is not there, or takes no time (Timesheet Available).")
	try("a project that takes no time", object{"task": ref("task", h.work)}, "invalid: line.create: The task is not there, or takes no time (Timesheet Available).")
	_, err := h.erp.create("time_entry", h.timed("a negative time", "ana", "DISC", "2026-03-06", -3600))
	if got := refused(err); !strings.HasPrefix(got, "invalid: line.create: The duration of line ") || !strings.HasSuffix(got, " must be positive.") {
		h.Errorf("a negative time: %s", got)
	}
	chloe := h.employee("chloe")
	ends := func(day any) { h.ask("company.employee.write", []any{number(h, chloe)}, object{"end_date": day}) }
	defer ends(nil)
	ends(date(2026, 1, 31))
	try("one who had left", object{"employee": ref("employee", chloe)}, `invalid: line.create: The value for field "Employee" in "Timesheet Line" is not valid according to its domain.`)
}

// closed work and closed periods are told, and Tryton takes time on them all the same: what does not
// belong there, the product has to keep away itself.
func (h *hours) closed() {
	h.Helper()
	disc := []any{number(h, h.task["DISC"])}
	h.same("open work", h.erp.get("task", h.task["DISC"]).fields["status"], "open")
	h.same("an open project", h.erp.get("project", h.work).fields["status"], "active")
	status := func(name string) any {
		return h.first(h.ask("project.work.status.search", []any{[]any{"name", "=", name}}, 0, 1, nil))
	}
	h.ask("project.work.write", disc, object{"progress": 1.0, "status": status("Done")})
	h.same("closed work", h.erp.get("task", h.task["DISC"]).fields["status"], "closed")
	h.put("closed work", "DISC", "2026-05-04")
	h.ask("project.work.write", disc, object{"progress": nil, "status": status("Open")})

	may := h.erp.only("period", "date", h.day("2026-05-31"))
	h.same("a period", may.fields, object{"name": "2026-05", "from": h.day("2026-05-01"), "to": h.day("2026-05-31"), "state": "open"})
	defer h.ask("account.period.reopen", []any{number(h, may.id)})
	h.ask("account.period.close", []any{number(h, may.id)})
	h.same("a closed period", h.erp.get("period", may.id).fields["state"], "closed")
	h.put("a closed period", "DISC", "2026-05-04")
	rows, _ := h.erp.rows(h.erp.kind("period").List, remote.Vars{"since": time.Time{}})
	h.same("periods", len(rows), 24)
}

// put writes an hour and takes it back.
func (h *hours) put(where, task, date string) {
	h.Helper()
	id, err := h.erp.create("time_entry", h.timed(where, "ana", task, date, 3600))
	if err != nil {
		h.Fatalf("%s takes no time any more: %v", where, err)
	}
	if err := h.erp.remove("time_entry", id); err != nil {
		h.Fatal(err)
	}
}

// press has the project invoiced by its button, and gives the invoice that is a draft then.
func (h *hours) press() (invoice any) {
	h.Helper()
	h.erp.answer(h.erp.kind("project").Actions["invoice"].Op, remote.Vars{"id": h.work})
	return h.first(h.ask("account.invoice.search", []any{[]any{"description", "=", "Alder hours " + h.stamp}, []any{"state", "=", "draft"}}, 0, nil, nil))
}

// invoiced is billed to the cent: time of a task is summed and rounded to hundredths of an hour, and its
// amount to the cent, half to the even one.
func (h *hours) invoiced() {
	h.Helper()
	invoice := h.press()
	h.same("pressed again", h.press(), invoice)
	var lines []string
	for _, l := range h.ask("account.invoice.line.search_read", []any{[]any{"invoice", "=", invoice}}, 0, nil, nil, []any{"description", "quantity", "unit_price", "amount", "currency.code", "unit.symbol"}).([]any) {
		l := l.(object)
		lines = append(lines, fmt.Sprint(l["description"], " ", l["quantity"], " ", l["unit."].(object)["symbol"], " at ", decimal(l["unit_price"]), " = ", decimal(l["amount"]), " ", l["currency."].(object)["code"]))
	}
	slices.Sort(lines)
	h.same("the invoice", strings.Join(lines, "; "), "BUILD 28.5 h at 150.3333 = 4284.50 EUR; DISC 4.28 h at 95 = 406.60 EUR")

	id := h.line["edited"]
	h.same("an invoiced line", h.billing(id), "invoiced <nil>")
	h.same("changed", refused(h.erp.update("time_entry", id, h.timed("edited", "ana", "BUILD", "2026-03-03", 9000))), "blocked: line.update: You cannot modify an invoiced line.")
	h.same("deleted", refused(h.erp.remove("time_entry", id)), "blocked: line.delete: You cannot delete an invoiced line.")
	free := h.erp.made("time_entry", h.timed("free", "ana", "BUILD", "2026-03-12", 3600))
	_, err := h.erp.batch("time_entry", h.erp.kind("time_entry").Delete.Batch, []connector.BatchItem{{ID: free}, {ID: id}})
	h.same("deleted with another", refused(err), "blocked: line.delete.batch: You cannot delete an invoiced line.")
	h.same("which is still there", h.billing(free), "posted <nil>")
	if err := h.erp.remove("time_entry", free); err != nil {
		h.Fatal(err)
	}

	// Posting and payment touch the invoice, not the line: the list tells of both all the same.
	version := h.erp.get("time_entry", id).version
	posted := h.posted(invoice)
	h.same("posted", h.billing(id), fmt.Sprint("invoiced ", posted))
	h.moved("posted", id, &version)
	h.pay(invoice)
	h.same("paid", h.billing(id), fmt.Sprint("paid ", posted))
	h.moved("paid", id, &version)
}

func (h *hours) billing(line string) string {
	h.Helper()
	l := h.erp.get("time_entry", line)
	return fmt.Sprint(l.fields["billing"], " ", l.fields["invoice_number"])
}

// moved: the line has a later version, and is listed among what changed since the one before.
func (h *hours) moved(what, line string, version *int64) {
	h.Helper()
	now := h.erp.get("time_entry", line).version
	if now <= *version {
		h.Errorf("%s, the line has the version %d, before it had %d", what, now, *version)
	}
	rows, _ := h.erp.rows(h.erp.kind("time_entry").List, remote.Vars{"since": time.UnixMicro(*version + 1).UTC()})
	if !slices.ContainsFunc(rows, func(x any) bool { return h.erp.read("time_entry", x).id == line }) {
		h.Errorf("%s, the line is not among the %d that changed", what, len(rows))
	}
	*version = now
}

func (h *hours) posted(invoice any) (number any) {
	h.Helper()
	h.ask("account.invoice.write", []any{invoice}, object{"invoice_date": date(2026, 6, 30)})
	h.ask("account.invoice.post", []any{invoice})
	return h.first(h.ask("account.invoice.read", []any{invoice}, []any{"number"})).(object)["number"]
}

// pay takes the whole amount out of the till, in Tryton's wizard.
func (h *hours) pay(invoice any) {
	h.Helper()
	ctx := object{"company": 1, "language": "en", "active_model": "account.invoice", "active_id": invoice, "active_ids": []any{invoice}}
	session := h.first(h.rpc("erp", "wizard.account.invoice.pay.create", ctx))
	start := h.rpc("erp", "wizard.account.invoice.pay.execute", session, object{}, "start", ctx).(object)["view"].(object)["defaults"].(object)
	maps.DeleteFunc(start, func(name string, _ any) bool { return strings.HasSuffix(name, ".") })
	start["payment_method"], start["date"], start["description"] = h.first(h.ask("account.invoice.payment.method.search", []any{}, 0, 1, nil)), date(2026, 6, 30), nil
	h.rpc("erp", "wizard.account.invoice.pay.execute", session, object{"start": start}, "choice", ctx)
}

// cancelled is an invoice that keeps its lines; only when it is deleted they can be billed again.
func (h *hours) cancelled() {
	h.Helper()
	id := h.erp.made("time_entry", h.timed("cancelled", "ben", "DISC", "2026-06-02", 3600))
	invoice := h.press()
	h.ask("account.invoice.cancel", []any{invoice})
	h.same("on a cancelled invoice", h.billing(id), "invoiced <nil>")
	h.same("deleted", hub.KindOf(h.erp.remove("time_entry", id)), hub.Blocked)
	h.ask("account.invoice.delete", []any{invoice})
	h.same("on a deleted invoice", h.billing(id), "posted <nil>")
	if err := h.erp.remove("time_entry", id); err != nil {
		h.Error(err)
	}
}

func date(year, month, day int) object {
	return object{"__class__": "date", "year": year, "month": month, "day": day}
}

func decimal(v any) any { return v.(object)["decimal"] }

func number(h *hours, id string) int64 {
	h.Helper()
	n, err := exact.MustDecimal(id).Int64()
	if err != nil {
		h.Fatal(err)
	}
	return n
}
