package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"throughline/internal/hub"
)

// dialer makes connections that the guard has nothing against.
type dialer struct {
	guard  guard
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	limits Limits
	tls    *tls.Config // nil for plain HTTP
}

func (d *dialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.limits.Connect)
	defer cancel()
	host, list, err := d.resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	conn, err := d.first(ctx, list)
	if err != nil {
		return nil, err
	}
	if d.tls == nil {
		return &watched{Conn: conn}, nil
	}
	return d.secure(conn, host)
}

// resolve looks the name up. One bad address among its answers refuses them all: an honest host has
// none, and trying the others would let whoever runs the name choose when the bad one is used.
func (d *dialer) resolve(ctx context.Context, address string) (string, []netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return "", nil, fmt.Errorf("read address: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", nil, fmt.Errorf("read port: %w", err)
	}
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return "", nil, err
	}
	list := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		list[i] = netip.AddrPortFrom(addr, uint16(port))
		if err := d.guard.check(list[i]); err != nil {
			return "", nil, refused(host, err)
		}
	}
	return host, list, nil
}

func (d *dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("look up %s: no address", host)
	}
	plain := make([]netip.Addr, len(addrs))
	for i, addr := range addrs {
		plain[i] = addr.Unmap() // the resolver of Go writes IPv4 addresses as IPv6 ones
	}
	return plain, nil
}

// refused names the host only; which address stands behind it is for the log.
func refused(host string, err error) error {
	return &hub.Error{
		Kind: hub.Blocked, Code: "egress.address", Message: "Calls to " + host + " are not allowed.",
		Hint: "Only public addresses may be called by https; the operator can allow a private network.", Err: err,
	}
}

// first connects to the first address that answers. Each gets a fair share of the time left.
func (d *dialer) first(ctx context.Context, list []netip.AddrPort) (net.Conn, error) {
	var failures []error
	for i, at := range list {
		conn, err := d.connect(ctx, at, len(list)-i)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (d *dialer) connect(ctx context.Context, at netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	nd := net.Dialer{KeepAlive: 30 * time.Second, Control: d.control}
	return nd.DialContext(ctx, "tcp", at.String())
}

// control checks once more, at the last moment, what is really dialled.
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	if err := d.guard.check(at); err != nil {
		return refused(at.Addr().String(), err)
	}
	return nil
}

func (d *dialer) secure(conn net.Conn, host string) (net.Conn, error) {
	// Not the request's context: when that ends, a half-made connection is worth finishing for the
	// next request.
	ctx, cancel := context.WithTimeout(context.Background(), d.limits.TLS)
	defer cancel()
	config := d.tls.Clone()
	config.ServerName = host
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS with %s: %w", host, err), conn.Close())
	}
	return &watched{Conn: secured}, nil
}

// tlsConfig offers HTTP/1.1 only. With HTTP/2 many requests share a connection, and whether one of
// them has left could not be told from the bytes written.
func tlsConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		RootCAs:            roots,
		ClientSessionCache: tls.NewLRUClientSessionCache(1024),
	}
}

// systemLookup asks the machine's resolver.
func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
