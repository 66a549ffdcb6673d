package storetest

import (
	"fmt"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// lookedUp: what is asked of many rows at once is what each would have been told alone, however many they are.
func lookedUp(b *bench) {
	n := 2*store.Together + 7
	var links []store.Link
	for i := range n {
		b.accept("t1", fmt.Sprint(i), fmt.Sprintf("e%d", i), 0)
		if i%3 == 0 {
			links = append(links, store.Link{Record: hub.RecordID(fmt.Sprintf("rec_%d", i)), Connection: "crm", Kind: "deal", ExternalID: fmt.Sprint(i), Updated: b.clock.Now()})
		}
	}
	b.accept("t2", "0", "e0", 0) // another tenant's record with the id of a known one
	for _, l := range []store.Link{{Connection: "erp", Kind: "deal", ExternalID: "1"}, {Connection: "crm", Kind: "lead", ExternalID: "2"}} {
		l.Record, l.Updated = "rec_else", b.clock.Now()
		links = append(links, l)
	}
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Links: links})
	b.must(err)
	list := b.claim(2 * n)
	b.must(b.store.LookUp(b.ctx, list))
	asked := 0
	for _, c := range list {
		if !c.Asked {
			continue
		}
		asked++
		alone, err := b.store.Tenant(c.Event.Tenant).LinkOf(b.ctx, "crm", "deal", c.Event.Key.ID)
		b.must(err)
		if (alone == nil) != (c.Known == nil) || alone != nil && *alone != *c.Known {
			b.Errorf("%s of %s: %v at once, %v alone", c.Key, c.Tenant, c.Known, alone)
		}
	}
	if len(list) != n+1 || asked < n-3 {
		b.Errorf("%d of %d rows were asked about", asked, len(list))
	}
}
