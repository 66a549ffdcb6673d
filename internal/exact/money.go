package exact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Money is an amount in a currency. Amounts may be finer than the currency's smallest coin, as
// hourly rates are; rounding is always the caller's explicit step.
type Money struct {
	Amount   Decimal
	Currency string // an ISO 4217 code
}

// NewMoney refuses a currency that does not exist.
func NewMoney(amount Decimal, currency string) (Money, error) {
	if _, ok := minorUnits[currency]; !ok {
		return Money{}, fmt.Errorf("%q is not a currency code of ISO 4217 such as EUR", abridged(currency))
	}
	return Money{amount, currency}, nil
}

// ParseMoney reads "250000 EUR" and "-1.50 USD".
func ParseMoney(s string) (Money, error) {
	amount, currency, ok := strings.Cut(s, " ")
	if !ok {
		return Money{}, fmt.Errorf("%q is not an amount and a currency such as 1.50 EUR", abridged(s))
	}
	d, err := ParseDecimal(amount)
	if err != nil {
		return Money{}, err
	}
	return NewMoney(d, currency)
}

// Add is m + o; two currencies have no sum.
func (m Money) Add(o Money) (Money, error) {
	if err := m.same(o); err != nil {
		return Money{}, err
	}
	return Money{m.Amount.Add(o.Amount), m.Currency}, nil
}

// Sub is m - o; two currencies have no difference.
func (m Money) Sub(o Money) (Money, error) { return m.Add(o.Neg()) }

// Neg is -m.
func (m Money) Neg() Money { return Money{m.Amount.Neg(), m.Currency} }

// Cmp is -1, 0 or 1; two currencies have no order.
func (m Money) Cmp(o Money) (int, error) {
	if err := m.same(o); err != nil {
		return 0, err
	}
	return m.Amount.Cmp(o.Amount), nil
}

func (m Money) same(o Money) error {
	if m.Currency != o.Currency {
		return fmt.Errorf("%s and %s are different currencies", m, o)
	}
	return nil
}

// String is "1.50 EUR", with no fewer digits than the currency has.
func (m Money) String() string {
	return m.Amount.Fixed(MinorUnits(m.Currency)) + " " + m.Currency
}

// MarshalJSON writes {"amount":"1.50","currency":"EUR"}.
func (m Money) MarshalJSON() ([]byte, error) { return m.appendJSON(nil), nil }

func (m Money) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"amount":"`...)
	dst = m.Amount.appendFixed(dst, MinorUnits(m.Currency))
	dst = append(dst, `","currency":"`...)
	dst = append(dst, m.Currency...)
	return append(dst, `"}`...)
}

// UnmarshalJSON reads what MarshalJSON writes, and refuses anything beside it.
func (m *Money) UnmarshalJSON(data []byte) error {
	var written struct {
		Amount   *Decimal `json:"amount"`
		Currency string   `json:"currency"`
	}
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&written); err != nil {
		return fmt.Errorf("read money: %w", err)
	}
	if written.Amount == nil {
		return fmt.Errorf("read money: the amount is missing")
	}
	read, err := NewMoney(*written.Amount, written.Currency)
	if err != nil {
		return fmt.Errorf("read money: %w", err)
	}
	*m = read
	return nil
}
