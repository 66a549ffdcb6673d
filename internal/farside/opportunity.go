package farside

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const title = "Platform rollout "

// Version says that an opportunity has changed.
type Version struct {
	Account string `json:"account"`
	ID      string `json:"id"`
	Version int64  `json:"version"`
}

func (f *Far) setVersion(v Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.account(v.Account)
	a.versions[v.ID], a.changed[v.ID] = v.Version, time.Now()
}

// list is the opportunities that /versions has told of since an instant, the oldest change first.
func (f *Far) list(name, since string) reply {
	from, err := time.Parse(time.RFC3339Nano, since)
	if err != nil {
		return reply{http.StatusBadRequest, nil}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(List, name)
	a, rows := f.account(name), []map[string]any{}
	ids := slices.SortedFunc(maps.Keys(a.changed), func(x, y string) int { return a.changed[x].Compare(a.changed[y]) })
	for _, id := range ids {
		if at := a.changed[id]; !at.Before(from) {
			row := opportunity(name, id, a.versions[id])
			row["changedAt"] = at.UTC().Format(time.RFC3339Nano)
			rows = append(rows, row)
		}
	}
	return reply{http.StatusOK, rows}
}

func nameOf(account, id string, version int64) string {
	return fmt.Sprintf("%s%s/%s/%d", title, account, id, version)
}

func aboutOf(name string) about {
	parts := strings.Split(strings.TrimPrefix(name, title), "/")
	if len(parts) != 3 {
		return about{owner: "nobody", key: name}
	}
	version, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return about{owner: "nobody", key: name}
	}
	return about{parts[0], parts[1], version}
}

const amount = 184500

// Expect is what a version of an opportunity shall become, by kind, as the ledger words it.
func Expect(account, id string, version int64) map[string]string {
	name := nameOf(account, id, version)
	return map[string]string{Customer: name, Project: name + ", " + strconv.FormatInt(amount+version, 10) + ", for " + account + "/" + id, TimeWork: name,
		WriteBack: "project of " + account + "/" + id}
}

// opportunity is one of about 1.4 KB, as CRMs send them.
func opportunity(account, id string, version int64) map[string]any {
	return map[string]any{
		"id": id, "name": nameOf(account, id, version), "stage": "Closed Won", "amount": amount + version, "currency": "USD",
		"closeDate": "2026-11-02", "ownerId": "005-" + id, "servicePackage": "erp-implementation-std",
		"account": map[string]any{"id": "A-" + id, "name": "Northwind Consulting " + id, "taxId": "98-7654" + id,
			"website": "https://nw" + id + ".example", "industry": "Engineering", "paymentTerms": "NET30",
			"billingAddress": map[string]any{"street": "1 Harbour Way", "city": "Rotterdam", "postalCode": "3011", "country": "NL"}},
		"contact": map[string]any{"id": "C-" + id, "firstName": "Alex", "lastName": "de Vries", "email": "alex@nw" + id + ".example", "phone": "+31 10 555 0100"},
		"lineItems": []map[string]any{
			{"sku": "SVC-DISC", "name": "Discovery", "hours": 80, "rate": 185, "laborCategory": "Senior Consultant"},
			{"sku": "SVC-IMPL", "name": "Implementation", "hours": 640, "rate": 165, "laborCategory": "Consultant"},
			{"sku": "SVC-TRNG", "name": "Training", "hours": 60, "rate": 140, "laborCategory": "Trainer"}},
		"notes": "Fixed fee with monthly milestones. The customer asked for a kickoff within ten days of signature and a steering committee every two weeks.",
	}
}
