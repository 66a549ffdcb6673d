package store

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// TestWhoAsksBadlyFailsAlone: questions that share a round trip have one fate on the server. The one that is wrong, or whose
// run is over, takes nothing from the others, and each gets its own answer.
func TestWhoAsksBadlyFailsAlone(t *testing.T) {
	s := onPostgres(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, q := t.Context(), `SELECT CAST(? AS BIGINT)`
			switch i % 20 {
			case 7:
				q = `SELECT CAST(? AS BIGINT) FROM nowhere`
			case 13:
				ctx = gone
			}
			got, err := soon(ctx, s.db.(*postgresDB), func(r rows, v *int) error { return r.Scan(v) }, q, i)
			switch {
			case i%20 == 7 && err == nil:
				t.Errorf("%d: a table that there is not has %v", i, got)
			case i%20 == 13 && err != nil && !errors.Is(err, context.Canceled):
				t.Errorf("%d: %v", i, err) // it may have been answered with others, too
			case i%20 != 7 && i%20 != 13 && (err != nil || len(got) != 1 || got[0] != i):
				t.Errorf("%d: answered %v, %v", i, got, err)
			}
		})
	}
	all.Wait()
}
