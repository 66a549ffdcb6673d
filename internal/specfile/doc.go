// Package specfile reads the YAML files that partners write into structs, strictly: an unknown key,
// a wrong type or a missing field is a problem with file, line and a hint, and all problems of a
// file are told at once. From the same structs it makes JSON Schema, so that editors check what we
// check.
//
// A string that begins with "=" is an expression wherever a file allows one. The package keeps it as
// text with its position; what it means is the business of those who compile it.
//
// Struct tags: spec:"name" or spec:"name,required" names a key; ",inline" takes an embedded struct's
// keys into this level; ",one" lets a single value stand for a list. doc, enum ("a|b"), default,
// pattern, min and max say more. A field Pos of type Pos receives the place.
package specfile
