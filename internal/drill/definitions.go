package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing/fstest"

	"throughline/bench"
	"throughline/internal/catalog"
	"throughline/schemas"
)

// crm can be heard in every way: events that name a deal, events that carry it, and a list.
const crm = `
connector: far-crm
version: 1.0.0
title: A CRM
roles: [crm]
settings:
  url: {title: Address, required: true}
host: "{settings.url}"
page: {cursor: after, next: =body.next}
records:
  opportunity:
    path: /deals
    id: =x.id
    version: =x.version
    as: opportunity
    list:
      query: {since: =since}
      result: =body.rows
      changed: =instant(x.changed)
      overlap: 40s
    update: {patch: "/deals/{id}", write: U}
webhooks:
  verify: {scheme: none}
  events:
    - {record: opportunity, id: =e.id, key: =e.key, version: =e.version, carries: =e.deal}
`

// books is a system that projects are written to; CREATE differs by write class.
const books = `
connector: far-ROLE-CLASS
version: 1.0.0
title: A system whose creates have one write class
roles: [ROLE]
settings:
  url: {title: Address, required: true}
host: "{settings.url}"
records:
  customer:
    path: /customers
    id: =x.id
    number: =x.id
    as: account
    FIND: {marker: {get: /customers, query: {externalId: =marker}}}
    create: {CREATE}
    update: {patch: "/customers/{id}", write: U}
  project:
    path: /projects
    id: =x.id
    number: =x.id
    as: project
    FIND: {marker: {get: /projects, query: {externalId: =marker}}}
    create: {CREATE}
    update: {patch: "/projects/{id}", write: U}
`

// creates are the write classes, as connectors declare them.
var creates = map[string]string{
	"K": `write: K, headers: {Idempotency-Key: =key}`,
	"U": `write: U, put: "/PATH/by/{marker}"`,
	"S": `write: S`,
	"X": `write: X`,
}

// The connectors of systems that are more than that.
const (
	batched  = "-batch"
	loggedIn = "-login"
)

// firstToken is the refresh token that a person's consent gave.
const firstToken = "first"

// tokens in exchange for a refresh token, which is another one each time.
const auth = `
auth:
  oauth2: {token: "{settings.url}/token", grant: refresh_token, client: body, client_id: =settings.url, client_secret: =settings.url, refresh_token: '="` + firstToken + `"'}
records:`

// many is a create of class S that takes several projects in one call.
const many = `
      write: S
      batch:
        post: /projects/batch
        body: {items: '=items.map(i, {"externalId": i.marker, "name": i.fields.name})'}
        max: 3
        for: =item.externalId
        failed: =item.error != null
        message: =item.error`

// Definitions are the connectors of the drill, with the mappings and the template of the measurements.
// Lag is what those of class S say of their searches; empty: nothing, so that the product's own word counts.
func Definitions(lag string) (*catalog.Catalog, error) {
	files := fstest.MapFS{}
	add := func(name, text string, mappings ...string) (err error) {
		for _, login := range []bool{false, true} {
			full, file := name, text
			if login {
				full, file = name+loggedIn, strings.Replace(text, "\nrecords:", auth, 1)
			}
			file = strings.Replace(file, "connector: "+name+"\n", "connector: "+full+"\n", 1)
			files[full+"/connector.yaml"] = &fstest.MapFile{Data: []byte(file)}
			for _, m := range mappings {
				err = errors.Join(err, borrow(files, full, m))
			}
		}
		return err
	}
	err := add("far-crm", crm, "far-crm/mapping/opportunity.yaml")
	for class := range creates {
		for _, role := range []string{"erp", "time"} {
			name, mapped := "far-"+role+"-"+strings.ToLower(class), "far-"+role+"/mapping/project.yaml"
			text := booksOf(role, class, lag)
			err = errors.Join(err, add(name, text, mapped, "far-erp/mapping/account.yaml"))
			if role == "time" && class == "S" {
				at := strings.LastIndex(text, "create: {write: S") // of projects
				end := at + strings.Index(text[at:], "\n")
				many := strings.Replace(text[:at]+"create:"+many+text[end:], "connector: "+name, "connector: "+name+batched, 1)
				err = errors.Join(err, add(name+batched, many, mapped, "far-erp/mapping/account.yaml"))
			}
		}
	}
	temps, sub := fs.Sub(bench.Files, "templates")
	if err := errors.Join(err, sub); err != nil {
		return nil, err
	}
	return catalog.Load(schemas.Files, []fs.FS{files}, []fs.FS{temps})
}

func booksOf(role, class, lag string) string {
	text := strings.NewReplacer("ROLE", role, "CLASS", strings.ToLower(class)).Replace(books)
	if class == "X" { // nothing can be found again
		text = strings.ReplaceAll(text, "    FIND: {marker: {get: /customers, query: {externalId: =marker}}}\n", "")
		text = strings.ReplaceAll(text, "    FIND: {marker: {get: /projects, query: {externalId: =marker}}}\n", "")
	}
	text = strings.ReplaceAll(text, "FIND", "find")
	if lag != "" && class == "S" {
		text = strings.ReplaceAll(text, "CREATE", "CREATE, lag: "+lag)
	}
	for _, path := range []string{"customers", "projects"} {
		text = strings.Replace(text, "CREATE", strings.ReplaceAll(creates[class], "PATH", path), 1)
	}
	return text
}

// borrow takes a mapping of the measurements' connectors.
func borrow(files fstest.MapFS, name, mapping string) error {
	data, err := bench.Files.ReadFile("connectors/" + mapping)
	if err != nil {
		return fmt.Errorf("borrow %s: %w", mapping, err)
	}
	files[name+"/mapping/"+mapping[strings.LastIndex(mapping, "/")+1:]] = &fstest.MapFile{Data: data}
	return nil
}
