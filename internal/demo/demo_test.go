package demo_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	files "throughline/demo"
	"throughline/internal/app"
	"throughline/internal/demo"
)

// TestEveryArrivalEndsAsItShould lets each of the deals that arrive in the demo arrive once.
func TestEveryArrivalEndsAsItShould(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cfg := app.Config{Data: t.TempDir(), Addr: "127.0.0.1:0", NewKey: true, Workers: 8, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	stage, err := demo.Open(ctx, cfg, files.Files)
	if err != nil {
		t.Fatal(err)
	}
	ended := map[string]string{}
	stage.Tell = func(e demo.Event) {
		if e.What != "won" {
			ended[e.Deal] = e.What + " " + e.Detail
		}
	}
	ran := make(chan error, 1)
	go func() { ran <- stage.App.Run(ctx) }()
	for n := range 10 {
		if err := stage.Arrive(n); err != nil {
			t.Fatal(err)
		}
	}
	limit, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	if err := stage.Settle(limit); err != nil {
		t.Fatal(err)
	}
	for deal, want := range map[string]string{
		"Kestrel Foods ERP":                              "written project PR",
		"Bluewater second warehouse":                     "written project PR",
		"Aurora launch 🚀🚀":                               "written project PR",
		"Falcon audit, amount to follow":                 "parked The deal has no amount.",
		"\u200fתכנון שרשרת אספקה\u200f (supply chain)":   "written project PR",
		"Halden spare parts":                             "written project PR",
		"Ostrava support desk":                           `parked Nobody has said what work the package "managed_support" is.`,
		"Deal that names no company":                     "parked The deal names no company.",
		"Sable & Finch follow-up":                        "written project PR",
		`Zürich–São Paulo "Łódź" roll-out; 100 % & more`: "parked This project is above the amount",
	} {
		if !strings.HasPrefix(ended[deal], want) {
			t.Errorf("%s ended %q, want %q", deal, ended[deal], want)
		}
	}
	r, err := stage.Count(ctx)
	if err != nil || !r.Good() || r.WrittenBack != 6 || r.Parked != 4 {
		t.Errorf("the far sides hold %+v, %v", r, err)
	}
	staffed(t, stage)
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// staffed looks whether people can begin: the package's team is on the project, its tasks are active.
func staffed(t *testing.T, stage *demo.Stage) {
	t.Helper()
	projects, err := stage.Time.Rows("northwind", "project")
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]int{}
	for _, p := range projects {
		list, _ := p.Fields["memberships"].([]any)
		name, _ := p.Fields["name"].(string)
		members[name] = len(list)
	}
	if n := members["Kestrel Foods ERP"]; n != 3 {
		t.Errorf("the project has %d members, want the team of two and who made it (%v)", n, members)
	}
	tasks, err := stage.ERP.Rows("northwind", "project_task")
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, row := range tasks {
		if row.Fields["Status"] != "Active" {
			t.Errorf("task %v of %v is %v, so that nobody can book on it", row.Fields["ProjectTaskID"], row.Fields["ProjectID"], row.Fields["Status"])
		}
	}
}
