// Package bench holds the definitions with which the product is measured: three connectors and a
// template for the fixed far side of the comparisons, and two connectors for the measurement of hours.
package bench

import "embed"

// Files are the definitions.
//
//go:embed connectors templates
var Files embed.FS
