// Package simulator stands in for a far side in tests and demos.
//
// A simulator.yaml describes one vendor's system: who may come in, what it keeps, which addresses it
// answers, how it words its errors, how fast one may ask, what it tells others by webhook. This
// package reads the description and behaves accordingly; it knows verbs (list, create, move, batch)
// and no vendor. Descriptions are written from what the vendor publishes, never from our connector
// for it: a stand-in that was written from the connector would agree with its mistakes.
//
// It promises three things. Every effect (create, update, delete, action) is a line in the effect
// ledger before its answer leaves, so that a test can count what happened whatever became of the
// answer. Everything that depends on time or chance comes from Options, so that a seed and a clock
// repeat a run. And what goes wrong with real far sides (a lost answer after the effect, a login
// page with status 200, a Retry-After of ten years) can be asked for here: by odds, or for the next
// n calls.
//
// What is done through the back door (the methods Insert, Update, Remove, and Control over HTTP)
// counts as the work of a person in that system: it moves the change stamps and raises webhooks.
//
// State lives in memory and is gone with the Simulator. Speaking the wire (sockets, TLS) is left to
// whoever serves it.
package simulator
