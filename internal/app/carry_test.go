package app_test

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/access"
	"throughline/internal/app"
)

// small is an ERP such as a vendor's standard API offers: customers and projects by number and name,
// no tasks and no billing plan.
var small = fstest.MapFS{
	"connectors/small-erp/connector.yaml": {Data: []byte(`
connector: small-erp
version: 1.0.0
title: Small ERP
roles: [erp]
host: https://erp.example
records:
  customer: {path: /customers, id: =x.id, number: =x.number, as: account, find: {marker: {get: /customers, query: {note: =marker}}}, create: {write: S}}
  project: {path: /projects, id: =x.id, number: =x.number, as: project, find: {marker: {get: /projects, query: {note: =marker}}}, create: {write: S}}
`)},
	"connectors/small-erp/mapping/account.yaml": {Data: []byte("record: customer\nas: account@1\nread: {name: =x.displayName}\nwrite: {displayName: =record.name}\n")},
	"connectors/small-erp/mapping/project.yaml": {Data: []byte("record: project\nas: project@1\nwrite: {displayName: =record.name}\n")},
}

const wants = `
customer: northwind
name: Northwind
connections:
  crm: {connector: hubspot@1, settings: {currency: EUR}, secret: "file:SECRET"}
  erp: {connector: small-erp@1}
flows:
  deals:
    template: deal-to-project@1
    roles: {crm: crm, erp: erp}
`

// TestWhatAConnectorCannotCarryIsRefusedBeforeDeployment: nobody learns from the first won deal that
// the ERP has no tasks (N4).
func TestWhatAConnectorCannotCarryIsRefusedBeforeDeployment(t *testing.T) {
	a, err := app.New(t.Context(), app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", Definitions: []fs.FS{small}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	secret := filepath.Join(t.TempDir(), "crm.json")
	if err := os.WriteFile(secret, []byte(`{"token": "t", "client_secret": "s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	file := strings.Replace(wants, "SECRET", secret, 1)
	by := access.Principal{Name: "test", Role: "admin", Tenant: access.Everyone}
	for _, c := range []struct{ name, without, refused string }{
		{"a contract is not carried", "", "erp cannot carry a contract: its connector small-erp has none that can be written."},
		{"tasks are not carried", "    without: [erp/contract]\n", "erp cannot carry a task: its connector small-erp has none that can be written. Connect another system, or go without it: without: [erp/task] in the flow."},
		{"without tasks, the billing plan is still not carried", "    without: [erp/contract, erp/task]\n", "erp cannot carry a billing_milestone: its connector small-erp has none that can be written."},
		{"what nobody writes cannot be left out", "    without: [erp/tasks]\n", `The template has no use for "erp/tasks", so the flow cannot go without it. It writes or reads crm/opportunity, erp/account,`},
		{"without both, it can be deployed", "    without: [erp/contract, erp/task, erp/billing_milestone]\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := a.Control.Apply(t.Context(), by, "customer.yaml", []byte(file+c.without))
			switch {
			case c.refused == "" && err != nil:
				t.Error(err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("got  %v\nwant %s", err, c.refused)
			}
			list, err := a.Store.Tenant("northwind").Deployments(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if deployed := len(list) > 0; deployed != (c.refused == "") {
				t.Errorf("deployed: %v", deployed)
			}
		})
	}
}
