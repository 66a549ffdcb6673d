package remote

import (
	"context"
	"sync/atomic"
	"time"

	"throughline/internal/connector"
	"throughline/internal/hub"
)

// Wait lets time pass, or gives the context's error.
type Wait func(ctx context.Context, d time.Duration) error

// Patient is the client for who reads a long list to its end while somebody waits for it: where a run
// would be set aside for a limit, or for a far side that does not answer, its reads wait and are tried
// again. Its writes are like anybody's.
func (c *Client) Patient(w Wait) *Client {
	patient := *c
	patient.wait = w
	return &patient
}

// PatientFor is Patient for work that waits in a worker's hand: it gives up a call, and tells what the far side said,
// rather than wait for longer than most in all. Before each call it looks whether it may wait at all.
func (c *Client) PatientFor(most time.Duration, w Wait) *Client {
	patient := c.Patient(w)
	patient.most = most
	return patient
}

// Reading is one of many calls under ctx: a patient client waits once the first of them was answered. Until then nothing
// is lost by coming back later, and a far side that cannot be reached keeps nobody waiting.
func Reading(ctx context.Context) context.Context {
	return context.WithValue(ctx, reading{}, new(atomic.Bool))
}

type reading struct{}

// Ends is what a Wait gives where the process ends: who waited comes back for it.
func Ends(left time.Duration) error {
	return &hub.Error{Kind: hub.Throttled, Code: "limit.local", Message: "The service ends; what was being read is read again.", After: max(left, time.Second)}
}

// Rest waits by the clock on the wall, unless the process ends.
func Rest(ends <-chan struct{}) Wait {
	return func(ctx context.Context, d time.Duration) error {
		select {
		case <-ends:
			return Ends(d)
		default:
		}
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		go func() {
			select {
			case <-ends:
				stop(Ends(d))
			case <-ctx.Done():
			}
		}()
		return Sleep(ctx, d)
	}
}

// Sleep waits by the clock on the wall.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// mostTries is how often a read is sent that is not answered. Limits end by themselves, however long they last.
const mostTries = 4

func (c *Client) patiently(ctx context.Context, conn *Connection, op *connector.Op, vars Vars) (*connector.Answer, error) {
	waited := time.Duration(0)
	if c.most > 0 {
		if err := c.wait(ctx, 0); err != nil { // the process ends: a long reading does not hold it up
			return nil, err
		}
	}
	for tries := 1; ; {
		answer, err := c.call(ctx, conn, op, vars)
		e := hub.AsError(err)
		if e == nil {
			return answer, err
		}
		pause := e.After
		switch {
		case e.Kind == hub.Throttled:
			pause = max(pause, 100*time.Millisecond)
		case e.Kind == hub.Unavailable && tries < mostTries:
			pause = max(pause, time.Duration(tries)*time.Second)
			tries++
		default:
			return answer, err
		}
		if waited += pause; c.most > 0 && waited > c.most {
			return answer, err
		}
		if err := c.wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}
