package connector

import (
	"fmt"
	"net/url"
	"sort"
	"strings"

	"throughline/internal/exact"
	"throughline/internal/expr"
	"throughline/internal/hub"
	"throughline/internal/specfile"
)

// Request is a call ready to be sent.
type Request struct {
	Op     *Op
	Host   string // the address beyond whose host it must not go: the connection's, or for a token what the connector says
	Method string
	URL    string
	Header map[string]string
	Body   []byte
}

// text is a template with its places compiled: "/deals/{id}".
type text struct {
	literals []string // one more than places
	places   []*expr.Program
}

func (k *compiler) text(t specfile.Template) *text {
	out := &text{literals: []string{""}}
	for _, part := range t.Parts {
		if !part.Expr.Set() {
			out.literals[len(out.literals)-1] += part.Text
			continue
		}
		p, err := k.env.Compile(part.Expr.Source, expr.Dyn)
		if err != nil {
			k.problem(part.Expr.Pos, t.Path, err.Error(), "A place in braces is an expression: /deals/{id}.")
			continue
		}
		out.places = append(out.places, p)
		out.literals = append(out.literals, "")
	}
	return out
}

// slash is the template with the record's id as a further segment.
func (t *text) slash(k *compiler) *text {
	p, err := k.env.Compile("id", expr.Dyn)
	if err != nil {
		k.problem(specfile.Pos{}, "path", err.Error(), "")
		return t
	}
	out := &text{literals: append([]string{}, t.literals...), places: append(append([]*expr.Program{}, t.places...), p)}
	out.literals[len(out.literals)-1] += "/"
	out.literals = append(out.literals, "")
	return out
}

// eval fills the places, each passed through escape. A place without a value is an error: a path
// with a hole in it would reach the wrong thing.
func (t *text) eval(vars map[string]any, escape func(string) string) (string, error) {
	if len(t.places) == 0 {
		return t.literals[0], nil
	}
	var b strings.Builder
	for i, p := range t.places {
		b.WriteString(t.literals[i])
		v, err := p.Eval(vars)
		if err != nil {
			return "", err
		}
		s, err := plain(v)
		if err != nil {
			return "", err
		}
		if s == "" {
			return "", &hub.Error{Kind: hub.Invalid, Code: "connector.place_empty", Message: fmt.Sprintf("{%s} has no value.", p.Source()),
				Hint: "Set it in the connection's settings, or correct the connector."}
		}
		b.WriteString(escape(s))
	}
	b.WriteString(t.literals[len(t.places)])
	return b.String(), nil
}

func asIs(s string) string { return s }

// Host is where the connection's calls go.
func (c *Connector) Host(vars map[string]any) (string, error) {
	h, err := c.host.eval(vars, asIs)
	return strings.TrimRight(h, "/"), err
}

// Request builds the call from its expressions.
func (c *Connector) Request(op *Op, vars map[string]any) (Request, error) {
	host, err := c.Host(vars)
	if err != nil {
		return Request{}, err
	}
	if op.rpc != "" {
		return c.rpcRequest(op, host, vars)
	}
	at, err := op.path.eval(vars, url.PathEscape)
	if err != nil {
		return Request{}, fmt.Errorf("%s: %w", op.Name, err)
	}
	if !strings.Contains(at, "://") {
		at = host + at
	}
	query, err := op.query.texts(vars)
	if err != nil {
		return Request{}, fmt.Errorf("%s: query: %w", op.Name, err)
	}
	if page, ok := vars["page"].(map[string]any); ok && op.page != nil {
		if link, _ := page["link"].(string); link != "" {
			at, query = link, nil
		} else {
			query = merged(query, op.page.query(page))
		}
	}
	r := Request{Op: op, Host: host, Method: op.Method, URL: withQuery(at, query), Header: map[string]string{"Accept": "application/json"}}
	if err := c.setHeaders(&r, op, vars); err != nil {
		return Request{}, err
	}
	return r, c.setBody(&r, op.body, op.Form, vars)
}

func (c *Connector) rpcRequest(op *Op, host string, vars map[string]any) (Request, error) {
	params, err := op.params.eval(vars)
	if err != nil {
		return Request{}, fmt.Errorf("%s: params: %w", op.Name, err)
	}
	inner := make(map[string]any, len(vars)+2)
	for k, v := range vars {
		inner[k] = v
	}
	inner["method"], inner["params"] = op.rpc, params
	at, err := c.rpc.post.eval(inner, url.PathEscape)
	if err != nil {
		return Request{}, err
	}
	r := Request{Op: op, Host: host, Method: "POST", URL: host + at, Header: map[string]string{"Accept": "application/json"}}
	if err := c.setHeaders(&r, op, vars); err != nil {
		return Request{}, err
	}
	return r, c.setBody(&r, c.rpc.body, false, inner)
}

func (c *Connector) setHeaders(r *Request, op *Op, vars map[string]any) error {
	for _, t := range []*tree{c.headers, op.headers} {
		h, err := t.texts(vars)
		if err != nil {
			return fmt.Errorf("%s: headers: %w", op.Name, err)
		}
		for k, v := range h {
			r.Header[k] = v
		}
	}
	return nil
}

func (c *Connector) setBody(r *Request, body *tree, form bool, vars map[string]any) error {
	if body == nil {
		return nil
	}
	v, err := body.eval(vars)
	if err != nil {
		return fmt.Errorf("%s: body: %w", r.Op.Name, err)
	}
	if form {
		m, _ := v.(map[string]any)
		r.Header["Content-Type"] = "application/x-www-form-urlencoded"
		values := url.Values{}
		for k, e := range m {
			s, err := plain(e)
			if err != nil {
				return err
			}
			values.Set(k, s)
		}
		r.Body = []byte(values.Encode())
		return nil
	}
	r.Header["Content-Type"] = "application/json"
	if v, err = c.shape.encode(v); err != nil {
		return fmt.Errorf("%s: body: %w", r.Op.Name, err)
	}
	r.Body, err = exact.AppendJSON(nil, v)
	return err
}

func merged(a, b map[string]string) map[string]string {
	if a == nil {
		return b
	}
	for k, v := range b {
		a[k] = v
	}
	return a
}

func withQuery(at string, query map[string]string) string {
	if len(query) == 0 {
		return at
	}
	keys := make([]string, 0, len(query))
	for k := range query {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	b.WriteString(at)
	sep := byte('?')
	if strings.Contains(at, "?") {
		sep = '&'
	}
	for _, k := range keys {
		b.WriteByte(sep)
		sep = '&'
		b.WriteString(url.QueryEscape(k) + "=" + url.QueryEscape(query[k]))
	}
	return b.String()
}
