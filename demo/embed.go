// Package demo holds the demo's customer: who plays which part, and how it is set up.
package demo

import "embed"

// Files are the demo's files.
//
//go:embed cast.json customer.yaml secrets
var Files embed.FS
