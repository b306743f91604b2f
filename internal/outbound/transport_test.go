package outbound_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/tallyman-io/tallyman/internal/outbound"
)

// listener is a server that counts the connections made to it.
type listener struct {
	*httptest.Server

	connections atomic.Int64
	host, port  string
}

func listen(t *testing.T, handler http.HandlerFunc) *listener {
	t.Helper()
	l := &listener{}
	l.Server = httptest.NewUnstartedServer(handler)
	l.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			l.connections.Add(1)
		}
	}
	l.Start()
	t.Cleanup(l.Close)
	l.host = strings.TrimPrefix(l.URL, "http://")
	_, l.port, _ = net.SplitHostPort(l.host)
	return l
}

func (l *listener) untouched(t *testing.T) {
	t.Helper()
	if n := l.connections.Load(); n != 0 {
		t.Errorf("got %d connections to a host that may not be contacted, want 0", n)
	}
}

func fine(http.ResponseWriter, *http.Request) {}

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

func get(t *testing.T, transport http.RoundTripper, at string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return err
}

func wantRefused(t *testing.T, err error, parts ...string) {
	t.Helper()
	var refused *outbound.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got error %v (%T), want an outbound.Error", err, err)
	}
	for _, part := range parts {
		if !strings.Contains(refused.Error(), part) {
			t.Errorf("got error %q, want it to say %q", refused, part)
		}
	}
}

func TestAHostThatIsNotNamedIsNotContacted(t *testing.T) {
	t.Parallel()
	evil := listen(t, fine)
	transport := outbound.New(outbound.Config{Proxy: noProxy, Rules: outbound.Rules{
		Hosts: outbound.Hosts{"feed.example"}, Asker: "the feed", Key: "feed.hosts",
	}})
	wantRefused(t, get(t, transport, evil.URL), "refused to contact "+evil.host, "asked for by the feed",
		"it is not among the hosts that may be contacted", "name it in feed.hosts to allow it")
	evil.untouched(t)
}

func TestARedirectToAHostThatIsNotNamedIsNotFollowed(t *testing.T) {
	t.Parallel()
	evil := listen(t, fine)
	for _, to := range []string{evil.URL, "http://localhost:" + evil.port, "http://[::ffff:127.0.0.1]:" + evil.port, "http://2130706433:" + evil.port, "http://127.1:" + evil.port} {
		good := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
		named := outbound.Hosts{good.host}
		transport := outbound.New(outbound.Config{Proxy: noProxy, Rules: outbound.Rules{Hosts: named, Private: named, Key: "feed.hosts"}})
		wantRefused(t, get(t, transport, good.URL), "asked for by a redirect of "+good.host)
	}
	evil.untouched(t)
}

func TestOtherSchemesAreRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"ftp://feed.example/", "file:///etc/passwd", "gopher://feed.example/", "http://feed.example/"} {
		transport := outbound.New(outbound.Config{Proxy: noProxy, Rules: outbound.Rules{Hosts: outbound.Hosts{"feed.example"}}})
		wantRefused(t, get(t, transport, at), "expected")
	}
}

// names is a name server on loopback whose answers to the same question change.
type names struct {
	mu      sync.Mutex
	answers []string
	asked   int
}

func (n *names) next() netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	answer := n.answers[min(n.asked, len(n.answers)-1)]
	n.asked++
	return netip.MustParseAddr(answer)
}

// resolver returns one that asks a name server which gives the addresses in turn.
func resolver(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	n := &names{answers: answers}
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := n.answer(buf[:size]); answer != nil {
				if _, err := conn.WriteTo(answer, from); err != nil {
					return
				}
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		served.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *names) answer(question []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	q := m.Questions[0]
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: n.next().As4()}}}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func TestANameThatResolvesToAPrivateAddressIsNotContacted(t *testing.T) {
	t.Parallel()
	evil := listen(t, fine)
	at := "http://blobs.example:" + evil.port
	hosts := outbound.Hosts{"*.example:" + evil.port, "blobs.example:" + evil.port}
	for name, private := range map[string]outbound.Hosts{
		"not named":           nil,
		"named by its suffix": {"*.example:" + evil.port},
		"on another port":     {"blobs.example:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := outbound.New(outbound.Config{Proxy: noProxy, Resolver: resolver(t, "127.0.0.1"), Rules: outbound.Rules{
				Hosts: hosts, Private: private, Insecure: hosts, Asker: "a test", Key: "registry.hosts",
			}})
			wantRefused(t, get(t, transport, at), "refused to contact blobs.example:"+evil.port+" at 127.0.0.1:"+evil.port,
				"it is a loopback address", "name the host in full in registry.hosts")
			evil.untouched(t)
		})
	}
}

func TestANameThatTheOperatorNamedMayBePrivate(t *testing.T) {
	t.Parallel()
	inner := listen(t, fine)
	hosts := outbound.Hosts{"registry.internal:" + inner.port}
	transport := outbound.New(outbound.Config{Proxy: noProxy, Resolver: resolver(t, "127.0.0.1"), Rules: outbound.Rules{
		Hosts: hosts, Private: hosts, Insecure: hosts,
	}})
	if err := get(t, transport, "http://registry.internal:"+inner.port); err != nil {
		t.Error(err)
	}
}

func TestANameThatChangesItsAddressGainsNothing(t *testing.T) {
	t.Parallel()
	evil := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	// First an address for documentation, which nothing answers at and which is
	// refused as well; then the loopback address.
	hosts := outbound.Hosts{"blobs.example:" + evil.port}
	transport := outbound.New(outbound.Config{Proxy: noProxy, Resolver: resolver(t, "203.0.113.7", "127.0.0.1", "169.254.169.254"), Rules: outbound.Rules{
		Hosts: hosts, Insecure: hosts,
	}})
	for _, want := range []string{"203.0.113.7", "127.0.0.1", "169.254.169.254"} {
		wantRefused(t, get(t, transport, "http://blobs.example:"+evil.port), "at "+want)
	}
	evil.untouched(t)
}

func TestMetadataIsReadByNoName(t *testing.T) {
	t.Parallel()
	hosts := outbound.Hosts{"metadata.internal:80"}
	transport := outbound.New(outbound.Config{Proxy: noProxy, Resolver: resolver(t, "169.254.169.254"), Rules: outbound.Rules{
		Hosts: hosts, Private: hosts, Insecure: hosts, Key: "registry.hosts",
	}})
	wantRefused(t, get(t, transport, "http://metadata.internal"), "the address of a cloud's metadata", "name the address itself in registry.hosts")
}

func TestAProxyIsContactedAndHostsAreStillHeldAgainstTheRules(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	proxy := listen(t, func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.String()) })
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := outbound.New(outbound.Config{Proxy: http.ProxyURL(at), Rules: outbound.Rules{
		Hosts: outbound.Hosts{"feed.example"}, Insecure: outbound.Hosts{"feed.example"},
	}})
	if err := get(t, transport, "http://feed.example/all.zip"); err != nil {
		t.Fatal(err)
	}
	if got := asked.Load(); got != "http://feed.example/all.zip" {
		t.Errorf("the proxy was asked for %v", got)
	}
	before := proxy.connections.Load()
	for _, other := range []string{"http://other.example/", proxy.URL, "http://169.254.169.254/latest/meta-data/"} {
		wantRefused(t, get(t, transport, other), "it is not among the hosts")
	}
	if got := proxy.connections.Load(); got != before {
		t.Errorf("got %d further connections to the proxy, want 0", got-before)
	}
}

func TestADirectRequestToTheProxysAddressIsHeldAgainstTheRules(t *testing.T) {
	t.Parallel()
	proxy := listen(t, fine)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	// As with NO_PROXY: the host is named, and resolves to the proxy itself.
	hosts := outbound.Hosts{proxy.host, "feed.example"}
	transport := outbound.New(outbound.Config{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Host == proxy.host {
				return nil, nil
			}
			return at, nil
		},
		Rules: outbound.Rules{Hosts: hosts},
	})
	wantRefused(t, get(t, transport, proxy.URL), "it is a loopback address")
	proxy.untouched(t)
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	other := listen(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) })
	first := listen(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	hosts := outbound.Hosts{first.host, other.host}
	transport := outbound.New(outbound.Config{Proxy: noProxy, Rules: outbound.Rules{Hosts: hosts, Private: hosts}})
	client := &http.Client{Transport: transport}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got.Load() != "" {
		t.Errorf("another port was sent the credentials %q", got.Load())
	}

	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, first.URL, strings.NewReader("refresh_token=secret"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err = client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	wantRefused(t, err, "a redirect would send the body of the request to another host")
}

func TestTransportsWithOtherRulesShareConnectionsAndNotRules(t *testing.T) {
	t.Parallel()
	inner := listen(t, fine)
	hosts := outbound.Hosts{inner.host}
	shut := outbound.New(outbound.Config{Proxy: noProxy})
	open := shut.With(outbound.Rules{Hosts: hosts, Private: hosts})
	for range 3 {
		if err := get(t, open, inner.URL); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, get(t, shut, inner.URL), "it is not among the hosts")
	}
	if got := inner.connections.Load(); got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
	open.CloseIdleConnections()
}

func TestToTheHostsOfURLs(t *testing.T) {
	t.Parallel()
	hook, other := listen(t, fine), listen(t, fine)
	for _, private := range []bool{false, true} {
		rules := outbound.To(private, hook.URL+"/in/token", "https://hooks.example/x", "file:///srv/osv", "%zz")
		rules.AllowKey = "notify.allow_private"
		transport := outbound.New(outbound.Config{Proxy: noProxy, Rules: rules})
		err := get(t, transport, hook.URL)
		if private && err != nil {
			t.Errorf("a private host: %v", err)
		}
		if !private {
			wantRefused(t, err, "it is a loopback address", "set notify.allow_private to allow it")
		}
		if outbound.IsRefusal(err) == private {
			t.Errorf("private %t: got error %v", private, err)
		}
		wantRefused(t, get(t, transport, other.URL))
		wantRefused(t, get(t, transport, "http://hooks.example/x"))
	}
	other.untouched(t)
}
