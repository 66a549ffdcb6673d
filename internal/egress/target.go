package egress

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"throughline/internal/hub"
)

// target checks where a request wants to go, before any name is looked up.
func (c *Client) target(raw, hostSuffix string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's error repeats the address, which may hold a secret.
		return nil, badURL("The address of the call cannot be read.")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, badURL("The address of the call begins with neither https nor http.")
	case u.Scheme == "http" && len(c.vouched) == 0:
		return nil, badURL("The address of the call must begin with https.")
	case u.User != nil:
		return nil, badURL("The address of the call holds a user name or password.")
	case u.Opaque != "" || !isHost(u.Hostname()):
		return nil, badURL("The address of the call has no proper host.")
	case !isPort(u.Port()):
		return nil, badURL("The address of the call has no proper port.")
	case !belowSuffix(u.Hostname(), hostSuffix):
		return nil, &hub.Error{
			Kind: hub.Blocked, Code: "egress.host",
			Message: "The call goes to " + u.Hostname() + ", which is not within " + orNothing(hostSuffix) + ".",
			Hint:    "Credentials never leave the connection's host; correct the host or the path.",
		}
	}
	u.Fragment = ""
	return u, nil
}

func badURL(message string) error {
	return &hub.Error{Kind: hub.Invalid, Code: "egress.url", Message: message, Hint: "Correct the connection's settings or the connector."}
}

func orNothing(suffix string) string {
	if suffix == "" {
		return "any allowed host"
	}
	return suffix
}

// isHost reports whether s is a name or an address as the wire has it. Names beyond ASCII are
// refused: what they become on the way is not what was compared with the suffix.
func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) }) < 0
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_'
}

func isPort(s string) bool {
	if s == "" {
		return true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// belowSuffix reports whether a host is the suffix or a name below it. An empty suffix allows nothing:
// who has no bound has forgotten it. Addresses and single words have nothing below them.
func belowSuffix(host, suffix string) bool {
	host, suffix = plainName(host), plainName(suffix)
	if suffix == "" {
		return false
	}
	if host == suffix {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(suffix, ".") {
		return false
	}
	return strings.HasSuffix(host, "."+suffix)
}

func plainName(s string) string { return strings.ToLower(strings.Trim(s, ".")) }

// ours are the headers that say how a request travels. Set from outside they could smuggle a second
// request, switch protocols or undo the limit on what is unpacked.
var ours = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Upgrade": true,
	"Trailer": true, "Te": true, "Expect": true, "Keep-Alive": true, "Proxy-Connection": true,
	"Proxy-Authorization": true, "Accept-Encoding": true,
}

func checkHeader(h http.Header) error {
	for name, values := range h {
		if !isToken(name) || ours[http.CanonicalHeaderKey(name)] {
			return badHeader(name)
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return badHeader(name)
			}
		}
	}
	return nil
}

// badHeader tells the name only; the value may be a secret.
func badHeader(name string) error {
	return &hub.Error{
		Kind: hub.Invalid, Code: "egress.header", Message: "The header " + strconv.Quote(name) + " cannot be sent.",
		Hint: "Check its name, and that its value is a single line.",
	}
}

func checkMethod(method string) error {
	if !isToken(method) || strings.ToUpper(method) != method || method == http.MethodConnect || method == http.MethodTrace {
		return &hub.Error{Kind: hub.Invalid, Code: "egress.method", Message: strconv.Quote(method) + " is not a method that can be sent."}
	}
	return nil
}

// isToken reports whether s may be a method or the name of a header (RFC 9110).
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}
