package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"throughline/internal/farside"
)

// restored takes a backup under load, carries deals on, kills the product with some in hand, and
// restores the backup: what the product knows is what it knew then (D6). It has to start held, to take
// webhooks and to send nothing; resumed, it has to find out what was written since.
func (r *chaosRun) restored(ctx context.Context) error {
	if r.Restore == 0 {
		return nil
	}
	file := filepath.Join(r.Dir, "backup")
	if err := r.lose(ctx, file); err != nil {
		return err
	}
	if err := r.bringBack(ctx, file); err != nil {
		return err
	}
	if err := r.whileHeld(ctx); err != nil {
		return err
	}
	begun := time.Now()
	if _, err := r.command(ctx, "resume"); err != nil {
		return err
	}
	err := r.calm(ctx)
	r.result.Resumed = round(time.Since(begun).Seconds())
	r.say("resumed; at rest after %.1f s", r.result.Resumed)
	return err
}

// lose backs up under load, and then has deals carried that the backup does not know of.
func (r *chaosRun) lose(ctx context.Context, file string) error {
	end := r.traffic.begin(ctx)
	if err := pause(ctx, 200*time.Millisecond); err != nil {
		return errors.Join(err, end())
	}
	said, err := Call(ctx, r.Program, append([]string{"backup", file}, r.Place()...)...)
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	r.say("backed up: %s", said)
	before, err := r.changes(ctx)
	if err != nil {
		return err
	}
	if err := r.traffic.send(ctx, r.Restore); err != nil {
		return err
	}
	if err := r.calm(ctx); err != nil {
		return err
	}
	after, err := r.changes(ctx)
	r.result.AfterBackup = after - before
	return err
}

// bringBack kills all nodes with deals in hand, waits for the end of their leases, and restores.
func (r *chaosRun) bringBack(ctx context.Context, file string) error {
	end := r.traffic.begin(ctx)
	err := pause(ctx, 300*time.Millisecond)
	r.fleet.kill()
	r.result.Kills += r.Nodes
	if err == nil {
		err = pause(ctx, r.Stage.Lease+time.Second)
	}
	if err == nil {
		_, err = Call(ctx, r.Program, append([]string{"restore", file, "--force"}, r.Place()...)...)
	}
	for i := range r.Nodes {
		if err == nil {
			err = r.again(ctx, i)
		}
	}
	if err != nil {
		return err // the traffic ends with the context
	}
	r.say("restored, and started again")
	return end()
}

// whileHeld sees that the product says that it is held, and that it takes webhooks and calls nobody.
func (r *chaosRun) whileHeld(ctx context.Context) error {
	text, err := r.command(ctx, "status", "--json")
	if err != nil {
		return err
	}
	var st struct{ State, Reason string }
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		return err
	}
	if st.State != "held" {
		return fmt.Errorf("after the restore it is not held: %s", text)
	}
	before, err := r.calls(ctx)
	if err != nil {
		return err
	}
	if err := r.traffic.send(ctx, 2*hands); err != nil { // returns when all are acknowledged
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	after, err := r.calls(ctx)
	r.result.SentHeld = after - before
	return err
}

// command runs a command against the first node.
func (r *chaosRun) command(ctx context.Context, args ...string) (string, error) {
	return Call(ctx, r.Program, append(args, "--server", r.fleet.process(0).Ready.URL, "--data", filepath.Join(r.Dir, "data"))...)
}

// calls is how often the far side was called, changes how often that made or changed something.
func (r *chaosRun) calls(ctx context.Context) (n int, err error) {
	stats, err := r.far.stats(ctx)
	for _, c := range stats.Calls {
		n += c.Calls
	}
	return n, err
}

func (r *chaosRun) changes(ctx context.Context) (n int, err error) {
	stats, err := r.far.stats(ctx)
	for kind, c := range stats.Calls {
		if kind != farside.Read && kind != farside.List {
			n += c.Calls
		}
	}
	return n, err
}
