package store

import (
	"context"
	"strings"

	"throughline/internal/hub"
)

// Together is how many rows of a claim are looked up in one question.
const Together = 64

// fewTogether is from how many rows on a question for all costs less than one for each.
const fewTogether = 4

// WorthAsking reports whether there may be something that LookUp asks for many at once.
func WorthAsking(list []Claim) bool {
	n := 0
	for i := range list {
		if list[i].carried() {
			n++
		}
	}
	return n >= fewTogether
}

// carried reports whether the vendor's form of the record came with the event.
func (c *Claim) carried() bool { return c.Event != nil && len(c.Event.Payload) > 0 }

// LookUp asks how the records are known whose vendor's form came with the event: a run of such a row has nothing to
// ask a far side before it needs to know. What cannot be told is left to the runs, which ask by themselves.
func (s *Store) LookUp(ctx context.Context, list []Claim) error {
	type place struct {
		tenant     hub.TenantID
		connection hub.ConnectionID
		kind       string
	}
	at, places := map[place][]*Claim{}, []place{}
	for i := range list {
		if e := list[i].Event; list[i].carried() {
			p := place{e.Tenant, e.Key.Connection, e.Key.Kind}
			if at[p] == nil {
				places = append(places, p)
			}
			at[p] = append(at[p], &list[i])
		}
	}
	for _, p := range places {
		for claims := at[p]; len(claims) >= fewTogether; {
			n := min(len(claims), Together)
			if err := s.lookUp(ctx, p.tenant, p.connection, p.kind, claims[:n]); err != nil {
				return err
			}
			claims = claims[n:]
		}
	}
	return nil
}

// lookUp fills up the last places with what it asks anyway, so that there are few texts for any number of rows. The
// ids are a table: of a list of them SQLite thinks that it is dearer than to read all links of a tenant.
func (s *Store) lookUp(ctx context.Context, tenant hub.TenantID, in hub.ConnectionID, kind string, claims []*Claim) error {
	places := fewTogether
	for places < len(claims) {
		places *= 4
	}
	args := make([]any, 0, places+3)
	for i := range places {
		args = append(args, claims[min(i, len(claims)-1)].Event.Key.ID)
	}
	r, err := s.db.query(ctx, `SELECT `+linkColumns+` FROM (VALUES (?)`+strings.Repeat(", (?)", places-1)+`) v
		CROSS JOIN xref WHERE tenant = ? AND external_id = v.column1 AND connection = ? AND kind = ?`, append(args, tenant, in, kind)...)
	links, err := all(r, err, scanLink)
	if err != nil {
		return err
	}
	known := make(map[string]*Link, len(links))
	for i := range links {
		known[links[i].ExternalID] = &links[i]
	}
	for _, c := range claims {
		c.Asked, c.Known = true, known[c.Event.Key.ID]
	}
	return nil
}
