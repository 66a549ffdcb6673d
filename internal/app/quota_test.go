package app_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"throughline/bench"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// TestADaysQuotaIsWaitedFor: a vendor that allows five calls a day gets five a day. What waits is shown as waiting, with the time at which it
// goes on, and has used no attempt.
func TestADaysQuotaIsWaitedFor(t *testing.T) {
	const deals = 12
	erp := &names{ids: map[string]string{}, name: map[string]string{}}
	file, err := bench.Files.ReadFile("connectors/far-erp/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mapping, err := bench.Files.ReadFile("connectors/far-erp/mapping/account.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more := maps.Clone(numbered)
	more["connectors/metered/connector.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(file), "connector: far-erp", "connector: metered\nlimits: [{rate: 5 per day}]", 1))}
	more["connectors/metered/mapping/account.yaml"] = &fstest.MapFile{Data: mapping}
	h := newHall(t, erp, "customer: t1\nname: One\nconnections:\n  crm: {connector: numbered, settings: {url: %[1]q}}\n  erp: {connector: metered, settings: {url: %[1]q}}\nflows:\n  copy: {template: copy@1, roles: {crm: crm, erp: erp}}\n", more)
	for i := range deals {
		h.post("/hooks/t1/crm", fmt.Sprintf(`{"id":"%d","version":1,"name":"Company %d"}`, i, i))
	}
	for day, want := range []int{5, 10, 12} {
		h.until(fmt.Sprint(want, " are written"), 20*time.Second, func() bool { return erp.known() == want })
		h.until("the others wait for the next day", 20*time.Second, func() bool {
			rows, err := h.app.Store.Tenant("t1").Work(t.Context(), store.Filter{State: string(hub.Later)})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range rows {
				if left := time.Until(w.Due) - time.Duration(h.ahead.Load()); w.Attempts != 0 || !strings.Contains(w.Reason, "limit is used up") || left < 0 || left > 72*time.Hour {
					t.Fatalf("%s waits for %s after %d attempts: %q", w.Key, left, w.Attempts, w.Reason)
				}
			}
			return len(rows) == deals-want
		})
		if erp.known() != want {
			t.Errorf("%d calls on day %d", erp.known(), day+1)
		}
		h.ahead.Add(int64(75 * time.Hour)) // whoever waits has had a turn by then
	}
}

func (n *names) known() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.name)
}
