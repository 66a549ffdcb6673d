package crashpoint

import "testing"

func TestStrikesAtTheNthPassingOfItsOwnPoint(t *testing.T) {
	target := parse("intent.stored:2")
	for i, c := range []struct {
		name string
		want bool
	}{{"intent.stored", false}, {"call.send", false}, {"intent.stored", true}, {"intent.stored", false}} {
		if got := target.passes(c.name); got != c.want {
			t.Errorf("passing %d, %s: got %v", i, c.name, got)
		}
	}
}

func TestWhatNamesNoPassingArmsNothing(t *testing.T) {
	for _, text := range []string{"", "intent.stored", "intent.stored:0", "intent.stored:x"} {
		if parse(text) != nil {
			t.Errorf("%q arms something", text)
		}
	}
}
