package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func TestWhereMessagesGoIsKeptFromBeingSeen(t *testing.T) {
	t.Parallel()
	const hook, slack = "https://hooks.example/in/t0ken-t0ken", "https://hooks.slack.com/services/T0/B0/t0ken-t0ken"
	got, err := ForWorker().Load(Input{Environ: []string{
		"TALLYMAN_NOTIFY_WEBHOOKS_FILE=" + file(t, "hooks", hook+"\nhttp://127.0.0.1:9000/\n"),
		"TALLYMAN_NOTIFY_SECRET_FILE=" + file(t, "secret", signing+"\n"),
		"TALLYMAN_CONFIG=" + file(t, "worker.yaml", "notify:\n  slack: ['"+slack+"']\n  allow_private: true\n"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := got.Config.Notify
	if len(n.Webhooks) != 2 || n.Webhooks[0].Reveal() != hook || len(n.Slack) != 1 || n.Slack[0].Reveal() != slack ||
		n.Secret.Reveal() != signing || !n.AllowPrivate {
		t.Errorf("notify: got %+v", n)
	}
	values := map[string]any{}
	for _, v := range got.Values {
		if strings.HasPrefix(v.Key, "notify.") {
			values[v.Key] = v.Shown
		}
	}
	want := map[string]any{
		"notify.webhooks":      []string{"https://hooks.example/REDACTED", "http://127.0.0.1:9000/REDACTED"},
		"notify.slack":         []string{"https://hooks.slack.com/REDACTED"},
		"notify.secret":        "REDACTED",
		"notify.allow_private": true,
	}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	text := `Post "` + hook + `": key ` + strings.TrimPrefix(signing, "whsec_") + ` of /services/T0/B0/t0ken-t0ken`
	for _, needle := range got.Needles {
		text = strings.ReplaceAll(text, needle, redacted)
	}
	if want := `Post "REDACTED": key REDACTED of REDACTED`; text != want {
		t.Errorf("scrubbed: got %q, want %q", text, want)
	}
}

func TestMessagesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, key, value, problem string }{
		{"relative", "notify.slack[0]", "/hunter2", "not an http or https URL"},
		{"another scheme", "notify.slack[0]", "file:///hunter2", "not an http or https URL"},
		{"no host", "notify.slack[0]", "https:///hunter2", "no host is named, or none that can be one"},
		{"user", "notify.slack[0]", "https://u:hunter2@h.example/x", "a user in the URL"},
		{"fragment", "notify.slack[0]", "https://h.example/hunter2#", "a fragment in the URL"},
		{"no URL", "notify.slack[0]", "https://h.example/hunter2%zz", "the URL cannot be understood"},
		{"twice", "notify.slack[1]", "https://h.example/hunter2,https://h.example/hunter2", "listed twice"},
		{"webhook without a secret", "notify.secret", "https://h.example/hunter2", "notify.webhooks need one"},
		{"secret without its prefix", "notify.secret", "hunter2", "it does not begin with whsec_"},
		{"secret that is no base64", "notify.secret", "whsec_hunter2!", "what is behind whsec_ is not base64"},
		{"short secret", "notify.secret", "whsec_aHVudGVyMg==", "too short to be a secret"},
		{"long secret", "notify.secret", "whsec_" + strings.Repeat("hunter2A", 12), "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			variable := "TALLYMAN_NOTIFY_SLACK"
			if tt.problem == "notify.webhooks need one" {
				variable = "TALLYMAN_NOTIFY_WEBHOOKS"
			} else if tt.key == "notify.secret" {
				variable = "TALLYMAN_NOTIFY_SECRET"
			}
			_, err := ForWorker().Load(Input{Environ: []string{variable + "=" + tt.value}})
			ms := mistakes(t, err)
			if len(ms) != 1 || ms[0].Key != tt.key || ms[0].Problem != tt.problem {
				t.Errorf("mistakes: got\n%s\nwant one of %s with %q", ms, tt.key, tt.problem)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVudGVyMg") {
				t.Errorf("the error reveals the secret: %v", err)
			}
		})
	}
}

func TestSourcesOfAdvisories(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, source, problem string }{
		{"https", "https://mirror.example/osv", ""},
		{"http", "http://mirror.example:8080", ""},
		{"file", "file:///srv/osv%20data", ""},
		{"relative file", "file://srv/osv", "file:// needs a third slash before an absolute path"},
		{"another scheme", "gs://osv-vulnerabilities", "not an http or https URL"},
		{"password", "https://u:hunter2@mirror.example", "a user in the URL"},
		{"query", "https://mirror.example/?t=hunter2", "a query or a fragment in the URL"},
		{"nothing", "", "not an http or https URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_ADVISORIES_SOURCE=" + tt.source}})
			if tt.problem == "" {
				if err != nil || got.Config.Advisories.Source != tt.source {
					t.Errorf("Load: got %q, %v; want %q", got.Config.Advisories.Source, err, tt.source)
				}
				return
			}
			if ms := mistakes(t, err); len(ms) != 1 || ms[0].Problem != tt.problem || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("mistakes: got\n%s\nwant one with %q and no password", ms, tt.problem)
			}
		})
	}
}

func TestEcosystemsMayHaveSpacesInTheirNames(t *testing.T) {
	t.Parallel()
	want := []string{"Go", "Red Hat", "GitHub Actions", "npm"}
	for name, in := range map[string]Input{
		"environment": {Environ: []string{"TALLYMAN_ADVISORIES_ECOSYSTEMS=Go, Red Hat,GitHub Actions\nnpm"}},
		"flag":        {Flags: parsed(t, ForWorker(), "--advisories-ecosystems=Go,Red Hat", "--advisories-ecosystems=GitHub Actions,npm")},
		"file": {Environ: []string{
			"TALLYMAN_CONFIG=" + file(t, "w.toml", "[advisories]\necosystems = ['Go', 'Red Hat', 'GitHub Actions', 'npm']"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ForWorker().Load(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Config.Advisories.Ecosystems); diff != "" {
				t.Errorf("ecosystems (-want +got):\n%s", diff)
			}
		})
	}
	_, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_ADVISORIES_ECOSYSTEMS=Debian:12"}})
	if ms := mistakes(t, err); len(ms) != 1 || ms[0].Key != "advisories.ecosystems[0]" {
		t.Errorf("mistakes: got\n%s\nwant one of advisories.ecosystems[0]", ms)
	}
}

func TestTruthIsWrittenOut(t *testing.T) {
	t.Parallel()
	for _, in := range []Input{
		{Environ: []string{"TALLYMAN_TRUST_REQUIRE_LOG=yes"}},
		{Environ: []string{"TALLYMAN_CONFIG=" + file(t, "w.yaml", "trust: {require_log: 'true'}")}},
		{Flags: parsed(t, ForWorker(), "--trust-require-log=1")},
	} {
		_, err := ForWorker().Load(in)
		if ms := mistakes(t, err); len(ms) != 1 || ms[0].Expected != "true or false" {
			t.Errorf("mistakes: got\n%s\nwant one that expects true or false", ms)
		}
	}
}
