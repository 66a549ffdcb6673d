// Package expr is the language of every file a partner writes: what stands behind a "=".
//
// It is CEL with the types of the trade added (decimal, money, date, seconds, references), so that
// hours cannot be added to money and an amount cannot lose a digit. Expressions are typed when they
// are compiled, have no side effects, and cannot run away: each evaluation has a cost limit, and what it
// makes is bounded in size (bounds.go). The limit bounds time as well, because nothing in the language
// waits.
//
// Two conventions make expressions over other people's JSON short. Reading something that is not
// there gives null, however deep; and our own functions give null when an argument is null. A
// condition that comes out null is not met.
//
// The package knows nothing of files, records or vendors. Those who use it declare the variables,
// object types and functions that make sense where their expression stands.
package expr
