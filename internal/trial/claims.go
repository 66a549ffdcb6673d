package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// ClaimFigures are what it takes to hand out work; one JSON line.
type ClaimFigures struct {
	What        string          `json:"what"`
	Store       string          `json:"store"`
	Hands       int             `json:"rows_per_claim"`
	Rows        map[int]float64 `json:"ms_by_waiting_rows"` // median of a claim, of ten tenants
	Tenants     map[int]float64 `json:"ms_by_tenants"`      // of a hundred rows each
	RowsRatio   float64         `json:"rows_ratio"`         // the slowest to that of the fewest
	TenantRatio float64         `json:"tenants_ratio"`
}

const (
	claimHands  = 16
	claimRounds = 40
)

// MeasureClaims fills two ledgers step by step, by rows and by tenants, and measures how long a claim takes at
// each. Open opens a new one.
func MeasureClaims(ctx context.Context, name string, rows, tenants []int, open func() (*store.Store, func() error, error), seen func(what string)) (ClaimFigures, error) {
	out := ClaimFigures{What: "claims", Store: name, Hands: claimHands, Rows: map[int]float64{}, Tenants: map[int]float64{}}
	for _, of := range []struct {
		sizes []int
		into  map[int]float64
		ratio *float64
		grow  func(f *Filler, from, to int) error
	}{
		{rows, out.Rows, &out.RowsRatio, func(f *Filler, from, to int) error { return f.Waiting(ctx, to-from, hub.Normal, names(0, 10)...) }},
		{tenants, out.Tenants, &out.TenantRatio, func(f *Filler, from, to int) error {
			return f.Waiting(ctx, 100*(to-from), hub.Normal, names(from, to)...)
		}},
	} {
		s, end, err := open()
		if err != nil {
			return out, err
		}
		f := &Filler{Store: s, Journal: s.Journal(), Flow: "deals"}
		from := 0
		for _, size := range of.sizes {
			seen(fmt.Sprint(size))
			if err = of.grow(f, from, size); err != nil {
				break
			}
			from = size
			if of.into[size], err = claims(ctx, f); err != nil {
				break
			}
		}
		if err := errors.Join(err, end()); err != nil {
			return out, err
		}
		*of.ratio = round(slices.Max(slices.Collect(maps.Values(of.into))) / of.into[of.sizes[0]])
	}
	return out, nil
}

// OpenApart opens a store in a schema of its own on a PostgreSQL server; end closes it and drops the schema.
func OpenApart(ctx context.Context, server string) (s *store.Store, end func() error, err error) {
	schema, err := openSchema(ctx, server)
	if err != nil {
		return nil, nil, err
	}
	if s, err = store.Open(ctx, schema.URL, time.Now); err != nil {
		return nil, nil, errors.Join(err, schema.drop(ctx))
	}
	return s, func() error { return errors.Join(s.Close(), schema.drop(context.WithoutCancel(ctx))) }, nil
}

func names(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf("bench-%05d", i))
	}
	return list
}

// claims takes rows and says how long a claim takes, in milliseconds; then it gives them back.
func claims(ctx context.Context, f *Filler) (float64, error) {
	if err := f.Store.Learn(ctx); err != nil {
		return 0, err
	}
	epoch, err := f.Store.Join(ctx, "claims", time.Hour)
	if err != nil {
		return 0, err
	}
	turn, took := &store.Turn{}, []time.Duration{}
	for range claimRounds {
		if err := pause(ctx, 5*time.Millisecond); err != nil { // longer than the journal waits between commits
			return 0, err
		}
		begun := time.Now()
		got, err := f.Journal.Claim(ctx, epoch, claimHands, turn, f.runID)
		if err != nil || len(got) != claimHands {
			return 0, fmt.Errorf("claimed %d rows, want %d: %w", len(got), claimHands, err)
		}
		took = append(took, time.Since(begun))
	}
	if _, err := f.Store.GiveBack(ctx, epoch, func(hub.Work) bool { return false }); err != nil {
		return 0, err
	}
	return percentile(took, .5), f.Store.Leave(ctx, epoch)
}
