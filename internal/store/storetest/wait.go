package storetest

import (
	"throughline/internal/hub"
	"throughline/internal/store"
)

func releases(b *bench) {
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	w.State, w.Reason, w.WaitsOn = hub.Waiting, "waits for its customer", "erp/rec_1"
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
	b.accept("t1", "2", "e2", 0)
	parent := b.one()
	b.finish(parent, hub.Written, closed("op_1", "rec_1"))
	if got := b.one(); got.Key != "crm/deal/1" {
		b.Errorf("released %s, want the child", got.Key)
	}
}

// waiting claims the only row and sets it aside until rec_1 is known in the ERP.
func (b *bench) waiting() {
	b.Helper()
	w := b.one()
	w.State, w.Reason, w.WaitsOn = hub.Waiting, "waits for its customer", store.WaitsOn("erp", "rec_1")
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
}

func cameMeanwhile(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{closed("op1", "rec_1")}})
	b.must(err)
	b.accept("t1", "1", "e1", 0)
	b.waiting()
	b.one()
}

func refusedReleases(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	b.accept("t1", "1", "e1", 0)
	b.waiting()
	if n := len(b.claim(10)); n != 0 {
		b.Fatal("it did not wait for the write under way")
	}
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}})
	b.must(err)
	b.one()
}

func refusedMeanwhile(b *bench) {
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{intent("op1", "rec_1")}})
	b.must(err)
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}})
	b.must(err)
	b.accept("t1", "1", "e1", 0)
	w := b.one()
	w.State, w.Reason, w.WaitsOn = hub.Waiting, "another flow is writing", store.WaitsOnWrite("erp", "rec_1")
	_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
	b.one()
}

func takenUp(b *bench) {
	in := intent("op1", "rec_1")
	for _, flow := range []hub.DeploymentID{"first", "second"} {
		in.Deployment = flow
		busy, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
		b.must(err)
		open, err := b.store.Tenant("t1").OpenWrite(b.ctx, "rec_1", "erp")
		b.must(err)
		if len(busy) != 0 || open == nil || open.Deployment != flow {
			b.Fatalf("busy %v, open %+v; want it opened by the %s flow", busy, open, flow)
		}
		_, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Close: []store.WriteDone{{OpKey: "op1", Record: "rec_1", Connection: "erp", State: "refused"}}})
		b.must(err)
	}
}

func knownNotCreated(b *bench) {
	in := intent("op1", "rec_1")
	in.Creates = true
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Links: []store.Link{{Record: "rec_1", Connection: "erp", Kind: "customer", ExternalID: "C-1"}}, Open: []store.Write{in}})
	b.must(err)
	busy, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
	b.must(err)
	if len(busy) != 1 {
		b.Error("a record that was matched meanwhile is created all the same")
	}
	in.Creates = false
	busy, err = b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Open: []store.Write{in}})
	b.must(err)
	if len(busy) != 0 {
		b.Error("a record that is known cannot be updated")
	}
}
