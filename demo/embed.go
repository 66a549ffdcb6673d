// Package demo holds the demo's customers: who plays which part, how each is set up, and the deals
// that arrive while it runs, and the month of work that follows.
package demo

import "embed"

// Files are the demo's files.
//
//go:embed cast.json arrivals.json month.json customers
var Files embed.FS
