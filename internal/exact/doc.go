// Package exact holds the values that must never be off by a little: decimals, money, business
// dates, seconds of work, and the JSON that carries them between systems.
//
// It promises that no value ever passes through a float, that two values are equal exactly when
// Go's == says so, and that whatever it cannot represent is an error and never an approximation.
// Every type here is a small value whose zero is useful, safe to copy and to use as a map key.
//
// What a quantity means (whose money, which day's work) is left to the packages above.
package exact
