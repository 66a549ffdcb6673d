// Package egress is the only way out: every HTTP request that this program sends to somebody else
// goes through its Client.
//
// It promises that a request goes only to a good address (checked on the address that is really
// dialled, so a name that changes its mind does not help), that a credential never goes beyond the
// connection's host suffix, that no answer is endless in time or size, and above all that an error
// tells whether the request may have left us: Unavailable when it certainly has not, Uncertain when
// it may have (R3). For that it repeats nothing that writes, and keeps net/http from doing so.
//
// What an answer means, how often to call and when to try again are left to package remote.
package egress
