package feed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/osvzip"
	"github.com/tallyman-io/tallyman/internal/retry"
)

// OSV is the bucket that https://osv.dev publishes in.
const OSV = "https://osv-vulnerabilities.storage.googleapis.com"

// Errors of a [Client]. A [StatusError] is one, too.
var (
	// ErrNotModified: the source has what it had when the state was made.
	ErrNotModified = errors.New("not modified")
	// ErrNoFeed: the source publishes nothing of such an ecosystem.
	ErrNoFeed = errors.New("the source has no such ecosystem")
	// ErrSnapshotNeeded: a delta cannot tell what has changed; a snapshot can.
	ErrSnapshotNeeded = errors.New("a snapshot is needed")
	// ErrRefused: the data are not what a feed publishes.
	ErrRefused = osvzip.ErrRefused
	// ErrPartial: less arrived than was announced. It is an [ErrRefused].
	ErrPartial = fmt.Errorf("%w: partial", ErrRefused)
	// ErrShrunken: there are fewer records than before. It is an [ErrRefused].
	ErrShrunken = fmt.Errorf("%w: shrunken", ErrRefused)
)

// Config says where advisories come from.
type Config struct {
	// Base is the URL of the bucket, with the scheme http, https or file.
	Base string
	// HTTP sends the requests; nil is a transport of its own, with the proxy of the
	// environment. No other host than Base's is asked.
	HTTP http.RoundTripper
	// Timeout bounds the wait for an answer and for each further byte of it, not the
	// whole of a download; 0 is 30 seconds.
	Timeout time.Duration
	// Dir is where downloads are kept until they are closed; empty is the system's.
	Dir string
	// UserAgent names the program to the source.
	UserAgent string
	Now       func() time.Time // nil is time.Now
	Wait      retry.Wait       // between attempts; nil is retry.Sleep
}

// Client fetches from one source. It may be used by several goroutines at once.
type Client struct {
	base   *url.URL
	http   *http.Client
	config Config
}

// Version tells one version of a file from another: what the source calls it (RFC
// 9110, section 8.8). The zero Version is that of no file.
type Version struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

// State is what is known of one ecosystem between two syncs. The caller keeps it;
// the zero State knows nothing.
type State struct {
	Zip  Version `json:"zip,omitzero"`
	List Version `json:"list,omitzero"`
	// Records is how many records the source has.
	Records int `json:"records"`
	// Cursor is the newest modification that was applied, as the source dates it.
	// It is zero when no record of the last snapshot says when it was modified.
	Cursor time.Time `json:"cursor,omitzero"`
	// FullAt is when the last snapshot was taken, SyncedAt when the source was last
	// asked. A record that is published late, with a date before the cursor, is found
	// by a snapshot only: take one now and then.
	FullAt   time.Time `json:"full_at,omitzero"`
	SyncedAt time.Time `json:"synced_at,omitzero"`
}

// Record is one advisory as it was published.
type Record struct {
	ID     string
	Raw    []byte
	Digest [sha256.Size]byte // SHA-256 of Raw
}

// New returns a client; its error names every mistake in the URL.
func New(config Config) (*Client, error) {
	base, err := parseBase(config.Base)
	if err != nil {
		return nil, fmt.Errorf("advisory source %q: %w", redacted(config.Base), err)
	}
	if config.Timeout <= 0 {
		config.Timeout = 30 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Wait == nil {
		config.Wait = retry.Sleep
	}
	if config.HTTP == nil {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: fetchers}
		config.HTTP = transport
	}
	return &Client{base: base, config: config, http: &http.Client{Transport: config.HTTP, CheckRedirect: sameHost(base)}}, nil
}

// Base is the URL that the client fetches from.
func (c *Client) Base() string { return c.base.String() }

func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("expected an http, https or file URL") // the parser's error would show a password
	}
	var mistakes []string
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			mistakes = append(mistakes, "expected a host, found none")
		}
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			mistakes = append(mistakes, fmt.Sprintf("expected no host, as in file:///folder, found %s", u.Host))
		}
		if !strings.HasPrefix(u.Path, "/") {
			mistakes = append(mistakes, "expected an absolute path, as in file:///folder")
		}
	default:
		mistakes = append(mistakes, fmt.Sprintf("expected the scheme http, https or file, found %q", u.Scheme))
	}
	if u.User != nil {
		mistakes = append(mistakes, "expected no user name or password")
	}
	if u.RawQuery != "" || u.ForceQuery {
		mistakes = append(mistakes, "expected no query")
	}
	if u.Fragment != "" {
		mistakes = append(mistakes, "expected no fragment")
	}
	if mistakes != nil {
		return nil, errors.New(strings.Join(mistakes, "; "))
	}
	return u, nil
}

// redacted shows a URL without what may be a password in it.
func redacted(base string) string {
	if u, err := url.Parse(base); err == nil {
		return u.Redacted()
	}
	return "…"
}

// sameHost refuses to be led to another host, or from https to http.
func sameHost(base *url.URL) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if req.URL.Scheme != base.Scheme || req.URL.Host != base.Host {
			return fmt.Errorf("%w: redirected to %s://%s: only %s://%s is contacted", errElsewhere, req.URL.Scheme, req.URL.Host, base.Scheme, base.Host)
		}
		if len(via) >= maxRedirects {
			return fmt.Errorf("%w: redirected %d times", errElsewhere, len(via))
		}
		return nil
	}
}

// path is where a file of an ecosystem lies under the base.
type path struct{ ecosystem, file string }

func (c *Client) url(p path) *url.URL {
	return c.base.JoinPath(url.PathEscape(p.ecosystem), url.PathEscape(p.file))
}

// checkEcosystem keeps a name from being a path: OSV's have letters, digits, spaces
// and ._:+- after a letter or digit.
func checkEcosystem(name string) error {
	if name == "" || len(name) > maxEcosystem || name[0] == ' ' || !osvzip.ValidID(strings.ReplaceAll(name, " ", "-")) {
		return fmt.Errorf("ecosystem %q: expected a name such as Go, crates.io or Red Hat", name)
	}
	return nil
}
