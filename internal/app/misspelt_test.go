package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throughline/internal/access"
	"throughline/internal/app"
)

const spelt = `
customer: northwind
name: Northwind
connections:
  crm: {connector: hubspot@1, settings: {currency: EUR}, secret: "file:SECRETS/crm.json"}
  erp: {connector: acumatica@1, settings: {url: "https://erp.example", tenant: N}, secret: "file:SECRETS/erp.json"}
packages:
  STD: {name: Standard, tasks: [{code: A, name: Start, hours: 8}, {code: B, name: End}]}
flows:
  deals:
    template: deal-to-project@1
    roles: {crm: crm, erp: erp}
    parameters: {approve_above: 5000 EUR}
    extend: {project: {number: =record.number}}
`

// TestWhatIsMisspeltIsRefused: what the file says and nobody reads would be obeyed by nobody, and nobody would hear of it.
func TestWhatIsMisspeltIsRefused(t *testing.T) {
	a, err := app.New(t.Context(), app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	for name, text := range map[string]string{"crm.json": `{"token": "t", "client_secret": "s"}`, "erp.json": `{"user": "u", "password": "p"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	by := access.Principal{Name: "test", Role: "admin", Tenant: access.Everyone}
	for _, c := range []struct{ name, right, wrong, refused string }{
		{"a parameter", "approve_above", "aprove_above", `flows.deals.parameters.aprove_above: The template has no parameter "aprove_above". It has approve_above.`},
		{"an amount without its currency", "5000 EUR", "5000", "flows.deals.parameters.approve_above: 5000 is no answer: an amount and its currency are wanted, such as 5000 EUR, or none."},
		{"a connection's name", "  crm: {connector", "  crm/eu: {connector", "connections.crm/eu: `crm/eu` is no name. Letters, digits, _, - and . make one: it becomes part of keys and addresses."},
		{"a flow's name", "  deals:", "  deals eu:", "flows.deals eu: `deals eu` is no name."},
		{"a setting", "currency: EUR", "curency: USD", `connections.crm.settings.curency: hubspot@1 has no setting "curency". It has url, currency, zone,`},
		{"an extension point", "extend: {project:", "extend: {projects:", `extend.projects: the template deal-to-project@1 has no extension point "projects". It has account, contract, project,`},
		{"a field of a package", "tasks:", "taks:", `customer.yaml:8:3: packages.STD: Service package has no field "taks"; known are`},
		{"a value of a package", "hours: 8", "hours: many", `customer.yaml:8:3: packages.STD: Service package.tasks[0].hours: "many" is not a decimal number`},
		{"a field that a package lacks", "name: Standard, ", "", "customer.yaml:8:3: packages.STD.name: This is no valid service package: name: is missing"},
		{"two tasks of one code", "code: B", "code: A", `customer.yaml:8:3: packages.STD: Two of its tasks have the code "A"`},
		{"as it should be", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := strings.ReplaceAll(spelt, "SECRETS", dir)
			if c.right != "" {
				file = strings.Replace(file, c.right, c.wrong, 1)
			}
			_, err := a.Control.Apply(t.Context(), by, "customer.yaml", []byte(file))
			if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("got  %v\nwant %s", err, c.refused)
			}
		})
	}
}
