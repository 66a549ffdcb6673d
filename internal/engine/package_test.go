package engine_test

import (
	"context"
	"fmt"
	"io/fs"
	"testing"

	"throughline/internal/catalog"
	"throughline/internal/engine"
	"throughline/internal/hub"
	"throughline/schemas"
)

// TestAKeptPackageIsAsItWasWritten: numbers come back from the ledger with all their digits, and no others.
func TestAKeptPackageIsAsItWasWritten(t *testing.T) {
	h := newHouse(t)
	s := h.setup()
	s.Deployments[0].Revision, s.Deployments[0].Spec = 2, `{"template":"won-deal","version":1,"roles":{"crm":"crm","erp":"erp","time":"time"},"packages":{"std":{"name":"Std",
		"tasks":[{"code":1000000,"name":2026,"hours":0.1}],"milestones":[{"code":"M","name":"All","percent":33.333333333333333333,"after_days":1000000}]}}}`
	if err := h.store.Apply(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Load(schemas.Files, []fs.FS{h.conns}, []fs.FS{h.forms})
	if err != nil {
		t.Fatal(err)
	}
	loader := engine.NewLoader(h.store, cat, func(context.Context, hub.TenantID, hub.ConnectionID, []byte) ([]byte, error) { return nil, nil }, h.clock.Now)
	flow, err := loader.Flow(context.Background(), "t1", "deals", 0)
	if err != nil {
		t.Fatal(err)
	}
	std, _ := flow.Place.Packages("std")
	if got, want := fmt.Sprint(std["tasks"], std["milestones"]), "[map[code:1000000 hours:00:06 name:2026]] [map[after_days:1000000 code:M name:All percent:33.333333333333333333]]"; got != want {
		t.Errorf("the package is\n%s, want\n%s", got, want)
	}
}
