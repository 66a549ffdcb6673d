package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Stage is where a trial takes place: a folder, a store, a far side, and the program under test.
type Stage struct {
	Program string // to execute: as a rule this very program
	Dir     string
	Store   string // "sqlite", or the URL of a PostgreSQL server, on which it makes a schema of its own
	Far     string // the far side's address; empty: one of our own is started
	Latency time.Duration
	Tenants []string // empty: the one of the measurements
	Classes []string // the write class of each tenant's ERP; those that are not said are S
	Lease   time.Duration
	Workers int
	Lag     time.Duration // of the far side's searches, as its connectors say; 0: a second
	Logins  bool          // the time tracker asks for a login and takes several projects in one call
	Poll    time.Duration // how often the product asks the CRM, beside its webhooks; 0: never

	schema  *schema
	through string // the URL by which the product reaches it, if another
	far     *Process
}

// Open makes schema and far side.
func (s *Stage) Open(ctx context.Context) error {
	if s.Store != "sqlite" && !isPostgres(s.Store) {
		return fmt.Errorf("%q is no store: write sqlite, or a URL such as postgres://user@host/database", s.Store)
	}
	var err error
	if isPostgres(s.Store) {
		if s.schema, err = openSchema(ctx, s.Store); err != nil {
			return err
		}
	}
	if s.Far != "" {
		s.Far = strings.TrimSuffix(s.Far, "/")
		return nil
	}
	args := []string{"bench", "far", "--latency", s.Latency.String()}
	if len(s.Tenants) > 0 {
		args = append(args, "--ledger", s.effects())
	}
	if s.far, err = Start(ctx, s.Program, nil, args...); err != nil {
		return errors.Join(fmt.Errorf("far side: %w", err), s.Close(ctx))
	}
	s.Far = s.far.Ready.URL
	return nil
}

// Close ends the far side and drops the schema.
func (s *Stage) Close(ctx context.Context) error {
	if s.far != nil {
		s.far.Kill()
	}
	if s.schema != nil {
		return s.schema.drop(context.WithoutCancel(ctx))
	}
	return nil
}

// StoreName is the store's kind, for figures.
func (s *Stage) StoreName() string {
	if s.schema != nil {
		return "postgresql"
	}
	return "sqlite"
}

// Databases are the database's processes as far as they run on this machine and are not the product.
func (s *Stage) Databases() []int {
	if s.schema == nil {
		return nil
	}
	return s.schema.roots
}

// Product starts the product on this stage; env is added to its environment.
func (s *Stage) Product(ctx context.Context, env ...string) (*Process, error) {
	args := []string{"bench", "deals", "--serve-only", "--data", filepath.Join(s.Dir, "data"), "--far", s.Far}
	switch {
	case s.through != "":
		args = append(args, "--store", s.through)
	case s.schema != nil:
		args = append(args, "--store", s.schema.URL)
	}
	if len(s.Tenants) > 0 {
		args = append(args, "--tenants", strings.Join(s.customers(), ","))
	}
	if s.Lease > 0 {
		args = append(args, "--lease", s.Lease.String())
	}
	if s.Logins {
		args = append(args, "--logins")
	}
	if s.Poll > 0 {
		args = append(args, "--poll", s.Poll.String())
	}
	if s.Lag > 0 {
		args = append(args, "--lag", s.Lag.String())
	}
	if s.Workers > 0 {
		args = append(args, "--workers", fmt.Sprint(s.Workers))
	}
	return Start(ctx, s.Program, env, args...)
}

// Products starts n nodes, one after the other: the first one makes the tables and the key. End kills them.
func (s *Stage) Products(ctx context.Context, n int) (nodes []*Process, end func(), err error) {
	end = func() {
		for _, p := range nodes {
			p.Kill()
		}
	}
	for range n {
		p, err := s.Product(ctx)
		if err != nil {
			end()
			return nil, nil, err
		}
		nodes = append(nodes, p)
	}
	return nodes, end, nil
}

// class is the write class of a tenant's ERP.
func (s *Stage) class(tenant string) string {
	if i := slices.Index(s.Tenants, tenant); i >= 0 && i < len(s.Classes) {
		return s.Classes[i]
	}
	return "S"
}

// customers are the tenants as the product is told to make them: with the write class of their ERP.
func (s *Stage) customers() []string {
	list := slices.Clone(s.Tenants)
	for i, class := range s.Classes {
		list[i] += ":" + class
	}
	return list
}

// Place is how commands that need no running product are told where its store is.
func (s *Stage) Place() []string {
	args := []string{"--data", filepath.Join(s.Dir, "data")}
	if s.schema != nil {
		args = append(args, "--store", s.schema.URL)
	}
	return args
}

// ledger is the product's store as its own process would open it.
func (s *Stage) ledger() string {
	if s.schema != nil {
		return s.schema.URL
	}
	return filepath.Join(s.Dir, "data", "ledger.db")
}

func (s *Stage) effects() string { return filepath.Join(s.Dir, "effects.jsonl") }
func (s *Stage) offers() string  { return filepath.Join(s.Dir, "offers.jsonl") }

// OwnProgram is the path of the program that runs.
func OwnProgram() (string, error) { return os.Executable() }
