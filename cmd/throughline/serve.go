package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"throughline/internal/access"
	"throughline/internal/app"
)

// place is where the service lives: flags, or the environment.
type place struct {
	Config  kong.ConfigFlag `help:"YAML file with these settings; environment and flags go before it."`
	Data    string          `help:"Folder of the embedded store and the master key." default:"data" env:"THROUGHLINE_DATA" type:"path"`
	Store   string          `help:"PostgreSQL URL; without it SQLite in the data folder." env:"THROUGHLINE_STORE"`
	Extra   []string        `name:"definitions" help:"Folders with connectors/ and templates/ of your own." env:"THROUGHLINE_DEFINITIONS" type:"existingdir"`
	Allow   []string        `help:"Private networks that may be called, such as 127.0.0.1/32." env:"THROUGHLINE_ALLOW"`
	Workers int             `help:"Records in hand at once." default:"256" env:"THROUGHLINE_WORKERS"`
	Verbose bool            `help:"Log more." short:"v" env:"THROUGHLINE_VERBOSE"`
}

func (p place) config() app.Config {
	level := slog.LevelInfo
	if p.Verbose {
		level = slog.LevelDebug
	}
	return app.Config{Data: p.Data, Store: p.Store, Extra: p.Extra, Allow: p.Allow, Workers: p.Workers,
		Log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
}

type serveCmd struct {
	place
	Addr     string `help:"Address to listen on." default:"127.0.0.1:8080" env:"THROUGHLINE_ADDR"`
	External string `help:"The address under which vendors reach this service, for their signatures." env:"THROUGHLINE_EXTERNAL"`
}

func (c *serveCmd) Run(ctx context.Context) error {
	cfg := c.config()
	cfg.Addr, cfg.External = c.Addr, c.External
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	key, err := adminKey(ctx, a)
	if err != nil {
		return err
	}
	fmt.Printf("listening on %s\nadmin key in %s\n", a.URL(), key)
	return a.Run(ctx)
}

// adminKey keeps the first start's API key in the data folder, for the commands on this machine.
func adminKey(ctx context.Context, a *app.App) (path string, err error) {
	path = filepath.Join(a.Data, "admin.key")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte("tl_" + rand.Text())
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return path, err
	}
	return path, a.Keys.Add(ctx, strings.TrimSpace(string(data)), "admin", "admin", access.Everyone)
}

type keyCmd struct {
	place
	Name     string `arg:"" help:"Whose key it is."`
	Role     string `help:"What it may do." enum:"viewer,operator,admin" default:"viewer"`
	Customer string `help:"Whose data it may reach; without it, all customers'."`
}

func (c *keyCmd) Run(ctx context.Context) error {
	a, err := app.New(ctx, func() app.Config { cfg := c.config(); cfg.Addr = "127.0.0.1:0"; return cfg }())
	if err != nil {
		return err
	}
	key, tenant := "tl_"+rand.Text(), access.Everyone
	if c.Customer != "" {
		tenant = access.TenantOf(c.Customer)
	}
	if err := a.Keys.Add(ctx, key, c.Name, c.Role, tenant); err != nil {
		return err
	}
	fmt.Println(key)
	return a.Store.Close()
}
