// Package schemas holds the canonical record types, one file each (see package canonical).
package schemas

import "embed"

// Files are the record types that the product comes with.
//
//go:embed *.yaml
var Files embed.FS
