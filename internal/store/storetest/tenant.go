package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/hub"
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

func named(b *bench) {
	var list []store.Record
	for i, label := range []string{"Ärger GmbH", "100% Bio", "100 Bio", "P1", "P10"} {
		list = append(list, store.Record{ID: hub.RecordID(fmt.Sprint("rec_", i)), Type: "account", Label: label, Fields: []byte(`{}`), Updated: b.clock.Now()})
	}
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Records: list, Links: []store.Link{{Record: "rec_2", Connection: "erp", Kind: "customer", ExternalID: "P1", Number: "C_7", Updated: b.clock.Now()}}})
	b.must(err)
	t := b.store.Tenant("t1")
	labels := func(list []store.Record, err error) string {
		b.must(err)
		var out []string
		for _, r := range list {
			out = append(out, r.Label)
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	for text, want := range map[string][2]string{
		"Ärger": {"Ärger GmbH", ""}, "Ärger gmbh": {"Ärger GmbH", "Ärger GmbH"}, "100%": {"100% Bio", ""}, "100_Bio": {"", ""}, "%": {"100% Bio", ""}, "!": {"", ""},
		"p1": {"P1, P10", "P1"}, "P1": {"100 Bio, P1, P10", "100 Bio, P1"}, "C_7": {"100 Bio", "100 Bio"}, "C17": {"", ""}, "rec_4": {"P10", "P10"},
	} {
		if got := labels(t.Records(b.ctx, "account", text, 10)); got != want[0] {
			b.Errorf("a search for %q finds %q, want %q", text, got, want[0])
		}
		if got := labels(t.Named(b.ctx, "account", text, 10)); got != want[1] {
			b.Errorf("%q names %q, want %q", text, got, want[1])
		}
	}
}

// changesAreSeen: what one node applies, the others see by the stamp, and nothing else changes it.
func changesAreSeen(b *bench) {
	t := b.store.Tenant("t1")
	last := ""
	apply := func(what string, change store.Setup, changes bool) {
		change.Customer = store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR"}
		b.must(b.store.Apply(b.ctx, change))
		stamp, err := t.Stamp(b.ctx)
		b.must(err)
		if (stamp != last) != changes {
			b.Errorf("%s: the stamp was %q and is %q", what, last, stamp)
		}
		last = stamp
	}
	conn := store.Connection{Tenant: "t1", ID: "crm", Connector: "c", Settings: "{}", State: "active", Updated: b.clock.Now()}
	apply("a customer", store.Setup{}, true)
	apply("a connection", store.Setup{Connections: []store.Connection{conn}}, true)
	apply("a flow", store.Setup{Deployments: []store.Deployment{{Tenant: "t1", ID: "deals", Revision: 1, State: "active", Spec: "{}"}}}, true)
	apply("nothing", store.Setup{}, false)
	conn.Updated = conn.Updated.Add(time.Second)
	apply("a connection again", store.Setup{Connections: []store.Connection{conn}}, true)
	apply("a revision", store.Setup{Deployments: []store.Deployment{{Tenant: "t1", ID: "deals", Revision: 2, State: "active", Spec: "{}"}}}, true)
	if other, err := b.store.Tenant("t2").Stamp(b.ctx); err != nil || other == last {
		b.Errorf("another customer's is %q, %v", other, err)
	}
}

// sessionsOfEdits: an edit that keeps the credentials keeps what a login gave; another one drops it, for all who know its
// version.
func sessionsOfEdits(b *bench) {
	t := b.store.Tenant("t1")
	apply := func(secret string, keep bool) store.Connection {
		b.must(b.store.Apply(b.ctx, store.Setup{Customer: store.Customer{ID: "t1", Name: "T", Zone: "UTC", Currency: "EUR"}, Connections: []store.Connection{
			{Tenant: "t1", ID: "crm", Connector: "c", Settings: "{}", Secret: []byte(secret), State: "active", KeepSession: keep, Updated: b.clock.Now()}}}))
		c, err := t.Connection(b.ctx, "crm")
		b.must(err)
		return *c
	}
	apply("old", false)
	before := apply("old", false)
	_, version, err := t.RenewSession(b.ctx, "crm", before.SessionVersion, func([]byte) ([]byte, error) { return []byte("s"), nil })
	b.must(err)
	if c := apply("old", true); string(c.Session) != "s" || c.SessionVersion != version {
		b.Errorf("an edit of something else leaves session %q, version %d; want s, %d", c.Session, c.SessionVersion, version)
	}
	if c := apply("new", false); c.Session != nil || c.SessionVersion == version {
		b.Errorf("with new credentials there is session %q, version %d as before", c.Session, c.SessionVersion)
	}
}
