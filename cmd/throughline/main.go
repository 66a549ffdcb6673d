// Throughline carries sold work from the CRM through the ERP to the time tracker, and back.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Serve      serveCmd      `cmd:"" help:"Run the service."`
	Apply      applyCmd      `cmd:"" help:"Make a customer as a file describes it; shows the difference first."`
	Runs       runsCmd       `cmd:"" help:"List ended runs."`
	Exceptions exceptionsCmd `cmd:"" help:"List exceptions, or retry, ignore or approve one."`
	Records    recordsCmd    `cmd:"" help:"Find records and where they are known."`
	Explain    explainCmd    `cmd:"" help:"Show what was written of a record, and by which rules."`
	Check      checkCmd      `cmd:"" help:"Check connectors and templates in a folder."`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of a kind of file."`
	Key        keyCmd        `cmd:"" help:"Make an API key."`
	Bench      benchCmd      `cmd:"" help:"Measure the product against a far side."`
	Chaos      chaosCmd      `cmd:"" help:"Kill and disturb the product under load, and prove that nothing is lost or written twice."`
	Demo       demoCmd       `cmd:"" help:"Product, simulated far sides and sample data, on this machine alone."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	k := kong.Parse(&c, kong.Name("throughline"), kong.Description("Carries sold work from the CRM through the ERP to the time tracker, and back."),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.UsageOnError())
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
