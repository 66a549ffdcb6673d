package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// A word that a step's kind has no use for would be obeyed by nobody: limits of a write that is no posting, an approval
// beside a write. So each kind says which words it needs, and which it may have.

type words struct{ needs, may []string }

var wordsOf = map[string]words{
	"check":   {},
	"read":    {[]string{"of"}, []string{"in", "within"}},
	"find":    {[]string{"in", "by"}, []string{"within"}},
	"match":   {[]string{"in"}, []string{"within"}},
	"decide":  {[]string{"from"}, nil},
	"approve": {[]string{"asks"}, nil},
	"write":   {[]string{"to"}, []string{"set", "each", "key"}},
	"post":    {nil, []string{"to", "stands_by", "set", "back_as", "limits"}}, // what it needs, it says itself
}

// kinds are all that a step is: one, as it should be.
func (s Step) kinds() (list []string) {
	for _, k := range []struct {
		name string
		set  bool
	}{{"check", s.Check != ""}, {"read", s.Read != ""}, {"find", s.Find != ""}, {"match", s.Match != ""}, {"decide", s.Decide != ""}, {"approve", s.Approve.Set()}, {"write", s.Write != ""}, {"post", s.Post != ""}} {
		if k.set {
			list = append(list, k.name)
		}
	}
	return list
}

// says are the words that a step has beside its kind and when.
func (s Step) says() (list []string) {
	for _, w := range []struct {
		name string
		set  bool
	}{{"of", s.Of.Set()}, {"by", len(s.By) > 0}, {"in", s.In != ""}, {"within", s.Within.D != 0}, {"from", s.From.Set()}, {"asks", s.Asks != ""}, {"to", len(s.To) > 0}, {"set", len(s.Set) > 0},
		{"each", s.Each.Set()}, {"key", s.Key.Set()}, {"stands_by", len(s.StandBy) > 0}, {"back_as", s.BackAs != ""}, {"limits", len(s.Limits) > 0}} {
		if w.set {
			list = append(list, w.name)
		}
	}
	return list
}

// words holds a step against the words of its kind.
func (c *compiler) words(s Step) {
	kinds := s.kinds()
	if len(kinds) == 0 {
		c.problems.Add(s.Pos, "steps", "this step does nothing", "A step is one of check, read, find, match, decide, approve, write and post.")
		return
	}
	if len(kinds) > 1 {
		c.problems.Add(s.Pos, "steps", "this step is "+strings.Join(kinds, " and ")+" at once", "Make a step of each.")
		return
	}
	kind, said := kinds[0], s.says()
	w := wordsOf[kind]
	for _, name := range w.needs {
		if !slices.Contains(said, name) {
			c.problems.Add(s.Pos, kind, fmt.Sprintf("this %s has no %s:", kind, name), "A "+kind+" wants "+strings.Join(w.needs, ": and ")+":.")
		}
	}
	for _, name := range said {
		if !slices.Contains(w.needs, name) && !slices.Contains(w.may, name) {
			c.problems.Add(s.Pos, name, fmt.Sprintf("a %s has no use for %s:", kind, name), "Take it out, or make a step of its own of it.")
		}
	}
	if s.Key.Set() && !s.Each.Set() {
		c.problems.Add(s.Pos, "key", "key: tells items apart, and there is no each:", "Add each:, or take it out.")
	}
}
