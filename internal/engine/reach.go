package engine

import (
	"fmt"
	"strings"
	"time"

	"throughline/internal/exact"
)

// Reach is how far a poll has come. A list of several pages is no picture of one moment: what moves while it
// is read may slip from a page that is still to come to one that was read already. So such a span is read
// again, until a reading finds nothing that the one before should have shown.
type Reach struct {
	Since time.Time // from here on the next poll reads
	Next  time.Time // the end of the span that is read again; zero: none is
	of    string    // whose records, and from which day on; empty: not said
}

// Reach reads a cursor of the flow. Where there is none, or one of another source or beginning than the flow has now,
// the flow begins at its beginning: what it has seen already is told by its events.
func (f *Flow) Reach(cursor string) (Reach, error) {
	t := f.Template.File.Trigger
	begins := Reach{Since: f.From, of: fmt.Sprintf("%s/%s from %s", f.Roles[t.From].Conn.ID, t.Record, exact.DateOf(f.From, f.Zone))}
	r, err := parseReach(cursor)
	if err != nil || cursor == "" || r.of != "" && r.of != begins.of {
		return begins, err
	}
	r.of = begins.of
	return r, nil
}

func parseReach(cursor string) (r Reach, err error) {
	if cursor == "" {
		return Reach{}, nil
	}
	span, of, _ := strings.Cut(cursor, " of ")
	since, next, again := strings.Cut(span, " ")
	r.of = of
	r.Since, err = time.Parse(time.RFC3339Nano, since)
	if err == nil && again {
		r.Next, err = time.Parse(time.RFC3339Nano, next)
	}
	if err != nil {
		return Reach{}, fmt.Errorf("read the cursor %q: %w", cursor, err)
	}
	return r, nil
}

// Seen is the instant up to which the list has been read at least once.
func (r Reach) Seen() time.Time {
	if r.Next.IsZero() {
		return r.Since
	}
	return r.Next
}

// Read is the reach after a reading up to an instant; moved: it may have missed something, so that the span
// has to be read once more.
func (r Reach) Read(upTo time.Time, moved bool) Reach {
	switch {
	case r.Next.IsZero() && moved:
		return Reach{r.Since, upTo, r.of}
	case r.Next.IsZero():
		return Reach{Since: upTo, of: r.of}
	case moved:
		return r
	}
	return Reach{Since: r.Next, of: r.of}
}

// String is the cursor.
func (r Reach) String() string {
	out := r.Since.UTC().Format(time.RFC3339Nano)
	if !r.Next.IsZero() {
		out += " " + r.Next.UTC().Format(time.RFC3339Nano)
	}
	if r.of != "" {
		out += " of " + r.of
	}
	return out
}
