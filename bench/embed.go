// Package bench holds the definitions with which the product is measured: the connectors and a
// template for the fixed far side of the comparisons, its ERP once more for each write class, and two
// connectors for the measurement of hours.
package bench

import "embed"

// Files are the definitions.
//
//go:embed connectors templates
var Files embed.FS
