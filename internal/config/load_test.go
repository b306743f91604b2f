package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
)

// parsed are the program's flags after args.
func parsed[T any](t *testing.T, p Program[T], args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	p.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// file writes a file of the given name and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mistakes(t *testing.T, err error) Mistakes {
	t.Helper()
	var ms Mistakes
	if !errors.As(err, &ms) {
		t.Fatalf("error: got %v, want Mistakes", err)
	}
	return ms
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	service := func(listen string) Service {
		return Service{
			Listen:          listen,
			Database:        Database{URL: NewSecret("sqlite:///var/lib/tallyman/tallyman.db")},
			Log:             Log{Level: "info", Format: "auto"},
			Server:          Server{5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute},
			ShutdownTimeout: 20 * time.Second,
		}
	}
	unredacted := cmp.AllowUnexported(Secret{})
	web, err := ForWeb().Load(Input{})
	if err != nil {
		t.Fatal(err)
	}
	wantWeb := Web{
		Service: service(":8080"),
		Access:  Access{Anonymous: "none", SessionIdle: 12 * time.Hour, SessionLifetime: 168 * time.Hour},
		OIDC:    OIDC{RoleClaim: "groups", Scopes: []string{"profile", "email"}},
		Limits:  Limits{Requests: 50, FailedLogins: 10},
	}
	if diff := cmp.Diff(wantWeb, web.Config, unredacted, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("web (-want +got):\n%s", diff)
	}
	worker, err := ForWorker().Load(Input{})
	if err != nil {
		t.Fatal(err)
	}
	want := Worker{
		Service:  service(":8081"),
		Registry: Registry{Timeout: 30 * time.Second, Concurrency: 8}, Discover: Discover{Interval: 5 * time.Minute}, Concurrency: 4, Lease: 30 * time.Second,
		Evidence:   Evidence{Interval: time.Hour},
		Advisories: Advisories{Source: "https://osv-vulnerabilities.storage.googleapis.com", Interval: time.Hour},
		Policy:     Policy{MaxAge: 48 * time.Hour},
	}
	if diff := cmp.Diff(want, worker.Config, unredacted, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("worker (-want +got):\n%s", diff)
	}
	for _, v := range worker.Values {
		if v.Origin != "default" {
			t.Errorf("origin of %s: got %q, want default", v.Key, v.Origin)
		}
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	path := file(t, "web.yaml", "log:\n  level: debug\n")
	tests := []struct {
		name          string
		args, environ []string
		level, origin string
	}{
		{"file over default", nil, nil, "debug", "file " + path + ", line 2"},
		{"environment over file", nil, []string{"TALLYMAN_LOG_LEVEL=warn"}, "warn", "environment TALLYMAN_LOG_LEVEL"},
		{"flag over environment", []string{"--log-level=error"}, []string{"TALLYMAN_LOG_LEVEL=warn"}, "error", "flag --log-level"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ForWeb().Load(Input{
				Flags:   parsed(t, ForWeb(), tt.args...),
				Environ: append(tt.environ, "TALLYMAN_CONFIG="+path),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Config.Log.Level != tt.level {
				t.Errorf("log.level: got %q, want %q", got.Config.Log.Level, tt.level)
			}
			for _, v := range got.Values {
				if v.Key == "log.level" && v.Origin != tt.origin {
					t.Errorf("origin: got %q, want %q", v.Origin, tt.origin)
				}
			}
		})
	}
}

func TestAValueThatIsOverriddenIsNotChecked(t *testing.T) {
	t.Parallel()
	_, err := ForWeb().Load(Input{
		Flags:   parsed(t, ForWeb(), "--log-level=error"),
		Environ: []string{"TALLYMAN_LOG_LEVEL=loud"},
	})
	if err != nil {
		t.Errorf("Load: got %v, want no error", err)
	}
}

func TestListsAreWrittenTheSameWayEverywhere(t *testing.T) {
	t.Parallel()
	want := []string{"ghcr.io/a/web", "localhost:5000/b"}
	inputs := map[string]Input{
		"flag given twice": {Flags: parsed(t, ForWorker(), "--repositories=ghcr.io/a/web", "--repositories", "localhost:5000/b")},
		"commas":           {Environ: []string{"TALLYMAN_REPOSITORIES=ghcr.io/a/web,localhost:5000/b"}},
		"lines":            {Environ: []string{"TALLYMAN_REPOSITORIES=ghcr.io/a/web\nlocalhost:5000/b\n"}},
		"yaml":             {Environ: []string{"TALLYMAN_CONFIG=" + file(t, "a.yml", "repositories: [ghcr.io/a/web, 'localhost:5000/b']")}},
		"json":             {Environ: []string{"TALLYMAN_CONFIG=" + file(t, "a.json", `{"repositories":["ghcr.io/a/web","localhost:5000/b"]}`)}},
		"toml":             {Environ: []string{"TALLYMAN_CONFIG=" + file(t, "a.toml", "repositories = ['ghcr.io/a/web', 'localhost:5000/b']")}},
	}
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ForWorker().Load(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Config.Repositories); diff != "" {
				t.Errorf("repositories (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	path := file(t, "worker.yaml", `
lisen: ":1"
database:
  max_connections: "10"
log: info
server:
  idle_timeout: 60
discover:
  interval: 1s
worker:
`)
	_, err := ForWorker().Load(Input{
		Flags: parsed(t, ForWorker(), "--listen=80", "--config", path, "--registry-timeout=soon"),
		Environ: []string{
			"TALLYMAN_DATABASE_URL=postgres://u:hunter2/@db/x",
			"TALLYMAN_LOG_FORMT=json", "TALLYMAN_IMAGE_DIGEST=sha256:12",
			"TALLYMAN_REPOSITORIES=ghcr.io/ok,alpine,ghcr.io/ok,ghcr.io/a:v1",
			"PATH=/bin",
		},
	})
	duration := "a duration from 100ms to 1h, such as 90s or 1h30m"
	database := "sqlite:PATH, sqlite:///absolute/path or postgres://user:password@host:port/database"
	want := Mistakes{
		{
			Key: "TALLYMAN_LOG_FORMT", Origin: "environment TALLYMAN_LOG_FORMT",
			Problem: "unknown variable (did you mean TALLYMAN_LOG_FORMAT?)", Expected: "only variables that docs/configuration.md lists",
		},
		{
			Key: "database.max_connections", Origin: "file " + path + ", line 4", Value: "10", Expected: "a whole number from 0 to 1000",
		},
		{
			Key: "database.url", Origin: "environment TALLYMAN_DATABASE_URL", Value: "REDACTED", Expected: database,
			Problem: "the URL cannot be understood; special characters in a password must be percent-encoded",
		},
		{Key: "discover.interval", Origin: "file " + path + ", line 9", Value: "1s", Expected: "a duration from 10s to 24h, such as 90s or 1h30m"},
		{
			Key: "image.digest", Origin: "environment TALLYMAN_IMAGE_DIGEST", Value: "sha256:12",
			Expected: "sha256: and 64 lower-case hexadecimal digits, or nothing",
		},
		{
			Key: "lisen", Origin: "file " + path + ", line 2",
			Problem: "unknown key (did you mean listen?)", Expected: "only keys that docs/configuration.md lists",
		},
		{
			Key: "listen", Origin: "flag --listen", Value: "80",
			Expected: "host:port with a port from 1 to 65535, the host empty for every interface",
		},
		{Key: "log", Origin: "file " + path + ", line 5", Problem: "not a group of settings", Expected: "settings below it"},
		{Key: "registry.timeout", Origin: "flag --registry-timeout", Value: "soon", Expected: "a duration from 1s to 10m, such as 90s or 1h30m"},
		{
			Key: "repositories[1]", Origin: "environment TALLYMAN_REPOSITORIES", Value: "alpine",
			Expected: "registry/path without a tag or digest, such as ghcr.io/tallyman-io/tallyman/web",
		},
		{
			Key: "repositories[2]", Origin: "environment TALLYMAN_REPOSITORIES", Value: "ghcr.io/ok", Problem: "listed twice",
			Expected: "registry/path without a tag or digest, such as ghcr.io/tallyman-io/tallyman/web",
		},
		{
			Key: "repositories[3]", Origin: "environment TALLYMAN_REPOSITORIES", Value: "ghcr.io/a:v1",
			Expected: "registry/path without a tag or digest, such as ghcr.io/tallyman-io/tallyman/web",
		},
		{Key: "server.idle_timeout", Origin: "file " + path + ", line 7", Value: "60", Expected: duration},
	}
	if diff := cmp.Diff(want, mistakes(t, err)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
	if got, lines := err.Error(), len(want); strings.Count(got, "\n") != lines-1 || strings.Contains(got, "hunter2") {
		t.Errorf("text: want %d lines without the password, got:\n%s", lines, got)
	}
}

func TestSettingsThatContradictEachOther(t *testing.T) {
	t.Parallel()
	_, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_SERVER_READ_TIMEOUT=4s", "TALLYMAN_SHUTDOWN_DELAY=20s"}})
	want := Mistakes{{
		Key: "server.read_timeout", Origin: "environment TALLYMAN_SERVER_READ_TIMEOUT", Value: "4s",
		Problem: "shorter than server.read_header_timeout", Expected: "at least 5s",
	}, {
		Key: "shutdown.delay", Origin: "environment TALLYMAN_SHUTDOWN_DELAY", Value: "20s",
		Problem: "not shorter than shutdown.timeout", Expected: "less than 20s",
	}}
	if diff := cmp.Diff(want, mistakes(t, err)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestAKeyOfTheOtherProgramIsNamedAsSuch(t *testing.T) {
	t.Parallel()
	path := file(t, "web.yaml", "repositories: []\nregistry:\n  timeout: 1s\n")
	_, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + path, "TALLYMAN_WORKER_CONCURRENCY=1"}})
	ms := mistakes(t, err)
	if len(ms) != 3 {
		t.Fatalf("mistakes: got %d, want 3:\n%s", len(ms), ms)
	}
	for _, m := range ms {
		if want := "a setting of worker, not of web"; m.Problem != want {
			t.Errorf("%s: got problem %q, want %q", m.Key, m.Problem, want)
		}
	}
}

func TestVariablesOfKubernetesServicesAreNotOurs(t *testing.T) {
	t.Parallel()
	environ := []string{
		"TALLYMAN_SERVICE_HOST=10.0.0.1", "TALLYMAN_SERVICE_PORT=80", "TALLYMAN_SERVICE_PORT_HTTP=80", "TALLYMAN_PORT=tcp://10.0.0.1:80",
		"TALLYMAN_WEB_PORT_8080_TCP=tcp://10.0.0.1:80", "TALLYMAN_WEB_PORT_8080_TCP_PROTO=tcp",
		"TALLYMAN_WEB_PORT_8080_TCP_PORT=8080", "TALLYMAN_WEB_PORT_8080_TCP_ADDR=fd00::1",
	}
	if _, err := ForWeb().Load(Input{Environ: environ}); err != nil {
		t.Errorf("Load: got %v, want no error", err)
	}
}

func TestAVariableThatOnlyLooksLikeOneOfKubernetesIsAMistake(t *testing.T) {
	t.Parallel()
	_, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_PORT=8080"}})
	if ms := mistakes(t, err); len(ms) != 1 || ms[0].Key != "TALLYMAN_PORT" {
		t.Errorf("mistakes: got\n%s\nwant one of TALLYMAN_PORT", ms)
	}
}

// Each field of a configuration must be tied to exactly one setting.
func TestEveryFieldHasASetting(t *testing.T) {
	t.Parallel()
	var web Web
	var worker Worker
	check := func(name string, c any, settings []setting) {
		bound := map[any]int{}
		for _, s := range settings {
			bound[s.target]++
			if s.doc == "" || s.expected == "" || s.kind == "" {
				t.Errorf("%s: %s is not described", name, s.key)
			}
		}
		leaves := fields(reflect.ValueOf(c).Elem())
		for _, f := range leaves {
			if bound[f] != 1 {
				t.Errorf("%s: a field of type %T has %d settings, want 1", name, f, bound[f])
			}
		}
		if len(leaves) != len(settings) {
			t.Errorf("%s: %d fields, %d settings", name, len(leaves), len(settings))
		}
	}
	check("web", &web, ForWeb().bind(&web))
	check("worker", &worker, ForWorker().bind(&worker))
}

// fields are pointers to all fields of a struct that are no groups of fields.
func fields(v reflect.Value) []any {
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[Secret]() || v.Type() == reflect.TypeFor[File]() {
		return []any{v.Addr().Interface()}
	}
	var all []any
	for i := range v.NumField() {
		all = append(all, fields(v.Field(i))...)
	}
	return all
}
