package trial

import (
	"strings"
	"testing"
)

// TestFiguresThatAreNotAsPlanted are told, whichever it is.
func TestFiguresThatAreNotAsPlanted(t *testing.T) {
	planted := func() HoursFigures {
		return HoursFigures{Entries: 1000, Poison: 10, Parked: 10, ParkedBy: Parked{Planted: 10}}
	}
	good := planted()
	if err := good.Check(); err != nil {
		t.Errorf("as planted: %v", err)
	}
	none := HoursFigures{Entries: 1000, ParkedBy: Parked{}}
	if err := none.Check(); err != nil {
		t.Errorf("without poison: %v", err)
	}
	for says, spoil := range map[string]func(f *HoursFigures){
		"parked 11": func(f *HoursFigures) { f.Parked++ },
		"rule.hours_plausible": func(f *HoursFigures) {
			f.ParkedBy = Parked{Planted: 9, "blocked_by_rule rule.hours_plausible seconds": 1}
		},
		"map[]":           func(f *HoursFigures) { f.ParkedBy = nil },
		"blocked 1":       func(f *HoursFigures) { f.Blocked = 1 },
		"lost 1":          func(f *HoursFigures) { f.Lost = 1 },
		"repeated 1":      func(f *HoursFigures) { f.Repeated = 1 },
		"not posted 3600": func(f *HoursFigures) { f.Unposted = 3600 },
	} {
		f := planted()
		spoil(&f)
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("it says %v, want %q in it", err, says)
		}
	}
}
