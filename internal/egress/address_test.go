package egress

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"throughline/internal/hub"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		fine       bool
	}{
		{"a public address", "93.184.216.34:443", true},
		{"a public IPv6 address", "[2606:2800:220:1::1]:443", true},
		{"another port", "93.184.216.34:22", false},
		{"a port that the operator allows", "93.184.216.34:8443", true},
		{"this network", "0.0.0.0:443", false},
		{"a private network", "10.1.2.3:443", false},
		{"another private network", "172.31.255.255:443", false},
		{"the third private network", "192.168.0.1:443", false},
		{"just outside of a private network", "172.32.0.1:443", true},
		{"carrier-grade NAT", "100.64.0.1:443", false},
		{"this machine", "127.8.8.8:443", false},
		{"cloud metadata", "169.254.169.254:443", false},
		{"another cloud's metadata", "168.63.129.16:443", false},
		{"documentation", "203.0.113.9:443", false},
		{"benchmarks", "198.19.0.1:443", false},
		{"multicast", "224.0.0.1:443", false},
		{"broadcast", "255.255.255.255:443", false},
		{"no address", "[::]:443", false},
		{"this machine by IPv6", "[::1]:443", false},
		{"a public IPv4 address in disguise", "[::ffff:93.184.216.34]:443", false},
		{"metadata in disguise", "[::ffff:169.254.169.254]:443", false},
		{"metadata by NAT64", "[64:ff9b::a9fe:a9fe]:443", false},
		{"local NAT64", "[64:ff9b:1::1]:443", false},
		{"discard", "[100::1]:443", false},
		{"Teredo", "[2001::1]:443", false},
		{"IPv6 documentation", "[2001:db8::1]:443", false},
		{"6to4 of a private address", "[2002:0a00:0001::1]:443", false},
		{"a unique local address", "[fd00::1]:443", false},
		{"link local with a zone", "[fe80::1%eth0]:443", false},
		{"site local", "[fec0::1]:443", false},
		{"IPv6 multicast", "[ff02::1]:443", false},
		{"what the operator vouches for, on any port", "10.7.0.5:8069", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := guard{vouched: prefixes("10.7.0.0/16"), ports: []uint16{443, 8443}}
			if err := g.check(netip.MustParseAddrPort(c.addr)); (err == nil) != c.fine {
				t.Errorf("%s: %v", c.addr, err)
			}
		})
	}
	plain := guard{vouched: prefixes("10.7.0.0/16"), ports: []uint16{443}, plain: true}
	if plain.check(netip.MustParseAddrPort("93.184.216.34:443")) == nil || plain.check(netip.MustParseAddrPort("10.7.0.5:80")) != nil {
		t.Error("plain http is for the operator's own networks only")
	}
}

// resolves is a resolver with one answer.
func resolves(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		var list []netip.Addr
		for _, a := range addrs {
			list = append(list, netip.MustParseAddr(a))
		}
		return list, nil
	}
}

func TestBadAddressesAreRefusedWhenDialled(t *testing.T) {
	for _, c := range []struct {
		name, url string
		answer    []string
	}{
		{"a name that means this machine", "https://inside.example/", []string{"127.0.0.1"}},
		{"one bad address among good ones", "https://mixed.example/", []string{"93.184.216.34", "10.0.0.1"}},
		{"a mapped address from the resolver", "https://mapped.example/", []string{"::ffff:10.0.0.1"}},
		{"a literal address", "https://169.254.169.254/latest", nil},
		{"a literal mapped address", "https://[::ffff:93.184.216.34]/", nil},
		{"a forbidden port", "https://public.example:22/", []string{"93.184.216.34"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := New(Options{Lookup: resolves(c.answer...)})
			_, err := client.Do(context.Background(), Request{Method: "GET", URL: c.url, HostSuffix: hostOf(t, c.url)})
			e := hub.AsError(err)
			if e == nil || e.Kind != hub.Blocked || e.Code != "egress.address" {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(e.Message+e.Hint, "10.0.0.1") {
				t.Errorf("the message tells which address stands behind the name: %s", e.Message)
			}
		})
	}
}

func TestTheAddressIsCheckedAgainAtTheLastMoment(t *testing.T) {
	d := dialer{guard: guard{ports: []uint16{443}}}
	if err := d.control("tcp4", "127.0.0.1:443", nil); hub.KindOf(err) != hub.Blocked {
		t.Errorf("got %v", err)
	}
	if err := d.control("tcp4", "93.184.216.34:443", nil); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTarget(t *testing.T) {
	for _, c := range []struct{ name, url, suffix, code string }{
		{"a name below the suffix", "https://eu.api.acme.example/x", "acme.example", ""},
		{"the suffix itself", "https://ACME.example./x", "acme.example", ""},
		{"a name that only ends alike", "https://evilacme.example/x", "acme.example", "egress.host"},
		{"the suffix in front", "https://acme.example.evil.test/x", "acme.example", "egress.host"},
		{"no suffix", "https://acme.example/x", "", "egress.host"},
		{"a whole top-level domain", "https://acme.example/x", "example", "egress.host"},
		{"an address and its tail", "https://93.184.216.34/x", "216.34", "egress.host"},
		{"plain http", "http://acme.example/x", "acme.example", "egress.url"},
		{"another scheme", "file:///etc/passwd", "acme.example", "egress.url"},
		{"a password", "https://user:pass@acme.example/", "acme.example", "egress.url"},
		{"a host in front of an at", "https://acme.example@evil.test/", "acme.example", "egress.url"},
		{"no host", "https:///x", "acme.example", "egress.url"},
		{"an opaque address", "https:acme.example", "acme.example", "egress.url"},
		{"a full stop of another script", "https://evil.test。acme.example/", "acme.example", "egress.url"},
		{"port 0", "https://acme.example:0/", "acme.example", "egress.url"},
		{"a port beyond all", "https://acme.example:99999/", "acme.example", "egress.url"},
		{"a line break", "https://acme.example/\r\nX: y", "acme.example", "egress.url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Options{}).target(c.url, c.suffix)
			code := ""
			if e := hub.AsError(err); e != nil {
				code = e.Code
			}
			if code != c.code || (err == nil) != (c.code == "") {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "pass@") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func FuzzTarget(f *testing.F) {
	f.Add("https://acme.example/x", "acme.example")
	f.Add("https://a@[::1]:443", "::1")
	f.Fuzz(func(t *testing.T, raw, suffix string) {
		u, err := New(Options{}).target(raw, suffix)
		if err == nil && (u.Scheme != "https" || u.User != nil || !belowSuffix(u.Hostname(), suffix)) {
			t.Fatalf("%q is allowed within %q", raw, suffix)
		}
	})
}
