package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		want target
		err  string
	}{
		"sqlite:///var/lib/tallyman/tallyman.db": {want: target{sqlitePath: "/var/lib/tallyman/tallyman.db"}},
		"sqlite:/var/lib/tallyman.db":            {want: target{sqlitePath: "/var/lib/tallyman.db"}},
		"sqlite:tallyman.db":                     {want: target{sqlitePath: filepath.Join(here, "tallyman.db")}},
		"SQLite:data/tallyman.db":                {want: target{sqlitePath: filepath.Join(here, "data/tallyman.db")}},
		"sqlite:///with%20space/%3f.db":          {want: target{sqlitePath: "/with space/?.db"}},
		"postgres://db/tally":                    {want: target{postgresURL: "postgres://db/tally"}},
		"postgresql://u:p@db:5433/tally?a=b":     {want: target{postgresURL: "postgresql://u:p@db:5433/tally?a=b"}},

		"":                          {err: "no scheme"},
		"/var/lib/tallyman.db":      {err: "no scheme"},
		"mysql://u:secret@db/tally": {err: `scheme "mysql"`},
		"sqlite://tallyman.db":      {err: "two slashes start a host name"},
		"sqlite:":                   {err: "names no file"},
		"sqlite:///":                {err: "names no file"},
		"sqlite::memory:":           {err: "in memory"},
		"sqlite:///a.db?mode=ro":    {err: "takes no parameters"},
		"sqlite:///%zz.db":          {err: "invalid URL escape"},
		"postgres:u:secret@db":      {err: "lacks //"},
		"postgres://u:secret/@db/":  {err: "percent-encoded"},
		"postgres://u:se cret@db/%": {err: "percent-encoded"},
	}
	for raw, tt := range tests {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			got, err := parseURL(raw)
			if tt.err == "" {
				if err != nil || got != tt.want {
					t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got error %v, want one with %q", err, tt.err)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"sqlite:///a.db", "sqlite:a", "postgres://u:p@h/d", "x", "sqlite://%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseURL(raw)
		if err == nil && (got.sqlitePath == "") == (got.postgresURL == "") {
			t.Errorf("parseURL(%q): got %+v, want exactly one engine", raw, got)
		}
	})
}

func TestScrubTakesPasswordsOut(t *testing.T) {
	t.Parallel()
	const url = "postgres://u:p%40ss%2Fword@db/tally?sslpassword=hush"
	got := scrub(errors.New("failed with p@ss/word, p%40ss%2Fword and hush"), url).Error()
	if want := "failed with [redacted], [redacted] and [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	clean := errors.New("connection refused")
	if got := scrub(clean, url); got != clean { //nolint:errorlint // the very same error
		t.Errorf("got %v, want the error as it was", got)
	}
}
