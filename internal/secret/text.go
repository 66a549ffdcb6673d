package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Text is a secret that does not print itself, in whatever way it is printed. It keeps a pointer,
// because fmt prints the unexported fields of other structs without asking their methods.
type Text struct{ clear *string }

const mask = "•••"

// NewText wraps a secret.
func NewText(clear string) Text { return Text{&clear} }

// Reveal is the secret itself.
func (t Text) Reveal() string {
	if t.clear == nil {
		return ""
	}
	return *t.clear
}

func (Text) String() string               { return mask }
func (Text) GoString() string             { return mask }
func (Text) MarshalJSON() ([]byte, error) { return json.Marshal(mask) }

// Format answers every verb; for those that do not fit a string, %d among them, fmt would otherwise
// print what is inside.
func (Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// LogValue masks the secret in logs.
func (Text) LogValue() slog.Value { return slog.StringValue(mask) }
