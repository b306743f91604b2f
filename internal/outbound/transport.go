package outbound

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Rules say where requests may go. The zero value lets none go anywhere.
type Rules struct {
	// Hosts may be contacted.
	Hosts Hosts
	// Private are those hosts that may have private addresses: those that the
	// operator named. Only patterns that name a host in full count. A link-local
	// or a metadata address is contacted only where it is itself in here.
	Private Hosts
	// Insecure are those hosts that may be spoken to over plain HTTP. Loopback
	// addresses and localhost may be without being listed.
	Insecure Hosts
	// Asker is on whose behalf requests are made, for errors: "registry ghcr.io".
	Asker string
	// Key is the configuration key to which a host can be added, and AllowKey the
	// one that lets hosts have private addresses, for errors. Either may be empty.
	Key, AllowKey string
}

// To lets requests go to the hosts of the URLs, and over plain HTTP where a URL
// has it so. With private they may have private addresses.
func To(private bool, urls ...string) Rules {
	var rules Rules
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			continue
		}
		host := net.JoinHostPort(hostPort(u))
		rules.Hosts = append(rules.Hosts, host)
		if private {
			rules.Private = append(rules.Private, host)
		}
		if u.Scheme == "http" {
			rules.Insecure = append(rules.Insecure, host)
		}
	}
	return rules
}

// Config says how a transport makes connections. The zero value is usable.
type Config struct {
	Rules
	// TLS is used for https; nil for the system's roots.
	TLS *tls.Config
	// Resolver looks up hosts; nil for the system's.
	Resolver *net.Resolver
	// Proxy returns the proxy of a request, nil for none; nil for what the
	// environment says (HTTPS_PROXY, HTTP_PROXY, NO_PROXY). Which addresses a
	// proxy contacts is up to the proxy; hosts are held against the rules all the
	// same.
	Proxy func(*http.Request) (*url.URL, error)
}

// Limits of a connection, as net/http's own transport has them.
const (
	dialTimeout      = 10 * time.Second
	keepAlive        = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
	maxIdle          = 100
	maxIdlePerHost   = 16
	maxHeader        = 256 << 10
)

// Transport is an [http.RoundTripper] that refuses what its rules do not allow,
// with an [Error]. It is safe for concurrent use.
type Transport struct {
	rules Rules
	*shared
}

// shared is what transports with different rules have in common.
type shared struct {
	inner *http.Transport
	proxy func(*http.Request) (*url.URL, error)
	guide *guide
}

// New returns a transport. It makes no connection.
func New(cfg Config) *Transport {
	s := &shared{proxy: cfg.Proxy, guide: newGuide()}
	if s.proxy == nil {
		s.proxy = http.ProxyFromEnvironment
	}
	s.inner = &http.Transport{
		Proxy:                  passedProxy,
		DialContext:            s.dialer(cfg.Resolver),
		TLSClientConfig:        cfg.TLS,
		TLSHandshakeTimeout:    handshakeTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
	return &Transport{rules: cfg.Rules, shared: s}
}

// With returns a transport with other rules that shares the connections of t.
func (t *Transport) With(rules Rules) *Transport { return &Transport{rules: rules, shared: t.shared} }

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.inner.CloseIdleConnections() }

type passKey struct{}

// pass is what the checks of a request tell the dialer.
type pass struct {
	rules Rules
	by    string
	// named says that the operator named the host in full.
	named bool
	// proxy is what the request goes through, nil for none.
	proxy *url.URL
}

func passedProxy(req *http.Request) (*url.URL, error) {
	if p, ok := req.Context().Value(passKey{}).(*pass); ok {
		return p.proxy, nil
	}
	return nil, nil
}

// RoundTrip implements [http.RoundTripper]. An answer that redirects to where the
// rules do not allow is refused with an [Error], too.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, err := t.check(req)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	ctx := context.WithValue(req.Context(), passKey{}, p)
	if borrowed(req) {
		req = req.Clone(ctx)
		req.Header.Del("Authorization")
	} else {
		req = req.WithContext(ctx)
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := t.checkRedirect(req, resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// checkRedirect reports why the answer may not be followed. The request that
// follows it is checked again: this one tells before anybody else does.
func (t *Transport) checkRedirect(req *http.Request, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	to, err := resp.Location()
	if err != nil {
		return nil // Whoever follows it finds the same.
	}
	next := req.Clone(req.Context())
	next.URL, next.Response, next.Body = to, &http.Response{Request: req}, nil
	_, err = t.check(next)
	return err
}

func (t *Transport) check(req *http.Request) (*pass, error) {
	p := &pass{rules: t.rules, by: t.rules.asker(req), named: t.rules.Private.names(req.URL)}
	refused := func(reason, remedy string) error {
		host, port := hostPort(req.URL)
		return &Error{Host: net.JoinHostPort(host, port), By: p.by, Reason: reason, Remedy: remedy}
	}
	switch scheme := req.URL.Scheme; {
	case scheme != "https" && scheme != "http":
		return nil, refused("expected the scheme https or http, found "+quoted(scheme), "")
	case !t.rules.Hosts.Has(req.URL):
		return nil, refused("it is not among the hosts that may be contacted", t.rules.remedy("name it in "))
	case scheme == "http" && !t.rules.Insecure.Has(req.URL) && !isLoopback(req.URL.Hostname()):
		return nil, refused("expected https, found http", "")
	}
	if from := cameFrom(req); from != nil && req.Body != nil && req.Body != http.NoBody && from.Host != req.URL.Host {
		return nil, refused("a redirect would send the body of the request to another host", "")
	}
	proxy, err := t.proxy(req)
	if err != nil {
		return nil, err
	}
	p.proxy = proxy
	return p, nil
}

// asker says who asks for a request: the one on whose behalf it is made, or the
// host that redirects to it.
func (r Rules) asker(req *http.Request) string {
	if from := cameFrom(req); from != nil {
		return "a redirect of " + from.Host
	}
	return r.Asker
}

func (r Rules) remedy(do string) string {
	if r.Key == "" {
		return ""
	}
	return do + r.Key + " to allow it"
}

func (r Rules) addressRemedy() string {
	if r.AllowKey != "" {
		return "set " + r.AllowKey + " to allow it"
	}
	return r.remedy("name the host in full in ")
}

// cameFrom is where a redirect to the request was met, nil when it is none.
func cameFrom(req *http.Request) *url.URL {
	if req.Response == nil || req.Response.Request == nil {
		return nil
	}
	return req.Response.Request.URL
}

// borrowed reports whether a redirected request has credentials that another host
// was sent before. net/http takes them along to other ports and subdomains of a
// host, which are not the same host here.
func borrowed(req *http.Request) bool {
	credentials := req.Header.Get("Authorization")
	if credentials == "" {
		return false
	}
	for resp := req.Response; resp != nil && resp.Request != nil; resp = resp.Request.Response {
		if resp.Request.URL.Host != req.URL.Host && resp.Request.Header.Get("Authorization") == credentials {
			return true
		}
	}
	return false
}

// dialer makes connections, and looks at the address of each before it does.
func (s *shared) dialer(resolver *net.Resolver) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Resolver: resolver}
		p, ok := ctx.Value(passKey{}).(*pass)
		if !ok {
			return nil, &Error{Host: address, Reason: "no rule says whether it may be contacted"}
		}
		if p.proxy == nil || !isProxy(p.proxy, address) {
			dialer.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
				return s.admit(p, address, resolved)
			}
		}
		return dialer.DialContext(ctx, network, address)
	}
}

// admit reports why a connection to what the host resolved to may not be made.
func (s *shared) admit(p *pass, hostAndPort, resolved string) error {
	refused := func(reason, remedy string) error {
		return &Error{Host: hostAndPort, Address: resolved, By: p.by, Reason: reason, Remedy: remedy}
	}
	at, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return refused("expected an address and a port", "")
	}
	far, name := s.guide.look(at.Addr())
	if far == public {
		return nil
	}
	if p.named {
		host, _, err := net.SplitHostPort(hostAndPort)
		if err != nil {
			return refused("expected a host and a port", "")
		}
		literal, err := netip.ParseAddr(host)
		if far == private || err == nil && literal.Unmap() == at.Addr().Unmap() {
			return nil
		}
		return refused("it is "+name, p.rules.remedy("name the address itself in "))
	}
	if far == special {
		return refused("it is "+name, p.rules.remedy("name the address itself in "))
	}
	return refused("it is "+name, p.rules.addressRemedy())
}

// isProxy reports whether the address to be dialled is the proxy's.
func isProxy(proxy *url.URL, address string) bool {
	host, port := proxy.Hostname(), proxy.Port()
	if port == "" {
		switch proxy.Scheme {
		case "socks5", "socks5h":
			port = "1080"
		default:
			port = defaultPort(proxy.Scheme)
		}
	}
	return strings.EqualFold(net.JoinHostPort(host, port), address)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func quoted(scheme string) string {
	const most = 20
	if len(scheme) > most {
		scheme = scheme[:most] + "…"
	}
	return `"` + scheme + `"`
}
