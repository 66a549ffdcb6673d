package simulator

import (
	"net/url"
	"strings"
)

// router finds the route of an address. Literal pieces win over places, and a place at the end that
// ends in … takes the rest.
type router struct {
	routes []pattern
}

type pattern struct {
	method string
	pieces []piece
	route  *route
}

type piece struct {
	text  string
	place bool
	rest  bool
	name  string // a fixed piece that has a name all the same
}

func (t *router) add(method, path string, fixed map[string]string, r *route) {
	p := pattern{method: method, route: r}
	for _, s := range strings.Split(strings.Trim(path, "/"), "/") {
		one := piece{text: s}
		if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
			one = piece{text: s[1 : len(s)-1], place: true}
			if name, ok := strings.CutSuffix(one.text, "..."); ok {
				one.text, one.rest = name, true
			}
			if text, ok := fixed[one.text]; ok {
				one = piece{text: text, name: one.text}
			}
		}
		p.pieces = append(p.pieces, one)
	}
	t.routes = append(t.routes, p)
}

// find gives the route and the values of its places, or the name of the refusal.
func (t *router) find(method, path string) (*route, map[string]any, string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	best, score, other := -1, -1, false
	for i := range t.routes {
		p := &t.routes[i]
		n := p.fit(parts)
		if n < 0 {
			continue
		}
		if p.method != method {
			other = true
		} else if n > score {
			best, score = i, n
		}
	}
	if best < 0 {
		if other {
			return nil, nil, "no_method"
		}
		return nil, nil, "no_route"
	}
	p := t.routes[best]
	return p.route, p.values(parts), ""
}

// fit counts the literal pieces that agree; -1 when the address does not fit.
func (p *pattern) fit(parts []string) int {
	n := 0
	for i, one := range p.pieces {
		switch {
		case one.rest && i < len(parts):
			return n
		case i >= len(parts):
			return -1
		case one.place && parts[i] != "":
		case one.text == parts[i] && !one.place:
			n++
		default:
			return -1
		}
	}
	if len(parts) != len(p.pieces) {
		return -1
	}
	return n
}

func (p *pattern) values(parts []string) map[string]any {
	out := map[string]any{}
	for i, one := range p.pieces {
		switch {
		case one.rest:
			list := make([]any, 0, len(parts)-i)
			for _, s := range parts[i:] {
				list = append(list, unescape(s))
			}
			out[one.text] = list
		case one.place:
			out[one.text] = unescape(parts[i])
		case one.name != "":
			out[one.name] = one.text
		}
	}
	return out
}

func unescape(s string) string {
	if v, err := url.PathUnescape(s); err == nil {
		return v
	}
	return s
}
