package storetest

import (
	"fmt"
	"slices"

	"throughline/internal/exact"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// linesByDay: page by page, each line once, and no other tenant's; the ids are those of the connection
// that the line was sent to.
func linesByDay(b *bench) {
	entry := hub.RecordIDFor("t1", "time", "entry", "7")
	post := func(tenant hub.TenantID, date string, n int, there string) hub.RecordID {
		id := entry.Line(tenant, "hours", int64(n))
		p := store.Posting{Record: id, Entry: entry, Deployment: "hours", Connection: "erp", N: int64(n), Type: "time_entry", Date: date, Seconds: 60, Fields: []byte(`{}`), State: store.Posted}
		st := store.Step{Epoch: b.epoch, Tenant: tenant, Postings: []store.Posting{p}}
		for in, id := range map[hub.ConnectionID]string{"erp": there, "other": "o" + there} {
			if there != "" {
				st.Links = append(st.Links, store.Link{Record: p.Record, Connection: in, Kind: "entry", ExternalID: id})
			}
		}
		_, err := b.log.Record(b.ctx, st)
		b.must(err)
		return id
	}
	want := map[hub.RecordID]string{}
	for n := range 5 {
		there := fmt.Sprintf("x%d", n)
		if n == 3 {
			there = "" // deleted there
		}
		want[post("t1", fmt.Sprintf("2026-11-%02d", 1+n), n+1, there)] = there
	}
	post("t1", "2026-10-31", 6, "before")
	post("t1", "2026-12-01", 7, "after")
	post("t2", "2026-11-02", 8, "foreign")
	from, err := exact.ParseDate("2026-11-01")
	b.must(err)
	var got []store.Line
	for after := hub.RecordID(""); ; after = got[len(got)-1].Record {
		page, err := b.store.Tenant("t1").LinesBetween(b.ctx, from, from.AddDays(29), after, 2)
		b.must(err)
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
	}
	if len(got) != len(want) {
		b.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for _, l := range got {
		if there, ok := want[l.Record]; !ok || there != l.There || l.Entry != entry || l.Seconds != 60 {
			b.Errorf("a line is %+v, want %q", l, there)
		}
	}
	all, err := b.store.Tenant("t1").Lines(b.ctx, entry)
	b.must(err)
	if len(all) != 7 || !slices.IsSortedFunc(all, func(x, y store.Line) int { return int(x.N - y.N) }) || all[0].There != "x0" || all[3].There != "" {
		b.Errorf("the entry's lines are %+v", all)
	}
}
