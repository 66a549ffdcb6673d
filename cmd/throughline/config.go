package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"throughline/internal/specfile"
)

// settings is what a --config file may say. Defaults stand behind it; environment and flags before.
type settings struct {
	Pos         specfile.Pos
	Data        string   `spec:"data" doc:"folder of the embedded store, the master key and the first API key"`
	Store       string   `spec:"store" doc:"PostgreSQL URL; without it SQLite in the data folder"`
	Definitions []string `spec:"definitions" doc:"folders with connectors/ and templates/ of your own"`
	Allow       []string `spec:"allow" doc:"private networks that may be called: 10.1.0.0/16"`
	Workers     int      `spec:"workers" min:"1" doc:"records in hand at once"`
	Verbose     bool     `spec:"verbose" doc:"log more"`
	Addr        string   `spec:"addr" doc:"address to listen on"`
	External    string   `spec:"external" doc:"the address under which vendors reach this service"`
}

// maxConfig bounds the file: it holds a few lines.
const maxConfig = 1 << 20

// loadConfig reads a configuration file; all its problems are told at once.
func loadConfig(r io.Reader) (kong.Resolver, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxConfig))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	name := "configuration"
	if f, ok := r.(*os.File); ok {
		name = f.Name()
	}
	var s settings
	if err := specfile.Decode(name, data, &s).Err(); err != nil {
		return nil, err
	}
	values := s.values()
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if slices.ContainsFunc(flag.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
			return nil, nil // the environment goes before the file
		}
		return values[flag.Name], nil
	}), nil
}

// values are the settings that the file has, by the names of their flags.
func (s settings) values() map[string]any {
	out := map[string]any{}
	for name, v := range map[string]string{"data": s.Data, "store": s.Store, "addr": s.Addr, "external": s.External} {
		if v != "" {
			out[name] = v
		}
	}
	for name, list := range map[string][]string{"definitions": s.Definitions, "allow": s.Allow} {
		var values []any
		for _, v := range list {
			values = append(values, v)
		}
		if values != nil {
			out[name] = values
		}
	}
	if s.Workers != 0 {
		out["workers"] = s.Workers
	}
	if s.Verbose {
		out["verbose"] = true
	}
	return out
}
