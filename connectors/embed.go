// Package connectors holds the connectors that the product comes with, one folder each (see package
// connector). A folder without a connector.yaml is no connector and is passed over.
package connectors

import "embed"

// Files are the connectors, with their mappings and simulators.
//
//go:embed all:*/*
var Files embed.FS
