package egress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throughline/internal/hub"
)

var local = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

func hostOf(t testing.TB, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname()
}

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, c *Client, raw string) (*Response, error) {
	t.Helper()
	return c.Do(context.Background(), Request{Method: "GET", URL: raw, HostSuffix: hostOf(t, raw)})
}

func wantError(t *testing.T, err error, kind hub.Kind, code string) {
	t.Helper()
	if e := hub.AsError(err); e == nil || e.Kind != kind || e.Code != code {
		t.Errorf("got %v (%s), want %s %s", err, hub.KindOf(err), kind, code)
	}
}

func TestDo(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %v", r.Method, r.Header.Get("X-Api-Key"), body, r.TransferEncoding))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":1}`)
	})
	answer, err := New(Options{Vouched: local}).Do(context.Background(), Request{
		Method: "POST", URL: at + "/x", Header: http.Header{"X-Api-Key": {"k"}}, Body: []byte("hello"), HostSuffix: "127.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != 201 || string(answer.Body) != `{"id":1}` || answer.Header.Get("X-Seen") != "POST k hello []" {
		t.Errorf("got %+v", answer)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	defer s.Close()
	s.Config.ErrorLog = nil
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	lookup := resolves("127.0.0.1")
	answer, err := get(t, New(Options{Vouched: local, Roots: roots, Lookup: lookup}), "https://example.com:"+port)
	if err != nil || string(answer.Body) != "HTTP/1.1" {
		t.Errorf("got %v, %v", answer, err)
	}
	_, err = get(t, New(Options{Vouched: local, Lookup: lookup}), "https://example.com:"+port)
	wantError(t, err, hub.Unavailable, "egress.unreachable") // nobody has signed the certificate
	_, err = get(t, New(Options{Vouched: local, Roots: roots, Lookup: lookup}), "https://acme.test:"+port)
	wantError(t, err, hub.Unavailable, "egress.unreachable") // it is somebody else's
}

func TestAResolverMayWriteIPv4AddressesAsIPv6Ones(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(at, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := get(t, New(Options{Vouched: local, Lookup: resolves("::ffff:127.0.0.1")}), "http://erp.test:"+port)
	if err != nil || string(answer.Body) != "ok" {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	c := New(Options{})
	for _, rt := range []http.RoundTripper{c.secure, c.plain} {
		if rt.(*http.Transport).Proxy != nil {
			t.Error("a proxy would see every credential")
		}
	}
}

func TestHeadersThatAreNotTheCallersAreRefused(t *testing.T) {
	for _, c := range []struct{ name, key, value string }{
		{"a second line", "X-A", "1\r\nX-B: 2"}, {"a name with a space", "X A", "1"}, {"an empty name", "", "1"},
		{"the length", "content-length", "5"}, {"another host", "Host", "evil.test"}, {"an upgrade", "Upgrade", "h2c"},
		{"chunks", "Transfer-Encoding", "chunked"}, {"packing that nobody would limit", "Accept-Encoding", "br"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Options{}).Do(context.Background(), Request{Method: "GET", URL: "https://a.example", HostSuffix: "a.example", Header: http.Header{c.key: {c.value}}})
			wantError(t, err, hub.Invalid, "egress.header")
		})
	}
	_, err := New(Options{}).Do(context.Background(), Request{Method: "GET /x HTTP/1.1\r\nX", URL: "https://a.example", HostSuffix: "a.example"})
	wantError(t, err, hub.Invalid, "egress.method")
}

func TestRedirects(t *testing.T) {
	var posts atomic.Int32
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			posts.Add(1)
		}
		switch r.URL.Path {
		case "/end":
			fmt.Fprint(w, "end "+r.Header.Get("X-Api-Key"))
		case "/away":
			w.Header().Set("Location", "http://evil.test/")
		case "/loop":
			w.Header().Set("Location", "/loop")
		default:
			w.Header().Set("Location", "/end")
		}
		if r.URL.Path != "/end" {
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	})
	c := New(Options{Vouched: local})
	answer, err := c.Do(context.Background(), Request{Method: "GET", URL: at + "/start", HostSuffix: "127.0.0.1", Header: http.Header{"X-Api-Key": {"k"}}})
	if err != nil || string(answer.Body) != "end k" {
		t.Errorf("got %v, %v", answer, err)
	}
	_, err = get(t, c, at+"/away")
	wantError(t, err, hub.Blocked, "egress.host")
	_, err = get(t, c, at+"/loop")
	wantError(t, err, hub.Blocked, "egress.redirect")
	answer, err = c.Do(context.Background(), Request{Method: "POST", URL: at + "/start", HostSuffix: "127.0.0.1", Body: []byte("x")})
	if err != nil || answer.Status != 307 || posts.Load() != 1 {
		t.Errorf("a write was redirected: %v, %v, sent %d times", answer, err, posts.Load())
	}
}

func TestNothingLeftUs(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	noName := func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	for _, c := range []struct {
		name   string
		ctx    context.Context
		client *Client
		url    string
	}{
		{"nobody listens", context.Background(), New(Options{Vouched: local}), nowhere},
		{"the name is not known", context.Background(), New(Options{Lookup: noName}), "https://a.example"},
		{"the name has no address", context.Background(), New(Options{Lookup: resolves()}), "https://a.example"},
		{"the caller has gone before", cancelled, New(Options{Vouched: local}), nowhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.client.Do(c.ctx, Request{Method: "POST", URL: c.url, HostSuffix: hostOf(t, c.url), Body: []byte("x")})
			wantError(t, err, hub.Unavailable, "egress.unreachable")
		})
	}
}

func TestItMayHaveLeftUs(t *testing.T) {
	ample := Limits{Body: 1000}
	firstByte := Limits{FirstByte: 50 * time.Millisecond}
	whole := Limits{Call: 300 * time.Millisecond}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	hijacked := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, text) // the client may have gone; that is the point
			_ = conn.Close()
		}
	}
	for _, c := range []struct {
		name, code string
		limits     Limits
		h          http.HandlerFunc
	}{
		{"the answer is lost", "egress.lost", ample, hijacked("")},
		{"the answer is cut in its header", "egress.lost", ample, hijacked("HTTP/1.1 200 OK\r\nContent-")},
		{"the answer is cut in its body", "egress.lost", ample, hijacked("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")},
		{"the answer is cut between its chunks", "egress.lost", ample, hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")},
		{"the answer is no HTTP", "egress.lost", ample, hijacked("<html>")},
		{"the answer does not come", "egress.lost", firstByte, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"the answer drips", "egress.lost", whole, func(w http.ResponseWriter, r *http.Request) {
			for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
				if _, err := io.WriteString(w, "."); err != nil || http.NewResponseController(w).Flush() != nil || r.Context().Err() != nil {
					return
				}
			}
		}},
		{"the answer says that it is too large", "egress.too_large", ample, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1001")
			_, _ = w.Write(make([]byte, 1001))
		}},
		{"the answer is too large without saying so", "egress.too_large", ample, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(make([]byte, 1<<20))
		}},
		{"the answer is small only while it is packed", "egress.too_large", ample, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
				c.h(w, r)
			})
			_, err := New(Options{Vouched: local, Limits: c.limits}).Do(context.Background(), Request{Method: "POST", URL: at, HostSuffix: "127.0.0.1", Body: []byte("x")})
			wantError(t, err, hub.Uncertain, c.code)
			if c.code == "egress.too_large" && !strings.Contains(err.Error(), "1000 bytes") {
				t.Errorf("the limit is not named: %v", err)
			}
		})
	}
}

func TestAnswersOfEveryLengthAreWhole(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscan(r.URL.Query().Get("n"), &n); err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/chunks" {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write(bytes.Repeat([]byte("a"), n))
	})
	c := New(Options{Vouched: local})
	for _, path := range []string{"/whole", "/chunks"} {
		for _, n := range []int{0, 1, 4096, 1 << 20, 3 << 20} {
			answer, err := get(t, c, fmt.Sprintf("%s%s?n=%d", at, path, n))
			if err != nil || len(answer.Body) != n || bytes.Count(answer.Body, []byte("a")) != n {
				t.Errorf("%s of %d bytes: %v", path, n, err)
			}
		}
	}
}

// secondTime answers the first request on each connection and hangs up on the second one after it
// has read it, as servers do when a keep-alive ends at the wrong moment. It counts the requests.
func secondTime(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var seen atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for i := range 2 {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					seen.Add(1)
					if i == 0 {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), &seen
}

func TestAWriteIsSentOnce(t *testing.T) {
	for _, body := range []string{"", "x"} {
		t.Run("with body "+body, func(t *testing.T) {
			at, seen := secondTime(t)
			c := New(Options{Vouched: local})
			r := Request{Method: "POST", URL: at, HostSuffix: "127.0.0.1", Body: []byte(body), Header: http.Header{"Idempotency-Key": {"1"}}}
			if _, err := c.Do(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			_, err := c.Do(context.Background(), r)
			wantError(t, err, hub.Uncertain, "egress.lost")
			if n := seen.Load(); n != 2 {
				t.Errorf("two writes arrived %d times", n)
			}
		})
	}
}

// TestNetHTTPWouldSendAWriteTwice shows that the test above would notice.
func TestNetHTTPWouldSendAWriteTwice(t *testing.T) {
	at, seen := secondTime(t)
	plain := &http.Client{Transport: &http.Transport{}}
	for range 2 {
		r, err := http.NewRequest("POST", at, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Idempotency-Key", "1")
		answer, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	if n := seen.Load(); n != 3 {
		t.Errorf("two writes arrived %d times; net/http no longer repeats them, and once can go", n)
	}
}

func TestTheIdempotencyKeyArrives(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Idempotency-Key")) })
	answer, err := New(Options{Vouched: local}).Do(context.Background(), Request{Method: "POST", URL: at, HostSuffix: "127.0.0.1", Header: http.Header{"Idempotency-Key": {"abc"}}})
	if err != nil || string(answer.Body) != "abc" {
		t.Errorf("got %v, %v", answer, err)
	}
}

// TestUnavailableMeansThatNothingArrived sends writes to a server that hangs up wherever it likes,
// by callers who lose patience whenever they like. The server is the judge.
func TestUnavailableMeansThatNothingArrived(t *testing.T) {
	var seen sync.Map
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { moody(conn, &seen) })
		}
	}()
	c := New(Options{Vouched: local})
	var unavailable, uncertain, fine atomic.Int32
	var judged sync.Map
	var callers sync.WaitGroup
	for worker := range 8 {
		callers.Go(func() {
			for i := range 250 {
				id := fmt.Sprintf("%d-%d", worker, i)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(600)+1)*time.Microsecond)
				_, err := c.Do(ctx, Request{Method: "POST", URL: "http://" + l.Addr().String() + "/" + id, HostSuffix: "127.0.0.1", Body: []byte("x")})
				cancel()
				switch hub.KindOf(err) {
				case "":
					fine.Add(1)
				case hub.Unavailable:
					unavailable.Add(1)
					judged.Store("/"+id, true)
				case hub.Uncertain:
					uncertain.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			}
		})
	}
	callers.Wait()
	c.CloseIdle()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-accepting
	conns.Wait()
	judged.Range(func(path, _ any) bool {
		if _, arrived := seen.Load(path); arrived {
			t.Errorf("%s arrived, and was said not to have left", path)
		}
		return true
	})
	t.Logf("%d fine, %d unavailable, %d uncertain", fine.Load(), unavailable.Load(), uncertain.Load())
	if unavailable.Load() == 0 || uncertain.Load() == 0 || fine.Load() == 0 {
		t.Skip("the machine's timing did not bring all three about")
	}
}

// moody serves a connection until it no longer feels like it.
func moody(conn net.Conn, seen *sync.Map) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for rand.IntN(8) > 0 {
		line, err := in.ReadString('\n')
		if fields := strings.Fields(line); len(fields) > 1 {
			seen.Store(fields[1], true)
		}
		if err != nil || rand.IntN(8) == 0 {
			return
		}
		for line != "\r\n" {
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
		if _, err := in.Discard(1); err != nil || rand.IntN(8) == 0 {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

func TestNothingPassesTheBar(t *testing.T) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	w := &watched{Conn: near}
	if _, err := w.Write([]byte("a")); err != nil || w.bar() != 1 {
		t.Errorf("got %v, %d writes", err, w.count())
	}
	if _, err := w.Write([]byte("b")); !errors.Is(err, errBarred) || w.count() != 1 {
		t.Errorf("got %v, %d writes", err, w.count())
	}
	if err := errors.Join(near.Close(), far.Close()); err != nil {
		t.Error(err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnotherTransportIsBelievedOnlyWhenItSpeaksOurWords(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want hub.Kind
	}{
		{"it says that nothing left", &hub.Error{Kind: hub.Unavailable, Message: "down"}, hub.Unavailable},
		{"it says nothing", errors.New("boom"), hub.Uncertain},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := New(Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, c.err })})
			_, err := client.Do(context.Background(), Request{Method: "POST", URL: "https://a.example", HostSuffix: "a.example"})
			if hub.KindOf(err) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSend(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Api-Key")) })
	status, _, body, err := New(Options{Vouched: local}).Send(context.Background(), "GET", at, map[string]string{"x-api-key": "k"}, nil, "127.0.0.1")
	if err != nil || status != 200 || string(body) != "k" {
		t.Errorf("got %d %s %v", status, body, err)
	}
}

func BenchmarkCall(b *testing.B) {
	payload := bytes.Repeat([]byte(`{"id":"5a0ab5acb07987125438b60f","name":"Workshop"},`), 30)
	at := serve(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(payload) })
	body := []byte(`{"name":"Workshop"}`)
	b.Run("ours", func(b *testing.B) {
		c := New(Options{Vouched: local})
		r := Request{Method: "POST", URL: at, HostSuffix: "127.0.0.1", Body: body, Header: http.Header{"X-Api-Key": {"k"}}}
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := c.Do(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("net/http", func(b *testing.B) {
		c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute}
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				r, err := http.NewRequest("POST", at, bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("X-Api-Key", "k")
				answer, err := c.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAll(answer.Body); err != nil {
					b.Fatal(err)
				}
				_ = answer.Body.Close()
			}
		})
	})
}
