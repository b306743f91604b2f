package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestRedacted(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, secret, want string }{
		{"empty", "", ""},
		{"sqlite has nothing to hide", "sqlite:///var/lib/t.db", "sqlite:///var/lib/t.db"},
		{"password", "postgres://u:p%40ss@db:5432/t?sslmode=disable", "postgres://u:REDACTED@db:5432/t?sslmode=disable"},
		{"empty password", "postgres://u:@db/t", "postgres://u:REDACTED@db/t"},
		{"no password", "postgresql://u@db/t", "postgresql://u@db/t"},
		{"password as parameter", "postgres://db/t?password=pw&user=u", "postgres://db/t?password=REDACTED&user=u"},
		{"unknown parameter", "postgres://db/t?token=pw", "postgres://db/t?token=REDACTED"},
		{"at sign in password", "postgres://u:p@ss@db/t", "postgres://u:REDACTED@db/t"},
		{"slash in password", "postgres://u:12/34@db/t", "REDACTED"},
		{"question mark in password", "postgres://u:12?34@db/t", "REDACTED"},
		{"hash in password", "postgres://u:12#34@db/t", "REDACTED"},
		{"opaque", "postgres:u:pw@db", "REDACTED"},
		{"not a URL", "host=db password=pw", "REDACTED"},
		{"another scheme", "mysql://u:pw@db/t", "REDACTED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := NewSecret(tt.secret).Redacted(); got != tt.want {
				t.Errorf("Redacted: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNoWayOfPrintingRevealsASecret(t *testing.T) {
	t.Parallel()
	const password = "hunter2hunter2"
	c := Database{URL: NewSecret("postgres://u:" + password + "@db/t")}
	hex := fmt.Sprintf("%x", password)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%t"} {
		for _, v := range []any{c, &c, c.URL, &c.URL, []Secret{c.URL}, map[string]Secret{"k": c.URL}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, password) || strings.Contains(strings.ToLower(got), hex) {
				t.Errorf("%s of %T reveals the password: %s", verb, v, got)
			}
		}
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asText, err := c.URL.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{string(asJSON), string(asYAML), string(asText), c.URL.String(), c.URL.GoString()} {
		if strings.Contains(got, password) || !strings.Contains(got, "postgres://u:REDACTED@db/t") {
			t.Errorf("encoded: got %s, want the URL with a redacted password", got)
		}
	}
}

func TestNeedlesFindEverySpellingInATextThatALibraryMade(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, url, text, want string }{
		{"whole URL", "postgres://u:pw@db/t", "parse postgres://u:pw@db/t: bad", "parse REDACTED: bad"},
		{"short password in place", "postgres://u:pw@db/t", "dial u:pw@db", "dial uREDACTEDdb"},
		{"decoded", "postgres://u:long%40password!@db/t", "password long@password! is wrong", "password REDACTED is wrong"},
		{"in JSON", `postgres://u:long%22password!@db/t`, `{"e":"long\"password!"}`, `{"e":"REDACTED"}`},
		{"as parameter", "postgres://db/t?password=long-password", "got long-password", "got REDACTED"},
		{"a word of the text stays", "postgres://u:db@db/t", "the db is down", "the db is down"},
		{"nothing to hide", "sqlite:/t.db", "open sqlite:/t.db", "open sqlite:/t.db"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.text
			for _, n := range NewSecret(tt.url).Needles() {
				got = strings.ReplaceAll(got, n, "REDACTED")
			}
			if got != tt.want {
				t.Errorf("scrubbed: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretFromAFile(t *testing.T) {
	t.Parallel()
	const url = "postgres://u:hunter2@db/t"
	good := file(t, "url", url+"\n")
	tests := []struct {
		name    string
		environ []string
		problem string // of the only mistake; "" for none
	}{
		{"one trailing line end is trimmed", []string{"TALLYMAN_DATABASE_URL_FILE=" + good}, ""},
		{"CRLF is trimmed", []string{"TALLYMAN_DATABASE_URL_FILE=" + file(t, "url", url+"\r\n")}, ""},
		{"both set", []string{"TALLYMAN_DATABASE_URL_FILE=" + good, "TALLYMAN_DATABASE_URL=sqlite:/x"}, "TALLYMAN_DATABASE_URL is set as well"},
		{"not there", []string{"TALLYMAN_DATABASE_URL_FILE=/does/not/exist"}, "cannot read /does/not/exist: no such file or directory"},
		{"empty", []string{"TALLYMAN_DATABASE_URL_FILE=" + file(t, "url", "\n")}, "the file is empty"},
		{"no file named", []string{"TALLYMAN_DATABASE_URL_FILE="}, "no file is named"},
		{"directory", []string{"TALLYMAN_DATABASE_URL_FILE=" + filepath.Dir(good)}, "cannot read " + filepath.Dir(good) + ": it is a directory"},
		{"more than a line", []string{"TALLYMAN_DATABASE_URL_FILE=" + file(t, "url", url+"\n\n")}, "a control character or line break in the URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ForWeb().Load(Input{Environ: tt.environ})
			if tt.problem == "" {
				if err != nil || got.Config.Database.URL.Reveal() != url {
					t.Errorf("Load: got %q, %v; want %q", got.Config.Database.URL.Reveal(), err, url)
				}
				return
			}
			ms := mistakes(t, err)
			if len(ms) != 1 || ms[0].Problem != tt.problem || ms[0].Key != "database.url" {
				t.Errorf("mistakes: got\n%s\nwant one of database.url with %q", ms, tt.problem)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error reveals the password: %v", err)
			}
		})
	}
}
