package main

import (
	"encoding/json"
	"os"

	"throughline/internal/specfile"
)

type schemaCmd struct {
	Kind string `arg:"" enum:"connector,mapping,template,customer,record,cases,template-cases" help:"connector, mapping, template, customer, record, cases or template-cases."`
}

func (c *schemaCmd) Run() error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(specfile.Schema(kinds[c.Kind], "A "+c.Kind+" file"))
}
