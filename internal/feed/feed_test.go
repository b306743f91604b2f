package feed_test

import (
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/feed"
)

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	for base, says := range map[string]string{
		"":                          `expected the scheme http, https or file, found ""`,
		"ftp://example.com":         `expected the scheme http, https or file, found "ftp"`,
		"http://":                   "expected a host, found none",
		"file://host/x":             "expected no host, as in file:///folder, found host",
		"file:x":                    "expected an absolute path",
		"https://u:secret@h/?a=b#c": "expected no user name or password; expected no query; expected no fragment",
		"http://h:secret@ x":        "expected an http, https or file URL",
	} {
		_, err := feed.New(feed.Config{Base: base})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want an error that says %q", base, err, says)
		}
	}
	for _, base := range []string{feed.OSV, "http://127.0.0.1:8080/osv/", "file:///srv/osv", "file://localhost/srv/osv"} {
		if _, err := feed.New(feed.Config{Base: base}); err != nil {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestEcosystemsAreNoPaths(t *testing.T) {
	t.Parallel()
	s := newSource(t, "file:///nonexistent", nil)
	for _, name := range []string{"", ".", "..", "../Go", "Go/..", "a/b", `a\b`, " Go", "Go\x00", "Gö", "%2e%2e", "Go?x", strings.Repeat("a", 65)} {
		_, err := s.Snapshot(t.Context(), name, feed.State{})
		if err == nil || !strings.Contains(err.Error(), "expected a name such as Go") {
			t.Errorf("snapshot of %q: got %v", name, err)
		}
		if _, err := s.Delta(t.Context(), name, feed.State{}, nil); err == nil || !strings.Contains(err.Error(), "expected a name such as Go") {
			t.Errorf("delta of %q: got %v", name, err)
		}
	}
}
