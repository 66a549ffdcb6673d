package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"throughline/internal/crashpoint"
	"throughline/internal/farside"
	"throughline/internal/trial"
)

type chaosCmd struct {
	Store    string          `help:"sqlite, or a PostgreSQL URL (in a schema of its own)." default:"sqlite"`
	Kills    int             `help:"kill -9 at so many random moments."`
	Points   []string        `help:"Crash points to die at, each once; all for all of them."`
	Nodes    int             `help:"Processes on one store; more than one needs PostgreSQL." default:"1"`
	Acts     []string        `help:"With --nodes, how one goes wrong: kill, sleep (for twice the lease), cut (off from the database), roll (all restarted in turn); without it and --database, all of them." enum:"kill,sleep,cut,roll"`
	Latency  time.Duration   `help:"What each call of the far side takes." default:"2ms"`
	Lease    time.Duration   `help:"How long a node's lease lasts." default:"5s"`
	Database string          `help:"How the database goes wrong: restart, commit (its answer is lost), full (SQLite; takes root), pool (5 connections)." enum:",restart,commit,full,pool" default:""`
	Times    int             `help:"With --database, how often it does; with --nodes, how often one is killed, stopped and cut off; without it, as often as is usual."`
	Classes  []string        `help:"Write classes: a customer for each, whose ERP protects its creates so (K, U, S, X)." enum:"K,U,S,X"`
	Deals    int             `help:"Deals to carry while the far side goes wrong; without it, five seconds' worth."`
	Restore  int             `help:"Take a backup, carry so many deals more, and restore it."`
	Share    float64         `help:"Share of the far side's calls that go wrong, such as 0.1."`
	Faults   []farside.Fault `help:"How they go wrong: down, throttle, drop, reset, truncate, gateway, html, empty, drip; without it all of them but the last."`
	Lag      time.Duration   `help:"How far searches lag behind what was made, where the far side goes wrong, and what its connectors say of it." default:"1s"`
	Seed     uint64          `help:"Repeats the same faults and kills; without it a new one is drawn and printed."`
	Drain    time.Duration   `help:"How long everything may take to come to rest: a record whose answers were lost four times is tried again after ten minutes." default:"15m"`
	JSON     bool            `help:"Print one JSON object."`
}

// Run carries out the trial and fails on anything that is wrong.
func (c *chaosCmd) Run(ctx context.Context) error {
	if c.Nodes > 1 && c.Store == "sqlite" {
		return errManyNodes
	}
	if len(c.Acts) > 0 && c.Nodes < 2 {
		return errors.New("--acts are of several nodes: --nodes 2 or more")
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := trial.OwnProgram()
	if err != nil {
		return err
	}
	chaos := c.plan(program, dir)
	result, err := chaos.Run(ctx)
	if err != nil {
		return err
	}
	if err := c.tell(result); err != nil {
		return err
	}
	if !result.Good() {
		return errors.New("something was lost, repeated or told wrong; see above")
	}
	return nil
}

func (c *chaosCmd) plan(program, dir string) *trial.Chaos {
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	if len(c.Points) == 1 && c.Points[0] == "all" {
		c.Points = crashpoint.Points
	}
	if len(c.Faults) == 0 {
		c.Faults = farside.Faults
	}
	if c.Nodes > 1 && len(c.Acts) == 0 && c.Database == "" {
		c.Acts = trial.Acts
	}
	tenants := []string{"north", "south", "west"}
	if len(c.Classes) > 0 {
		tenants = append(tenants, "east")[:len(c.Classes)]
	}
	return &trial.Chaos{
		Stage: trial.Stage{Program: program, Dir: dir, Store: c.Store, Latency: c.Latency, Tenants: tenants, Classes: c.Classes, Lease: c.Lease, Lag: c.Lag, Logins: c.Kills > 0 || len(c.Points) > 0},
		Seed:  c.Seed, Kills: c.Kills, Points: c.Points, Nodes: c.Nodes, Acts: c.Acts, Deals: c.Deals, Restore: c.Restore, Database: c.Database, Times: c.Times, Drain: c.Drain, Log: c.log(),
		Faults: farside.Plan{Seed: c.Seed, Share: c.Share, Kinds: c.Faults, Lag: c.searchLag()},
	}
}

// searchLag is how far searches lag behind where the far side goes wrong: a little less than its connectors say.
func (c *chaosCmd) searchLag() time.Duration {
	if c.Share == 0 {
		return 0
	}
	return c.Lag - c.Lag/10
}

func (c *chaosCmd) log() io.Writer { return os.Stderr }

func (c *chaosCmd) tell(r trial.Result) error {
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	for _, line := range [][2]any{
		{"store", r.Store}, {"seed", r.Seed}, {"plan", r.Plan}, {"fdatasync/s", r.SyncsPerS},
		{"offered", r.Offered}, {"acknowledged", r.Acked}, {"effects", r.Effects}, {"kills", r.Kills},
		{"crash points hit", strings.Join(r.PointsHit, " ")}, {"crash points never passed", strings.Join(r.PointsMissed, " ")},
		{"answers spoilt", fmt.Sprint(r.Faults)}, {"longest start, s", r.LongestStart}, {"nodes asleep", r.Slept}, {"nodes without their database", r.CutOff}, {"died with work in hand", fmt.Sprintf("%d, with %d records", r.Takeovers, r.Orphans)}, {"longest takeover, s", r.Takeover}, {"of them too late", r.TakenLate}, {"records taken from nodes asleep or cut off", r.TakenFrom}, {"stop on SIGTERM, s", r.Stop},
		{"attempts counted by it", r.Attempts}, {"refused in the rolling restart", r.RefusedRoll}, {"at rest after, s", r.Drained}, {"not at rest in time", r.Unrested},
		{"faults of the database", r.DatabaseFaults}, {"acknowledged again after, s", r.Reconnect}, {"webhooks refused at first", fmt.Sprint(r.Refused)},
		{"effects after the backup", r.AfterBackup}, {"calls while held", r.SentHeld}, {"at rest after the resumption, s", r.Resumed},
		{"logins", r.Logins}, {"calls that made several", r.Batches}, {"consents lost", r.Revoked}, {"lost", r.Lost}, {"repeated", r.Repeated}, {"recovered", r.Recovered}, {"same content again (class U)", r.Upserts}, {"class X, answer lost", r.Unprotected}, {"of them not asked about", r.Unasked}, {"parked", fmt.Sprint(r.Parked, " ", r.ParkedBy)}, {"findings", len(r.Findings)},
	} {
		fmt.Fprintf(w, "%v\t%v\n", line[0], line[1])
	}
	return w.Flush()
}
