package egress

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"throughline/internal/hub"
)

// Limits are how long and how large a call may be; what is zero has its default.
type Limits struct {
	Connect   time.Duration // 5 s, over all addresses of a host
	TLS       time.Duration // 5 s
	FirstByte time.Duration // 30 s from the request's end to the answer's header
	Call      time.Duration // 60 s for everything, so that a slow drip ends too
	Body      int64         // 20 MB of an answer, unpacked
}

func (l Limits) orDefaults() Limits {
	return Limits{
		Connect:   cmp.Or(l.Connect, 5*time.Second),
		TLS:       cmp.Or(l.TLS, 5*time.Second),
		FirstByte: cmp.Or(l.FirstByte, 30*time.Second),
		Call:      cmp.Or(l.Call, 60*time.Second),
		Body:      cmp.Or(l.Body, 20<<20),
	}
}

// Options are the operator's decisions. The zero Options allow public addresses by https on port 443.
type Options struct {
	// Vouched are networks that the operator answers for: private addresses, plain http and any
	// port are allowed there, and nowhere else.
	Vouched []netip.Prefix
	Ports   []uint16       // allowed on public addresses beside 443
	Roots   *x509.CertPool // instead of the machine's
	Limits  Limits
	// Lookup replaces the machine's resolver, for tests.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Transport replaces the network, for simulations. It cannot be seen into, so each of its errors
	// that is no *hub.Error is Uncertain.
	Transport http.RoundTripper
}

// Client sends requests. It is safe for concurrent use, and one is enough for a process.
type Client struct {
	vouched       []netip.Prefix
	limits        Limits
	secure, plain http.RoundTripper
	seen          bool // the transports are ours and report their connections
}

// New makes a client. Proxies that the environment names are ignored: they would see every
// credential, and could reach what the guard refuses.
func New(o Options) *Client {
	c := &Client{vouched: o.Vouched, limits: o.Limits.orDefaults()}
	if o.Transport != nil {
		c.secure, c.plain = o.Transport, o.Transport
		return c
	}
	if o.Lookup == nil {
		o.Lookup = systemLookup
	}
	ports := append([]uint16{443}, o.Ports...)
	c.seen = true
	c.secure = c.transport(dialer{guard{o.Vouched, ports, false}, o.Lookup, c.limits, tlsConfig(o.Roots)})
	c.plain = c.transport(dialer{guard{o.Vouched, ports, true}, o.Lookup, c.limits, nil})
	return c
}

func (c *Client) transport(d dialer) *http.Transport {
	t := &http.Transport{
		ResponseHeaderTimeout:  c.limits.FirstByte,
		MaxResponseHeaderBytes: 256 << 10,
		MaxIdleConns:           4096,
		MaxIdleConnsPerHost:    256,
		// Shorter than most servers keep theirs, so that it is rarely they who close: a request on a
		// connection that is being closed is Uncertain.
		IdleConnTimeout: 30 * time.Second,
	}
	if d.tls != nil {
		t.DialTLSContext = d.dial
	} else {
		t.DialContext = d.dial
	}
	return t
}

// CloseIdle closes the connections that wait for the next request.
func (c *Client) CloseIdle() {
	for _, t := range []http.RoundTripper{c.secure, c.plain} {
		if closer, ok := t.(interface{ CloseIdleConnections() }); ok {
			closer.CloseIdleConnections()
		}
	}
}

// Request is one call. The credential is in the header or the body already.
type Request struct {
	Method     string
	URL        string
	Header     http.Header
	Body       []byte
	HostSuffix string // the host, or the end of it, beyond which the request must not go; required
}

// reads reports whether a request changes nothing, so that repeating it does no harm.
func (r Request) reads() bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// Response is a whole answer, whatever its status. That there is one means that the request arrived.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// maxRedirects is how many a reading call follows.
const maxRedirects = 3

// Do sends the request and reads the whole answer. Redirects are followed for reading only, within
// the host suffix; a write gets the 3xx as its answer.
//
// Every error is a *hub.Error: Unavailable when nothing has left us, Uncertain when it may have,
// Invalid or Blocked when the request was never tried.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limits.Call)
	defer cancel()
	if err := checkMethod(r.Method); err != nil {
		return nil, err
	}
	if err := checkHeader(r.Header); err != nil {
		return nil, err
	}
	for hops := 0; ; hops++ {
		u, err := c.target(r.URL, r.HostSuffix)
		if err != nil {
			return nil, err
		}
		answer, err := c.exchange(ctx, r, u)
		if err != nil || !r.reads() || !redirects(answer) {
			return answer, err
		}
		if hops == maxRedirects {
			return nil, badRedirect("The far side redirects the call again and again.")
		}
		next, err := u.Parse(answer.Header.Get("Location"))
		if err != nil || u.Scheme == "https" && next.Scheme != "https" {
			return nil, badRedirect("The far side redirects the call to an address that cannot be used.")
		}
		r.URL = next.String()
	}
}

func redirects(answer *Response) bool {
	return slices.Contains([]int{301, 302, 303, 307, 308}, answer.Status) && answer.Header.Get("Location") != ""
}

func badRedirect(message string) error {
	return &hub.Error{Kind: hub.Blocked, Code: "egress.redirect", Message: message, Hint: "Correct the connection's host."}
}
