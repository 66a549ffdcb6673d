package app

import (
	"fmt"
	"os"
	"path/filepath"

	"throughline/internal/hub"
)

// sole keeps other services from an embedded store: whoever starts takes over at once what is in hand, for whoever had
// it must be dead. A database that several may share has its leases.
func (a *App) sole() (release func() error, err error) {
	if a.Config.Store != "" {
		return func() error { return nil }, nil
	}
	f, err := os.OpenFile(filepath.Join(a.Data, "ledger.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the ledger: %w", err)
	}
	if lock(f) {
		_ = f.Close() // nothing was written
		return nil, &hub.Error{Kind: hub.Conflict, Code: "ledger.in_use", Message: "Another service works on the ledger in " + a.Data + ".",
			Hint: "Stop it first; several on one ledger need PostgreSQL."}
	}
	return f.Close, nil
}
