package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"throughline/internal/workflow"
)

// TestAgreementsThatHoldOnNoDay: a day that there is not, or an end before the beginning, would let another price be billed.
func TestAgreementsThatHoldOnNoDay(t *testing.T) {
	one := func(from, to string) *workflow.Rates {
		return &workflow.Rates{Assignments: []workflow.AgreedRate{{Employee: "ana", Rate: "100 EUR", From: from, To: to}}}
	}
	card := func(from, to string) *workflow.Rates {
		return &workflow.Rates{Cards: []workflow.RateCard{{Code: "STD", From: from, To: to, Rates: []workflow.AgreedRate{{Rate: "100 EUR"}}}}}
	}
	for _, c := range []struct {
		name  string
		rates *workflow.Rates
		want  string
	}{
		{"a year", card("2026-01-01", "2026-12-31"), "<nil>"},
		{"a day", one("2026-01-01", "2026-01-01"), "<nil>"},
		{"open at both ends", card("", ""), "<nil>"},
		{"a day that there is not", card("2026-02-30", ""), `card STD: "2026-02-30" is not a date`},
		{"a month that there is not", one("", "2026-13-01"), `rate of ana: "2026-13-01" is not a date`},
		{"an end before the beginning", card("2026-06-01", "2026-01-31"), "card STD: it ends on 2026-01-31, before it begins on 2026-06-01"},
		{"a card without prices", &workflow.Rates{Cards: []workflow.RateCard{{Code: "STD"}}}, "card STD has no rates"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(c.rates.Check()); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
