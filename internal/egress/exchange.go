package egress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"

	"throughline/internal/hub"
)

// exchange sends one request to one place.
func (c *Client) exchange(ctx context.Context, r Request, u *url.URL) (*Response, error) {
	var way passage
	if c.seen {
		ctx = httptrace.WithClientTrace(ctx, way.trace())
	}
	transport := c.secure
	if u.Scheme == "http" {
		transport = c.plain
	}
	answer, err := transport.RoundTrip(newRequest(ctx, r, u))
	if err != nil {
		return nil, c.failed(&way, u, err)
	}
	body, err := c.read(r.Method, answer)
	if err != nil {
		return nil, err
	}
	return &Response{Status: answer.StatusCode, Header: answer.Header, Body: body}, nil
}

// newRequest makes a request that net/http sends at most once, unless it reads.
func newRequest(ctx context.Context, r Request, u *url.URL) *http.Request {
	header := make(http.Header, len(r.Header)+1)
	for name, values := range r.Header {
		header[once(name, r)] = values
	}
	if header.Get("User-Agent") == "" {
		header["User-Agent"] = []string{"throughline"}
	}
	request := &http.Request{
		Method: r.Method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if len(r.Body) > 0 {
		// Without GetBody net/http cannot send the body again, and so does not try.
		request.Body = io.NopCloser(bytes.NewReader(r.Body))
		request.ContentLength = int64(len(r.Body))
	}
	return request.WithContext(ctx)
}

// once spells a header so that net/http does not take it as leave to repeat a write. It would do so
// by itself, on seeing an Idempotency-Key on a request without body; to servers the case of a name
// makes no difference.
func once(name string, r Request) string {
	name = http.CanonicalHeaderKey(name)
	switch {
	case r.reads() || len(r.Body) > 0:
		return name
	case name == "Idempotency-Key":
		return "idempotency-key"
	case name == "X-Idempotency-Key":
		return "x-idempotency-key"
	}
	return name
}

// failed says whether the request may have left us. Only our own transports can prove that it has
// not; what another one means, it says with a *hub.Error.
func (c *Client) failed(way *passage, u *url.URL, err error) error {
	told := hub.AsError(err)
	switch {
	case c.seen && way.stop(), !c.seen && told == nil:
		return lost(u.Hostname()+" did not answer; it may have received the call.", err)
	case told != nil:
		return told
	}
	return &hub.Error{
		Kind: hub.Unavailable, Code: "egress.unreachable",
		Message: u.Hostname() + " could not be reached; nothing was sent.", Err: err,
	}
}

func lost(message string, err error) error {
	return &hub.Error{Kind: hub.Uncertain, Code: "egress.lost", Message: message, Err: err}
}

// buffers hold answers whose length is not known beforehand, until it is. They never leave this
// file, so that nobody can keep one.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps one large answer from being held for ever.
const maxPooled = 1 << 20

// read reads the whole body, unpacked by the transport, within the limit.
func (c *Client) read(method string, answer *http.Response) (body []byte, err error) {
	defer func() {
		if closed := answer.Body.Close(); closed != nil && err == nil {
			err = lost("The answer broke off.", closed)
		}
	}()
	switch n := answer.ContentLength; {
	case method == http.MethodHead:
		return nil, nil
	case n > c.limits.Body:
		return nil, c.tooLarge()
	case n >= 0 && n <= maxPooled: // a larger one may be a lie that costs us the memory
		body = make([]byte, n)
		_, err = io.ReadFull(answer.Body, body)
	default:
		body, err = c.readUnknown(answer.Body)
	}
	if err != nil && hub.AsError(err) == nil {
		err = lost("The answer broke off.", err)
	}
	return body, err
}

func (c *Client) readUnknown(from io.Reader) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooled {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	n, err := buf.ReadFrom(io.LimitReader(from, c.limits.Body+1))
	if err != nil {
		return nil, err
	}
	if n > c.limits.Body {
		return nil, c.tooLarge()
	}
	return bytes.Clone(buf.Bytes()), nil
}

func (c *Client) tooLarge() error {
	return &hub.Error{
		Kind: hub.Uncertain, Code: "egress.too_large",
		Message: fmt.Sprintf("The answer is larger than the limit of %d bytes.", c.limits.Body),
		Hint:    "Ask for smaller pages.",
	}
}
