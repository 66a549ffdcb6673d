package storetest

import (
	"fmt"

	"throughline/internal/store"
)

func audit(b *bench) {
	for i := range 3 {
		_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Audit: []store.AuditEntry{{At: b.clock.Now(), Who: "flow", Action: "record.written", Object: fmt.Sprint(i)}}})
		b.must(err)
	}
	n, err := b.store.Tenant("t1").VerifyAudit(b.ctx)
	b.must(err)
	if n != 3 {
		b.Errorf("verified %d entries, want 3", n)
	}
}

func isolation(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Records: []store.Record{{ID: "rec_1", Type: "account", Label: "Acme", Fields: []byte(`{}`), Updated: b.clock.Now()}}})
	b.must(err)
	other, err := b.store.Tenant("t2").Record(b.ctx, "rec_1")
	b.must(err)
	mine, err := b.store.Tenant("t1").Records(b.ctx, "account", "acm", 10)
	b.must(err)
	if other != nil || len(mine) != 1 {
		b.Errorf("other %v mine %v", other, mine)
	}
}
