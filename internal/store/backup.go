package store

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"sync"
	"time"

	"throughline/internal/hub"
)

// A backup is one file, the same for both databases: a line of JSON that says what it is, all rows of
// all tables as they stood at one moment, packed, and a seal over everything before it. What the tables
// are the migrations say, and what is in them is read from the database, so that nothing is forgotten.

// Manifest is the first line of a backup.
type Manifest struct {
	Format   int       `json:"throughline_backup"`
	Schema   int64     `json:"schema"` // the version of the migrations
	Taken    time.Time `json:"taken"`
	Store    string    `json:"store"` // sqlite or postgresql: where it comes from, for people
	Ledger   string    `json:"ledger"`
	Mark     int64     `json:"mark"`      // how far the ledger had counted
	SealedBy string    `json:"sealed_by"` // fingerprint of the master key
}

const backupFormat = 1

// Sealer seals backups by the master key (package secret): a file that was altered, or whose key is
// another one, is known before anything is done with it.
type Sealer struct {
	Key         []byte
	Fingerprint string
}

// column is a column of a table. Kind is text, bigint, bytea or boolean, which are all there are.
type column struct{ Name, Kind string }

type table struct {
	Name    string
	Columns []column
}

func (t table) names() []string {
	list := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		list[i] = c.Name
	}
	return list
}

func (t table) ofTenants() bool { return slices.Contains(t.names(), "tenant") }

// ours are the names of the tables that the migrations make. In a schema others may have theirs, too.
var ours = sync.OnceValues(func() (map[string]bool, error) {
	names := map[string]bool{}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	for _, file := range files {
		data, readErr := migrations.ReadFile(file)
		err = errors.Join(err, readErr)
		for _, made := range makesTable.FindAllSubmatch(data, -1) {
			names[string(made[1])] = true
		}
	}
	return names, err
})

var makesTable = regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)

// tables are all of ours, in order of their names.
func tables(ctx context.Context, t tx, d dialect) ([]table, error) {
	type found struct{ table, column, kind string }
	r, err := t.query(ctx, d.columns)
	list, err := all(r, err, func(r rows, f *found) error { return r.Scan(&f.table, &f.column, &f.kind) })
	if err != nil {
		return nil, err
	}
	mine, err := ours()
	var out []table
	for _, f := range list {
		if !mine[f.table] {
			continue
		}
		if len(out) == 0 || out[len(out)-1].Name != f.table {
			out = append(out, table{Name: f.table})
		}
		last := &out[len(out)-1]
		last.Columns = append(last.Columns, column{f.column, f.kind})
	}
	return out, err
}

func schemaVersion(ctx context.Context, t tx) (int64, error) {
	r, err := t.query(ctx, `SELECT MAX(version_id) FROM goose_db_version`)
	v, err := one(all(r, err, func(r rows, v *int64) error { return r.Scan(v) }))
	if err != nil || v == nil {
		return 0, err
	}
	return *v, nil
}

// Backup writes everything as it stands at one moment, while the product works on.
func (s *Store) Backup(ctx context.Context, w io.Writer, seal Sealer) (m Manifest, err error) {
	sum := hmac.New(sha256.New, seal.Key)
	out := io.MultiWriter(w, sum)
	err = s.db.snapshot(ctx, func(t tx) error {
		if m, err = s.manifest(ctx, t, seal); err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(m); err != nil {
			return err
		}
		packed := gzip.NewWriter(out)
		if err := s.dump(ctx, t, packed); err != nil {
			return err
		}
		return packed.Close()
	})
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	return m, err
}

func (s *Store) manifest(ctx context.Context, t tx, seal Sealer) (Manifest, error) {
	l, err := self(ctx, t, "")
	if err != nil {
		return Manifest{}, err
	}
	if l.sealedBy != "" && l.sealedBy != seal.Fingerprint {
		return Manifest{}, wrongKey()
	}
	version, err := schemaVersion(ctx, t)
	return Manifest{Format: backupFormat, Schema: version, Taken: s.now().UTC().Truncate(time.Second), Store: s.db.dialect().name, Ledger: l.id, Mark: l.mark, SealedBy: seal.Fingerprint}, err
}

// The parts of a packed body: a table begins, a row of it follows, everything has ended.
const (
	tableMark = 'T'
	rowMark   = 'R'
	endMark   = 'E'
)

func (s *Store) dump(ctx context.Context, t tx, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	list, err := tables(ctx, t, s.db.dialect())
	if err != nil {
		return err
	}
	for _, tab := range list {
		if err := dumpTable(ctx, t, tab, out); err != nil {
			return fmt.Errorf("back up %s: %w", tab.Name, err)
		}
	}
	if err := out.WriteByte(endMark); err != nil {
		return err
	}
	return out.Flush()
}

func dumpTable(ctx context.Context, t tx, tab table, out *bufio.Writer) error {
	head, err := json.Marshal(tab)
	if err != nil {
		return err
	}
	if _, err := out.Write(sized([]byte{tableMark}, head)); err != nil {
		return err
	}
	q := "SELECT "
	for i, name := range tab.names() {
		if i > 0 {
			q += ", "
		}
		q += name
	}
	r, err := t.query(ctx, q+" FROM "+tab.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	values, into := make([]any, len(tab.Columns)), make([]any, len(tab.Columns))
	for i := range values {
		into[i] = &values[i]
	}
	line := make([]byte, 0, 4096)
	for r.Next() {
		if err := r.Scan(into...); err != nil {
			return err
		}
		line = append(line[:0], rowMark)
		for i, v := range values {
			if line, err = packed(line, v); err != nil {
				return fmt.Errorf("column %s: %w", tab.Columns[i].Name, err)
			}
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return r.Err()
}

// The kinds of a packed value.
const (
	isNull = iota
	isInt
	isText
	isBytes
)

func sized(to, data []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(data))), data...)
}

func packed(line []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(line, isNull), nil
	case int64:
		return binary.AppendVarint(append(line, isInt), v), nil
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		return binary.AppendVarint(append(line, isInt), n), nil
	case string:
		return sized(append(line, isText), []byte(v)), nil
	case []byte:
		return sized(append(line, isBytes), v), nil
	}
	return nil, fmt.Errorf("a value of type %T is nothing that a backup holds", v)
}

// sealed hides the seal at the end of a stream, and holds the rest against it at the end.
type sealed struct {
	from *bufio.Reader
	sum  hash.Hash
}

// errTorn says that a backup is not as it was written.
func errTorn(err error) error {
	return &hub.Error{Kind: hub.Invalid, Code: "backup.torn", Message: "The backup is torn or was altered.", Hint: "Take another one; nothing was changed.", Err: err}
}

func (s *sealed) Read(into []byte) (int, error) {
	ahead, err := s.from.Peek(min(len(into)+sha256.Size, s.from.Size()))
	if n := len(ahead) - sha256.Size; n > 0 {
		n, err := s.from.Read(into[:min(n, len(into))])
		s.sum.Write(into[:n])
		return n, err
	}
	if err != io.EOF {
		return 0, err
	}
	if !hmac.Equal(ahead, s.sum.Sum(nil)) {
		return 0, errTorn(errors.New("the seal does not fit"))
	}
	return 0, io.EOF
}

// backupReader reads a backup: its manifest, then part by part.
type backupReader struct {
	Manifest
	sealed *sealed
	line   *bufio.Reader // over what is sealed
	body   *bufio.Reader
	table  *table
}

// openBackup reads the manifest and refuses what is no backup of ours, of another version, or sealed by
// another key.
func openBackup(r io.Reader, seal Sealer) (*backupReader, error) {
	b := &backupReader{sealed: &sealed{bufio.NewReaderSize(r, 256<<10), hmac.New(sha256.New, seal.Key)}}
	b.line = bufio.NewReader(b.sealed)
	first, err := b.line.ReadSlice('\n')
	if err == nil {
		err = json.Unmarshal(first, &b.Manifest)
	}
	if err != nil || b.Format == 0 {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "backup.unknown", Message: "This is no backup.", Hint: "Name a file that throughline backup has made.", Err: err}
	}
	if b.SealedBy != seal.Fingerprint {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "ledger.master_key", Message: "The master key in the data folder is not the one of the ledger in this backup.",
			Hint: "Put the right master.key there; nothing was changed."}
	}
	if b.Format != backupFormat {
		return nil, otherVersion(fmt.Sprintf("format %d", b.Format))
	}
	body, err := gzip.NewReader(b.line)
	if err != nil {
		return nil, errTorn(err)
	}
	body.Multistream(false)
	b.body = bufio.NewReaderSize(body, 64<<10)
	return b, nil
}

func otherVersion(what string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "backup.version", Message: "The backup was made by another version (" + what + ").", Hint: "Restore it with that version, then upgrade."}
}

// next is the next table, or nil at the end, where the whole is held against its seal.
func (b *backupReader) next() (*table, error) {
	mark, err := b.body.ReadByte()
	if err != nil {
		return nil, torn(err)
	}
	if mark == endMark {
		return nil, b.finish()
	}
	if mark != tableMark {
		return nil, errTorn(fmt.Errorf("%q where a table should begin", mark))
	}
	head, err := b.bytes()
	if err != nil {
		return nil, err
	}
	b.table = &table{}
	if err := json.Unmarshal(head, b.table); err != nil {
		return nil, errTorn(err)
	}
	return b.table, nil
}

func (b *backupReader) finish() error {
	for _, rest := range []io.Reader{b.body, b.line} {
		n, err := io.Copy(io.Discard, rest)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d bytes after the end", n)
		}
		if err != nil {
			return torn(err)
		}
	}
	return nil
}

func torn(err error) error {
	if hub.AsError(err) != nil {
		return err
	}
	return errTorn(err)
}

// row is the next row of the table, or nil after its last one.
func (b *backupReader) row() ([]any, error) {
	mark, err := b.body.ReadByte()
	if err != nil {
		return nil, torn(err)
	}
	if mark != rowMark {
		return nil, b.body.UnreadByte()
	}
	values := make([]any, len(b.table.Columns))
	for i, c := range b.table.Columns {
		if values[i], err = b.value(c.Kind); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (b *backupReader) value(kind string) (any, error) {
	is, err := b.body.ReadByte()
	if err != nil {
		return nil, torn(err)
	}
	switch is {
	case isNull:
		return nil, nil
	case isInt:
		n, err := binary.ReadVarint(b.body)
		if err != nil {
			return nil, torn(err)
		}
		if kind == "boolean" {
			return n != 0, nil
		}
		return n, nil
	case isText:
		data, err := b.bytes()
		return string(data), err
	case isBytes:
		return b.bytes()
	}
	return nil, errTorn(fmt.Errorf("a value of kind %d", is))
}

// maxValue is more than any door lets in.
const maxValue = 1 << 30

func (b *backupReader) bytes() ([]byte, error) {
	n, err := binary.ReadUvarint(b.body)
	if err == nil && n > maxValue {
		err = fmt.Errorf("a value of %d bytes", n)
	}
	if err != nil {
		return nil, torn(err)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(b.body, data); err != nil {
		return nil, torn(err)
	}
	return data, nil
}

// CheckBackup reads a backup to its end: the seal fits and every row can be read.
func CheckBackup(r io.Reader, seal Sealer) (Manifest, error) {
	b, err := openBackup(r, seal)
	if err != nil {
		return Manifest{}, err
	}
	for {
		t, err := b.next()
		if err != nil || t == nil {
			return b.Manifest, err
		}
		for {
			row, err := b.row()
			if err != nil {
				return b.Manifest, err
			}
			if row == nil {
				break
			}
		}
	}
}
