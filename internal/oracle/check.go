package oracle

import (
	"fmt"
	"maps"
	"slices"
)

// subject is one record of one tenant: the key under which the three ledgers meet.
type subject struct{ tenant, key string }

// story is all that the ledgers say of one subject.
type story struct {
	offers   []Offer
	acked    int64 // the newest acknowledged version; -1: none
	newest   *Offer
	effects  []Effect // whose data is this subject's, in whichever account
	outcomes []Outcome
}

// Check compares the ledgers once everything has come to rest.
func Check(l Ledgers) Verdict {
	c := checker{stories: map[subject]*story{}}
	c.gather(l)
	c.verdict.Effects = len(l.Effects)
	order := slices.SortedFunc(maps.Keys(c.stories), func(a, b subject) int {
		return slices.Compare([]string{a.tenant, a.key}, []string{b.tenant, b.key})
	})
	for _, s := range order {
		c.check(s, c.stories[s])
	}
	c.places(l.Effects)
	return c.verdict
}

type checker struct {
	stories map[subject]*story
	verdict Verdict
}

func (c *checker) story(tenant, key string) *story {
	s := c.stories[subject{tenant, key}]
	if s == nil {
		s = &story{acked: -1}
		c.stories[subject{tenant, key}] = s
	}
	return s
}

func (c *checker) gather(l Ledgers) {
	for _, o := range l.Source {
		s := c.story(o.Tenant, o.Key)
		s.offers = append(s.offers, o)
		if o.Acked {
			s.acked = max(s.acked, o.Version)
		}
		if o.Expect != nil && (s.newest == nil || o.Version >= s.newest.Version) {
			s.newest = &o
		}
	}
	for _, e := range l.Effects {
		s := c.story(e.Owner, e.Key)
		s.effects = append(s.effects, e)
	}
	for _, o := range l.Outcomes {
		s := c.story(o.Tenant, o.Key)
		s.outcomes = append(s.outcomes, o)
	}
}

func (c *checker) check(at subject, s *story) {
	say := func(set, format string, args ...any) {
		c.verdict.Findings = append(c.verdict.Findings, Finding{set, at.tenant, at.key, fmt.Sprintf(format, args...)})
	}
	c.count(s)
	s.crossed(at, say)
	if s.newest == nil {
		if len(s.effects) > 0 {
			say(Unexpected, "nobody offered it")
		}
		return
	}
	s.arrived(say)
	s.faithful(say)
	s.once(say)
	s.order(say)
	s.told(say)
}

func (c *checker) count(s *story) {
	if s.newest != nil {
		c.verdict.Offered++
	}
	if s.acked >= 0 {
		c.verdict.Acked++
	} else if s.newest != nil && len(s.effects) > 0 {
		c.verdict.Recovered++
	}
	c.countParked(s)
	last := map[string]string{}
	for _, e := range s.effects {
		if e.Op != Create && last[e.Entity] == e.Content {
			c.verdict.Upserts++
		}
		last[e.Entity] = e.Content
	}
}

func (c *checker) countParked(s *story) {
	for _, o := range s.outcomes {
		if o.State != "parked" {
			continue
		}
		c.verdict.Parked++
		if c.verdict.ParkedBy == nil {
			c.verdict.ParkedBy = map[string]int{}
		}
		c.verdict.ParkedBy[o.Code]++
		return // a record counts once
	}
}

type say func(set, format string, args ...any)

// arrived checks that each thing that shall stand at the far side does, as it shall.
func (s *story) arrived(say say) {
	if s.rests("parked") || s.rests("filtered") && s.newest.Unwanted {
		return // that is what the person or the flow decides about
	}
	for _, entity := range slices.Sorted(maps.Keys(s.newest.Expect)) {
		last := s.last(entity)
		switch {
		case last == nil && s.acked >= 0:
			say(Lost, "acknowledged, but there is no %s", entity)
		case last == nil: // the source knows that it was not taken
		case last.Content == s.newest.Expect[entity]: // as it shall
		case last.Version < s.acked:
			say(Stale, "%s stands at version %d, acknowledged was %d", entity, last.Version, s.acked)
		}
	}
}

// faithful checks that each thing that was ever written says what the version of the record should become that it
// tells of, also where a later one stands there now.
func (s *story) faithful(say say) {
	for _, e := range s.effects {
		offered := slices.DeleteFunc(slices.Clone(s.offers), func(o Offer) bool { return o.Expect == nil || e.Version != 0 && o.Version != e.Version })
		want := map[string]bool{}
		for _, o := range offered {
			if content, asked := o.Expect[e.Entity]; asked {
				want[content] = true
			}
		}
		switch {
		case len(offered) == 0:
			say(Unexpected, "%s says version %d, which nobody offered", e.Entity, e.Version)
		case len(want) == 0:
			say(Unexpected, "nobody asked for a %s", e.Entity)
		case !want[e.Content]:
			say(Mismatch, "%s is %q, should be %q", e.Entity, e.Content, slices.Sorted(maps.Keys(want)))
		}
	}
}

// once checks that nothing was created twice, whichever write class it has: what nothing protects
// is parked, not repeated.
func (s *story) once(say say) {
	made := map[string]int{}
	for _, e := range s.effects {
		if e.Op == Create {
			made[e.Account+" "+e.Entity]++
		}
	}
	for _, what := range slices.Sorted(maps.Keys(made)) {
		if made[what] > 1 {
			say(Duplicated, "%s was created %d times", what, made[what])
		}
	}
}

func (s *story) order(say say) {
	newest := map[string]int64{}
	for _, e := range s.effects {
		what := e.Account + " " + e.Entity
		if e.Version < newest[what] {
			say(Disorder, "%s: version %d was written over %d", what, e.Version, newest[what])
		}
		newest[what] = max(newest[what], e.Version)
	}
}

func (s *story) crossed(at subject, say say) {
	for _, e := range s.effects {
		if e.Account != at.tenant {
			say(Crossed, "%s %s stands in the account of %s", e.Entity, e.ID, e.Account)
		}
	}
}

// told checks that the product's ledger and the far sides' say the same.
func (s *story) told(say say) {
	if len(s.outcomes) == 0 {
		if len(s.effects) > 0 {
			say(Liar, "the far side has it, the ledger gives it no outcome")
		}
		return
	}
	if !s.ended("written") && !s.ended("unchanged") {
		return
	}
	for _, entity := range slices.Sorted(maps.Keys(s.newest.Expect)) {
		if s.last(entity) == nil {
			say(Liar, "the ledger says written, but there is no %s", entity)
		}
	}
}

func (s *story) last(entity string) *Effect {
	for i := len(s.effects) - 1; i >= 0; i-- {
		if s.effects[i].Entity == entity {
			return &s.effects[i]
		}
	}
	return nil
}

// rests reports whether that is how a flow has left the record, whatever came before.
func (s *story) rests(state string) bool {
	last := map[string]Outcome{}
	for _, o := range s.outcomes {
		if was, is := last[o.Flow]; o.State != "superseded" && (!is || !o.At.Before(was.At)) {
			last[o.Flow] = o
		}
	}
	for _, o := range last {
		if o.State == state {
			return true
		}
	}
	return false
}

// place is a thing at a far side.
type place struct{ account, entity, id string }

// places checks that a thing, once it is made, holds the data of one record only. What no record makes was there
// before, like what is written back to.
func (c *checker) places(effects []Effect) {
	whose, made := map[place]subject{}, map[string]bool{}
	for _, e := range effects { // first of all: a thing may be found and changed before the line that it was made is written
		if at := (place{e.Account, e.Entity, e.ID}); e.Op == Create && whose[at] == (subject{}) {
			whose[at], made[e.Entity] = subject{e.Owner, e.Key}, true
		}
	}
	for _, e := range effects {
		at, of := place{e.Account, e.Entity, e.ID}, subject{e.Owner, e.Key}
		owner, known := whose[at]
		if !known && !made[e.Entity] {
			whose[at] = of
			continue
		}
		says := ""
		switch {
		case !known:
			says = fmt.Sprintf("%s %s was changed in %s, and never made", e.Entity, e.ID, e.Account)
		case owner != of:
			says = fmt.Sprintf("%s %s in %s is that of %s %s", e.Entity, e.ID, e.Account, owner.tenant, owner.key)
		default:
			continue
		}
		c.verdict.Findings = append(c.verdict.Findings, Finding{Misplaced, of.tenant, of.key, says})
	}
}

func (s *story) ended(state string) bool {
	return slices.ContainsFunc(s.outcomes, func(o Outcome) bool { return o.State == state })
}
