package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// Posting is one line of what an entry has brought into a far side's books. Lines are only ever
// added: a later one takes an earlier one back, and the sum of an entry's lines is what stands.
type Posting struct {
	Record     hub.RecordID // the line's own, by which the far side knows it
	Entry      hub.RecordID // what it comes from: a time entry, an expense
	Deployment hub.DeploymentID
	Connection hub.ConnectionID
	N          int64        // the entry's lines are numbered from 1
	Type       string       // the canonical type that was sent
	Reverses   hub.RecordID // the line that this one takes back; empty: none
	Date       string       // the business date
	Project    hub.RecordID
	Seconds    int64  // negative where it takes back
	Amount     string // "150.00 EUR"; empty: none
	Content    string // hash of the fields by which the line stands
	Fields     []byte // the canonical record that was sent
	Counts     []Count
	State      PostingState
	How        string // how it came to be, for people: "deleted there"
	Updated    time.Time
}

// PostingState is how far a line has come.
type PostingState string

// The states.
const (
	Sending PostingState = "sending" // its write is under way, or its outcome not known
	Posted  PostingState = "posted"
	Void    PostingState = "void" // the far side refused it: it never came to be
	Kept    PostingState = "kept" // a person has decided that what stands there stays
)

// Count is a running sum that a line adds to, and how far it may go.
type Count struct {
	Name    string         `json:"name"`
	Item    string         `json:"item"`
	Seconds int64          `json:"seconds,omitempty"`
	Amount  exact.Decimal  `json:"amount"`
	Most    *exact.Decimal `json:"-"` // of the amount; nil: no limit
	Longest int64          `json:"-"` // of the seconds; 0: no limit
}

// Tally is such a sum as it stands.
type Tally struct {
	Seconds int64
	Amount  exact.Decimal
}

// add is the sum after n times the count.
func (v Tally) add(c Count, n int64) Tally {
	return Tally{v.Seconds + n*c.Seconds, v.Amount.Add(c.Amount.Mul(exact.NewDecimal(n)))}
}

// exceeds reports whether the sum lies above the count's limits, having grown.
func (v Tally) exceeds(c Count) bool {
	return c.Longest > 0 && c.Seconds > 0 && v.Seconds > c.Longest || c.Most != nil && c.Amount.Sign() > 0 && v.Amount.Cmp(*c.Most) > 0
}

// Past reports whether adding the count to the sum would go past its limit.
func (v Tally) Past(c Count) bool { return v.add(c, 1).exceeds(c) }

type tallyKey struct {
	tenant     hub.TenantID
	name, item string
}

// tallies are the sums that a commit touches. Limits hold exactly, whoever else posts at the moment:
// they are looked at in the commit that keeps the intent.
type tallies struct {
	t       tx
	dia     dialect
	now     map[tallyKey]Tally
	changed map[tallyKey]bool
}

// openTallies reads the sums that the steps may change, in one order for all nodes.
func openTallies(ctx context.Context, t tx, dia dialect, steps []*Step) (*tallies, error) {
	b := &tallies{t, dia, map[tallyKey]Tally{}, map[tallyKey]bool{}}
	var keys []tallyKey
	for _, st := range steps {
		for _, p := range st.counted() {
			for _, c := range p.Counts {
				keys = append(keys, tallyKey{st.Tenant, c.Name, c.Item})
			}
		}
	}
	slices.SortFunc(keys, func(a, b tallyKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name), cmp.Compare(a.item, b.item))
	})
	for list := slices.Compact(keys); len(list) > 0; {
		n := 1
		for n < min(len(list), talliesAtOnce) && list[n].tenant == list[0].tenant && list[n].name == list[0].name {
			n++
		}
		if err := b.read(ctx, list[:n]); err != nil {
			return nil, err
		}
		list = list[n:]
	}
	return b, nil
}

const talliesAtOnce = 16

// read gets sums of one name and, where another node could change them, holds their rows until the commit. Those
// that are not there yet are made.
func (b *tallies) read(ctx context.Context, keys []tallyKey) error {
	if err := b.find(ctx, keys); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(keys), func(k tallyKey) bool { _, ok := b.now[k]; return ok })
	if len(missing) == 0 {
		return nil
	}
	args := make([][]any, len(missing))
	for i, k := range missing {
		args[i] = []any{k.tenant, k.name, k.item}
	}
	if err := b.t.put(ctx, `INSERT INTO tally (tenant, name, item) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, args, nil); err != nil {
		return err
	}
	if err := b.find(ctx, missing); err != nil {
		return err
	}
	for _, k := range missing {
		if _, ok := b.now[k]; !ok {
			return fmt.Errorf("the tally %s of %s is not there after it was made", k.name, k.item)
		}
	}
	return nil
}

func (b *tallies) find(ctx context.Context, keys []tallyKey) error {
	q := `SELECT item, seconds, amount FROM tally WHERE tenant = ? AND name = ? AND item IN (?` + strings.Repeat(", ?", talliesAtOnce-1) + `) ORDER BY item`
	args := []any{keys[0].tenant, keys[0].name}
	for i := range talliesAtOnce {
		args = append(args, keys[min(i, len(keys)-1)].item) // one text for any number of them
	}
	r, err := b.t.query(ctx, q+b.dia.forUpdate, args...)
	_, err = all(r, err, func(r rows, k *tallyKey) error {
		v, err := scanTally(r, &k.item)
		b.now[tallyKey{keys[0].tenant, keys[0].name, k.item}] = v
		return err
	})
	return err
}

func scanTally(r rows, item *string) (v Tally, err error) {
	var amount string
	if err := r.Scan(item, &v.Seconds, &amount); err != nil {
		return v, err
	}
	v.Amount, err = exact.ParseDecimal(amount)
	return v, err
}

// admit adds a line's counts, unless one of them goes past its limit.
func (b *tallies) admit(tenant hub.TenantID, p *Posting) bool {
	for _, c := range p.Counts {
		if b.now[tallyKey{tenant, c.Name, c.Item}].Past(c) {
			return false
		}
	}
	b.add(tenant, p.Counts, 1)
	return true
}

func (b *tallies) add(tenant hub.TenantID, counts []Count, n int64) {
	for _, c := range counts {
		k := tallyKey{tenant, c.Name, c.Item}
		b.now[k], b.changed[k] = b.now[k].add(c, n), true
	}
}

func (b *tallies) save(ctx context.Context) error {
	args := make([][]any, 0, len(b.changed))
	for k := range b.changed {
		v := b.now[k]
		args = append(args, []any{v.Seconds, v.Amount.String(), k.tenant, k.name, k.item})
	}
	return b.t.put(ctx, `UPDATE tally SET seconds = ?, amount = ? WHERE tenant = ? AND name = ? AND item = ?`, args, nil)
}

// counted are the postings of a step that may change a sum: what was counted when it was opened stands once it has
// been written.
func (st *Step) counted() (list []*Posting) {
	for i := range st.Open {
		if p := st.Open[i].Posting; p != nil {
			list = append(list, p)
		}
	}
	for i := range st.Close {
		if p := st.Close[i].Posting; p != nil && (p.Reverses != "" || st.Close[i].State != "done") {
			list = append(list, p)
		}
	}
	for i := range st.Postings {
		list = append(list, &st.Postings[i])
	}
	return list
}

const upsertPosting = `
	INSERT INTO posting (tenant, record, entry, deployment, connection, n, type, reverses, date, project, seconds, amount, content, fields, counts, state, how, updated_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (tenant, record) DO UPDATE SET connection = excluded.connection, reverses = excluded.reverses, type = excluded.type, date = excluded.date, project = excluded.project, seconds = excluded.seconds, amount = excluded.amount,
		content = excluded.content, fields = excluded.fields, counts = excluded.counts, state = excluded.state, how = excluded.how, updated_at = excluded.updated_at
		WHERE posting.state IN ('void', 'sending')`

func postingArgs(tenant hub.TenantID, p Posting) []any {
	counts, err := json.Marshal(p.Counts)
	if err != nil || len(p.Counts) == 0 {
		counts = nil // plain numbers and texts always encode
	}
	return []any{tenant, p.Record, p.Entry, p.Deployment, p.Connection, p.N, p.Type, p.Reverses, p.Date, p.Project, p.Seconds, p.Amount, p.Content, string(p.Fields), string(counts),
		p.State, p.How, micros(p.Updated)}
}

// closePostings notes what became of lines whose writes ended. What a line was counted for it keeps
// unless it never came to be; one that takes back counts from when it has.
func (b *tallies) closePostings(ctx context.Context, steps []*Step) error {
	var args [][]any
	for _, st := range steps {
		for _, w := range st.Close {
			p := w.Posting
			if p == nil || w.State == "uncertain" {
				continue
			}
			state := Posted
			if w.State != "done" {
				state = Void
			}
			args = append(args, []any{state, micros(w.Ended), st.Tenant, p.Record})
		}
	}
	n, err := b.t.each(ctx, `UPDATE posting SET state = ?, updated_at = ? WHERE tenant = ? AND record = ? AND state = 'sending'`, args)
	if err != nil {
		return err
	}
	for _, st := range steps {
		for _, w := range st.Close {
			if w.Posting == nil || w.State == "uncertain" {
				continue
			}
			closed := n[0] == 1
			n = n[1:]
			switch reverses := w.Posting.Reverses != ""; {
			case !closed: // told a second time
			case w.State == "done" && reverses:
				b.add(st.Tenant, w.Posting.Counts, 1)
			case w.State != "done" && !reverses:
				b.add(st.Tenant, w.Posting.Counts, -1)
			}
		}
	}
	return nil
}

// putPostings keeps lines that need no call: what a person has decided.
func (b *tallies) putPostings(ctx context.Context, steps []*Step) error {
	for _, st := range steps {
		for _, p := range st.Postings {
			n, err := b.t.exec(ctx, upsertPosting, postingArgs(st.Tenant, p)...)
			if err != nil {
				return err
			}
			if n == 1 && p.State == Posted {
				b.add(st.Tenant, p.Counts, 1)
			}
		}
	}
	return nil
}

const postingColumns = `record, entry, deployment, connection, n, type, reverses, date, project, seconds, amount, content, fields, counts, state, how, updated_at`

func scanPosting(r rows, p *Posting) error {
	var at int64
	var fields, counts string
	if err := r.Scan(&p.Record, &p.Entry, &p.Deployment, &p.Connection, &p.N, &p.Type, &p.Reverses, &p.Date, &p.Project, &p.Seconds, &p.Amount, &p.Content, &fields, &counts,
		&p.State, &p.How, &at); err != nil {
		return err
	}
	p.Fields, p.Updated = []byte(fields), instant(at)
	if counts == "" {
		return nil
	}
	return json.Unmarshal([]byte(counts), &p.Counts)
}

// Postings reads the lines of an entry, each flow's in order.
func (t *Tenant) Postings(ctx context.Context, entry hub.RecordID) ([]Posting, error) {
	from, to := entry.Lines()
	r, err := t.db.query(ctx, `SELECT `+postingColumns+` FROM posting WHERE tenant = ? AND record BETWEEN ? AND ? AND entry = ? ORDER BY n`, t.id, from, to, entry)
	return all(r, err, scanPosting)
}

// Posting reads the line that a far side knows as a record, or nil.
func (t *Tenant) Posting(ctx context.Context, record hub.RecordID) (*Posting, error) {
	r, err := t.db.query(ctx, `SELECT `+postingColumns+` FROM posting WHERE tenant = ? AND record = ?`, t.id, record)
	return one(all(r, err, scanPosting))
}

// Line is a posting with the id by which its far side knows it; "" where it knows it no longer, or not yet.
type Line struct {
	Posting
	There string
}

// Known is a record that a flow has posted, or wants to, and how its source knows it.
type Known struct {
	ExternalID string
	Line       hub.RecordID // the line that stands; empty: none does yet
}

// KnownBetween lists what a flow has standing in the books, or waiting or parked on the way there, of
// records with business dates from one to the other, included.
func (t *Tenant) KnownBetween(ctx context.Context, d hub.DeploymentID, source hub.ConnectionID, kind string, from, to exact.Date) ([]Known, error) {
	const standing = `
		SELECT x.external_id, p.record FROM posting p JOIN xref x ON x.tenant = p.tenant AND x.record = p.entry AND x.connection = ?
		WHERE p.tenant = ? AND p.deployment = ? AND p.date BETWEEN ? AND ? AND p.state = 'posted' AND p.reverses = '' AND NOT EXISTS (
			SELECT 1 FROM posting b WHERE b.tenant = p.tenant AND b.record BETWEEN p.entry || 'l' AND p.entry || 'lzzzzz'
				AND b.reverses = p.record AND b.state = 'posted')`
	r, err := t.db.query(ctx, standing, source, t.id, d, from.String(), to.String())
	list, err := all(r, err, func(r rows, k *Known) error { return r.Scan(&k.ExternalID, &k.Line) })
	if err != nil {
		return nil, err
	}
	prefix := string(source) + "/" + kind + "/"
	const held = `
		SELECT SUBSTR(w.record_key, ?), r.fields FROM work w JOIN xref x ON x.tenant = w.tenant AND x.connection = ? AND x.kind = ? AND x.external_id = SUBSTR(w.record_key, ?)
		JOIN record r ON r.tenant = x.tenant AND r.id = x.record
		WHERE w.tenant = ? AND w.deployment = ? AND w.state IN ('parked', 'waiting') AND w.record_key LIKE ?`
	type row struct{ id, fields string }
	r, err = t.db.query(ctx, held, len(prefix)+1, source, kind, len(prefix)+1, t.id, d, prefix+"%")
	rows, err := all(r, err, func(r rows, v *row) error { return r.Scan(&v.id, &v.fields) })
	if err != nil {
		return nil, err
	}
	for _, v := range rows {
		var dated struct{ Date string }
		if err := json.Unmarshal([]byte(v.fields), &dated); err != nil {
			return nil, fmt.Errorf("read the date of %s%s: %w", prefix, v.id, err)
		}
		if dated.Date >= from.String() && dated.Date <= to.String() {
			list = append(list, Known{ExternalID: v.id})
		}
	}
	return list, nil
}

const lineColumns = postingColumns + `,
	COALESCE((SELECT external_id FROM xref WHERE xref.tenant = posting.tenant AND xref.record = posting.record AND xref.connection = posting.connection), '')`

// LinesBetween reads a page of the lines with business dates from one to the other, included, in the
// order of their records, after the given one.
func (t *Tenant) LinesBetween(ctx context.Context, from, to exact.Date, after hub.RecordID, limit int) ([]Line, error) {
	r, err := t.db.query(ctx, `SELECT `+lineColumns+` FROM posting WHERE tenant = ? AND record > ? AND date BETWEEN ? AND ? ORDER BY record LIMIT ?`,
		t.id, after, from.String(), to.String(), limit)
	return all(r, err, scanLine)
}

// Lines reads the lines of an entry, the oldest first.
func (t *Tenant) Lines(ctx context.Context, entry hub.RecordID) ([]Line, error) {
	from, to := entry.Lines()
	r, err := t.db.query(ctx, `SELECT `+lineColumns+` FROM posting WHERE tenant = ? AND record BETWEEN ? AND ? AND entry = ? ORDER BY n`, t.id, from, to, entry)
	return all(r, err, scanLine)
}

func scanLine(r rows, l *Line) error { return scanPosting(also{r, &l.There}, &l.Posting) }

// also scans one column more than who asks for them knows of.
type also struct {
	rows
	last any
}

func (a also) Scan(into ...any) error { return a.rows.Scan(append(into, a.last)...) }

// Tally reads a running sum.
func (t *Tenant) Tally(ctx context.Context, name, item string) (Tally, error) {
	r, err := t.db.query(ctx, `SELECT item, seconds, amount FROM tally WHERE tenant = ? AND name = ? AND item = ?`, t.id, name, item)
	v, err := one(all(r, err, func(r rows, v *Tally) (err error) { *v, err = scanTally(r, &item); return err }))
	if err != nil || v == nil {
		return Tally{}, err
	}
	return *v, nil
}
