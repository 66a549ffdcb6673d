// Package app builds the product from a Config and runs it. It is the only place where all rooms
// meet; nothing here decides anything.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"throughline/connectors"
	"throughline/internal/access"
	"throughline/internal/api"
	"throughline/internal/books"
	"throughline/internal/catalog"
	"throughline/internal/control"
	"throughline/internal/crashpoint"
	"throughline/internal/egress"
	"throughline/internal/engine"
	"throughline/internal/hook"
	"throughline/internal/hub"
	"throughline/internal/ingest"
	"throughline/internal/remote"
	"throughline/internal/secret"
	"throughline/internal/store"
	"throughline/schemas"
	"throughline/templates"
)

// Config is what the product is built from. Clock, randomness and the way out may be set by those
// who run it in simulated time.
type Config struct {
	Data     string   // folder of the embedded store and the master key
	Store    string   // postgres://…; empty: SQLite in Data
	Addr     string   // to listen on; port 0 picks one
	External string   // the address under which vendors reach us
	Extra    []string // folders with connectors/ and templates/ of the partner's own
	Allow    []string // private networks that may be called
	Workers  int
	Lease    time.Duration // how long a node that stops is believed to live; longer than the longest call
	NewKey   bool          // make a master key where there is none, also for a shared store
	Log      *slog.Logger

	Definitions []fs.FS // further definitions, with connectors/ and templates/
	Now         func() time.Time
	Rand        *rand.Rand
	Send        remote.Sender
}

// App is the product, built.
type App struct {
	Config
	Store   *store.Store
	Control *control.Control
	Keys    *access.Keys
	engine  *engine.Engine
	ingest  *ingest.Ingest
	handler http.Handler
	listen  net.Listener
	ends    chan struct{} // closed when the process ends
}

// New builds everything and begins to listen; nothing is answered before Run.
func New(ctx context.Context, c Config) (*App, error) {
	c.defaults()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if err := c.wayOut(); err != nil {
		return nil, err
	}
	cat, err := c.catalog()
	if err != nil {
		return nil, err
	}
	key, err := c.masterKey()
	if err != nil {
		return nil, err
	}
	s, err := c.open(ctx, key)
	if err != nil {
		return nil, err
	}
	box, err := secret.NewBox(key, s)
	if err != nil {
		return nil, err
	}
	a := &App{Config: c, Store: s, Keys: access.NewKeys(s), ends: make(chan struct{})}
	if a.listen, err = net.Listen("tcp", c.Addr); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), s.Close())
	}
	if a.External == "" {
		a.External = a.URL() // nobody stands in front: vendors call this very address
	}
	sync, err := a.clock(ctx)
	if err != nil {
		return nil, errors.Join(err, a.listen.Close(), s.Close())
	}
	a.assemble(cat, safe{box, s}, sync)
	return a, nil
}

// clock lets everything go by the database's time where several nodes may share it.
func (a *App) clock(ctx context.Context) (set func(context.Context) error, err error) {
	if a.Config.Store == "" {
		return nil, nil
	}
	c := a.Store.Clock(a.Now)
	if err := c.Set(ctx); err != nil {
		return nil, err
	}
	a.Store.Follow(c)
	a.Now = c.Now
	return c.Set, nil
}

// masterKey reads the master key. A new one is made only where nothing is sealed yet: to a ledger that
// has lost its key a new one would be no help, and hide what is missing (D7).
func (c *Config) masterKey() ([]byte, error) {
	path := filepath.Join(c.Data, "master.key")
	_, err := os.Stat(c.url())
	key, err := secret.LoadKey(path, c.NewKey || c.Store == "" && errors.Is(err, fs.ErrNotExist))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no master key: put the one that belongs to the ledger, and that all nodes share, into %s", path)
	}
	return key, err
}

// url is where the store is, as package store takes it.
func (c *Config) url() string {
	if c.Store != "" {
		return c.Store
	}
	return filepath.Join(c.Data, "ledger.db")
}

// open opens the store, if it is this master key's.
func (c *Config) open(ctx context.Context, key []byte) (*store.Store, error) {
	s, err := store.Open(ctx, c.url(), c.Now)
	if err != nil {
		return nil, err
	}
	if w := s.Walls(); w != "" {
		c.Log.Warn("row-level security", "detail", w)
	}
	s.KeepMark(filepath.Join(c.Data, "ledger.mark"))
	if err := s.SealedBy(ctx, secret.Fingerprint(key)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (c *Config) defaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(os.Getpid())))
	}
	if c.Lease == 0 {
		c.Lease = 25 * time.Second
	}
	if c.Workers == 0 {
		c.Workers = 256
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
}

func (c *Config) catalog() (*catalog.Catalog, error) {
	var conns, temps []fs.FS
	for _, dir := range c.Extra {
		c.Definitions = append(c.Definitions, os.DirFS(dir))
	}
	for _, d := range c.Definitions {
		for name, list := range map[string]*[]fs.FS{"connectors": &conns, "templates": &temps} {
			f, err := fs.Sub(d, name)
			if err != nil {
				return nil, err
			}
			*list = append(*list, f)
		}
	}
	return catalog.Load(schemas.Files, append(conns, connectors.Files), append(temps, templates.Files))
}

func newID(prefix string) string {
	return prefix + "_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
}

// assemble connects the rooms.
func (a *App) assemble(cat *catalog.Catalog, s safe, sync func(context.Context) error) {
	unseal := func(ctx context.Context, t hub.TenantID, id hub.ConnectionID, sealed []byte) ([]byte, error) {
		return s.Open(ctx, t, id, sealed)
	}
	loader := engine.NewLoader(a.Store, cat, unseal, a.Now)
	client := remote.New(a.Send, s, budgets{a.Store}, a.Now)
	if a.Config.Store == "" {
		client = client.Alone()
	}
	journal := a.Store.Journal()
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	// The engine ticks polls by ingest, and ingest wakes the engine: a relay ties the knot.
	tick := &relay{}
	a.engine = engine.New(engine.Options{Store: a.Store, Journal: journal, Remote: client, Flows: loader, Ticker: tick, Now: a.Now, Sync: sync, NewID: newID, Rand: a.Rand,
		Log: a.Log, Workers: a.Workers, Gather: 5 * time.Millisecond, Lease: a.Lease, Sole: a.Config.Store == "", Name: fmt.Sprintf("%s/%d", host, os.Getpid())})
	a.ingest = ingest.New(a.Store, journal, loader, client.PatientFor(ingest.Patience, remote.Rest(a.ends)), a.Now, newID, a.engine.Wake)
	tick.Ticker = a.ingest
	a.Control = control.New(control.Parts{Store: a.Store, Catalog: cat, Loader: loader, Books: books.New(a.Store, loader, client, a.Now), Secrets: s,
		Far: &engine.Lookup{Loader: loader, Remote: client}, Intake: a.ingest, Now: a.Now, Changed: func() { loader.Forget(); a.ingest.Forget(); a.engine.Wake() }})
	mux := http.NewServeMux()
	mux.Handle("/hooks/", hook.Handler(a.ingest, a.External, a.Log))
	mux.Handle("/", api.Handler(a.Control, a.Keys, a.Log))
	mux.HandleFunc("GET /healthz", a.health)
	a.handler = http.MaxBytesHandler(mux, maxRequest)
}

const (
	maxRequest = 10<<20 + 1 // the doors refuse what is over 10 MB with a sentence; this is for any that forgets to
	maxHeader  = 64 << 10
)

// server waits for nobody: who sends a byte now and then is cut off.
func (a *App) server() *http.Server {
	return &http.Server{Handler: a.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug)}
}

type relay struct{ engine.Ticker }

// health says that the process answers, and whether it is held: webhooks are taken all the same.
func (a *App) health(w http.ResponseWriter, _ *http.Request) {
	st := a.engine.Standing()
	if st.Held.IsZero() {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	fmt.Fprintf(w, "HELD since %s: %s %s\n", st.Held.Format(time.RFC3339), st.Reason, control.WhatToDo)
}

// URL is where the product listens.
func (a *App) URL() string { return "http://" + a.listen.Addr().String() }

// Run serves and works until the context ends, then finishes what is in hand.
func (a *App) Run(ctx context.Context) error {
	release, err := a.sole()
	if err != nil {
		return errors.Join(err, a.listen.Close(), a.Store.Close())
	}
	server := a.server()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(a.listen) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { close(a.ends) })
	go func() {
		select {
		case err := <-failed:
			a.Log.Error("the server ended", "error", err)
			cancel()
		case <-ctx.Done():
		}
	}()
	err = a.engine.Run(ctx)
	stop, end := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer end()
	return errors.Join(err, server.Shutdown(stop), a.Store.Close(), release())
}

// safe seals and opens what a connection keeps secret: its credentials and its session.
type safe struct {
	box   *secret.Box
	store *store.Store
}

func (s safe) Resolve(ref string) ([]byte, error) { return secret.Resolve(ref) }

func (s safe) Seal(ctx context.Context, t hub.TenantID, id hub.ConnectionID, clear []byte) ([]byte, error) {
	return s.box.Seal(ctx, string(t), "connection/"+string(id), clear)
}

func (s safe) Open(ctx context.Context, t hub.TenantID, id hub.ConnectionID, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	return s.box.Open(ctx, string(t), "connection/"+string(id), sealed)
}

func (s safe) Load(ctx context.Context, t hub.TenantID, id hub.ConnectionID) (map[string]any, int64, error) {
	c, err := s.store.Tenant(t).Connection(ctx, id)
	if err != nil || c == nil {
		return nil, 0, err
	}
	session, err := s.session(ctx, t, id, c.Session)
	return session, c.SessionVersion, err
}

func (s safe) Renew(ctx context.Context, t hub.TenantID, id hub.ConnectionID, stale int64, login func(map[string]any) (map[string]any, error)) (map[string]any, int64, error) {
	stored := ""
	sealed, version, err := s.store.Tenant(t).RenewSession(ctx, id, stale, func(sealed []byte) ([]byte, error) {
		before, err := s.session(ctx, t, id, sealed)
		if err != nil {
			return nil, err
		}
		session, err := login(before)
		if err != nil {
			return nil, err
		}
		crashpoint.At("login.store")
		stored = "login.stored" // unless another node was first
		clear, err := json.Marshal(session)
		if err != nil {
			return nil, err
		}
		return s.box.Seal(ctx, string(t), "session/"+string(id), clear)
	})
	if err != nil {
		return nil, 0, err
	}
	crashpoint.At(stored)
	session, err := s.session(ctx, t, id, sealed)
	return session, version, err
}

func (s safe) session(ctx context.Context, t hub.TenantID, id hub.ConnectionID, sealed []byte) (map[string]any, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	clear, err := s.box.Open(ctx, string(t), "session/"+string(id), sealed)
	if err != nil {
		return nil, err
	}
	return remote.JSON(clear)
}

// wayOut builds the outbound client where none is set.
func (c *Config) wayOut() error {
	if c.Send != nil {
		return nil
	}
	var vouched []netip.Prefix
	for _, a := range c.Allow {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return fmt.Errorf("%q is no network; write it like 127.0.0.1/32", a)
		}
		vouched = append(vouched, p)
	}
	c.Send = egress.New(egress.Options{Vouched: vouched})
	return nil
}

// budgets keeps what is used of vendors' limits where all nodes see it.
type budgets struct{ store *store.Store }

func (b budgets) Change(ctx context.Context, t hub.TenantID, id hub.ConnectionID, limit string, f func(u *remote.Use, now time.Time)) error {
	return b.store.Tenant(t).ChangeLimit(ctx, id, limit, func(kept string, now time.Time) (string, error) {
		var u remote.Use
		if kept != "" {
			if err := json.Unmarshal([]byte(kept), &u); err != nil {
				return "", fmt.Errorf("read what is used of limit %s of %s: %w", limit, id, err)
			}
		}
		f(&u, now)
		out, err := json.Marshal(u)
		return string(out), err
	})
}
