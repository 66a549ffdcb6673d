// Package remote makes one call of one operation on one connection: it logs in where that is
// needed, keeps to the vendor's limits, stops calling a far side that does not answer, and says of
// every failure whose turn it is (hub.Error). It is the only room that turns HTTP into kinds.
//
// It never retries a write and never waits: what has to wait comes back as Throttled with the time
// to wait, and package engine sets the run aside.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"throughline/internal/connector"
	"throughline/internal/exact"
	"throughline/internal/hub"
)

// Sender sends one request and reads the whole answer. An error is a *hub.Error of kind Unavailable
// where nothing can have left us, and Uncertain where it may have (package egress).
type Sender interface {
	Send(ctx context.Context, method, url string, header map[string]string, body []byte, hostSuffix string) (status int, answer http.Header, data []byte, err error)
}

// Sessions keeps what a login gave, sealed and shared by all nodes.
type Sessions interface {
	// Load reads the session and its version; nil where there is none.
	Load(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID) (session map[string]any, version int64, err error)
	// Renew keeps what login makes of the session, while no other node does the same. Where another
	// node has renewed it since version stale, login is not asked and that one is answered.
	Renew(ctx context.Context, tenant hub.TenantID, id hub.ConnectionID, stale int64, login func(before map[string]any) (map[string]any, error)) (session map[string]any, version int64, err error)
}

// Connection is a tenant's link to an account, opened: settings and secrets in clear, in memory only.
type Connection struct {
	Tenant    hub.TenantID
	ID        hub.ConnectionID
	Connector *connector.Connector
	Settings  map[string]any
	Secret    map[string]any

	mu      sync.Mutex
	logins  turn // one at a time in this process; what follows is its
	session map[string]any
	version int64
	loaded  bool
	refusal error // of the last login, and when: who waited for it hears the same
	refused time.Time
	limits  *limits
	breaker breaker
}

// turn is a lock that may be held for the length of a call: who waits for it goes when its own time is up. The
// zero value is free.
type turn struct {
	once sync.Once
	free chan struct{}
}

func (t *turn) take(ctx context.Context) error {
	t.once.Do(func() { t.free = make(chan struct{}, 1) })
	select {
	case t.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) pass() { <-t.free }

// Client makes calls.
type Client struct {
	send     Sender
	sessions Sessions
	budgets  Budgets
	alone    bool
	now      func() time.Time
	wait     Wait          // nil: who calls is told how long to wait
	most     time.Duration // that one call is waited for; 0: as long as it takes
}

// New makes a client. Budgets is nil where nothing is kept: this process is the only one and forgets.
func New(send Sender, sessions Sessions, budgets Budgets, now func() time.Time) *Client {
	return &Client{send: send, sessions: sessions, budgets: budgets, now: now}
}

// Alone says that no other process calls these far sides: the use of limits stays in memory, but for
// those of an hour and more, which a restart must not forget.
func (c *Client) Alone() *Client {
	c.alone = true
	return c
}

func (c *Client) shared() bool { return c.budgets != nil && !c.alone }

// Vars are the variables of a call's expressions (docs/connectors.md); settings are added.
type Vars map[string]any

// Call sends the operation and reads the answer. Before it returns Throttled or Unavailable nothing
// has happened at the far side; after Uncertain nobody knows.
func (c *Client) Call(ctx context.Context, conn *Connection, op *connector.Op, vars Vars) (*connector.Answer, error) {
	if c.wait == nil || op.Write != nil {
		return c.call(ctx, conn, op, vars)
	}
	begun, _ := ctx.Value(reading{}).(*atomic.Bool)
	if begun == nil || begun.Load() {
		return c.patiently(ctx, conn, op, vars)
	}
	answer, err := c.call(ctx, conn, op, vars)
	begun.Store(err == nil)
	return answer, err
}

func (c *Client) call(ctx context.Context, conn *Connection, op *connector.Op, vars Vars) (*connector.Answer, error) {
	probe, err := c.allow(ctx, conn)
	if err != nil {
		return nil, err
	}
	wait, err := c.take(ctx, conn, op.Class)
	if err != nil || wait > 0 {
		return nil, errors.Join(c.unsent(ctx, conn, probe, wait), refused(wait, err))
	}
	answer, err := c.authorised(ctx, conn, op, vars)
	if kept := (withheld{}); errors.As(err, &kept) {
		return nil, errors.Join(c.unsent(ctx, conn, probe, 0), kept.error)
	}
	told := c.saw(ctx, conn, probe, err)
	if e := hub.AsError(err); e != nil && e.Kind == hub.Throttled {
		told = errors.Join(told, c.hold(ctx, conn, op.Class, max(e.After, time.Second)))
	}
	if told != nil && err != nil { // what went well stays so; the other nodes find out by themselves
		err = errors.Join(err, told)
	}
	return answer, err
}

// refused says why a limit lets no call through.
func refused(wait time.Duration, err error) error {
	if err != nil {
		return &hub.Error{Kind: hub.Unavailable, Code: "limit.unknown", Message: "How much of the connection's limit is left cannot be read.", Err: err}
	}
	return &hub.Error{Kind: hub.Throttled, Code: "limit.local", Message: "The connection's limit is used up for now.", After: wait}
}

// passes is with how many sessions one call is tried: that of this process, one that another node has made since, which
// may have ended by now as well, and a new one.
const passes = 3

// authorised calls with the session, and again with a newer one where the far side no longer takes it: such an answer
// means that nothing was done. One that was made for the call, and is refused, is no matter of age.
func (c *Client) authorised(ctx context.Context, conn *Connection, op *connector.Op, vars Vars) (*connector.Answer, error) {
	if !conn.Connector.NeedsSession() {
		return c.once(ctx, conn, op, vars, nil)
	}
	stale := int64(-1)
	for n := 1; ; n++ {
		s, err := c.session(ctx, conn, stale)
		if err != nil {
			return nil, err
		}
		answer, err := c.once(ctx, conn, op, vars, s.data)
		e := hub.AsError(err)
		if e == nil || e.Code != "far.session_expired" || n == passes || s.made && n > 1 {
			return answer, err
		}
		stale = s.version
	}
}

// session is what a login gave.
type session struct {
	data    map[string]any
	version int64
	made    bool // just now, for who asked
}

// OnlyIf makes calls under ctx ask before they are sent, each time: between the decision to call and the moment
// of sending may lie a login. An error of may is the call's, and nothing was sent.
func OnlyIf(ctx context.Context, may func() error) context.Context {
	return context.WithValue(ctx, onlyIf{}, may)
}

type onlyIf struct{}

// withheld is a call that was not to be sent any more.
type withheld struct{ error }

func (c *Client) once(ctx context.Context, conn *Connection, op *connector.Op, vars Vars, session map[string]any) (*connector.Answer, error) {
	all := conn.vars(vars)
	all["session"] = session
	request, err := conn.Connector.Request(op, all)
	if err != nil {
		return nil, err
	}
	all["secret"] = conn.Secret
	if err := conn.Connector.Authorise(&request, all); err != nil {
		return nil, err
	}
	delete(all, "secret")
	if may, ok := ctx.Value(onlyIf{}).(func() error); ok {
		if err := may(); err != nil {
			return nil, withheld{err}
		}
	}
	return c.exchange(ctx, conn, request, all)
}

func (conn *Connection) vars(vars Vars) map[string]any {
	all := make(map[string]any, len(vars)+3)
	for k, v := range vars {
		all[k] = v
	}
	all["settings"] = conn.Settings
	return all
}

func (c *Client) exchange(ctx context.Context, conn *Connection, r connector.Request, vars map[string]any) (*connector.Answer, error) {
	suffix, err := hostSuffix(r.Host)
	if err != nil {
		return nil, err
	}
	status, header, body, err := c.send.Send(ctx, r.Method, r.URL, r.Header, r.Body, suffix)
	if err != nil {
		return nil, lost(r.Op, err)
	}
	return conn.Connector.Read(r.Op, vars, status, header, body, c.now())
}

// lost: a read that got no answer has done no harm and may be repeated.
func lost(op *connector.Op, err error) error {
	e := hub.AsError(err)
	if e == nil {
		return fmt.Errorf("%s: %w", op.Name, err)
	}
	told := *e
	told.Message = op.Name + ": " + e.Message
	if op.Write == nil && e.Kind == hub.Uncertain {
		told.Kind = hub.Unavailable
	}
	return &told
}

// hostSuffix is the host beyond which credentials never go.
func hostSuffix(host string) (string, error) {
	u, err := url.Parse(host)
	if err != nil {
		return "", &hub.Error{Kind: hub.Invalid, Code: "connection.host", Message: fmt.Sprintf("%q is no address.", host), Hint: "Correct the connection's settings."}
	}
	return u.Hostname(), nil
}

// session is the connection's session; with stale set to the version that the far side refused, a
// new one. One login at a time per process, and one winner over all nodes.
func (c *Client) session(ctx context.Context, conn *Connection, stale int64) (session, error) {
	begun := c.now()
	if err := conn.logins.take(ctx); err != nil {
		return session{}, err
	}
	defer conn.logins.pass()
	if conn.refusal != nil && !begun.After(conn.refused) {
		return session{}, conn.refusal // vendors lock accounts that knock with what they have refused
	}
	if !conn.loaded || conn.version == stale {
		s, v, err := c.sessions.Load(ctx, conn.Tenant, conn.ID)
		if err != nil {
			return session{}, err
		}
		if conn.loaded && s == nil && v != conn.version {
			return session{}, hub.ErrConnectionChanged // what was dropped was not this one's alone: an edit did it, and this one has the old credentials
		}
		conn.session, conn.version, conn.loaded = s, v, true
	}
	if conn.session != nil && conn.version != stale {
		return session{data: conn.session, version: conn.version}, nil
	}
	return c.login(ctx, conn)
}

func (c *Client) login(ctx context.Context, conn *Connection) (session, error) {
	made := false
	data, version, err := c.sessions.Renew(ctx, conn.Tenant, conn.ID, conn.version, func(before map[string]any) (map[string]any, error) {
		vars := conn.vars(nil)
		vars["secret"], vars["session"] = conn.Secret, before
		request, err := conn.Connector.Login(vars)
		if err != nil {
			return nil, err
		}
		answer, err := c.exchange(ctx, conn, request, vars)
		if err != nil {
			return nil, loginFailed(err)
		}
		given, err := conn.Connector.Session(answer, before)
		if err != nil {
			return nil, loginFailed(&hub.Error{Kind: hub.Expired, Code: "login.empty", Message: "The login gave no session.", Err: err})
		}
		made = true
		return given, nil
	})
	conn.refusal = nil
	if err != nil {
		if hub.KindOf(err) == hub.Expired {
			conn.refusal, conn.refused = err, c.now()
		}
		return session{}, err
	}
	conn.session, conn.version = data, version
	return session{data, version, made}, nil
}

// loginFailed turns a refusal into Expired: only a person can renew the connection.
func loginFailed(err error) error {
	e := hub.AsError(err)
	if e == nil {
		return err
	}
	switch e.Kind {
	case hub.Unavailable, hub.Uncertain:
		return &hub.Error{Kind: hub.Unavailable, Code: "login.unavailable", Message: "The far side does not answer the login.", Err: err}
	case hub.Throttled:
		return err
	}
	return &hub.Error{Kind: hub.Expired, Code: "login.refused", Message: "The far side refuses the login.",
		Hint: "Check the connection's credentials, then retry.", Err: err}
}

// JSON is a session or a secret from its sealed text. Numbers stay as they are written: account
// numbers are longer than a float.
func JSON(data []byte) (map[string]any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	v, err := exact.DecodeJSON(data)
	m, is := v.(map[string]any)
	if err != nil || !is {
		return nil, errors.New("not a JSON object") // without the cause, which might show what is secret
	}
	return m, nil
}
