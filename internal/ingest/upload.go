package ingest

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"throughline/internal/canonical"
	"throughline/internal/connector"
	"throughline/internal/hub"
	"throughline/internal/store"
)

// Upload takes records from a table (CSV): its columns are the fields of a kind of the connection's
// records, "timeInterval.start" for a field inside an object, so that the same mapping reads them as any
// other. Either all rows are taken or none; a row that was taken before is not taken twice. The audit entry says who
// brings it; how many rows, and of which file, is added.
func (in *Ingest) Upload(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kindName string, table []byte, audit store.AuditEntry) (rows, fresh int, err error) {
	_, list, err := in.table(ctx, tenant, id, kindName, table)
	if err != nil {
		return 0, 0, err
	}
	audit.Detail = fmt.Sprintf("%d rows, %s", len(list), canonical.Hash(table))
	taken, err := in.journal.Take(ctx, tenant, audit, list...)
	if err != nil {
		return 0, 0, fmt.Errorf("store the upload: %w", err)
	}
	if err := in.changedBack(ctx, list, taken); err != nil {
		return 0, 0, err
	}
	for _, isNew := range taken {
		if isNew {
			fresh++
		}
	}
	in.wake()
	return len(list), fresh, nil
}

// UploadRow is a row of a table that could be taken.
type UploadRow struct {
	Line int
	ID   string
	Says string // the same for rows that say the same of the same record
}

// Check reads a table as Upload does, and takes nothing of it.
func (in *Ingest) Check(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kindName string, table []byte) ([]UploadRow, error) {
	records, list, err := in.table(ctx, tenant, id, kindName, table)
	out := make([]UploadRow, len(list))
	for i, a := range list {
		out[i] = UploadRow{records[i].line, a.Event.Key.ID, string(a.Event.ID)}
	}
	return out, err
}

// table reads the rows of a table, and what arrives with each.
func (in *Ingest) table(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, kindName string, table []byte) ([]tableRow, []store.Arrival, error) {
	conn, err := in.loader.Connection(ctx, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	kind := conn.Connector.Kind(kindName)
	if kind == nil {
		return nil, nil, &hub.Error{Kind: hub.NotFound, Code: "upload.kind", Message: fmt.Sprintf("%s has no record %q.", id, kindName), Hint: "Name one of its connector's records: throughline explain connector."}
	}
	flows, err := in.flows(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	records, err := readTable(table)
	if err != nil {
		return nil, nil, err
	}
	list := make([]store.Arrival, len(records))
	for i, x := range records {
		a, err := in.uploaded(kind, x.fields, conn.Settings)
		if err != nil {
			return nil, nil, badRow(x.line, err)
		}
		if list[i], err = in.arrival(tenant, id, a, flows, "file", hub.Normal); err != nil {
			return nil, nil, badRow(x.line, err)
		}
		if len(list[i].Deployments) == 0 {
			return nil, nil, &hub.Error{Kind: hub.Invalid, Code: "upload.unwanted", Message: fmt.Sprintf("No flow of %s begins with a %s of %s.", tenant, kindName, id), Hint: "Apply a flow whose trigger it is, then upload again."}
		}
	}
	return records, list, atOdds(records, list)
}

// atOdds refuses rows of one record that say different things: it would be left to their order which of them counts.
func atOdds(records []tableRow, list []store.Arrival) error {
	first := make(map[string]int, len(list))
	for i, a := range list {
		other, twice := first[a.Event.Key.ID]
		if twice && a.Event.ID != list[other].Event.ID {
			return badRow(records[i].line, fmt.Errorf("it has the id of line %d, %s, and says something else", records[other].line, a.Event.Key.ID))
		}
		first[a.Event.Key.ID] = i
	}
	return nil
}

// changedBack takes rows that an earlier file had, and a later one had otherwise.
func (in *Ingest) changedBack(ctx context.Context, list []store.Arrival, taken []bool) error {
	if len(list) == 0 {
		return nil
	}
	for _, d := range list[0].Deployments { // all rows are of one kind
		err := in.again(ctx, d, list, taken, func(last, now hub.Event) bool { return last.Source == now.Source && otherwise(last, now) })
		if err != nil {
			return err
		}
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

// tableRow is a record in a table, and the line at which it begins.
type tableRow struct {
	line   int
	fields map[string]any
}

// readTable reads a header and the rows below it. An empty cell is a field that is not set.
func readTable(table []byte) ([]tableRow, error) {
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
	paths, err := columns(header)
	if err != nil {
		return nil, err
	}
	var out []tableRow
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
		line, _ := r.FieldPos(0)
		out = append(out, tableRow{line, x})
	}
}

// columns are the fields that a table's columns name. Two that name the same one would leave it to their order which
// of them counts; those without a name, as office programs leave them behind, do no harm.
func columns(header []string) ([][]string, error) {
	paths, at := make([][]string, len(header)), map[string]int{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if paths[i] = strings.Split(name, "."); len(paths[i]) > maxPath {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: fmt.Sprintf("Column %d names a field more than %d levels deep.", i+1, maxPath), Hint: "Nothing was taken."}
		}
		if strings.ContainsAny(name, "\r\n") {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: "The first line goes on over several, or the lines end in a way that is not read.", Hint: "Save it as CSV UTF-8, whose lines end with LF or CRLF; nothing was taken."}
		}
		if name != "" {
			at[name] = i
		}
	}
	for i, path := range paths {
		for n := range path {
			name := strings.Join(path[:n+1], ".")
			if other, there := at[name]; there && other != i {
				return nil, &hub.Error{Kind: hub.Invalid, Code: "upload.table", Message: fmt.Sprintf("Columns %d and %d name the same field, %s.", min(i, other)+1, max(i, other)+1, name), Hint: "Leave one of them out; nothing was taken."}
			}
		}
	}
	return paths, nil
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
