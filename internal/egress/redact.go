package egress

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"throughline/internal/exact"
)

const mask = "•••"

// secretWords betray a secret by its name. The list prefers to hide too much: what it hides is for
// people to look at, and nothing is computed from it.
var secretWords = []string{
	"authorization", "cookie", "token", "secret", "password", "passwd", "passphrase", "apikey", "accesskey",
	"privatekey", "credential", "session", "signature", "assertion", "bearer", "jwt", "otp", "verifier",
}

func looksSecret(name string) bool {
	plain := strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(name))
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(plain, word) })
}

// RedactHeader is the header for logs and for people: what looks like a secret is masked. Names that
// hold "key" or "auth" count as well, which in a body would hide too much.
func RedactHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		lower := strings.ToLower(name)
		if looksSecret(name) || strings.Contains(lower, "key") || strings.Contains(lower, "auth") {
			values = []string{mask}
		}
		out[name] = values
	}
	return out
}

// RedactURL masks the parameters that look like secrets, and a password.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return mask
	}
	if u.User != nil {
		u.User = url.User("xxx")
	}
	u.RawQuery = redactForm(u.RawQuery)
	u.Fragment = ""
	return u.String()
}

// RedactBody is a body for logs and for people, by its content type: JSON and forms with their
// secrets masked, of anything else only the length.
func RedactBody(contentType string, body []byte) string {
	switch kind, _, _ := strings.Cut(contentType, ";"); {
	case len(body) == 0:
		return ""
	case strings.TrimSpace(kind) == "application/x-www-form-urlencoded":
		return redactForm(string(body))
	}
	v, err := exact.DecodeJSON(body)
	if _, bare := v.(string); bare || err != nil { // some logins answer with the bare token
		return fmt.Sprintf("(%d bytes)", len(body))
	}
	text, err := exact.AppendJSON(nil, redacted(v))
	if err != nil {
		return fmt.Sprintf("(%d bytes)", len(body))
	}
	return string(text)
}

// redactForm keeps the order of the fields, as people compare it with what they wrote.
func redactForm(form string) string {
	fields := strings.Split(form, "&")
	for i, field := range fields {
		name, _, has := strings.Cut(field, "=")
		if plain, err := url.QueryUnescape(name); has && (err != nil || looksSecret(plain) || plain == "key" || plain == "code") {
			fields[i] = name + "=" + mask
		}
	}
	return strings.Join(fields, "&")
}

func redacted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if looksSecret(key) {
				v[key] = mask
			} else {
				v[key] = redacted(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = redacted(v[i])
		}
	}
	return v
}
