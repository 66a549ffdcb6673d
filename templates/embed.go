// Package templates holds the templates that the product comes with, one folder each (see package
// workflow). A published version is never edited: a change is a new file beside it.
package templates

import "embed"

// Files are the templates, every version of them.
//
//go:embed all:*/*
var Files embed.FS
