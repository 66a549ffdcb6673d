package storetest

import (
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// paused: what is there, what comes due and what arrives all wait, and all go on afterwards.
func paused(b *bench) {
	b.deploy("active", 1)
	b.accept("t1", "7", "there", 0)
	b.accept("t1", "8", "later", 0)
	for _, w := range b.claim(2) {
		w.State, w.Due = hub.Later, b.clock.Now()
		if w.Key == "crm/deal/8" {
			w.Due = w.Due.Add(time.Minute)
		}
		_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w.Work}})
		b.must(err)
	}
	b.setFlow("paused", true)
	b.setFlow("paused", false)
	b.accept("t1", "9", "arrives", 0)
	b.clock.Add(20 * time.Second)
	if got := b.claim(10); len(got) != 0 {
		b.Fatalf("claimed %d rows of a paused flow", len(got))
	}
	rows, err := b.store.Tenant("t1").Work(b.ctx, store.Filter{State: "waiting"})
	b.must(err)
	if len(rows) != 3 || rows[0].Reason != "The flow is paused." {
		b.Errorf("waiting are %+v, want all three with the reason", rows)
	}
	b.setFlow("active", true)
	b.clock.Add(time.Second)
	if got := len(b.claim(10)); got != 2 {
		b.Errorf("claimed %d rows after it was resumed, want the 2 that are due", got)
	}
}

func (b *bench) deploy(state string, revision int64) {
	b.Helper()
	b.must(b.store.Apply(b.ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR", Created: b.clock.Now()},
		Deployments: []store.Deployment{{Tenant: "t1", ID: "deals", Revision: revision, State: state, Spec: "{}", Created: b.clock.Now()}}}))
}

func (b *bench) setFlow(state string, want bool) {
	b.Helper()
	done, err := b.store.Tenant("t1").SetFlowState(b.ctx, "deals", state, store.AuditEntry{At: b.clock.Now(), Who: "ines", Action: "flow." + state, Object: "deals"})
	b.must(err)
	if done != want {
		b.Errorf("%s: changed %v, want %v", state, done, want)
	}
}

// pausedByFile: a newer revision of the customer's file pauses and resumes as well.
func pausedByFile(b *bench) {
	b.deploy("active", 1)
	b.accept("t1", "7", "there", 0)
	b.deploy("paused", 2)
	if got := b.claim(10); len(got) != 0 {
		b.Fatalf("claimed %d rows of a paused flow", len(got))
	}
	b.deploy("active", 3)
	b.clock.Add(time.Second)
	if got := len(b.claim(10)); got != 1 {
		b.Errorf("claimed %d rows after it was resumed, want 1", got)
	}
}
