// Package bench holds the definitions with which the product is measured: the connectors and a
// template for the fixed far side of the comparisons, its ERP once more for each write class, its CRM and its ERP
// with a limit of calls a day, and two connectors for the measurement of hours.
package bench

import (
	"bytes"
	"embed"
	"io/fs"
	"time"
)

// Files are the definitions.
//
//go:embed connectors templates
var Files embed.FS

// Late are the same definitions of far sides whose searches lag behind by so much, of which those of Files say
// a second.
func Late(lag time.Duration) fs.FS { return late{Files, lag} }

type late struct {
	embed.FS
	lag time.Duration
}

// ReadFile implements fs.ReadFileFS.
func (l late) ReadFile(name string) ([]byte, error) {
	data, err := l.FS.ReadFile(name)
	return bytes.ReplaceAll(data, []byte("lag: 1s"), []byte("lag: "+l.lag.String())), err
}
