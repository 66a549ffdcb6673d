// Throughline carries sold work from the CRM through the ERP to the time tracker, and back.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // the zones' rules, where the machine has none

	"github.com/alecthomas/kong"

	"throughline/internal/hub"
)

type commands struct {
	Serve      serveCmd      `cmd:"" help:"Run the service."`
	Apply      applyCmd      `cmd:"" help:"Make a customer as a file describes it, and say what was changed; with --dry-run what would be."`
	Runs       runsCmd       `cmd:"" help:"List ended runs."`
	Exceptions exceptionsCmd `cmd:"" help:"List what holds up records, by its cause."`
	Resolve    resolveCmd    `cmd:"" help:"Deal with exceptions, all of a cause at once; shows first what would happen."`
	Edits      editsCmd      `cmd:"" help:"List what people have changed of a flow's records, or end it."`
	Upload     uploadCmd     `cmd:"" help:"Take records from a table (CSV), as if their system had told of them."`
	Flows      flowsCmd      `cmd:"" help:"List, pause or resume flows."`
	Waiting    waitingCmd    `cmd:"" help:"List records on their way, and why they wait."`
	Records    recordsCmd    `cmd:"" help:"Find records and where they are known."`
	Explain    explainCmd    `cmd:"" help:"Show what was written of a record, and by which rules; or explain a template or a kind of file."`
	Balance    balanceCmd    `cmd:"" help:"Read both far sides of a period and account for every approved entry; fails where one is unexplained."`
	Check      checkCmd      `cmd:"" help:"Check connectors and templates in a folder."`
	New        newCmd        `cmd:"" help:"Write the folder of a new connector, to begin from."`
	Try        tryCmd        `cmd:"" help:"Make one call of a connector, and show what was sent, answered and read."`
	Simulate   simulateCmd   `cmd:"" help:"Run one simulated far side, alone."`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of a kind of file."`
	Key        keyCmd        `cmd:"" help:"Make an API key."`
	Status     statusCmd     `cmd:"" help:"Say how the service stands: working, or held and why."`
	Hold       holdCmd       `cmd:"" help:"Store webhooks and send nothing: before the start after the whole machine was brought back from an earlier moment."`
	Resume     resumeCmd     `cmd:"" help:"Let a service that is held go on."`
	Backup     backupCmd     `cmd:"" help:"Write everything into one file, while the service works."`
	Restore    restoreCmd    `cmd:"" help:"Put a backup where nothing stands yet; the service then starts held."`
	Bench      benchCmd      `cmd:"" help:"Measure the product against a far side."`
	Chaos      chaosCmd      `cmd:"" help:"Kill and disturb the product under load, and prove that nothing is lost or written twice."`
	Demo       demoCmd       `cmd:"" help:"Product, simulated far sides and sample data, on this machine alone."`
}

// gcPercent trades memory that a busy process has anyway for a quarter of its processor time; GOGC
// says otherwise. An idle one has a small heap and stays small.
const gcPercent = 300

// memoryLimit is from where on the collector works harder, whatever gcPercent says, so that a burst of
// large deliveries stays below 512 MB; GOMEMLIMIT says otherwise.
const memoryLimit = 400 << 20

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	k := kong.Parse(&c, kong.Name("throughline"), kong.Description("Carries sold work from the CRM through the ERP to the time tracker, and back."),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.UsageOnError(), kong.Configuration(loadConfig))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, forPeople(err))
		os.Exit(1)
	}
}

// forPeople is an error in the words for people. Its cause is for the log, unless it is a defect of ours
// or something did not answer: then who runs this should have it.
func forPeople(err error) string {
	e := hub.AsError(err)
	if e == nil || e.Kind == hub.Internal || e.Kind == hub.Unavailable {
		return err.Error()
	}
	plain := *e
	plain.Err = nil
	return plain.Error()
}
