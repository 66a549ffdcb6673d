package storetest

import (
	"fmt"
	"slices"
	"time"

	"throughline/internal/hub"
	"throughline/internal/store"
)

// parkAs lets the next row end parked.
func (b *bench) parkAs(e store.Exception) store.Exception {
	b.Helper()
	w := b.one()
	e.ID, e.Opened = hub.ExceptionID("exc_"+string(w.Run)), b.clock.Now()
	st := b.ending(w, hub.Parked)
	st.Finish.Exception = &e
	_, err := b.log.Record(b.ctx, st)
	b.must(err)
	e.Deployment, e.Key = w.Deployment, w.Key
	return e
}

// waitFor lets the next row wait for a record.
func (b *bench) waitFor(record, cause string, seconds int64, amount string) {
	b.Helper()
	w := b.one()
	w.State, w.Due, w.Reason, w.WaitsOn = hub.Waiting, b.clock.Now(), "Waits: "+cause+".", store.WaitsOn("erp", hub.RecordID(record))
	w.Cause, w.Seconds, w.Amount = cause, seconds, amount
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Defer: &store.Defer{Work: w}})
	b.must(err)
}

func (b *bench) causes() []store.Cause {
	b.Helper()
	list, err := b.store.Tenant("t1").Causes(b.ctx, "", 10)
	b.must(err)
	return list
}

func (b *bench) by(action string) func(store.Member) store.AuditEntry {
	return func(m store.Member) store.AuditEntry {
		return store.AuditEntry{At: b.clock.Now(), Who: "ana", Action: action, Object: m.Key}
	}
}

// held makes three causes: three exceptions of one, one of another, and two rows that wait.
func (b *bench) held() []store.Cause {
	b.Helper()
	for i, e := range []store.Exception{
		{Class: "validation", Code: "find.unknown", Field: "labour_category", Value: "SNR", Message: "m", Hint: "h", Seconds: 3600, Amount: "0.10 EUR"},
		{Class: "validation", Code: "find.unknown", Field: "labour_category", Value: "SNR", Message: "m", Hint: "h", Seconds: 1800, Amount: "0.20 EUR"},
		{Class: "validation", Code: "find.unknown", Field: "labour_category", Value: "SNR", Message: "m", Hint: "h", Seconds: 60, Amount: "7 JPY"},
		{Class: "validation", Code: "find.unknown", Field: "labour_category", Value: "JNR", Message: "m", Hint: "h"},
	} {
		b.accept("t1", fmt.Sprint(i), fmt.Sprint("e", i), 0)
		b.parkAs(e)
		b.clock.Add(time.Second)
		b.renewed()
	}
	for i := range 2 {
		b.accept("t1", fmt.Sprint("w", i), fmt.Sprint("w", i), 0)
		b.waitFor("rec_alder", "project Alder in erp", 900, "12.345 EUR")
	}
	return b.causes()
}

func causes(b *bench) {
	list := b.held()
	if len(list) != 3 {
		b.Fatalf("%d causes, want 3: %+v", len(list), list)
	}
	snr, waits, jnr := list[0], list[1], list[2]
	if snr.Count != 3 || snr.Value != "SNR" || snr.Seconds != 5460 || fmt.Sprint(snr.Amounts) != "[0.30 EUR 7 JPY]" || !snr.Oldest.Equal(NewClock().Now()) {
		b.Errorf("the largest is %+v", snr)
	}
	if waits.Count != 2 || waits.Seconds != 1800 || fmt.Sprint(waits.Amounts) != "[24.69 EUR]" || waits.Message != "2 records wait for project Alder in erp." || waits.Class != "missing_reference" || waits.WaitsOn == "" {
		b.Errorf("who waits is %+v", waits)
	}
	if jnr.Count != 1 || len(jnr.Amounts) != 0 {
		b.Errorf("the least is %+v", jnr)
	}
	t := b.store.Tenant("t1")
	for _, c := range list {
		again, err := t.Cause(b.ctx, c.ID)
		b.must(err)
		if again == nil || fmt.Sprint(*again) != fmt.Sprint(c) {
			b.Errorf("alone it is %+v, want %+v", again, c)
		}
		var keys []string
		for page := (store.Page{Limit: 1}); ; {
			members, next, err := t.Members(b.ctx, c, page)
			b.must(err)
			for _, m := range members {
				keys = append(keys, m.Key)
			}
			if page.After = next; next == "" {
				break
			}
		}
		if slices.Sort(keys); int64(len(slices.Compact(keys))) != c.Count {
			b.Errorf("page by page the members are %v, want %d", keys, c.Count)
		}
	}
	other, err := b.store.Tenant("t2").Causes(b.ctx, "", 10)
	b.must(err)
	if len(other) != 0 {
		b.Errorf("another tenant sees %+v", other)
	}
}

// resolves does the same with all of a cause, twice.
func resolves(b *bench) {
	list, t := b.held(), b.store.Tenant("t1")
	for i, c := range list[:2] {
		members, _, err := t.Members(b.ctx, c, store.Page{Limit: 10})
		b.must(err)
		for turn, want := range []int{int(c.Count), 0} {
			n, err := t.Resolve(b.ctx, members, store.Resolution{State: "resolved", Note: "retry", Retry: true}, b.by("exception.retry"))
			b.must(err)
			if n != want {
				b.Errorf("cause %d, turn %d: %d, want %d", i, turn, n, want)
			}
		}
	}
	if got := b.claim(10); len(got) != 5 {
		b.Errorf("%d rows run again, want 5", len(got))
	}
	if left := b.causes(); len(left) != 1 || left[0].Value != "JNR" {
		b.Errorf("left is %+v", left)
	}
	if n, err := t.VerifyAudit(b.ctx); err != nil || n != 5 {
		b.Errorf("the audit has %d entries, %v, want one for each", n, err)
	}
}

// cameLater: who is held up after an action began is not of it.
func cameLater(b *bench) {
	c, began := b.held()[0], b.clock.Now()
	b.clock.Add(time.Minute)
	b.renewed()
	b.accept("t1", "late", "late", 0)
	b.parkAs(store.Exception{Class: "validation", Code: "find.unknown", Field: "labour_category", Value: "SNR"})
	list, _, err := b.store.Tenant("t1").Members(b.ctx, c, store.Page{Limit: 10, Before: began})
	b.must(err)
	if len(list) != 3 {
		b.Errorf("%d members, want the 3 that were there", len(list))
	}
}

// ignores leaves alone who is parked and who waits; a day may be set, and it may be opened again.
func ignores(b *bench) {
	list, t := b.held(), b.store.Tenant("t1")
	all := func(c store.Cause, how store.Resolution) {
		b.Helper()
		members, _, err := t.Members(b.ctx, c, store.Page{Limit: 10})
		b.must(err)
		n, err := t.Resolve(b.ctx, members, how, b.by("exception.ignore"))
		b.must(err)
		if int64(n) != c.Count {
			b.Errorf("%s: ignored %d, want %d", c.Value, n, c.Count)
		}
	}
	until := b.clock.Now().Add(time.Hour)
	all(list[0], store.Resolution{State: "ignored", Note: "ignore: known", Retry: true, Until: until})
	all(list[1], store.Resolution{State: "ignored", Note: "ignore: never"})
	if got := b.claim(10); len(got) != 0 || len(b.causes()) != 1 {
		b.Fatalf("claimed %d rows of what is ignored; left are %+v", len(got), b.causes())
	}
	if got := b.outcomes("t1"); got[hub.Parked] != 6 {
		b.Errorf("outcomes %v, want each event to have its own", got)
	}
	waits, err := t.IgnoredCause(b.ctx, list[1].ID)
	b.must(err)
	if waits == nil || waits.Count != 2 || fmt.Sprint(waits.Amounts) != "[24.69 EUR]" {
		b.Fatalf("ignored is %+v", waits)
	}
	members, _, err := t.Members(b.ctx, *waits, store.Page{Limit: 10, State: "ignored"})
	b.must(err)
	for _, want := range []int{2, 0} {
		n, err := t.Reopen(b.ctx, members, b.by("exception.reopen"))
		b.must(err)
		if n != want {
			b.Errorf("opened %d again, want %d", n, want)
		}
	}
	if open := b.causes(); len(open) != 2 || open[0].ID != list[1].ID || open[0].Count != 2 {
		b.Errorf("open is %+v", open)
	}
	b.clock.Add(61 * time.Minute)
	b.renewed()
	if got := b.claim(10); len(got) != 3 {
		b.Errorf("after the day %d run again, want 3", len(got))
	}
}

// mendsItself: a cause is gone when the last of it has ended another way, or goes on.
func mendsItself(b *bench) {
	b.held()
	b.accept("t1", "3", "corrected", 0)
	w := b.one()
	if !w.Parked {
		b.Error("nobody would look for the exception that is open")
	}
	b.finish(w, hub.Written)
	b.accept("t1", "parent", "parent", 0)
	b.finish(b.one(), hub.Written, closed("op_1", "rec_alder"))
	if left := b.causes(); len(left) != 1 || left[0].Value != "SNR" {
		b.Errorf("left is %+v", left)
	}
	if got := b.claim(10); len(got) != 2 {
		b.Errorf("%d go on, want the 2 that waited", len(got))
	}
}

// editing keeps what a person sets with the rows that it is set on, until it is ended.
func editing(b *bench) {
	c, t := b.held()[1], b.store.Tenant("t1")
	members, _, err := t.Members(b.ctx, c, store.Page{Limit: 10})
	b.must(err)
	edit := store.Edit{Deployment: "deals", Key: members[0].Key, Fields: []byte(`{"a":"1"}`), Who: "ana", Reason: "moved", Made: b.clock.Now()}
	stray := edit
	stray.Key = "crm/deal/stray"
	_, err = t.Resolve(b.ctx, members, store.Resolution{State: "resolved", Retry: true, Edits: []store.Edit{edit, stray}}, b.by("exception.set"))
	b.must(err)
	got, err := t.EditsAfter(b.ctx, "deals", "", 10)
	b.must(err)
	if len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(edit) {
		b.Errorf("kept is %+v, want %+v", got, edit)
	}
	if all, err := t.StandingEdits(b.ctx, "deals"); err != nil || fmt.Sprint(all) != fmt.Sprint(map[string][]store.Edit{edit.Key: {edit}}) {
		b.Errorf("standing are %+v, %v", all, err)
	}
	for _, w := range b.claim(10) {
		b.finish(w.Work, hub.Written)
	}
	b.clock.Add(time.Second)
	for _, want := range []bool{true, false} {
		done, err := t.EndEdits(b.ctx, "deals", edit.Key, store.AuditEntry{At: b.clock.Now(), Who: "ana", Action: "record.edit_ended", Object: edit.Key})
		b.must(err)
		if done != want {
			b.Errorf("ended %v, want %v", done, want)
		}
	}
	if w := b.one(); w.Key != edit.Key {
		b.Errorf("%s runs again, want %s", w.Key, edit.Key)
	}
	kept, err := t.Edits(b.ctx, "deals", edit.Key)
	b.must(err)
	if len(kept) != 1 || !kept[0].Ended.Equal(b.clock.Now()) {
		b.Errorf("of what has ended there is %+v", kept)
	}
}

// editedTwice: what was set of a record one time after the other is on one page, however short that is.
func editedTwice(b *bench) {
	t := b.store.Tenant("t1")
	b.accept("t1", "1", "e1", 0)
	for _, fields := range []string{`{"a":"1"}`, `{"b":"2"}`} {
		e := b.parkAs(store.Exception{Class: "validation", Code: "x", Message: "m"})
		edit := store.Edit{Deployment: e.Deployment, Key: e.Key, Fields: []byte(fields), Who: "ana", Made: b.clock.Now()}
		_, err := t.Resolve(b.ctx, []store.Member{e}, store.Resolution{State: "resolved", Retry: true, Edits: []store.Edit{edit}}, b.by("exception.set"))
		b.must(err)
		b.clock.Add(time.Second)
	}
	first, err := t.EditsAfter(b.ctx, "deals", "", 1)
	b.must(err)
	if len(first) != 2 || string(first[1].Fields) != `{"b":"2"}` {
		b.Errorf("the page has %+v, want both edits of the record", first)
	}
	if rest, err := t.EditsAfter(b.ctx, "deals", first[0].Key, 1); err != nil || len(rest) != 0 {
		b.Errorf("after it come %+v, %v", rest, err)
	}
}

// endingWait: what a person had set is what the row waits for; it looks again once that has ended.
func endingWait(b *bench) {
	t := b.store.Tenant("t1")
	b.accept("t1", "1", "e1", 0)
	e := b.parkAs(store.Exception{Class: "validation", Code: "x", Message: "m"})
	edit := store.Edit{Deployment: e.Deployment, Key: e.Key, Fields: []byte(`{"a":"1"}`), Who: "ana", Made: b.clock.Now()}
	_, err := t.Resolve(b.ctx, []store.Member{e}, store.Resolution{State: "resolved", Retry: true, Edits: []store.Edit{edit}}, b.by("exception.set"))
	b.must(err)
	b.waitFor("rec_never", "project Never in erp", 60, "")
	done, err := t.EndEdits(b.ctx, e.Deployment, e.Key, store.AuditEntry{At: b.clock.Now(), Who: "ana", Action: "record.edit_ended", Object: e.Key})
	b.must(err)
	if list := b.claim(10); !done || len(list) != 1 {
		b.Errorf("ended %v, and %d rows look again, want the one that waited", done, len(list))
	}
}

// linking: a person says who a record is over there.
func linking(b *bench) {
	t := b.store.Tenant("t1")
	entry := store.AuditEntry{At: b.clock.Now(), Who: "ana", Action: "record.link"}
	link := func(record, id string) store.Link {
		return store.Link{Record: hub.RecordID(record), Connection: "erp", Kind: "project", ExternalID: id, Updated: b.clock.Now()}
	}
	used := closed("op_1", "rec_used")
	used.Link = link("rec_used", "P-2")
	used.Link.Writes = 1
	_, err := b.log.Record(b.ctx, store.Step{Epoch: b.epoch, Tenant: "t1", Links: []store.Link{link("rec_seen", "P-1")}, Close: []store.WriteDone{used}})
	b.must(err)
	for _, c := range []struct{ record, id, code string }{
		{"rec_1", "P-2", "link.of_another"}, // that one is written by us
		{"rec_1", "P-1", ""},                // that one was only seen
		{"rec_1", "P-1", ""},                // said twice
		{"rec_1", "P-3", "link.exists"},
	} {
		err := t.PutLink(b.ctx, link(c.record, c.id), entry)
		if e := hub.AsError(err); (e == nil) != (c.code == "") || e != nil && e.Code != c.code {
			b.Errorf("%s is %s: %v, want %q", c.record, c.id, err, c.code)
		}
	}
	got, err := t.LinkOf(b.ctx, "erp", "project", "P-1")
	b.must(err)
	if got == nil || got.Record != "rec_1" {
		b.Errorf("P-1 is %+v", got)
	}
	for i := range 3 {
		b.accept("t1", fmt.Sprint(i), fmt.Sprint("e", i), 0)
		b.waitFor("rec_9", "project Alder in erp", 0, "")
	}
	n, err := t.ReleaseWaits(b.ctx, "erp/rec_9", "another", 2)
	b.must(err)
	if own, err := t.ReleaseWaits(b.ctx, "erp/rec_9", "deals", 2); err != nil || own != 0 || n != 2 || len(b.claim(10)) != 2 {
		b.Errorf("released %d, and %d of the flow itself, %v", n, own, err)
	}
}

// chooses answers for a line of the books; opened again, nobody has answered.
func chooses(b *bench) {
	b.accept("t1", "1", "e1", 0)
	e := b.parkAs(store.Exception{Class: "blocked_by_rule", Code: "posting.fixed", About: "rec_line"})
	t := b.store.Tenant("t1")
	decided := func(want string) {
		b.Helper()
		got, err := t.LastAsked(b.ctx, e.Deployment, e.Key, "rec_line")
		b.must(err)
		if got == nil || got.State != want {
			b.Errorf("decided is %+v, want %q", got, want)
		}
	}
	decided("open")
	_, err := t.Resolve(b.ctx, []store.Member{e}, store.Resolution{State: "next_invoice", Retry: true, First: true}, b.by("exception.next_invoice"))
	b.must(err)
	decided("next_invoice")
	b.finish(b.one(), hub.Written)
	_, err = t.Reopen(b.ctx, []store.Member{e}, b.by("exception.reopen"))
	b.must(err)
	decided("open")
	if open := b.causes(); len(open) != 1 || open[0].Code != "posting.fixed" {
		b.Errorf("open is %+v", open)
	}
}
