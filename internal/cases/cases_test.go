package cases_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"throughline/internal/canonical"
	"throughline/internal/cases"
	"throughline/schemas"
)

const small = `
connector: acme
version: 1.0.0
title: Acme
roles: [time]
settings: {workspace: {title: Workspace, default: w1}}
host: https://api.acme.example
records:
  client: {path: "/{settings.workspace}/clients", id: =x.id, as: account, find: {marker: {get: /clients, query: {note: =marker}}}, create: {write: S}}
errors:
  - {status: 400, when: =body.code == 501, kind: exists, message: =body.message}
webhooks:
  verify: {scheme: token, header: X-Token, secret: =secret.webhook}
  events: [{record: client, id: =e.id}]
`

const mapped = `
record: client
as: account@1
read: {name: =x.title}
write: {title: =record.name, note: =marker}
`

const process = `
template: hello
version: 1
title: Hello
roles: {crm: required, erp: required}
parameters: {big: {type: money, title: Big}}
trigger: {record: opportunity, from: crm, when: '=record.stage == "won"'}
rules: {good: [{rule: named, that: '=record.name != "bad"', says: The name is bad., field: name}]}
steps:
  - check: good
  - read: account
    of: =record.account
  - approve: =big != null
    asks: Shall it be?
  - write: project
    to: erp
    set: {name: =record.name, account: =account}
`

func set(t *testing.T) *canonical.Set {
	t.Helper()
	s, err := canonical.Load(schemas.Files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func folder(kind, text string) fs.FS {
	return fstest.MapFS{
		"acme/connector.yaml":       {Data: []byte(small)},
		"acme/mapping/account.yaml": {Data: []byte(mapped)},
		"hello/v1.yaml":             {Data: []byte(process)},
		kind + "/cases/c.yaml":      {Data: []byte(text)},
	}
}

func TestWhatHolds(t *testing.T) {
	for name, c := range map[string]struct{ kind, text string }{
		"a record is read":                           {"acme", "- {it: reads, read: client, given: {id: 1, title: Alder}, expect: {name: Alder}}"},
		"a record is written":                        {"acme", "- {it: writes, create: client, given: {name: Alder}, expect: {method: POST, path: /w1/clients, body: {title: Alder, note: kcasecasecasecas}}}"},
		"an answer is refused":                       {"acme", "- {it: taken, answer: client.create, given: {status: 400, body: {code: 501, message: taken}}, refused: {kind: exists, says: taken}}"},
		"an answer is read":                          {"acme", "- {it: gives, answer: client.get, given: {status: 200, body: {id: 1}}, expect: {id: 1}}"},
		"a webhook is verified":                      {"acme", "- {it: hears, webhook: verify, given: {headers: {X-Token: s}, secret: {webhook: s}, body: {id: c1}}, expect: [{record: client, id: c1, key: ''}]}"},
		"a webhook with a wrong token is refused":    {"acme", "- {it: hears, webhook: verify, given: {headers: {X-Token: t}, secret: {webhook: s}, body: {id: c1}}, refused: {code: hook.signature}}"},
		"a template's writes":                        {"hello", "- {it: makes, given: {name: N, stage: won, account: '2'}, records: {account: {name: A}}, expect: [{write: project, to: erp, fields: {name: N, account: account}}]}"},
		"a template's rule":                          {"hello", "- {it: blocks, given: {name: bad, stage: won}, refused: {code: rule.named, field: name}}"},
		"a record that a template does not want":     {"hello", "- {it: filters, given: {name: N, stage: lost}, expect: []}"},
		"a reference that a read step does not find": {"hello", "- {it: misses, given: {name: N, stage: won}, refused: {code: record.reference_missing}}"},
		"an approval":                                {"hello", "- {it: asks, given: {name: N, stage: won, account: '2'}, records: {account: {name: A}}, parameters: {big: 1 EUR}, refused: {code: approval.wanted}}"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cases.Check(folder(c.kind, c.text), ".", set(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsTold(t *testing.T) {
	for name, c := range map[string]struct{ kind, text, want string }{
		"a field that differs":                     {"acme", "- it: reads\n  read: client\n  given: {title: Alder}\n  expect: {name: Elder}", `acme/cases/c.yaml:4:18: it reads: expect.name is "Alder", expected "Elder"`},
		"a field too many":                         {"acme", "- {it: writes, create: client, given: {name: A}, expect: {body: {title: A}}}", `c.yaml:1:65: it writes: body.note is "kcasecasecasecas", expected nothing`},
		"a field that is missing":                  {"acme", "- {it: reads, read: client, given: {title: A}, expect: {name: A, city: B}}", `it reads: expect.city is not there, expected "B"`},
		"a refusal that nobody expects":            {"acme", "- {it: reads, read: client, given: {id: 1}, expect: {}}", "it reads: this was refused: name: "},
		"a refusal that does not come":             {"acme", "- {it: reads, read: client, given: {title: A}, refused: {kind: invalid}}", "this was to be refused, and is not"},
		"a refusal of another kind":                {"acme", "- {it: taken, answer: client.create, given: {status: 400, body: {}}, refused: {kind: exists}}", `refused.kind is "invalid", expected "exists"`},
		"a refusal in other words":                 {"acme", "- {it: taken, answer: client.create, given: {status: 400, body: {code: 501, message: a}}, refused: {says: b}}", `refused.says: "b" is no part of`},
		"an operation that there is not":           {"acme", "- {it: x, answer: client.move, given: {status: 200}, expect: {}}", `the connector has no operation "client.move". Known are client.create, client.find.marker, client.get`},
		"a record that there is not":               {"acme", "- {it: x, read: person, given: {}, expect: {}}", `the connector has no record "person". Known are client.`},
		"a write that there is not":                {"acme", "- {it: x, update: client, given: {name: A}, expect: {}}", `has no such write of "client"`},
		"two tries in one case":                    {"acme", "- {it: x, read: client, create: client, given: {}, expect: {}}", "a case has one of read, create, update, answer and webhook, this one has 2"},
		"a case that expects nothing":              {"acme", "- {it: x, read: client, given: {title: A}}", "the case expects nothing. Add expect: or refused:"},
		"an expression in what is given":           {"acme", "- {it: x, read: client, given: {title: =x}, expect: {}}", "given is no map of plain values"},
		"a canonical field that there is not":      {"acme", "- {it: x, create: client, given: {nmae: A}, expect: {}}", `has no field "nmae"`},
		"a setting that there is not":              {"acme", "- {it: x, read: client, settings: {zone: A}, given: {title: A}, expect: {name: A}}", `the connector has no setting "zone". Known are workspace.`},
		"a word of a request that there is not":    {"acme", "- {it: x, create: client, given: {name: A}, expect: {bdoy: {}}}", `unknown key "bdoy". Known here: method, path, query, headers, body.`},
		"a word of a case that there is not":       {"acme", "- {it: x, raed: client, given: {}}", "unknown key `raed`. Did you mean `read`?"},
		"a write of a template that does not come": {"hello", "- {it: x, given: {name: N, stage: lost}, expect: [{write: project, to: erp}]}", "a project is not written to erp. The steps write nothing."},
		"a write of a template too many":           {"hello", "- {it: x, given: {name: N, stage: won, account: '2'}, records: {account: {name: A}}, expect: []}", "a project is written to erp, which is not expected. The steps write project to erp."},
		"a template's field that differs":          {"hello", "- it: x\n  given: {name: N, stage: won, account: '2'}\n  records: {account: {name: A}}\n  expect:\n    - write: project\n      to: erp\n      fields: {name: M, account: account}", `hello/cases/c.yaml:7:22: it x: fields.name is "N", expected "M"`},
		"a record that a read step needs":          {"hello", "- {it: x, given: {name: N, stage: won, account: '2'}, expect: []}", "the case gives no record for the step read: account; add it under records"},
		"a parameter that there is not":            {"hello", "- {it: x, given: {name: N, stage: won}, parameters: {small: 1 EUR}, expect: []}", `the template has no parameter "small". Known are big.`},
		"a request of which nothing is compared":   {"acme", "- {it: x, create: client, given: {name: A}, expect: {}}", "the case expects nothing. Say method, path, query, headers or body."},
		"a request that is a text":                 {"acme", "- {it: x, create: client, given: {name: A}, expect: POST}", "the case expects nothing. Say method, path, query, headers or body."},
		"a refusal that says nothing":              {"acme", "- {it: x, read: client, given: {id: 1}, refused: {}}", "refused says nothing. Say kind, code, field or a part of the message."},
		"a request that is refused":                {"acme", "- {it: x, create: client, given: {}, expect: {method: POST}, refused: {kind: invalid}}", "a case that is refused expects nothing else"},
		"writes before a refusal":                  {"hello", "- {it: x, given: {name: bad, stage: won}, expect: [{write: project, to: erp}], refused: {code: rule.named}}", "a case that is refused expects nothing else"},
		"a record that no step reads":              {"hello", "- {it: x, given: {name: N, stage: lost}, records: {acount: {name: A}}, expect: []}", `no step reads "acount". Known are account.`},
		"a role of a case that there is not":       {"hello", "- {it: x, given: {name: N, stage: won, account: '2'}, records: {account: {name: A}}, roles: [crm, epr], expect: []}", `the template has no role "epr". Known are crm, erp.`},
		"an omission that there is not":            {"hello", "- {it: x, given: {name: N, stage: lost}, without: [erp/projects], expect: []}", `no step has erp/projects to go without`},
		"a version that there is not":              {"hello", "- {it: x, version: 2, given: {name: N, stage: won}, expect: []}", "There is no template hello@2."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cases.Check(folder(c.kind, c.text), ".", set(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestEverythingIsToldAtOnce: a person corrects all files in one go.
func TestEverythingIsToldAtOnce(t *testing.T) {
	dir := fstest.MapFS{
		"connectors/a/connector.yaml": {Data: []byte(strings.Replace(small, "connector: acme", "connectr: a", 1))},
		"templates/b/v1.yaml":         {Data: []byte(strings.Replace(process, "to: erp", "to: epr", 1))},
		"templates/c/v1.yaml":         {Data: []byte(strings.Replace(process, "=record.name,", "=record.nmae,", 1))},
		"templates/c/v2.yaml":         {Data: []byte(strings.Replace(process, "that: ", "taht: ", 1))},
	}
	_, err := cases.Check(dir, "mine", set(t))
	for _, want := range []string{"mine/connectors/a/connector.yaml:2:1: ", "mine/templates/b/v1.yaml:", "mine/templates/c/v1.yaml:", "mine/templates/c/v2.yaml:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is told of %s in:\n%v", want, err)
		}
	}
}
