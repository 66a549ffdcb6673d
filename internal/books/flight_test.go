package books_test

import (
	"strings"
	"testing"

	"throughline/internal/books"
)

// TestWhatIsOnItsWay takes the statement again and again while a second flow posts: what the ERP has taken, and
// has not answered for yet, is on its way, and no difference.
func TestWhatIsOnItsWay(t *testing.T) {
	m := openMonth(t)
	second := strings.ReplaceAll(strings.ReplaceAll(customer, "DIR", m.dir), "  hours:", "  work:")
	if _, err := m.app.Control.Apply(t.Context(), admin, "customer.yaml", []byte(second)); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		for _, f := range m.balance(false).Findings {
			if f.What != books.Duplicate {
				t.Fatalf("found %+v", f)
			}
		}
	}
}
