package simulator_test

import (
	"encoding/json"
	"testing"
	"time"

	"throughline/internal/simulator"
)

const (
	chloe   = "5a0ab5acb07987125438b611"
	support = "64c777ddd3fcab07cfbb2201"
)

// worked is a time entry as a caller sends it.
func worked(start, end string) object {
	return object{"start": start, "end": end, "projectId": support, "billable": true, "description": "Stock count ✅ مرحبا"}
}

// approved logs an hour and an expense of a week that is then approved.
func (c *client) approved() (entry, expense, request string) {
	c.t.Helper()
	made := c.want(201, "POST", workspace+"/user/"+chloe+"/time-entries", worked("2026-11-16T09:00:00Z", "2026-11-16T10:30:00Z"))
	expense, err := c.sim.Insert("", "expense", object{"userId": chloe, "date": "2026-11-17", "projectId": support, "categoryId": "64c777ddd3fcab07cfbb2301", "total": json.Number("8450"), "notes": "Train"})
	if err != nil {
		c.t.Fatal(err)
	}
	asked := c.want(201, "POST", workspace+"/approval-requests/users/"+chloe, object{"period": "WEEKLY", "periodStart": "2026-11-16T00:00:00Z"})
	request = at(asked, "id").(string)
	c.want(200, "PATCH", workspace+"/approval-requests/"+request, object{"state": "APPROVED"})
	return at(made, "id").(string), expense, request
}

func (c *client) requests() list {
	c.t.Helper()
	return c.want(200, "GET", workspace+"/approval-requests?sort-column=UPDATED_AT&sort-order=DESCENDING", nil).(list)
}

func TestTimeTrackerApproval(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c := clockify(t, simulator.Options{Now: func() time.Time { return now }, Unlimited: true})
	if err := c.sim.Update("", "project", support, object{"hourlyRate": object{"amount": 16500}}); err != nil {
		t.Fatal(err)
	}
	entry, expense, request := c.approved()
	all := c.requests()
	if len(all) != 1 || at(all, 0, "approvalRequest", "status", "state") != "APPROVED" || at(all, 0, "approvedTime") != "PT1H30M" ||
		at(all, 0, "entries", 0, "id") != entry || at(all, 0, "entries", 0, "timeInterval", "duration") != "PT1H30M" || textOf(at(all, 0, "entries", 0, "hourlyRate", "amount")) != "16500" ||
		at(all, 0, "expenses", 0, "id") != expense || at(all, 0, "expenses", 0, "currency") != "EUR" || at(all, 0, "approvalRequest", "dateRange", "end") != "2026-11-22T23:59:59Z" {
		t.Fatalf("the requests are %v", all)
	}
	change := worked("2026-11-16T09:00:00Z", "2026-11-16T11:00:00Z")
	c.want(400, "PUT", workspace+"/time-entries/"+entry, change)
	c.want(400, "DELETE", workspace+"/time-entries/"+entry, nil)
	c.want(200, "PATCH", workspace+"/time-entries/invoiced", object{"timeEntryIds": list{entry}, "invoiced": true})
	if row, err := c.sim.Row("", "time_entry", entry); err != nil || row.Fields["invoiced"] != true {
		t.Errorf("marked as invoiced: %v, %v", row.Fields, err)
	}

	// Withdrawn, it can be changed, and a new request takes it.
	now = now.Add(time.Hour)
	c.want(200, "PATCH", workspace+"/approval-requests/"+request, object{"state": "WITHDRAWN_APPROVAL"})
	c.want(200, "PUT", workspace+"/time-entries/"+entry, change)
	now = now.Add(time.Hour)
	c.want(201, "POST", workspace+"/approval-requests/users/"+chloe, object{"period": "WEEKLY", "periodStart": "2026-11-16T00:00:00Z"})
	second := c.requests()
	if len(second) != 2 || at(second, 0, "approvalRequest", "status", "state") != "PENDING" || at(second, 0, "pendingTime") != "PT2H" || len(at(second, 1, "entries").(list)) != 0 {
		t.Errorf("after the second request: %v", second)
	}

	c.want(204, "DELETE", workspace+"/time-entries/"+entry, nil)
	gone := c.want(200, "GET", workspace+"/entities/deleted?type=TIME_ENTRY&start=2026-11-23T00:00:00Z", nil)
	if len(at(gone, "response").(list)) != 1 || at(gone, "response", 0, "document", "id") != entry {
		t.Errorf("what is deleted: %v", gone)
	}
}

func TestTimeTrackerMonths(t *testing.T) {
	c := clockify(t, simulator.Options{Unlimited: true})
	for start, end := range map[string]string{
		"2026-11-01T00:00:00Z": "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z": "2026-12-31T23:59:59Z", "2028-02-01T00:00:00Z": "2028-02-29T23:59:59Z",
	} {
		made := c.want(201, "POST", workspace+"/approval-requests/users/"+chloe, object{"period": "MONTHLY", "periodStart": start})
		if got := at(made, "dateRange", "end"); got != end {
			t.Errorf("the month from %s ends %v, want %s", start, got, end)
		}
	}
}

func TestTimeTrackerEntriesThatAreRefused(t *testing.T) {
	c := clockify(t, simulator.Options{Unlimited: true})
	for name, change := range map[string]object{
		"an end before the start":        {"end": "2026-11-16T08:00:00Z"},
		"a project that is not there":    {"projectId": "64c777ddd3fcab07cfbb9999"},
		"a task that is not there":       {"taskId": "64c777ddd3fcab07cfbb9999"},
		"a start that is no instant":     {"start": "yesterday"},
		"a note that is longer than all": {"description": longText(3001)},
	} {
		t.Run(name, func(t *testing.T) {
			body := worked("2026-11-16T09:00:00Z", "2026-11-16T10:00:00Z")
			for k, v := range change {
				body[k] = v
			}
			c.want(400, "POST", workspace+"/user/"+chloe+"/time-entries", body)
		})
	}
	c.want(400, "GET", workspace+"/user/nobody/time-entries", nil)
}

func longText(n int) string {
	text := make([]rune, n)
	for i := range text {
		text[i] = 'é'
	}
	return string(text)
}
