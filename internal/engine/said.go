package engine

import (
	"fmt"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// A write of class X whose answer is lost: nobody but a person can tell what became of it. They say that it is to be sent
// again, that it went through, or, of a creation, which record was made: they link it.

const (
	codeUncertain = "write.uncertain"
	sendAgain     = "approved" // the state of an exception whose question was answered by yes
)

// left notes how a call ended that brought nothing about, as far as is known.
func (r *run) left(in store.Write, e *hub.Error, err error) error {
	if e.Kind != hub.Uncertain {
		r.pending.Close = append(r.pending.Close, r.outcome(in, "refused", e.Message, store.Link{}))
		return err
	}
	r.pending.Close = append(r.pending.Close, r.outcome(in, "uncertain", e.Message, store.Link{}))
	return r.uncertain(in, in.Creates, err)
}

// uncertain asks a person what became of a write.
func (r *run) uncertain(open store.Write, creates bool, cause error) error {
	r.about, r.sought = open.Record, open.Connection
	hint := "Look there. If it went through, choose leave; if not, approve it, and it is sent again."
	if creates {
		hint = "Look there. If it was made, link it (its id there); if not, approve it, and it is sent again."
	}
	return &hub.Error{Kind: hub.Uncertain, Code: "write.uncertain", Message: fmt.Sprintf("Nobody knows whether %s went through, and the far side offers no way to tell.", open.Operation), Hint: hint, Err: cause}
}

// said is what a person has said of a write since it was sent; "" where nothing that tells what became of it.
func (r *run) said(open *store.Write) (string, error) {
	x, err := r.tenant.LastAsked(r.ctx, r.work.Deployment, r.work.Key, open.Record)
	if err != nil || x == nil || x.Code != codeUncertain || x.Connection != open.Connection || !x.Opened.After(open.Started) {
		return "", err
	}
	return x.State, nil
}

// undecided settles a write by what a person has said of it, and asks where nobody has.
func (w *write) undecided(open *store.Write) error {
	creates := w.m.Kind.Create != nil && open.Operation == w.m.Kind.Create.Name
	said, err := w.run.said(open)
	switch {
	case err != nil:
		return err
	case said == sendAgain:
		w.run.pending.Close = append(w.run.pending.Close, w.run.outcome(w.earlier(open), "refused", "it did not go through, as a person says", store.Link{}))
		return w.settledFirst()
	case w.link != nil && (creates || said == Leave):
		link := *w.link
		link.Hash, link.Version, link.Updated = open.Hash, open.Version, w.run.e.Now()
		link.Writes++
		w.run.pending.Close = append(w.run.pending.Close, w.run.outcome(w.earlier(open), "done", "it went through, as a person says", link))
		return w.settledFirst()
	}
	return w.run.uncertain(*open, creates, nil)
}
