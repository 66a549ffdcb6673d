package connector

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"throughline/internal/expr"
)

// authOps is the compiled way to show who we are.
type authOps struct {
	headers        *tree
	user, password *expr.Program
	session        *sessionOps
	oauth          *oauthOps
}

type sessionOps struct {
	login   *Op
	keep    *tree
	headers *tree
	expired *expr.Program
}

type oauthOps struct {
	spec              *OAuth2
	token             *text
	id, secret, first *expr.Program
}

func (k *compiler) auth(a Auth) authOps {
	out := authOps{headers: k.tree(a.Headers)}
	if a.Basic != nil {
		out.user, out.password = k.expr(a.Basic.User, expr.Dyn), k.expr(a.Basic.Password, expr.Dyn)
	}
	if s := a.Session; s != nil {
		out.session = &sessionOps{k.op("login", s.Login, nil), k.tree(s.Keep), k.tree(s.Headers), k.expr(s.Expired, expr.Bool)}
	}
	if o := a.OAuth2; o != nil {
		out.oauth = &oauthOps{o, k.text(o.Token), k.expr(o.ID, expr.Dyn), k.expr(o.Secret, expr.Dyn), k.expr(o.First, expr.Dyn)}
	}
	return out
}

// NeedsSession reports whether calls need something that a login gives.
func (c *Connector) NeedsSession() bool { return c.auth.session != nil || c.auth.oauth != nil }

// Login is the call that begins a session.
func (c *Connector) Login(vars map[string]any) (Request, error) {
	if o := c.auth.oauth; o != nil {
		return o.request(vars)
	}
	return c.Request(c.auth.session.login, vars)
}

// LoginOp is the operation behind Login, for reading its answer.
func (c *Connector) LoginOp() *Op {
	if c.auth.oauth != nil {
		return &Op{Name: "token", Method: "POST"}
	}
	return c.auth.session.login
}

// logsIn reports whether an operation is the login: what it gives may be in the header alone.
func (c *Connector) logsIn(op *Op) bool { return c.auth.session != nil && op == c.auth.session.login }

// Session is what a login's answer gave: the values that are kept, sealed, and shown with calls.
func (c *Connector) Session(a *Answer, before map[string]any) (map[string]any, error) {
	if c.auth.oauth != nil {
		return oauthSession(a, before)
	}
	vars := map[string]any{"body": a.Body, "header": headers(a.Header), "status": int64(a.Status), "cookie": cookies(a.Header)}
	v, err := c.auth.session.keep.eval(vars)
	m, _ := v.(map[string]any)
	if err != nil || len(m) == 0 {
		return nil, fmt.Errorf("the login's answer holds no session: %w", err)
	}
	return m, nil
}

// Authorise adds to a request what shows who we are.
func (c *Connector) Authorise(r *Request, vars map[string]any) error {
	for _, t := range c.auth.trees() {
		h, err := t.texts(vars)
		if err != nil {
			return fmt.Errorf("auth: %w", err)
		}
		for k, v := range h {
			r.Header[k] = v
		}
	}
	if c.auth.user != nil {
		return c.auth.basic(r, vars)
	}
	if c.auth.oauth != nil {
		session, _ := vars["session"].(map[string]any)
		r.Header["Authorization"] = fmt.Sprintf("Bearer %v", session["access_token"])
	}
	return nil
}

func (a authOps) trees() []*tree {
	if a.session != nil {
		return []*tree{a.headers, a.session.headers}
	}
	return []*tree{a.headers}
}

func (a authOps) basic(r *Request, vars map[string]any) error {
	user, err := a.user.Eval(vars)
	if err != nil {
		return err
	}
	password, err := a.password.Eval(vars)
	if err != nil {
		return err
	}
	r.Header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%v:%v", user, password))
	return nil
}

func (a authOps) sessionExpired(answer *Answer) bool {
	if a.session == nil && a.oauth == nil {
		return false
	}
	if a.session != nil && a.session.expired != nil {
		hit, err := a.session.expired.True(answer.vars)
		return err == nil && hit
	}
	return answer.Status == http.StatusUnauthorized
}

func (o *oauthOps) request(vars map[string]any) (Request, error) {
	at, err := o.token.eval(vars, asIs)
	if err != nil {
		return Request{}, err
	}
	var id, secret, first string
	for _, f := range []struct {
		p    *expr.Program
		into *string
	}{{o.id, &id}, {o.secret, &secret}, {o.first, &first}} {
		if f.p == nil {
			continue
		}
		v, err := f.p.Eval(vars)
		if err != nil {
			return Request{}, err
		}
		if *f.into, err = plain(v); err != nil {
			return Request{}, err
		}
	}
	if session, _ := vars["session"].(map[string]any); session["refresh_token"] != nil {
		first = fmt.Sprint(session["refresh_token"])
	}
	form := map[string]string{"grant_type": o.spec.Grant}
	if o.spec.Grant == "refresh_token" {
		form["refresh_token"] = first
	}
	if o.spec.Scope != "" {
		form["scope"] = o.spec.Scope
	}
	r := Request{Op: &Op{Name: "token", Method: "POST"}, Host: at, Method: "POST", URL: at,
		Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}}
	if o.spec.Client == "body" {
		form["client_id"], form["client_secret"] = id, secret
	} else {
		r.Header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	r.Body = []byte(strings.TrimPrefix(withQuery("", form), "?"))
	return r, nil
}

// oauthSession keeps the refresh token of before where the answer brings no new one.
func oauthSession(a *Answer, before map[string]any) (map[string]any, error) {
	m, _ := a.Body.(map[string]any)
	if m["access_token"] == nil {
		return nil, fmt.Errorf("the token endpoint's answer holds no access_token")
	}
	out := map[string]any{"access_token": m["access_token"]}
	for _, from := range []map[string]any{before, m} {
		if from["refresh_token"] != nil {
			out["refresh_token"] = from["refresh_token"]
		}
	}
	return out, nil
}

// cookies are the values of Set-Cookie, and "all" of them as a Cookie header takes them.
func cookies(h http.Header) map[string]any {
	out, list := map[string]any{}, []string{}
	for _, c := range (&http.Response{Header: h}).Cookies() {
		out[c.Name] = c.Value
		list = append(list, c.Name+"="+c.Value)
	}
	out["all"] = strings.Join(list, "; ")
	return out
}
