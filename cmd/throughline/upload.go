package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"

	"throughline/internal/api"
)

type uploadCmd struct {
	server
	Customer   string `arg:""`
	Connection string `arg:"" help:"The connection whose records these are, such as time."`
	Kind       string `arg:"" help:"The connector's own word for the record, such as entry."`
	File       string `arg:"" help:"A table: the first line names the fields, timeInterval.start for one inside an object." type:"existingfile"`
}

// rowsAtOnce keeps one request well below what the server takes.
const rowsAtOnce = 2000

// Run sends the table in parts. One that breaks off is sent again from the front: nothing is taken twice.
func (c *uploadCmd) Run(ctx context.Context) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/customers/%s/connections/%s/records/%s", url.PathEscape(c.Customer), url.PathEscape(c.Connection), url.PathEscape(c.Kind))
	header, rest, _ := bytes.Cut(data, []byte("\n"))
	var all api.Taken
	for len(rest) > 0 {
		var part []byte
		part, rest = cut(rest, rowsAtOnce)
		var taken api.Taken
		if err := c.client().Do(ctx, "POST", path, "text/csv", append(append(bytes.Clone(header), '\n'), part...), &taken); err != nil {
			return fmt.Errorf("after %d rows: %w", all.Rows, err)
		}
		all.Rows, all.New = all.Rows+taken.Rows, all.New+taken.New
	}
	fmt.Printf("%d rows taken, %d of them new\n", all.Rows, all.New)
	return nil
}

// cut splits off the first n lines; a line break inside quotes is none.
func cut(data []byte, n int) (part, rest []byte) {
	quoted := false
	for i, b := range data {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n' && !quoted:
			if n--; n == 0 {
				return data[:i+1], data[i+1:]
			}
		}
	}
	return data, nil
}
