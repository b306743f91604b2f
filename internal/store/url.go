package store

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// target is a database URL taken apart. Exactly one of the fields is set.
type target struct {
	sqlitePath  string
	postgresURL string
}

const expectedURL = "expected sqlite:///absolute/path.db, sqlite:relative/path.db or postgres://user:password@host:port/database"

// parseURL takes a database URL apart. Its errors never repeat the URL, which may
// hold a password; for the same reason they leave out what net/url has to say.
func parseURL(raw string) (target, error) {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok {
		return target{}, errors.New("database URL has no scheme: " + expectedURL)
	}
	switch strings.ToLower(scheme) {
	case "sqlite":
		path, err := sqlitePath(rest)
		return target{sqlitePath: path}, err
	case "postgres", "postgresql":
		u, err := url.Parse(raw)
		if err != nil {
			return target{}, errors.New("database URL cannot be parsed (special characters in user and password must be percent-encoded): " + expectedURL)
		}
		if u.Opaque != "" {
			return target{}, errors.New("database URL lacks // after the scheme: " + expectedURL)
		}
		return target{postgresURL: raw}, nil
	default:
		return target{}, fmt.Errorf("database URL has scheme %q: %s", scheme, expectedURL)
	}
}

func sqlitePath(rest string) (string, error) {
	path := rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		if !strings.HasPrefix(after, "/") {
			return "", fmt.Errorf("database URL sqlite:%s: two slashes start a host name, and SQLite has none: %s", rest, expectedURL)
		}
		path = after
	}
	switch {
	case path == "" || strings.HasSuffix(path, "/"):
		return "", errors.New("database URL names no file: " + expectedURL)
	case strings.Contains(path, ":memory:"):
		return "", errors.New("database URL names a database in memory, which web and worker could not share: " + expectedURL)
	case strings.ContainsAny(path, "?#"):
		return "", fmt.Errorf("database URL sqlite:%s: takes no parameters: %s", rest, expectedURL)
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return "", fmt.Errorf("database URL sqlite:%s: %w", rest, err)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the working directory for database URL sqlite:%s: %w", rest, err)
	}
	return path, nil
}
