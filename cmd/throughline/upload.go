package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"os"
	"slices"

	"throughline/internal/api"
)

type uploadCmd struct {
	server
	Customer   string `arg:""`
	Connection string `arg:"" help:"The connection whose records these are, such as time."`
	Kind       string `arg:"" help:"The connector's own word for the record, such as entry."`
	File       string `arg:"" help:"A table: the first line names the fields, timeInterval.start for one inside an object." type:"existingfile"`
}

// A part is what one request brings: few enough rows that others' commits wait for none, and well below what the server takes.
const (
	rowsAtOnce  = 2000
	bytesAtOnce = 4 << 20
)

// Run looks through the whole table before it sends any of it, in parts. One that breaks off is sent again from the
// front: nothing is taken twice.
func (c *uploadCmd) Run(ctx context.Context) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	t := parts(data)
	if err := c.check(ctx, t); err != nil {
		return err
	}
	var all api.Taken
	for part := range t {
		taken, err := c.send(ctx, part, false)
		if err != nil {
			return fmt.Errorf("%d rows were taken; upload the file again, nothing is taken twice: %w", all.Rows, err)
		}
		all.Rows, all.New = all.Rows+taken.Rows, all.New+taken.New
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	fmt.Printf("%d rows taken, %d of them new\n", all.Rows, all.New)
	return nil
}

// check asks whether all rows could be taken, and refuses those of one record that say different things: it would be left
// to their order which of them counts.
func (c *uploadCmd) check(ctx context.Context, t iter.Seq[[]byte]) error {
	first := map[string]api.TableRow{}
	for part := range t {
		looked, err := c.send(ctx, part, true)
		if err != nil {
			return err
		}
		for _, row := range looked.Checked {
			if other, twice := first[row.ID]; twice && other.Says != row.Says {
				return fmt.Errorf("line %d: it has the id of line %d, %s, and says something else.\nCorrect the line and upload again; nothing was taken.", row.Line, other.Line, row.ID)
			}
			first[row.ID] = row
		}
	}
	return nil
}

func (c *uploadCmd) send(ctx context.Context, part []byte, check bool) (out api.Taken, err error) {
	path := fmt.Sprintf("/v1/customers/%s/connections/%s/records/%s?check=%t", url.PathEscape(c.Customer), url.PathEscape(c.Connection), url.PathEscape(c.Kind), check)
	return out, c.client().Do(ctx, "POST", path, "text/csv", part, &out)
}

// parts cuts a table into parts, each with the header, and with empty lines for those that went before: what is wrong
// with a line is told by its number in the file.
func parts(data []byte) iter.Seq[[]byte] {
	header, rows := cut(data, 1, len(data))
	if !bytes.HasSuffix(header, []byte("\n")) {
		header = append(bytes.Clone(header), '\n')
	}
	return func(yield func([]byte) bool) {
		before := 0
		for rest, more := rows, true; more; more = len(rest) > 0 {
			var part []byte
			part, rest = cut(rest, rowsAtOnce, bytesAtOnce)
			if !yield(slices.Concat(header, bytes.Repeat([]byte("\n"), before), part)) {
				return
			}
			before += bytes.Count(part, []byte("\n"))
		}
	}
}

// cut splits off the first n lines, or fewer once they are so many bytes; a line break inside quotes is none.
func cut(data []byte, n, size int) (part, rest []byte) {
	quoted := false
	for i, b := range data {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n' && !quoted:
			if n--; n == 0 || i >= size {
				return data[:i+1], data[i+1:]
			}
		}
	}
	return data, nil
}
