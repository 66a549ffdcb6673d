package trial

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// proxy stands between the product and PostgreSQL. It loses answers to COMMIT - the server has
// committed, and who asked never hears of it - or lets nothing pass for a while.
type proxy struct {
	URL    string
	listen net.Listener
	config *pgx.ConnConfig // of the server

	mu    sync.Mutex
	rand  *rand.Rand
	share float64 // of the answers that are lost
	lost  int
	shut  chan struct{} // closed when things pass again; nil: they pass
	open  map[net.Conn]bool
	hands sync.WaitGroup
}

func openProxy(server string, seed uint64) (*proxy, error) {
	cfg, err := pgx.ParseConfig(server)
	if err != nil {
		return nil, err
	}
	p := &proxy{config: cfg, rand: rand.New(rand.NewPCG(seed, seed)), open: map[net.Conn]bool{}}
	if p.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	with := url.Values{"sslmode": {"disable"}}
	for k, v := range cfg.RuntimeParams {
		with.Set(k, v)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: p.listen.Addr().String(), Path: "/" + cfg.Database, RawQuery: with.Encode()}
	p.URL = u.String()
	p.hands.Go(p.accept)
	return p, nil
}

func (p *proxy) lose(share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.share = share
}

// sever lets nothing pass, in either direction, or lets pass again what has waited: connections stay open.
func (p *proxy) sever(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.shut == nil:
		p.shut = make(chan struct{})
	case !on && p.shut != nil:
		close(p.shut)
		p.shut = nil
	}
}

// pass waits while nothing may pass.
func (p *proxy) pass() {
	p.mu.Lock()
	shut := p.shut
	p.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// draw decides whether this COMMIT's answer is lost.
func (p *proxy) draw() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rand.Float64() >= p.share {
		return false
	}
	p.lost++
	return true
}

func (p *proxy) close() error {
	p.sever(false)
	err := p.listen.Close()
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close() // it may have ended meanwhile
	}
	p.mu.Unlock()
	p.hands.Wait()
	return err
}

func (p *proxy) keep(c net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[c] = true
	} else {
		delete(p.open, c)
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return // closed
		}
		p.hands.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	p.pass()
	network, address := "tcp", net.JoinHostPort(p.config.Host, fmt.Sprint(p.config.Port))
	if strings.HasPrefix(p.config.Host, "/") {
		network, address = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", p.config.Host, p.config.Port)
	}
	server, err := net.Dial(network, address)
	if err != nil {
		_ = client.Close() // as if nobody listened
		return
	}
	for _, c := range []net.Conn{client, server} {
		p.keep(c, true)
		defer p.keep(c, false)
	}
	w := &wire{proxy: p, client: client, server: server}
	var back sync.WaitGroup
	back.Go(func() { w.answers(); w.cut() })
	w.asks()
	w.cut()
	back.Wait()
}

// wire is one connection. Deaf says that nothing more of what the server says is handed on.
type wire struct {
	proxy          *proxy
	client, server net.Conn
	commits        map[string]bool // names of statements that commit

	mu   sync.Mutex
	deaf bool
}

func (w *wire) cut() {
	_ = w.client.Close() // either may have been closed by its own end
	_ = w.server.Close()
}

// asks hands on what the client says, message by message.
func (w *wire) asks() {
	for first := true; ; first = false {
		message, err := readMessage(w.client, first)
		if err != nil {
			return
		}
		if !first && w.isCommit(message) && w.proxy.draw() {
			w.mu.Lock()
			w.deaf = true
			w.mu.Unlock()
		}
		w.proxy.pass()
		if _, err := w.server.Write(message); err != nil {
			return
		}
	}
}

// answers hands on what the server says, until an answer is to be lost: then it waits until the server has
// committed, and ends.
func (w *wire) answers() {
	buf := make([]byte, 32<<10)
	var said []byte // since nothing is handed on
	for {
		n, err := w.server.Read(buf)
		w.mu.Lock()
		deaf := w.deaf
		w.mu.Unlock()
		if err != nil {
			return
		}
		if deaf {
			if said = append(said, buf[:n]...); bytes.Contains(said, []byte("COMMIT\x00")) || bytes.Contains(said, []byte("ROLLBACK\x00")) {
				return
			}
			continue
		}
		w.proxy.pass()
		if _, err := w.client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// maxMessage bounds what is held of one message.
const maxMessage = 64 << 20

// readMessage reads one message of PostgreSQL's protocol; the first one has no type.
func readMessage(r io.Reader, first bool) ([]byte, error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[len(head)-4:])
	if size < 4 || size > maxMessage {
		return nil, errors.New("no message of PostgreSQL's")
	}
	message := append(head, make([]byte, size-4)...)
	_, err := io.ReadFull(r, message[len(head):])
	return message, err
}

// isCommit reports whether a message ends a transaction well: the query itself, or the binding of a statement that
// was prepared for it.
func (w *wire) isCommit(message []byte) bool {
	text := strings.Split(string(message[5:]), "\x00")
	switch {
	case message[0] == 'Q':
		return commits(text[0])
	case message[0] == 'P' && len(text) > 1 && commits(text[1]):
		if w.commits == nil {
			w.commits = map[string]bool{}
		}
		w.commits[text[0]] = true
	case message[0] == 'B' && len(text) > 1:
		return w.commits[text[1]]
	}
	return false
}

func commits(query string) bool { return strings.EqualFold(strings.TrimRight(query, "; "), "commit") }
