package cosign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/tool"
)

func TestIdentityFromEnv(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  map[string]string
		want Identity
	}{
		{"nothing", nil, Identity{}},
		{"a key", map[string]string{"COSIGN_KEY": "k", "TALLYMAN_TLOG": "true"}, Identity{Key: "k", Log: true}},
		{
			"GitHub Actions",
			map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/release.yml@refs/tags/v1"},
			Identity{Subject: "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1", Issuer: "https://token.actions.githubusercontent.com"},
		},
		{
			"what is said wins over what GitHub gives",
			map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_WORKFLOW_REF": "x", "TALLYMAN_SIGN_IDENTITY": "me", "TALLYMAN_SIGN_ISSUER": "https://issuer"},
			Identity{Subject: "me", Issuer: "https://issuer"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := IdentityFromEnv(func(key string) string { return c.env[key] })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifyFlagsAreExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		id   Identity
		want []string
	}{
		{"a key without a log", Identity{PublicKey: "k.pub"}, []string{"--key", "k.pub", "--insecure-ignore-tlog=true"}},
		{"a key with a log", Identity{PublicKey: "k.pub", Log: true}, []string{"--key", "k.pub"}},
		{"keyless", Identity{Subject: "s", Issuer: "i"}, []string{"--certificate-identity", "s", "--certificate-oidc-issuer", "i"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, err := New(t.Context(), tool.Box{}, c.id, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, client.VerifyFlags()); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := New(t.Context(), tool.Box{}, Identity{Subject: "s"}, t.TempDir()); err == nil {
		t.Error("keyless without an issuer: got a client, want an error")
	}
}

// fakeCosign is a program that fails with a message a number of times, then
// succeeds. The retrying around cosign is ours; what cosign says is copied from
// its real messages.
func fakeCosign(t *testing.T, failures int, message string) (box tool.Box, calls func() int) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	body := "#!/bin/sh\necho x >>" + log + "\n[ $(wc -l <" + log + ") -gt " + strconv.Itoa(failures) + " ] || { echo '" + message + "' >&2; exit 1; }\n"
	if err := os.WriteFile(filepath.Join(dir, "cosign"), []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	return tool.Box{Dir: dir}, func() int {
		content, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(content), "x")
	}
}

func TestRetryOnlyWhatMayPass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		failures int
		message  string
		calls    int
		fails    bool
		waits    []time.Duration
	}{
		{"throttled twice", 2, "GET https://r/v2/: TOOMANYREQUESTS: slow down", 3, false, []time.Duration{time.Second, 2 * time.Second}},
		{"broken for good", 9, "unexpected status code 503 Service Unavailable", 5, true, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
		{"cut once", 1, "read tcp 127.0.0.1:1: connection reset by peer", 2, false, []time.Duration{time.Second}},
		{"refused", 9, "UNAUTHORIZED: authentication required", 1, true, nil},
		{"no signature", 9, "Error: no signatures found", 1, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box, calls := fakeCosign(t, c.failures, c.message)
			var waits []time.Duration
			client := &Client{box: box, pubKey: "k", pause: func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}}
			err := client.Verify(t.Context(), "r/web@sha256:x")
			if (err != nil) != c.fails || calls() != c.calls || !slices.Equal(waits, c.waits) {
				t.Errorf("got %v after %d calls and waits of %v; want failure %t, %d calls, %v", err, calls(), waits, c.fails, c.calls, c.waits)
			}
			if err != nil && !strings.Contains(err.Error(), c.message) {
				t.Errorf("error: %q is not in %q", c.message, err)
			}
		})
	}
}

func TestParseEnvelopes(t *testing.T) {
	t.Parallel()
	statement := func(predicate string) string {
		payload := base64.StdEncoding.EncodeToString([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicate":` + predicate + `}`))
		return `{"payloadType":"application/vnd.in-toto+json","payload":"` + payload + `","signatures":[{"sig":"x"}]}`
	}
	got, err := parseEnvelopes([]byte("\nVerification for r/web --\n" + statement(`{"a":1}`) + "\n" + statement(`[2]`) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage(`[2]`)}, got); diff != "" {
		t.Errorf("predicates (-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{"payload":`, `{"payload":"***"}`, `{"payload":"` + base64.StdEncoding.EncodeToString([]byte("no JSON")) + `"}`} {
		if _, err := parseEnvelopes([]byte(bad)); err == nil {
			t.Errorf("parseEnvelopes(%q): got success, want an error", bad)
		}
	}
}

func FuzzParseEnvelopes(f *testing.F) {
	f.Add([]byte(`{"payload":"e30="}`))
	f.Add([]byte("{}\n{"))
	f.Fuzz(func(_ *testing.T, out []byte) { _, _ = parseEnvelopes(out) })
}
