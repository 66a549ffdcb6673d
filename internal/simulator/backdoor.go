package simulator

import (
	"errors"
	"fmt"
	"maps"

	"throughline/internal/hub"
)

// The back door: what a person does in that system. An empty account name means the first account.

// Row is one record as the far side keeps it.
type Row struct {
	ID      string         `json:"id"`
	Version int64          `json:"version"`
	Fields  map[string]any `json:"fields"`
}

// Insert makes a record and gives its id.
func (s *Simulator) Insert(account, entity string, fields map[string]any) (string, error) {
	var id string
	err := s.asPerson(account, entity, func(c *call, col *collection) error {
		r, err := c.create(col, plainNumbers(fields), nil)
		if err == nil {
			id = r.id
		}
		return err
	})
	return id, err
}

// Update changes fields of a record.
func (s *Simulator) Update(account, entity, id string, fields map[string]any) error {
	return s.asPerson(account, entity, func(c *call, col *collection) error {
		r := col.rows[id]
		if r == nil {
			return noRow(entity, id)
		}
		return c.update(col, r, plainNumbers(fields), nil)
	})
}

// Remove deletes a record.
func (s *Simulator) Remove(account, entity, id string) error {
	return s.asPerson(account, entity, func(c *call, col *collection) error {
		r := col.rows[id]
		if r == nil {
			return noRow(entity, id)
		}
		return c.erase(col, r)
	})
}

// Move presses a button: an action of the record's state machine.
func (s *Simulator) Move(account, entity, id, action string) error {
	return s.asPerson(account, entity, func(c *call, col *collection) error {
		r, m := col.rows[id], col.kind.moves[action]
		if r == nil || m == nil {
			return noRow(entity, id+" "+action)
		}
		c.vars["row"] = r.fields
		if err := c.allowed(col.kind, m, r); err != nil {
			return err
		}
		return c.move(col, m, r)
	})
}

// Rows lists the records of an entity in the order of their creation.
func (s *Simulator) Rows(account, entity string) ([]Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	col, w, err := s.reach(account, entity)
	if err != nil {
		return nil, err
	}
	w.settleJobs(s.now())
	list := []Row{}
	for _, r := range col.order {
		if !r.gone {
			list = append(list, Row{ID: r.id, Version: r.version, Fields: maps.Clone(r.fields)})
		}
	}
	return list, nil
}

// Row is one record.
func (s *Simulator) Row(account, entity, id string) (Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	col, _, err := s.reach(account, entity)
	if err != nil {
		return Row{}, err
	}
	r := col.rows[id]
	if r == nil {
		return Row{}, noRow(entity, id)
	}
	return Row{ID: r.id, Version: r.version, Fields: maps.Clone(r.fields)}, nil
}

// AccountNames lists the accounts.
func (s *Simulator) AccountNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, w := range s.worlds {
		list = append(list, w.account)
	}
	return list
}

// asPerson carries out f and returns when its effects are in the ledger.
func (s *Simulator) asPerson(account, entity string, f func(*call, *collection) error) error {
	s.mu.Lock()
	col, w, err := s.reach(account, entity)
	if err == nil {
		c := s.newCall(w, "person")
		err = c.explained(f(c, col))
	}
	s.mu.Unlock()
	return errors.Join(err, s.journal.settle())
}

func (s *Simulator) reach(account, entity string) (*collection, *world, error) {
	w, err := s.world(account)
	if err != nil {
		return nil, nil, err
	}
	col := w.collections[entity]
	if col == nil {
		return nil, nil, &hub.Error{Kind: hub.NotFound, Code: "simulator.no_entity",
			Message: fmt.Sprintf("The simulator %s keeps no %q.", s.plan.name, entity)}
	}
	return col, w, nil
}

func (s *Simulator) world(account string) (*world, error) {
	if account == "" && len(s.worlds) > 0 {
		return s.worlds[0], nil
	}
	if w := s.byName[account]; w != nil {
		return w, nil
	}
	return nil, &hub.Error{Kind: hub.NotFound, Code: "simulator.no_account",
		Message: fmt.Sprintf("The simulator %s has no account %q.", s.plan.name, account)}
}

func noRow(entity, id string) error {
	return &hub.Error{Kind: hub.NotFound, Code: "simulator.no_row", Message: fmt.Sprintf("There is no %s %s.", entity, id)}
}

// explained turns a vendor's refusal into an error for people at the back door.
func (c *call) explained(err error) error {
	r, ok := isRefusal(err)
	if !ok {
		return err
	}
	if err := c.word(r); err != nil {
		return err
	}
	e := &hub.Error{Kind: hub.Invalid, Code: "simulator." + r.name, Message: r.message}
	if len(r.faults) > 0 {
		e.Field = r.faults[0].field
	}
	return e
}

// plainNumbers lets callers in Go write 5 where JSON would have a number.
func plainNumbers(fields map[string]any) map[string]any {
	out := make(map[string]any, len(fields))
	for name, v := range fields {
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		out[name] = v
	}
	return out
}
