package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// Upload takes records from a table (CSV): its columns are the fields of a kind of the connection's
// records, "timeInterval.start" for a field inside an object, so that the same mapping reads them as any
// other. Either all rows are taken or none; a row that says what was taken last is not taken twice.
func (in *Ingest) Upload(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kindName string, table []byte) (rows, fresh int, err error) {
	conn, err := in.loader.Connection(ctx, tenant, id)
	if err != nil {
		return 0, 0, err
	}
	kind := conn.Connector.Kind(kindName)
	if kind == nil {
		return 0, 0, &hub.Error{Kind: hub.NotFound, Code: "upload.kind", Message: fmt.Sprintf("%s has no record %q.", id, kindName), Hint: "Name one of its connector's records: throughline explain connector."}
	}
	flows, err := in.flows(ctx, tenant)
	if err != nil {
		return 0, 0, err
	}
	records, err := readTable(table)
	if err != nil {
		return 0, 0, err
	}
	list := make([]store.Arrival, len(records))
	for i, x := range records {
		a, err := in.uploaded(kind, x, conn.Settings)
		if err != nil {
			return 0, 0, badRow(i+2, err)
		}
		if list[i], err = in.arrival(tenant, id, a, flows, "file", hub.Normal); err != nil {
			return 0, 0, badRow(i+2, err)
		}
		if err := in.anew(ctx, tenant, &list[i], a); err != nil {
			return 0, 0, err
		}
		if len(list[i].Deployments) == 0 {
			return 0, 0, &hub.Error{Kind: hub.Invalid, Code: "upload.unwanted", Message: fmt.Sprintf("No flow of %s begins with a %s of %s.", tenant, kindName, id), Hint: "Apply a flow whose trigger it is, then upload again."}
		}
	}
	taken, err := in.journal.Accept(ctx, list...)
	if err != nil {
		return 0, 0, fmt.Errorf("store the upload: %w", err)
	}
	for _, isNew := range taken {
		if isNew {
			fresh++
		}
	}
	in.wake()
	return len(list), fresh, nil
}

// anew makes a row that was taken before a new event where another one has said otherwise since.
func (in *Ingest) anew(ctx context.Context, tenant hub.TenantID, a *store.Arrival, row connector.Arrived) error {
	t := in.store.Tenant(tenant)
	known, err := t.Event(ctx, a.Event.ID)
	if err != nil || known == nil || len(a.Deployments) == 0 {
		return err
	}
	work, err := t.Work(ctx, store.Filter{Deployment: a.Deployments[0], Key: a.Event.Key.String(), Limit: 1})
	if err != nil || len(work) == 0 {
		return err
	}
	last, err := t.Event(ctx, cmp.Or(work[0].Next, work[0].Event))
	switch {
	case err != nil || last == nil:
		return err
	case bytes.Equal(last.Payload, a.Event.Payload):
		a.Event.ID = last.ID
	default:
		a.Event.ID = hub.EventIDFor(tenant, a.Event.Key.Connection, row.Kind.Name, row.ID, row.Dedupe+"/after/"+string(last.ID))
	}
	return nil
}

// uploaded is the event of a row. The record stands in the file: no second read follows.
func (in *Ingest) uploaded(kind *connector.Kind, x map[string]any, settings any) (connector.Arrived, error) {
	id, err := kind.IDOf(x, settings)
	if err != nil {
		return connector.Arrived{}, err
	}
	if id == "" {
		return connector.Arrived{}, noID(kind)
	}
	hash, err := contentOf(x)
	if err != nil {
		return connector.Arrived{}, err
	}
	return connector.Arrived{Kind: kind, ID: id, Dedupe: "file/" + hash, Payload: x}, nil
}

func badRow(line int, err error) error {
	return &hub.Error{Kind: hub.Invalid, Code: "upload.row", Field: fmt.Sprintf("line %d", line), Message: err.Error() + ".", Hint: "Correct the line and upload again; nothing was taken."}
}

// maxPath is how many objects a column's field may lie inside.
const maxPath = 16

// readTable reads a header and the rows below it. An empty cell is a field that is not set.
func readTable(table []byte) ([]map[string]any, error) {
	if !utf8.Valid(table) {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: "The file is not UTF-8.", Hint: "Save it as CSV UTF-8 and upload again; nothing was taken."}
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(table, []byte("\ufeff"))))
	if first, _, _ := bytes.Cut(table, []byte("\n")); bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		r.Comma = ';' // as office programs write it where the comma is for decimals
	}
	header, err := r.Read()
	if err != nil {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: "The file has no header line.", Hint: "Name the columns in the first line, separated by commas.", Err: err}
	}
	paths := make([][]string, len(header))
	for i, name := range header {
		if paths[i] = strings.Split(strings.TrimSpace(name), "."); len(paths[i]) > maxPath {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: fmt.Sprintf("Column %d names a field more than %d levels deep.", i+1, maxPath), Hint: "Nothing was taken."}
		}
	}
	var out []map[string]any
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: "The file cannot be read as CSV: " + err.Error() + ".", Hint: "Nothing was taken."}
		}
		x := map[string]any{}
		for i, path := range paths {
			if cells[i] != "" {
				place(x, path, cells[i])
			}
		}
		out = append(out, x)
	}
}

// place sets a field, which may lie inside objects.
func place(x map[string]any, path []string, cell string) {
	for _, p := range path[:len(path)-1] {
		inner, ok := x[p].(map[string]any)
		if !ok {
			inner = map[string]any{}
			x[p] = inner
		}
		x = inner
	}
	switch last := path[len(path)-1]; cell {
	case "true", "false":
		x[last] = cell == "true"
	default:
		x[last] = cell
	}
}
