// Package feed fetches advisories from where they are published: a bucket laid out as
// OSV's (https://google.github.io/osv.dev/data/), or a mirror of it, over https, http or
// as a folder. For each ecosystem it has
//
//	<Ecosystem>/all.zip           all records, ID.json each
//	<Ecosystem>/modified_id.csv   "<time>,<ID>" for each record, newest first
//	<Ecosystem>/<ID>.json         one record
//
// A [Snapshot] is a whole feed, which is checked as a whole before any of it is handed
// out; a delta is what changed since. What is partial, shrunken or harmful is refused.
// What a record says of its own age is not believed: some databases say nothing. Records
// are told apart by their content, which is for the caller to compare.
package feed

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
)

// Errors of fetching.
var (
	// ErrNotModified: there is nothing new.
	ErrNotModified = errors.New("not modified")
	// ErrNoFeed: there is no such ecosystem at the source.
	ErrNoFeed = errors.New("no such feed")
	// ErrRefused: the data are not what a feed publishes, or less than before.
	ErrRefused = errors.New("refused")
	// ErrTooMany: more changed than is worth fetching one by one. A snapshot is called
	// for.
	ErrTooMany = errors.New("too many changes")
	// ErrNoDelta: the source does not list what changed. A snapshot is called for.
	ErrNoDelta = errors.New("the source does not list changes")
)

// State is what is remembered of a feed from one fetch to the next. The zero value is
// for a feed that was never fetched.
type State struct {
	// ETag is that of all.zip, ListETag that of modified_id.csv. Of a folder they stand
	// for the size and the time of the file.
	ETag     string `json:"etag,omitempty"`
	ListETag string `json:"list_etag,omitempty"`
	// Records counts those of the feed.
	Records int `json:"records"`
	// Cursor is the time of the newest change that was handed out, as the list has it.
	// Zero when there was no list.
	Cursor time.Time `json:"cursor,omitzero"`
	// FullAt is when the feed was last fetched as a whole.
	FullAt time.Time `json:"full_at,omitzero"`
}

// Record is an advisory as it is published.
type Record struct {
	ID  string
	Raw []byte
}

// Config says where a feed is, and how to fetch it.
type Config struct {
	// Base is the folder of the ecosystems: an https, http or file URL.
	Base string
	// Transport connects; [http.DefaultTransport] when nil. Whatever it is, no host but
	// that of Base is asked.
	Transport http.RoundTripper
	// Timeout bounds the wait for an answer and for each further part of it; a minute
	// when zero.
	Timeout time.Duration
	// Dir is where a feed is kept while it is read; the system's folder for temporary
	// files when empty.
	Dir       string
	UserAgent string
	Wait      retry.Wait // [retry.Sleep] when nil
	Now       func() time.Time
}

// Client fetches. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// New returns a client. It fetches nothing.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.Base)
	if err != nil {
		return nil, fmt.Errorf("feed: the address cannot be understood; expected an https, http or file URL, found %q", cfg.Base)
	}
	switch {
	case base.Scheme == "file" && base.Host == "" && filepath.IsAbs(filepath.FromSlash(base.Path)):
	case (base.Scheme == "https" || base.Scheme == "http") && base.Host != "" && base.RawQuery == "" && base.Fragment == "":
	default:
		return nil, fmt.Errorf("feed: expected an https or http URL with a host, or file:///absolute/path, found %q", base.Redacted())
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Minute)
	cfg.Dir = cmp.Or(cfg.Dir, os.TempDir())
	if cfg.Wait == nil {
		cfg.Wait = retry.Sleep
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	c := &Client{cfg: cfg, base: base}
	c.http = &http.Client{Transport: cfg.Transport, CheckRedirect: c.checkRedirect}
	return c, nil
}

// checkRedirect lets a source move things about on its own host alone.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	const most = 5
	switch {
	case req.URL.Host != c.base.Host:
		return fmt.Errorf("%w: it redirects to %s; only %s is asked", ErrRefused, req.URL.Host, c.base.Host)
	case c.base.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: it redirects from https to %s", ErrRefused, req.URL.Scheme)
	case len(via) > most:
		return fmt.Errorf("%w: it redirects more than %d times", ErrRefused, most)
	}
	return nil
}

// CheckEcosystem refuses a name that cannot be that of a folder of a feed.
func CheckEcosystem(name string) error {
	if name == "" || len(name) > 100 || strings.ContainsAny(name, "/\\\x00?#") || name == "." || name == ".." {
		return fmt.Errorf("ecosystem %q: expected a name such as Go, Debian or Red Hat", name)
	}
	return nil
}

// checkID refuses an id that would lead out of its folder.
func checkID(id string) error {
	if id == "" || len(id) > 256 || strings.ContainsAny(id, "/\\\x00?#%\"<> \t") || strings.HasPrefix(id, ".") {
		return fmt.Errorf("%w: expected the id of a record, such as GO-2024-0001, found %q", ErrRefused, shorten(id))
	}
	return nil
}

func shorten(s string) string {
	const longest = 80
	if len(s) > longest {
		return s[:longest] + "…"
	}
	return s
}
