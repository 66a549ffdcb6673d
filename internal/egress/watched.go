package egress

import (
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
)

// watched is a connection that knows whether a request has begun to leave by it, and that can be
// barred, so that the answer to that question stays true.
type watched struct {
	net.Conn
	mu     sync.Mutex
	writes int
	barred bool
}

var errBarred = errors.New("the connection is barred")

// Write counts before it writes: a write that fails may still have left in part.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.barred {
		w.mu.Unlock()
		return 0, errBarred
	}
	w.writes++
	w.mu.Unlock()
	return w.Conn.Write(p)
}

func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// bar lets nothing more be written and reports how many writes there were. A cancelled request may
// still be on its way to the connection in another goroutine; behind the bar it cannot leave.
func (w *watched) bar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.barred = true
	return w.writes
}

// passage follows one request on its way out, over every connection that net/http tries for it.
type passage struct {
	mu     sync.Mutex
	conn   *watched
	before int  // writes on conn when the request got it
	left   bool // it has begun to leave by an earlier connection, or by one that cannot tell
}

func (p *passage) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: p.gotConn}
}

func (p *passage) gotConn(info httptrace.GotConnInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil && p.conn.count() != p.before {
		p.left = true
	}
	conn, ok := info.Conn.(*watched)
	if !ok {
		p.left = true
		return
	}
	p.conn, p.before = conn, conn.count()
}

// stop ends a passage that failed and reports whether the request may have left us.
func (p *passage) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil && p.conn.bar() != p.before {
		p.left = true
	}
	return p.left
}
