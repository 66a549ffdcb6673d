// Package specfile reads the YAML files that people write for us into Go structs, strictly.
//
// It promises that every problem of a file is found in one go, each with file, line, column, the
// path to the value and a hint; that nothing is guessed (no unknown keys, no "yes" for true, no
// second document, no aliases, anchors or tags); and that no file, however hostile, makes it
// panic. The same struct tags give the JSON Schema with which editors complete and check.
//
// A string that begins with "=" is an expression. This package keeps its source and position;
// compiling it, and what the values mean, is left to the packages of the definitions.
//
// # Tags
//
//	Name  string        `spec:"name,required" doc:"one line for people" pattern:"^[a-z-]+$"`
//	Max   int           `spec:"max" default:"100" min:"1" max:"200"`
//	Kind  string        `spec:"kind" enum:"create|update"`
//	By    []string      `spec:"by,one"`      // one value or a list of them
//	Write *Write        `spec:"write"`       // nil when absent
//	Steps Map[Step]     `spec:"steps"`       // in the order of the file
//	Shared              `spec:",inline"`     // its keys stand at this level
//	Pos   Pos                                // untagged: receives the position
//
// A field without tag is the program's own and no file can set it. A tag that makes no sense is a
// defect of ours and panics on first use, as regexp.MustCompile does.
package specfile
