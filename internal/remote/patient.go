package remote

import (
	"context"
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
		if err := c.wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}
