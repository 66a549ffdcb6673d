package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"throughline/internal/hub"
)

// scaffold is the folder that a new connector begins from: small, commented, and working.
//
//go:embed scaffold
var scaffold embed.FS

type newCmd struct {
	Connector newConnectorCmd `cmd:"" help:"Write a small working connector with mapping, cases and simulator."`
}

type newConnectorCmd struct {
	Name string `arg:"" help:"Its name, in small letters: acme-time."`
	Dir  string `help:"Folder with connectors/." default:"." type:"path"`
}

var connectorName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Run writes the folder; one that is there already is never touched.
func (c *newConnectorCmd) Run() error {
	if !connectorName.MatchString(c.Name) {
		return &hub.Error{Kind: hub.Invalid, Code: "new.name", Message: fmt.Sprintf("%q is no name for a connector.", c.Name), Hint: "Use small letters, digits and dashes: acme-time."}
	}
	folder := filepath.Join(c.Dir, "connectors", c.Name)
	if exists(folder) {
		return &hub.Error{Kind: hub.Exists, Code: "new.exists", Message: fmt.Sprintf("%s is there already; nothing was written.", shown(folder)), Hint: "Choose another name, or remove it first."}
	}
	err := fs.WalkDir(scaffold, "scaffold", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(folder, filepath.FromSlash(strings.TrimPrefix(path, "scaffold")))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return c.write(path, to)
	})
	if err != nil {
		return err
	}
	at := shown(folder)
	fmt.Printf("wrote %[1]s\nnext:\n  throughline check %[1]s\n  throughline simulate %[1]s --addr 127.0.0.1:9900\n"+
		"  KEY=demo-key throughline try %[1]s client.list --set url=http://127.0.0.1:9900 --secret key=env:KEY --allow 127.0.0.1/32\n", at)
	return nil
}

func (c *newConnectorCmd) write(from, to string) error {
	data, err := scaffold.ReadFile(from)
	if err != nil {
		return err
	}
	text := strings.NewReplacer("NAME", c.Name, "TITLE", title(c.Name)).Replace(string(data))
	return os.WriteFile(to, []byte(text), 0o644)
}

// title is the name as a person would write it: Acme Time.
func title(name string) string {
	var parts []string
	for p := range strings.SplitSeq(name, "-") {
		if p != "" {
			parts = append(parts, strings.ToUpper(p[:1])+p[1:])
		}
	}
	return strings.Join(parts, " ")
}
