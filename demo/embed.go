// Package demo holds the demo's customers: who plays which part, how each is set up, and the deals
// that arrive while it runs.
package demo

import "embed"

// Files are the demo's files.
//
//go:embed cast.json arrivals.json customers
var Files embed.FS
