package connector

import (
	"maps"
	"slices"
)

// Operations are the names of all calls that the connector offers, in order: "deal.get".
func (c *Connector) Operations() []string { return slices.Sorted(maps.Keys(c.operations())) }

// Operation is the call of this name, or nil.
func (c *Connector) Operation(name string) *Op { return c.operations()[name] }

func (c *Connector) operations() map[string]*Op {
	all := maps.Clone(c.ops)
	for _, k := range c.kinds {
		for _, op := range k.operations() {
			if op != nil {
				all[op.Name] = op
			}
		}
	}
	return all
}

// operations are the record's calls; nil stands for one that it lacks.
func (k *Kind) operations() []*Op {
	list := []*Op{k.Get, k.Create, k.Update, k.Delete}
	for _, l := range []*ListOp{k.List, k.Deleted, k.Sweep} {
		if l != nil {
			list = append(list, l.Op)
		}
	}
	for _, a := range k.Actions {
		list = append(list, a.Op)
	}
	list = append(list, slices.Collect(maps.Values(k.Find))...)
	for _, w := range k.With {
		list = append(list, w.Op)
	}
	for _, f := range k.After {
		list = append(list, f.Op)
		for _, w := range f.With {
			list = append(list, w.Op)
		}
	}
	return list
}

// AccountName is what the test call's answer calls the account.
func (op *Op) AccountName(a *Answer) (string, error) {
	if op.name == nil {
		return "", nil
	}
	v, err := op.name.Eval(a.vars)
	if err != nil {
		return "", err
	}
	return plain(v)
}
