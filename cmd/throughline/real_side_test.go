package main

import (
	"net/netip"
	"time"

	"throughline/internal/canonical"
	"throughline/internal/catalog"
	"throughline/internal/connector"
	"throughline/internal/egress"
	"throughline/internal/hub"
	"throughline/internal/mapping"
	"throughline/internal/remote"
)

// side is a living system, spoken to as the product does: by its connector and its mappings. A
// reference to another record names that record's id over there.
type side struct {
	*real
	system *catalog.System
	client *remote.Client
	logins *memory
	conn   *remote.Connection
	mapped mapping.Context
}

func (r *real) side(name string, settings, secret map[string]any) *side {
	r.Helper()
	s, _, err := openSystem(name, nil)
	if err != nil {
		r.Fatal(err)
	}
	for _, one := range s.Connector.File.Settings {
		if settings[one.Key] == nil && one.Value.Default != "" {
			settings[one.Key] = one.Value.Default
		}
	}
	out := &side{real: r, system: s, logins: &memory{}, conn: &remote.Connection{Tenant: "real", ID: hub.ConnectionID(name), Connector: s.Connector, Settings: settings, Secret: secret}}
	loopback := egress.Options{Vouched: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	out.client = remote.New(egress.New(loopback), out.logins, nil, time.Now)
	known := func(ref canonical.Ref) (string, bool, error) { return string(ref.ID), true, nil }
	out.mapped = mapping.Context{Tenant: "real", Connection: out.conn.ID, Settings: settings, Kinds: s.Connector.KindAs, Resolve: known}
	return out
}

func (s *side) kind(record string) *connector.Kind { return s.system.Connector.KindAs(record) }

// ask makes one call after the reads that belong to it.
func (s *side) ask(op *connector.Op, with []connector.NamedOp, vars remote.Vars) (*connector.Answer, error) {
	found := map[string]any{}
	for _, w := range with {
		a, err := s.client.Call(s.Context(), s.conn, w.Op, vars)
		if err != nil {
			return nil, err
		}
		found[w.Name] = a.Result
	}
	vars["found"] = found
	return s.client.Call(s.Context(), s.conn, op, vars)
}

func (s *side) answer(op *connector.Op, vars remote.Vars) *connector.Answer {
	s.Helper()
	a, err := s.ask(op, op.With, vars)
	if err != nil {
		s.Fatal(err)
	}
	return a
}

// rows reads a list as a poll or a sweep does, page by page.
func (s *side) rows(l *connector.ListOp, vars remote.Vars) (rows []any, pages int) {
	s.Helper()
	since, _ := vars["since"].(time.Time)
	for pager, more := l.Pager(), true; more; pages++ {
		vars["page"] = pager.Vars()
		a := s.answer(l.Op, vars)
		fresh, known := l.Fresh(a.Items(), since)
		rows = append(rows, fresh...)
		var err error
		if more, err = pager.Next(a, len(a.Items())); err != nil {
			s.Fatal(err)
		}
		more = more && !known
	}
	return rows, pages
}

// there is a record as it stands over there: canonical, with the vendor's id.
type there struct {
	id      string
	version int64
	fields  map[string]any
}

func (s *side) read(record string, x any) there {
	s.Helper()
	r, err := s.system.Mappings[record].Read(s.mapped, x)
	if err != nil {
		s.Fatalf("%v: %v", x, err)
	}
	id, err := s.kind(record).IDOf(x, s.conn.Settings)
	if err != nil {
		s.Fatal(err)
	}
	version, err := s.kind(record).VersionOf(x)
	if err != nil {
		s.Fatal(err)
	}
	return there{id, version, r.Fields}
}

func (s *side) get(record, id string) there {
	s.Helper()
	return s.read(record, s.answer(s.kind(record).Get, remote.Vars{"id": id}).Result)
}

func (s *side) find(record, by string, value any) (out []there) {
	s.Helper()
	for _, x := range s.answer(s.kind(record).Find[by], remote.Vars{"value": value, "marker": value}).Items() {
		out = append(out, s.read(record, x))
	}
	return out
}

// only is the record that is found when there is one and no more.
func (s *side) only(record, by string, value any) there {
	s.Helper()
	list := s.find(record, by, value)
	if len(list) != 1 {
		s.Fatalf("%s: %d records %s with the %s %v, want one", s.conn.ID, len(list), record, by, value)
	}
	return list[0]
}

// create maps and sends a new record, and gives its id.
func (s *side) create(record string, one canonical.Record) (string, error) {
	s.Helper()
	kind := s.kind(record)
	a, err := s.ask(kind.Create, kind.Create.With, remote.Vars{"fields": s.fields(record, one, true), "marker": one.ID.Marker()})
	if err != nil {
		return "", err
	}
	return kind.IDOf(a.Result, s.conn.Settings)
}

func (s *side) made(record string, one canonical.Record) string {
	s.Helper()
	id, err := s.create(record, one)
	if err != nil || id == "" {
		s.Fatalf("%s %v: id %q, %v", record, one.Fields, id, err)
	}
	return id
}

func (s *side) update(record, id string, one canonical.Record) error {
	s.Helper()
	op := s.kind(record).Update
	_, err := s.ask(op, op.With, remote.Vars{"id": id, "fields": s.fields(record, one, false), "marker": one.ID.Marker()})
	return err
}

func (s *side) remove(record, id string) error {
	op := s.kind(record).Delete
	_, err := s.ask(op, op.With, remote.Vars{"id": id})
	return err
}

// batch sends many in one call, and gives their ids in the order of sending.
func (s *side) batch(record string, op *connector.BatchOp, items []connector.BatchItem) (ids []string, err error) {
	s.Helper()
	a, err := s.ask(op.Op, op.With, remote.Vars(op.Vars(items)))
	if err != nil {
		return nil, err
	}
	list, err := op.Outcomes(s.kind(record), a, items, s.conn.Settings)
	if err != nil {
		s.Fatal(err)
	}
	for _, one := range list {
		if one.Err != nil || one.ID == "" {
			s.Fatalf("a batch that was taken holds %+v", one)
		}
		ids = append(ids, one.ID)
	}
	return ids, nil
}

// fields are what the mapping makes of a record for the vendor.
func (s *side) fields(record string, one canonical.Record, fresh bool) map[string]any {
	s.Helper()
	m := s.system.Mappings[record]
	one.Type = record
	one, err := m.Schema.Normalise(one)
	if err != nil {
		s.Fatal(err)
	}
	plain, err := m.Write(s.mapped, one, fresh)
	if err != nil {
		s.Fatal(err)
	}
	return s.system.Connector.Fields(plain)
}

// refused says how a call was refused: "blocked: the far side's words".
func refused(err error) string {
	if e := hub.AsError(err); e != nil {
		return string(e.Kind) + ": " + e.Message
	}
	return "not refused"
}
