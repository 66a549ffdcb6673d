package engine

import (
	"fmt"
	"strings"
	"time"
)

// Reach is how far a poll has come. A list of several pages is no picture of one moment: what moves while it
// is read may slip from a page that is still to come to one that was read already. So such a span is read
// again, until a reading finds nothing that the one before should have shown.
type Reach struct {
	Since time.Time // from here on the next poll reads
	Next  time.Time // the end of the span that is read again; zero: none is
}

// ParseReach reads a cursor; "" is a flow's beginning.
func ParseReach(cursor string, from time.Time) (r Reach, err error) {
	if cursor == "" {
		return Reach{Since: from}, nil
	}
	since, next, again := strings.Cut(cursor, " ")
	if r.Since, err = time.Parse(time.RFC3339Nano, since); err == nil && again {
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
		return Reach{Since: r.Since, Next: upTo}
	case r.Next.IsZero():
		return Reach{Since: upTo}
	case moved:
		return r
	}
	return Reach{Since: r.Next}
}

// String is the cursor.
func (r Reach) String() string {
	out := r.Since.UTC().Format(time.RFC3339Nano)
	if !r.Next.IsZero() {
		out += " " + r.Next.UTC().Format(time.RFC3339Nano)
	}
	return out
}
