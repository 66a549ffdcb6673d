package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// answer is what a call came to: a response, and how it is mistreated on the way.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	mishap  Fault
	waiting time.Duration // the far side takes its time before it answers
}

// bodyLimit keeps a runaway request from filling the memory of a test run.
const bodyLimit = 32 << 20

// ServeHTTP answers as the vendor would.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	if err != nil {
		http.Error(w, "cannot read the request", http.StatusRequestEntityTooLarge)
		return
	}
	a := s.handle(r, body)
	if err := s.wait(r.Context(), a.waiting); err != nil {
		return
	}
	s.send(w, r, a)
}

func (s *Simulator) send(w http.ResponseWriter, r *http.Request, a answer) {
	switch a.mishap {
	case LoseRequest, DropAnswer, CutBatch:
		reset(w)
	case CloseAnswer:
		closeQuietly(w)
	case Hang:
		<-r.Context().Done()
	case Truncate:
		writeHead(w, a, len(a.body))
		w.Write(a.body[:len(a.body)/2]) //nolint:errcheck // the caller is meant to see a broken body
		closeQuietly(w)
	case Drip:
		writeHead(w, a, len(a.body))
		s.drip(r.Context(), w, a.body)
	default:
		writeHead(w, a, len(a.body))
		w.Write(a.body) //nolint:errcheck // a caller that went away is its own affair
	}
}

func writeHead(w http.ResponseWriter, a answer, length int) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(a.status)
}

// drip sends a byte a second, as a far side in trouble does.
func (s *Simulator) drip(ctx context.Context, w http.ResponseWriter, body []byte) {
	flush := http.NewResponseController(w)
	for _, b := range body {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		if err := s.wait(ctx, time.Second); err != nil {
			return
		}
	}
}

// reset ends the connection with RST: the caller cannot know what has happened.
func reset(w http.ResponseWriter) {
	conn := hijack(w)
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Without lingering, close sends RST instead of FIN. Where the system refuses, FIN is as good.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func closeQuietly(w http.ResponseWriter) { _ = hijack(w).Close() }

// hijack takes the connection from the server. Where that is impossible (HTTP/2, a recorder), the
// one way that net/http offers to abandon an answer is this panic, which it recovers itself.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return conn
}

// Transport is an http.RoundTripper that reaches the simulator without a socket. Mishaps of the wire
// come as the errors that net/http gives for them.
func (s *Simulator) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Simulator }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a := t.s.handle(r, body)
	if err := t.s.wait(r.Context(), a.waiting); err != nil {
		return nil, err
	}
	switch a.mishap {
	case LoseRequest, DropAnswer, CutBatch:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case CloseAnswer:
		return nil, io.EOF
	case Hang:
		return nil, t.s.hang(r.Context())
	}
	return t.response(r, a), nil
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	data, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit))
	if err != nil {
		return nil, fmt.Errorf("read the request body: %w", err)
	}
	return data, nil
}

func (t transport) response(r *http.Request, a answer) *http.Response {
	var body io.Reader = bytes.NewReader(a.body)
	switch a.mishap {
	case Truncate:
		body = io.MultiReader(bytes.NewReader(a.body[:len(a.body)/2]), broken{io.ErrUnexpectedEOF})
	case Drip:
		body = &dripping{t.s, r.Context(), a.body}
	}
	header := a.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(body), ContentLength: int64(len(a.body)), Request: r,
	}
}

// hang waits for the caller to give up. Under a virtual clock nobody else would move time on, so the
// wait is put to the injected Sleep first.
func (s *Simulator) hang(ctx context.Context) error {
	if err := s.wait(ctx, hangTime); err != nil {
		return err
	}
	return errors.Join(context.DeadlineExceeded, os.ErrDeadlineExceeded)
}

// hangTime is longer than any caller of ours waits.
const hangTime = 5 * time.Minute

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// dripping gives its body a byte a second.
type dripping struct {
	s    *Simulator
	ctx  context.Context
	left []byte
}

func (d *dripping) Read(p []byte) (int, error) {
	if len(d.left) == 0 {
		return 0, io.EOF
	}
	if err := d.s.wait(d.ctx, time.Second); err != nil {
		return 0, err
	}
	p[0], d.left = d.left[0], d.left[1:]
	return 1, nil
}
