// Package hub holds the words of the product: what a Tenant, a Connection, a Record or a Run is,
// how its ID looks, which states it may be in, and the one Error that all rooms understand.
//
// It knows no database, no network and no clock. Everything else may import it; it imports only
// package exact.
package hub
