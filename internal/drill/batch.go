package drill

import (
	"net/http"
	"time"

	"throughline/internal/oracle"
)

// batch makes projects that came together and tells what became of each (207). Under fire it may refuse one,
// keep silent about one that it has made or not made, or be cut off in the middle.
func (f *far) batch(a *account, kind string, items []sent) reply {
	rows, cut := []any{}, false
	f.count("batches")
	for _, s := range items {
		fate := f.fate(a, s)
		f.count("of a batch, " + string(fate))
		if cut || fate == itemCut {
			cut = true
			break
		}
		switch fate {
		case itemRefused:
			rows = append(rows, map[string]any{"externalId": s.ExternalID, "error": "busy, try again"})
			continue
		case itemForgotten:
			continue
		}
		made := f.add(a, kind, s)
		f.note(a, made, oracle.Create, s)
		if fate == itemSilent {
			f.effects[len(f.effects)-1].Lost = true
			continue
		}
		rows = append(rows, map[string]any{"externalId": s.ExternalID, "id": made.ID})
	}
	out := says(http.StatusMultiStatus, rows)
	out.whole = !cut
	return out
}

// itemFate is what becomes of one record of a batch.
type itemFate string

const (
	itemMade      itemFate = "made"
	itemRefused   itemFate = "refused"
	itemSilent    itemFate = "made and not told of"
	itemForgotten itemFate = "forgotten"
	itemCut       itemFate = "cut off" // the call ends before it, and its answer in the middle
)

func (f *far) fate(a *account, s sent) itemFate {
	luck := f.chance.of("item " + a.name + s.ExternalID)
	if time.Since(f.begun) > f.plan.Fire || !luck.odds(f.plan.Spoilt) {
		return itemMade
	}
	return []itemFate{itemRefused, itemSilent, itemForgotten, itemCut}[luck.IntN(4)]
}
