package main

import (
	"encoding/json"
	"os"

	"throughline/internal/canonical"
	"throughline/internal/cases"
	"throughline/internal/connector"
	"throughline/internal/control"
	"throughline/internal/mapping"
	"throughline/internal/specfile"
	"throughline/internal/workflow"
)

type schemaCmd struct {
	Kind string `arg:"" enum:"connector,mapping,template,customer,record,cases,template-cases" help:"connector, mapping, template, customer, record, cases or template-cases."`
}

func (c *schemaCmd) Run() error {
	root := map[string]any{"connector": connector.File{}, "mapping": mapping.File{}, "template": workflow.File{}, "customer": control.CustomerFile{}, "record": canonical.Schema{},
		"cases": []cases.Case{}, "template-cases": []cases.TemplateCase{}}[c.Kind]
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(specfile.Schema(root, "A "+c.Kind+" file"))
}
